"""Releases and sources in a mirror: where Tiny Core has them, verified and signed as packages are."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from tcz.cli import cli
from tcz.mirror import opening
from tcz.mirror.known import Chosen
from tcz.mirror.repository import Mirror
from tests.unit.mirror_made import package, quick_folder
from tests.unit.signed_made import dirs, theirs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BRANCH = "17.x/x86_64"
FILES = "release/distribution_files"


@pytest.fixture
def top() -> Iterator[Path]:
    with quick_folder() as folder:
        (folder / "in").mkdir()
        for name in ("corepure64.gz", "vmlinuz64"):
            (folder / "in" / name).write_bytes(name.encode() * 1000)
        tcz("init", folder / "m")
        yield folder


def tcz(*words: object, code: int = 0) -> str:
    done = CliRunner().invoke(cli, ["mirror", *map(str, words)])
    assert done.exit_code == code, done.output
    return done.output


def test_files_of_a_release(top: Path) -> None:
    m = ("-m", top / "m", "--progress", "none")
    words = ("files", "add", top / "in/corepure64.gz", top / "in/vmlinuz64", "--to", FILES, *m)
    assert "nothing was changed" in tcz(*words, "--dry-run")
    told = json.loads(tcz(*words, "--json"))
    assert (told["serial"], told["published"]) == (2, True)
    assert {one["change"] for one in told["files"]} == {"new"}
    folder = top / "m/public" / BRANCH / FILES
    names = ["corepure64.gz", "corepure64.gz.md5.txt", "vmlinuz64", "vmlinuz64.md5.txt"]
    assert sorted(path.name for path in folder.iterdir()) == names
    sums = "for one in *.md5.txt; do busybox md5sum -c $one; done"
    done = subprocess.run(["sh", "-c", sums], cwd=folder, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["corepure64.gz: OK", "vmlinuz64: OK"]
    assert "nothing has changed" in tcz(*words)
    # other bytes under the same path
    (top / "in/vmlinuz64").write_bytes(b"other")
    assert "--replace" in tcz(*words, code=9)
    tcz("snapshot", "create", "old", *m)
    assert "published as 3" in tcz(*words, "--replace")
    assert (folder / "vmlinuz64").read_bytes() == b"other"
    assert (top / "m/snapshots/old" / BRANCH / FILES / "vmlinuz64").stat().st_size > 5
    # packages come and go, and the files stay
    package(top / "p", "thing")
    tcz("add", top / "p", "--no-lint", *m)
    tcz("index", *m)
    listed = [one["path"] for one in json.loads(tcz("files", "list", "-m", top / "m", "--json"))]
    assert listed == [f"{BRANCH}/{FILES}/{name}" for name in names]
    assert "verify" not in tcz("verify", *m)
    assert "nothing was removed" in tcz("files", "remove", f"{BRANCH}/tcz/thing.tcz", *m, code=2)
    tcz("files", "remove", f"{BRANCH}/{FILES}/vmlinuz64", *m)
    assert sorted(path.name for path in folder.iterdir()) == names[:2]
    tcz("files", "remove", f"{BRANCH}/release", *m)
    assert list(folder.glob("*")) == []
    tcz("gc", *m)
    assert (top / "m/snapshots/old" / BRANCH / FILES / "vmlinuz64").stat().st_size > 5
    assert json.loads(tcz("verify", *m, "--json"))["damage"] == []


def test_a_folder_of_sources(top: Path) -> None:
    (top / "src/patches").mkdir(parents=True)
    (top / "src/nano-8.0.txz").write_bytes(b"source")
    (top / "src/patches/one.patch").write_bytes(b"patch")
    tcz("files", "add", top / "src", "--to", "tcz/src/nano", "-m", top / "m", "--progress", "none")
    folder = top / "m/public" / BRANCH / "tcz/src/nano"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {
        "nano-8.0.txz",
        "patches/one.patch",
    }


@pytest.mark.parametrize(
    ("name", "place", "text", "code"),
    [
        ("vmlinuz64", "tcz", "no folder for files", 2),
        ("vmlinuz64", "release/../../x", "no folder for files", 2),
        ("vmlinuz64", "/etc", "no folder for files", 2),
        ("gone", "release", "there is no such file", 2),
        ("a;reboot", "release", "its name is none", 2),
        (".hidden", "release", "its name is none", 2),
        ("link", "release", "is a link", 2),
        ("pipe", "release", "neither a file nor a folder", 5),
        ("wrong", "release", "not what its .md5.txt says", 5),
        ("alone.md5.txt", "release", "what it is the sum of is not named", 2),
    ],
)
def test_what_has_no_place(name: str, place: str, text: str, code: int, top: Path) -> None:
    file = top / "in" / name
    if name in ("a;reboot", ".hidden", "alone.md5.txt", "wrong"):
        file.write_bytes(b"x")
    if name == "wrong":
        file.with_name("wrong.md5.txt").write_text(f"{'0' * 32}  wrong\n")
    if name == "link":
        file.symlink_to("/etc/passwd")
    if name == "pipe":
        os.mkfifo(file)
    words = ("files", "add", top / "in/corepure64.gz", file, "--to", place, "-m", top / "m")
    assert text in tcz(*words, "--progress", "none", code=code)
    assert Mirror.open(top / "m").catalogue().serial == 1


def test_they_are_signed(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = theirs(top / "theirs")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(top / "config"))
    (top / "config").mkdir()
    (top / "config/tcz").symlink_to(made.ring.folder.parent)
    tcz("files", "add", top / "in", "--to", FILES, "-m", made.mirror.root, "--progress", "none")
    made.show()
    sums = opening.sums(Chosen(address=str(made.shown), keys=(made.key,)), dirs(top / "me"))
    path = f"{BRANCH}/{FILES}/vmlinuz64"
    assert sums(path) == hashlib.sha256((top / "in/vmlinuz64").read_bytes()).hexdigest()
    assert sums(f"{path}x") is None
