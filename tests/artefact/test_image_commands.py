"""The command lines of locks and proofs: what they say, and with which exit code they end."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from remaster.cli import cli
from tcz.mirror.sign import SecretKey
from tcz.store import sha256_file
from tests.artefact import test_image as small
from tests.artefact.proof_made import Place

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

pytestmark = small.pytestmark


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An image, its inputs, and an environment that leads to them."""
    made = Place(tmp_path)
    for name in ("cache", "config", "state"):
        (tmp_path / "xdg" / name).mkdir(parents=True)
        (tmp_path / "xdg" / name / "tcz").symlink_to(tmp_path / name)
        monkeypatch.setenv(f"XDG_{name.upper()}_HOME", str(tmp_path / "xdg" / name))
    monkeypatch.chdir(tmp_path)
    made.make(packages=(), files=())
    return made


def run(*argv: object) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in argv], prog_name="remaster")


def test_built_from_a_lock_signed_and_verified(place: Place) -> None:
    shutil.copyfile("out/x.lock", "mine.lock")
    key = SecretKey.new()
    (place.top / "key").write_text(key.text())
    (place.top / "key").chmod(0o600)
    (place.top / "public").write_text(key.public.text())
    argv = ("--locked", "mine.lock", "--output", "a/x.iso", "--progress", "none")
    checked = run("build", *argv, "--dry-run", "--json")
    assert checked.exit_code == 0, checked.output
    assert "foo" in json.loads(checked.stdout)["packages"]
    made = run("build", *argv, "--sign", place.top / "key")
    assert made.exit_code == 0, made.output
    assert "signed: x.iso.minisig, x.sha256.minisig" in made.stdout
    assert sha256_file(place.top / "a/x.iso") == sha256_file(place.top / "out/x.iso")
    assert sha256_file(place.top / "a/x.lock") == sha256_file(place.top / "mine.lock")
    said = run("verify", "a/x.iso", "--key", "public", "--json")
    assert json.loads(said.stdout)["signed_by"] == key.public.name
    (place.top / "public").write_text(SecretKey.new().public.text())
    assert run("verify", "a/x.iso", "--key", "public").exit_code == 5
    assert run("verify", "a/x.iso").exit_code == 0
    assert run("verify", "a/y.iso").exit_code == 2
    # Another image in its place, and the old signature still there.
    place.variant.write_text(place.variant.read_text().replace("welcome", "hello"))
    wrong = run("build", *argv)
    assert wrong.exit_code == 5
    assert "file /etc/issue: -644" in wrong.stderr
    shutil.copyfile("a/x.iso.minisig", "out/x.iso.minisig")
    place.make(packages=(), files=())
    assert run("verify", "out/x.iso", "--key", "public").exit_code == 5


def test_made_again(place: Place) -> None:
    argv = ("rebuild", "--verify", "out/x.iso", "--variant", place.variant, "--progress", "none")
    same = run(*argv)
    assert same.exit_code == 0, same.output
    assert "out/x.iso: same, byte for byte" in same.stdout
    assert sha256_file(place.top / "out/x.iso") in same.stdout
    assert json.loads(run(*argv, "--dry-run", "--json").stdout)["outcome"] == "possible"
    kept = run("rebuild", "out/x.iso", "-o", "kept.iso", "--variant", place.variant, "--progress", "none")
    assert (kept.exit_code, kept.stdout) == (0, "kept.iso\n")
    assert sha256_file(place.top / "kept.iso") == sha256_file(place.top / "out/x.iso")
    with (place.top / "out/x.iso").open("ab") as file:
        file.write(bytes(2048))
    other = run(*argv)
    assert other.exit_code == 9
    assert "made again it is another one" in other.stdout
    assert "times or the layout differ" in other.stdout
    place.variant.unlink()
    gone = run("rebuild", "--verify", "out/x.iso", "--progress", "none")
    assert gone.exit_code == 4
    assert "--variant: mine.toml with sha256" in gone.stderr
    assert run("rebuild", "out/x.iso").exit_code == 2


def test_explained_and_billed(place: Place) -> None:
    found = run("explain", "/usr/local/bin/foo", "--image", "out/x.iso", "--json")
    assert [one["recipe"] for one in json.loads(found.stdout)["owners"]] == ["foo"]
    missing = run("explain", "/usr/bin/fooo", "--image", "out/x.iso")
    assert missing.exit_code == 2
    assert "/usr/local/bin/foo" in missing.stderr
    assert run("explain", "/etc").exit_code == 2
    for form, key in (("cyclonedx", "components"), ("spdx", "packages")):
        said = run("sbom", "out/x.iso", "--form", form, "--output", f"{form}.json", "--progress", "none")
        assert said.exit_code == 0, said.output
        names = {one["name"] for one in json.loads((place.top / f"{form}.json").read_text())[key]}
        assert {"foo", "kernel", "floe"} <= names


@pytest.mark.parametrize("command", ["lock", "rebuild", "sbom", "explain", "verify"])
def test_help_has_examples_and_exit_codes(command: str) -> None:
    said = run(command, "--help")
    assert said.exit_code == 0
    assert "Examples:" in said.output
    assert "Exit codes:" in said.output
