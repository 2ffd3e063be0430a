"""remaster extract and remaster diff as users call them, on stand-ins of official images."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from remaster import differ, owners
from remaster.cli import cli
from remaster.survey import look
from tcz import cpio
from tcz.squashfs import writer
from tcz.squashfs.options import SquashOptions
from tcz.tree import Tree, listing, regular
from tests.unit import standins
from tests.unit.standins import needs_tools

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

pytestmark = needs_tools


def run(*argv: object) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in argv], prog_name="remaster")


def package(path: Path, tree: Tree, version: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer.write(tree, path, SquashOptions(), epoch=standins.EPOCH)
    path.with_name(f"{path.name}.info").write_text(f"Title:\t\t{path.name}\nVersion:\t{version}\n")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    made = standins.medium(tmp_path / "m", "cde")
    tool = Tree({"usr/local/bin/tool": regular(b"one", 0o755), "usr/local/share/old": regular(b"")})
    package(made / "cde/optional/tool.tcz", tool, "1.0")
    return standins.iso(made, tmp_path / "x.iso")


def test_unpacked_and_the_way_back(image: Path, tmp_path: Path) -> None:
    result = run("extract", image, "-o", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    assert {one["name"] for one in json.loads(result.stdout)} == {"medium", "root"}
    first, again = look.examine(image), look.examine(tmp_path / "out")
    assert listing(again.root) == listing(first.root)
    assert again.root["dev/console"].rdev == (5, 1)
    assert again.root["bin/busybox.suid"].mode & 0o7777 == 0o4755
    assert listing(again.medium.files) == listing(first.medium.files)
    assert again.survey.release == first.survey.release
    assert run("extract", image, "-o", tmp_path / "out").exit_code == 2


def test_what_was_extracted_differs_in_nothing_that_files_are(image: Path, tmp_path: Path) -> None:
    """A folder has no volume id, no boot record and no MBR: that is said, and no difference."""
    run("extract", image, "-o", tmp_path / "out")
    result = run("diff", image, tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "are the same" in result.stdout
    assert (
        "not compared, for one of them cannot have it: volume id, boot loaders, starts from USB"
        in result.stdout
    )
    assert "not compared" not in run("diff", image, image).stdout


def test_an_image_that_is_not_there(image: Path, tmp_path: Path) -> None:
    absent = tmp_path / "nosuch.iso"
    for words in (
        ("inspect", absent),
        ("diff", image, absent),
        ("diff", absent, image),
        ("extract", absent, "-o", tmp_path / "out"),
        ("explain", "/etc/passwd", "--image", absent),
        ("rebuild", "--verify", absent),
        ("sbom", absent),
        ("sbom", "nosuch.iso"),
        ("kernel", "check", absent),
    ):
        result = run(*words)
        assert (result.exit_code, "nosuch.iso" in result.stderr) == (2, True), (words, result.stderr)
    assert "no image nosuch.iso" in run("sbom", "nosuch.iso").stderr


@pytest.mark.skipif(shutil.which("lz4") is None, reason="lz4 is not installed")
def test_lz4_that_no_kernel_reads(tmp_path: Path) -> None:
    data = subprocess.run(["lz4", "-c"], input=b"x" * 1000, capture_output=True, check=True).stdout
    (tmp_path / "x.img").write_bytes(data)
    result = run("inspect", tmp_path / "x.img")
    assert result.exit_code == 5
    assert "lz4 -l" in result.stderr


def test_others_find_the_same_files(image: Path, tmp_path: Path) -> None:
    assert run("extract", image, "medium", "-o", tmp_path / "out").exit_code == 0
    subprocess.run(
        ["xorriso", "-osirrox", "on", "-indev", image, "-extract", "/", tmp_path / "theirs"],
        check=True,
        capture_output=True,
    )
    argv = ["diff", "-r", str(tmp_path / "out/medium"), str(tmp_path / "theirs")]
    assert subprocess.run(argv, check=True, capture_output=True).stdout == b""


def test_a_package_alone(image: Path, tmp_path: Path) -> None:
    assert run("extract", image, "tool.tcz", "-o", tmp_path / "out").exit_code == 0
    folder = tmp_path / "out/packages/tool"
    assert (folder / "usr/local/bin/tool").read_bytes() == b"one"
    assert owners.read(folder)["usr/local/bin/tool"].mode & 0o7777 == 0o755
    wrong = run("extract", image, "tol", "-o", tmp_path / "out")
    assert wrong.exit_code == 2
    assert "did you mean 'tool'?" in wrong.stderr
    broken = run("extract", image, "flwm", "-o", tmp_path / "out")
    assert broken.exit_code == 5
    assert not (tmp_path / "out/packages/flwm").exists()


def test_the_same_and_different(image: Path, tmp_path: Path) -> None:
    same = run("diff", image, image)
    assert (same.exit_code, same.output.strip().endswith("are the same")) == (0, True)
    made = tmp_path / "m"
    config = made / "boot/isolinux/isolinux.cfg"
    config.write_text(config.read_text().replace("loglevel=3 cde", "cde noembed"))
    tool = Tree({"usr/local/bin/tool": regular(b"two", 0o4755), "usr/local/new": regular(b"")})
    package(made / "cde/optional/tool.tcz", tool, "2.0")
    (made / "cde/optional/flwm.tcz").unlink()
    nodes = dict(standins.root_tree(modules=True).items())
    nodes["etc/motd"] = replace(nodes["etc/motd"], gid=7, mode=nodes["etc/motd"].mode ^ 0o111)
    nodes["etc/issue"] = regular(b"another\n", 0o644)
    nodes["etc/added"] = regular(b"")
    del nodes["etc/fstab"]
    (made / "boot/corepure64.gz").write_bytes(standins.packed(Tree(nodes)))
    second = standins.iso(made, tmp_path / "y.iso")
    found = differ.compare(image, second)
    told = {(one.section, str(one.how), one.what): " ".join(one.details) for one in found.changes}
    expected = {
        ("boot entries", "changed", "isolinux corepure64"): "code loglevel=3 removed code noembed added",
        ("medium", "changed", "boot/corepure64.gz"): "content",
        ("root", "added", "etc/added"): "",
        ("root", "removed", "etc/fstab"): "",
        ("root", "changed", "etc/issue"): "content",
        ("root", "changed", "etc/motd"): "owner",
        ("packages", "removed", "flwm"): "version 1.18",
        ("packages", "changed", "tool"): "version 1.0 -> 2.0",
        ("package tool", "changed", "usr/local/bin/tool"): "mode 755 -> 4755 content, 3 bytes both",
        ("package tool", "added", "usr/local/new"): "",
        ("package tool", "removed", "usr/local/share/old"): "",
    }
    assert {key: value for key, value in expected.items() if value not in told.get(key, "absent")} == {}
    assert {key for key in told if key[0] == "root"} == {key for key in expected if key[0] == "root"}
    result = run("diff", image, second)
    assert result.exit_code == 1
    assert "~ tool: version 1.0 -> 2.0" in result.output
    assert json.loads(run("diff", image, second, "--json").stdout)["changes"]
    assert run("diff", image, tmp_path / "absent").exit_code == 2


def test_an_archive_that_would_escape(tmp_path: Path) -> None:
    evil = cpio.dumps(Tree({"x" * 9: regular(b"")})).replace(b"x" * 9, b"../../etc")
    (tmp_path / "evil.gz").write_bytes(cpio.compress(evil))
    result = run("extract", tmp_path / "evil.gz", "-o", tmp_path / "out")
    assert result.exit_code == 5
    assert "leaves its tree" in result.stderr
    assert not (tmp_path / "out").exists()
