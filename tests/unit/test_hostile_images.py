"""Damaged and hostile images given to the commands: one clear error, nothing left, nothing else touched."""

from __future__ import annotations

import gzip
import random
import stat
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from remaster import foreign
from remaster.cli import cli
from remaster.survey import look
from tcz import cpio
from tcz.errors import VerifyError
from tcz.tree import Node, Tree, listing, regular, symlink
from tests.unit import standins
from tests.unit.test_cpio import DIR, LNK, TRAILER, entry

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from tests.conftest import Counted

pytestmark = standins.needs_tools
MUTATIONS = (40, 60)


def run(*argv: object) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in argv], prog_name="remaster")


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    }


def check(result: Result) -> None:
    """A damaged image is told in a line or more, or its damage is where nobody looks."""
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert result.exit_code in (0, 2, 5, 7), result.output
    if result.exit_code:
        assert result.stderr.strip()
        assert "Traceback" not in result.stderr


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Return a small ISO image and an initrd of three members."""
    folder = tmp_path_factory.mktemp("small")
    made = standins.medium(folder / "m", "cde")
    tree = Tree({"init": regular(b"#!/bin/sh\n", 0o755), "etc/os-release": regular(b"VERSION_ID=16.1\n")})
    initrd = cpio.dumps(tree) + gzip.compress(cpio.dumps(tree), 1)
    initrd += bytes(-len(initrd) % 4) + cpio.compress(cpio.dumps(tree), "zstd", 1)
    (made / "boot/corepure64.gz").write_bytes(initrd)
    return standins.iso(made, folder / "x.iso").read_bytes(), initrd


@pytest.mark.parametrize("which", [0, 1], ids=["iso", "initrd"])
def test_damaged_images(small: tuple[bytes, bytes], tmp_path: Path, which: int, counted: Counted) -> None:
    chance = random.Random(which)
    image, place, outside = tmp_path / "image", tmp_path / "out", tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"precious")
    before = everything(outside)
    for _ in range(MUTATIONS[which]):
        data = bytearray(small[which])
        start = 32768 if which == 0 else 0
        for _ in range(chance.randint(1, 8)):
            data[min(start + chance.randrange(1 << chance.randint(6, 17)), len(data) - 1)] ^= (
                1 << chance.randrange(8)
            )
        if chance.random() < 0.2:
            del data[chance.randrange(start, len(data)) :]
        image.write_bytes(data)
        check(run("inspect", image))
        compared = run("diff", image, image)
        assert compared.exit_code != 1, compared.output
        check(compared)
        result = run("extract", image, "root", "-o", place)
        check(result)
        if result.exit_code:
            assert not (place / "root").exists()
            assert not list(place.glob(".*")) if place.is_dir() else True
        else:
            (place / "root").rename(tmp_path / "done")
            (place / "root.owners").unlink()
            for path in sorted((tmp_path / "done").rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
            (tmp_path / "done").rmdir()
        assert everything(outside) == before
    counted("damaged images through inspect, diff and extract", MUTATIONS[which])


@pytest.mark.parametrize(
    "archive",
    [
        entry("../../outside/evil", b"x"),
        entry("/../outside/evil", b"x"),
        entry("a", b"../outside", mode=LNK) + entry("a/evil", b"x"),
        entry("a", b"/", mode=LNK) + entry("a/tmp/evil", b"x"),
        entry("a", b"a", mode=LNK) + entry("a/evil", b"x"),
        entry("b", b"c", mode=LNK) + entry("c", b"b", mode=LNK) + entry("b/c/d", b"x"),
        entry("d", mode=DIR) + entry("d/..", b"x"),
        entry("evil\n\x1b[31m\xff", b"x"),
    ],
)
def test_archives_that_try_to_leave(tmp_path: Path, archive: bytes) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "image").write_bytes(archive + TRAILER)
    inspected = run("inspect", tmp_path / "image")
    check(inspected)
    assert "\x1b" not in inspected.output
    check(run("extract", tmp_path / "image", "root", "-o", tmp_path / "out"))
    assert everything(outside) == {}
    assert {path.name for path in tmp_path.iterdir()} <= {"image", "out", "outside"}
    for path in (tmp_path / "out").rglob("*"):
        assert path.is_symlink() or path.resolve().is_relative_to(tmp_path / "out")


def test_names_in_any_encoding_survive(tmp_path: Path) -> None:
    names = ["caf\udce9", "\udcff\udcfe", "日本語", " ", "a\tb", "new\nline", "-x", "*"]
    tree = Tree({**{name: regular(b"x") for name in names}, "link": symlink("日本語")})
    (tmp_path / "image").write_bytes(cpio.compress(cpio.dumps(tree), "xz", 1))
    assert run("extract", tmp_path / "image", "root", "-o", tmp_path / "out").exit_code == 0
    assert listing(look.examine(tmp_path / "out").root) == listing(tree)
    other = cpio.compress(cpio.dumps(Tree({"caf\udce9\n": regular(b"")})), "gzip", 1)
    (tmp_path / "other").write_bytes(other)
    result = run("diff", tmp_path / "image", tmp_path / "other")
    assert result.exit_code == 1
    assert "caf\\xe9\\n" in result.output


def test_a_hundred_thousand_files(tmp_path: Path) -> None:
    nodes = {f"d{number % 250}/f{number}": regular(b"") for number in range(100_000)}
    nodes["init"] = regular(b"#!/bin/sh\n", 0o755)
    (tmp_path / "image.gz").write_bytes(cpio.compress(cpio.dumps(Tree(nodes)), "gzip", 1))
    found = foreign.open_foreign(str(tmp_path / "image.gz"))
    assert found.examined.survey.root_entries == 100_251


def test_devices_and_set_uid_bits_do_not_reach_the_disk(tmp_path: Path) -> None:
    nodes = {"sda": Node(mode=stat.S_IFBLK | 0o666, rdev=(8, 0)), "su": regular(b"", 0o6755)}
    (tmp_path / "image").write_bytes(cpio.dumps(Tree(nodes)))
    assert run("extract", tmp_path / "image", "-o", tmp_path / "out").exit_code == 0
    assert not (tmp_path / "out/root/sda").exists()
    assert (tmp_path / "out/root/su").stat().st_mode & 0o7777 == 0o755
    assert look.examine(tmp_path / "out").root["sda"].rdev == (8, 0)


@pytest.mark.parametrize("size", [0, 1, 5, 512, 32768, 34816])
def test_beginnings_of_an_image(small: tuple[bytes, bytes], tmp_path: Path, size: int) -> None:
    (tmp_path / "x.iso").write_bytes(small[0][:size])
    for command in (("inspect",), ("extract", "-o", tmp_path / "out")):
        result = run(command[0], tmp_path / "x.iso", *command[1:])
        assert result.exit_code == 5
    with pytest.raises(VerifyError):
        foreign.open_foreign(str(tmp_path / "x.iso"))
