"""Damaged and hostile images given to the commands: one clear error, nothing left, nothing else touched."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import random
import re
import stat
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zstandard
from click.testing import CliRunner

from remaster import differ, foreign, isofs, owners
from remaster.cli import cli
from remaster.iso import IsoPlan, write_iso
from remaster.survey import cde, look
from remaster.survey.model import BootEntry, Survey
from tcz import compress, cpio, rootfs
from tcz.errors import VerifyError
from tcz.squashfs import image as squashfs
from tcz.squashfs import writer
from tcz.squashfs.options import SquashOptions
from tcz.tree import Node, Tree, listing, regular, symlink
from tests.unit import standins
from tests.unit.mutations import tried
from tests.unit.test_cpio import DIR, LNK, TRAILER, entry

if TYPE_CHECKING:
    from collections.abc import Callable

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


# -- much out of little ---------------------------------------------------------------------------


def refused(look_at: Callable[[], object]) -> str:
    """Do something in little memory and time; it must be refused. Return with what words."""

    def heard(_chance: random.Random) -> None:
        try:
            look_at()
        except VerifyError as error:
            raise LookupError(f"<{error.what}>") from None

    (found,) = tried(1, heard).wrong or ("nothing was refused",)
    told = re.findall(r"LookupError: <(.*)>", found)
    assert told, found
    return str(told[-1])


MIB = 1 << 20
NOTHING = bytes(3 * MIB)
BOMBS = {
    "gzip": gzip.compress(NOTHING * 3, 1),
    "gzip, in a row": gzip.compress(NOTHING, 1) * 3,
    "zstd": zstandard.ZstdCompressor(level=1).compress(NOTHING * 3),
    "zstd, in a row": zstandard.ZstdCompressor(level=1).compress(NOTHING) * 3,
    "xz, in a row": lzma.compress(NOTHING, preset=0, check=lzma.CHECK_CRC32) * 3,
    "bzip2, in a row": bz2.compress(NOTHING) * 3,
    "lzma": lzma.compress(NOTHING * 3, format=lzma.FORMAT_ALONE, preset=0),
    "lz4": cpio.compress(NOTHING * 3, "lz4", 1),
}


@pytest.mark.parametrize("case", BOMBS)
def test_archives_that_unpack_to_very_much(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compress, "_ALWAYS", 4 * MIB)
    monkeypatch.setattr(compress, "_TIMES", 8)
    data = BOMBS[case]
    assert len(data) < 100_000
    assert "holds more than" in refused(lambda: cpio.load(data))


def test_an_archive_that_unpacks_to_gigabytes(tmp_path: Path) -> None:
    """The true limit holds, in less memory than the archive would take."""
    frame = zstandard.ZstdCompressor(level=1).compressobj(size=4 << 30)
    data = b"".join(frame.compress(bytes(64 * MIB)) for _ in range(64)) + frame.flush()
    assert len(data) < MIB
    assert "holds more than" in refused(lambda: cpio.load(data))
    (tmp_path / "x").write_bytes(data)
    assert run("inspect", tmp_path / "x").exit_code == 5


def test_a_file_that_is_said_to_be_huge() -> None:
    for size in (0xFFFFFFFF, 0x7FFFFFFF, 1 << 30):
        assert "truncated" in refused(lambda size=size: cpio.load(entry("huge", size=size) + TRAILER))


def test_more_files_than_any_image_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (rootfs, squashfs, isofs):
        monkeypatch.setattr(module, "ENTRIES_MAX", 50)
    tree = Tree({f"f{number}": regular(b"") for number in range(60)})
    assert "more files" in refused(lambda: cpio.read(cpio.dumps(tree)))
    writer.write(tree, tmp_path / "x.tcz", SquashOptions(), epoch=0)
    assert "more files" in refused(lambda: squashfs.read(tmp_path / "x.tcz"))
    assert "more files" in refused(lambda: squashfs.Image(tmp_path / "x.tcz").rows())
    files = tuple((path, b"") for path in tree if path)
    write_iso(
        IsoPlan(volume_id="x", files=files, epoch=0, isolinux_bin=None, efi_image=None), tmp_path / "x.iso"
    )
    assert "more files" in refused(lambda: isofs.read(tmp_path / "x.iso"))


def test_folders_within_folders_without_end(tmp_path: Path) -> None:
    deep = Tree({"/".join(["d" * 9] * 500): regular(b"")})
    writer.write(deep, tmp_path / "x.tcz", SquashOptions(), epoch=0)
    assert "too long a path" in refused(lambda: squashfs.read(tmp_path / "x.tcz"))
    assert "too long a path" in refused(lambda: squashfs.Image(tmp_path / "x.tcz").rows())
    assert "deep" in refused(lambda: cpio.read(cpio.dumps(Tree({"/".join("d" * 300): regular(b"")}))))


def test_links_that_lead_on_and_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rootfs, "_STEPS_MAX", 200_000)
    way = b"a/../" * 800 + b"a"
    links = entry("a", mode=DIR) + entry("l", way, mode=LNK)
    entries = b"".join(
        entry(f"l/l{number}", b"x", mode=LNK) + entry(f"l/d/f{number}") for number in range(200)
    )
    assert "lead on" in refused(lambda: cpio.read(links + entries + TRAILER))


def test_menus_and_folders_of_packages_that_take_no_time() -> None:
    """Each of these took the product of two large numbers before; the watch ends what takes long."""
    files = Tree({f"d{number}/cde/f{number}": regular(b"") for number in range(20_000)})
    entries = tuple(
        BootEntry(
            program="grub",
            label=f"e{number}",
            title="",
            kernel=f"/absent{number}",
            initrds=(),
            words=(),
            default=False,
            where="grub.cfg",
        )
        for number in range(20_000)
    )
    words = tuple(f"w{number}" for number in range(100_000))
    told = tried(
        1,
        lambda _: (
            look._named(files, entries, look._Notes([], [])),
            cde.found(files, Tree(), []),
            list(
                differ._entries(
                    Survey(path="", kind="iso", size=0, entries=(replace(entries[0], words=words),)),
                    Survey(path="", kind="iso", size=0, entries=(replace(entries[0], words=words[::-1]),)),
                )
            ),
        ),
    )
    assert told.wrong == ()


# -- records and packages -------------------------------------------------------------------------


@pytest.mark.parametrize("link", ["../../etc/passwd", "/etc/passwd", "..", "link", "absent"])
def test_hard_links_to_elsewhere(tmp_path: Path, link: str) -> None:
    """A folder's record names what a file shares its content with; it is never what lies outside."""
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "f").write_bytes(b"mine")
    (folder / "link").symlink_to("/etc/passwd")
    node = Node(mode=stat.S_IFREG | 0o644, link="etc/passwd")
    record = owners.dumps(Tree({"f": node})).replace(b'"etc/passwd"', json.dumps(link).encode())
    owners.beside(folder).write_bytes(record)
    if link in ("../../etc/passwd", ".."):
        with pytest.raises(VerifyError, match="not a record of owners"):
            owners.read(folder)
    else:
        found = owners.read(folder)["f"]
        assert (found.link, found.read()) == (None, b"mine")


def test_a_hundred_thousand_files_in_little_memory(tmp_path: Path, counted: Counted) -> None:
    """An initrd and a package of them, read and written again: less than 1.5 KiB for each file."""
    nodes = {f"d{number % 250}/f{number:06}": regular(b"%d" % number) for number in range(100_000)}
    initrd = cpio.compress(cpio.dumps(Tree(nodes)), "gzip", 1)

    def there_and_back(_chance: random.Random) -> None:
        before = peak()
        tree = cpio.load(initrd).tree
        assert len(tree) == 100_251
        writer.write(tree, tmp_path / "x.tcz", SquashOptions(), epoch=0)
        del tree
        again = squashfs.read(tmp_path / "x.tcz")
        with (tmp_path / "x.cpio").open("wb") as file:
            cpio.write(again, file=file)
        assert peak() - before < 150 << 20, f"{(peak() - before) >> 20} MiB"

    nodes.clear()
    assert tried(1, there_and_back, patience=100).wrong == ()
    counted("files in one initrd and one package", 100_000)


def peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) << 10
