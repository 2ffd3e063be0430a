"""Thousands of damaged initrds, ISO images, packages, kernels and lists: read, or refused in a word.

Each reader has little memory and little time for each; TCZ_MUTATIONS is how many times as many are tried.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import struct
import tarfile
from typing import TYPE_CHECKING

import pytest

from remaster import differ, isofs, kconfig, owners
from remaster.formats import qcow2
from remaster.formats.model import Piece, layout
from remaster.iso import IsoPlan, write_iso
from remaster.survey import bootconfig, cde, kernels, look, rootfacts, text
from tcz import cpio, tar
from tcz.metadata import parse_info
from tcz.rootfs import encoded
from tcz.squashfs import image as squashfs
from tcz.squashfs import writer
from tcz.squashfs.options import SquashOptions
from tcz.tree import Node, Tree, regular, symlink
from tests.unit import standins
from tests.unit.mutations import Told, mutated, tried
from tests.unit.test_cpio import TRAILER, entry
from tests.unit.test_disks import PATH, disk_of, ext_image, fat_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random

    from tests.conftest import Counted

TIMES = int(os.environ.get("TCZ_MUTATIONS", "1"))


def small_tree() -> Tree:
    nodes = {
        "init": regular(b"#!/bin/sh\n", 0o755),
        "etc/passwd": regular(standins.PASSWD),
        "etc/os-release": regular(standins.os_release("16.1")),
        "bin/busybox": regular(standins.elf64(b"BusyBox" * 200), 0o4755),
        "bin/hard": Node(mode=0o104755, link="bin/busybox"),
        "bin/sh": symlink("busybox"),
        "lib/libc.so.6": regular(standins.libc()),
        "lib/modules/6.1/x.ko.gz": regular(b"module"),
        "dev/console": Node(mode=0o020600, rdev=(5, 1)),
        "a" * 200: regular(b"long"),
        "caf\udce9": regular(b""),
        "tmp/builtin/onboot.lst": regular(b"a.tcz\n"),
        "tmp/builtin/optional/a.tcz": regular(b"a"),
    }
    return Tree(nodes)


def aligned(*parts: bytes) -> bytes:
    return b"".join(part + bytes(-len(part) % 4) for part in parts)


def odc(name: bytes, data: bytes = b"", mode: int = 0o100644) -> bytes:
    head = b"070707" + b"".join(b"%06o" % value for value in (1, 2, mode, 0, 0, 1, 0))
    return head + b"%011o%06o%011o" % (0, len(name) + 1, len(data)) + name + b"\0" + data


PLAIN = cpio.dumps(small_tree())
OTHER = cpio.dumps(Tree({"x": regular(b"y" * 3000)}))
MICROCODE = cpio.dumps(Tree({"kernel/x86/microcode/GenuineIntel.bin": regular(b"m" * 500)}))
INITRDS = {
    "plain": PLAIN,
    "gzip": gzip.compress(PLAIN, mtime=0),
    "xz": cpio.compress(PLAIN, "xz"),
    "zstd": cpio.compress(PLAIN, "zstd", 3),
    "lz4": cpio.compress(PLAIN, "lz4"),
    "bzip2": bz2.compress(PLAIN),
    "lzma": lzma.compress(PLAIN, format=lzma.FORMAT_ALONE),
    "several members": aligned(
        gzip.compress(PLAIN, mtime=0), cpio.compress(OTHER, "zstd", 3), lzma.compress(OTHER, check=1), OTHER
    ),
    "early microcode": aligned(MICROCODE) + gzip.compress(PLAIN, mtime=0),
    "070702": entry("init", b"abc", magic=b"070702", check=sum(b"abc")) * 3 + TRAILER,
    "odc": odc(b"init", b"#!/bin/sh\n") + odc(b"d", mode=0o40755) + odc(b"d/x", b"y") + odc(b"TRAILER!!!"),
}


def used(tree: Tree) -> None:
    """Do with a tree what is done with all of them."""
    owners.dumps(tree)
    rootfacts.facts(tree)
    cde.found(Tree(), tree, [])
    cpio.dumps(tree)


def told(counted: Counted, what: str, found: Told) -> None:
    assert found.wrong == ()
    assert found.refused
    counted(f"damaged {what}", found.count)


@pytest.mark.parametrize("shape", INITRDS)
def test_initrds(shape: str, counted: Counted) -> None:
    data, others = INITRDS[shape], tuple(INITRDS.values())
    whole = tuple(cpio.load(data).tree)
    assert "init" in whole

    def look_at(chance: Random) -> None:
        used(cpio.load(mutated(chance, data, others)).tree)

    told(counted, "initrds", tried(700 * TIMES, look_at, seed=shape))


def test_archives_damaged_before_they_were_packed(counted: Counted) -> None:
    def look_at(chance: Random) -> None:
        archive = mutated(chance, PLAIN, (OTHER, INITRDS["odc"]))
        used(cpio.load(cpio.compress(archive, chance.choice(("gzip", "xz", "zstd", "lz4")), 1)).tree)

    told(counted, "initrds", tried(1500 * TIMES, look_at, seed="within"))


def test_packages(tmp_path: Path, counted: Counted) -> None:
    """Half of the damage is in the tables; packages whose tables are not packed have deeper damage."""
    nodes = dict(small_tree().items())
    tree = Tree({**nodes, "big": regular(b"z" * 9000 + bytes(9000) + bytes(range(256)) * 40)})
    images = []
    for compressor in ("gzip", "xz", "zstd", "lz4"):
        path = tmp_path / f"{compressor}.tcz"
        writer.write(tree, path, SquashOptions(compressor=compressor, block=4096), epoch=0)
        images.append(path.read_bytes())
    images += [unpacked_tables(image) for image in images]
    damaged = tmp_path / "damaged.tcz"

    def look_at(chance: Random) -> None:
        data = chance.choice(images)
        begin = chance.choice((0, 0, len(data) // 2, *struct.unpack_from("<QQ", data, 64)))
        damaged.write_bytes(mutated(chance, data, images, begin))
        image = squashfs.Image(damaged)
        rows, found = image.rows(), image.tree()
        assert len(rows) == len(found)
        for node in (node for _, node in found.items() if node.is_file and node.size < 1 << 21):
            for piece in node.pieces():
                assert len(piece) <= 1 << 20

    told(counted, "packages", tried(3000 * TIMES, look_at, seed="packages"))


def unpacked_tables(image: bytes) -> bytes:
    """Return an image with its inodes and names stored as they are, so that damage hits them."""
    region_at, names_at = struct.unpack_from("<QQ", image, 64)
    unpack = squashfs.unpacker(struct.unpack_from("<H", image, 20)[0])

    def blocks(begin: int, end: int) -> bytes:
        made, at = b"", begin
        while at < end:
            word = struct.unpack_from("<H", image, at)[0]
            raw = memoryview(image)[at + 2 : at + 2 + (word & 0x7FFF)]
            plain = bytes(raw) if word & 0x8000 else bytes(unpack(raw, 8192))
            made += struct.pack("<H", len(plain) | 0x8000) + plain
            at += 2 + (word & 0x7FFF)
        return made

    fragments, ids = struct.unpack_from("<Q", image, 80)[0], struct.unpack_from("<Q", image, 48)[0]
    first = min(struct.unpack_from("<Q", image, at)[0] for at in (fragments, ids))
    inodes, names = blocks(region_at, names_at), blocks(names_at, first)
    more = len(inodes) + len(names) - (first - region_at)
    made = bytearray(image[:region_at] + inodes + names + image[first:])
    struct.pack_into("<Q", made, 40, struct.unpack_from("<Q", made, 40)[0] + more)
    for at in (48, 72, 80):
        struct.pack_into("<Q", made, at, struct.unpack_from("<Q", made, at)[0] + more)
    struct.pack_into("<Q", made, 72, region_at + len(inodes))
    for at in (fragments + more, ids + more):
        struct.pack_into("<Q", made, at, struct.unpack_from("<Q", made, at)[0] + more)
    return bytes(made)


@pytest.fixture(scope="module")
def isos(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Return small ISO images: Rock Ridge by us, Rock Ridge, Joliet and plain names by genisoimage."""
    folder = tmp_path_factory.mktemp("isos")
    made = standins.medium(folder / "m", "cde")
    (made / "boot/corepure64.gz").write_bytes(INITRDS["several members"])
    (made / "boot/vmlinuz64").write_bytes(standins.kernel_image("6.12")[:36000])
    (made / "boot/isolinux/ldlinux.c32").unlink()
    files = tuple(
        (path.relative_to(made).as_posix(), path) for path in sorted(made.rglob("*")) if path.is_file()
    )
    write_iso(IsoPlan(volume_id="x", files=files, epoch=0, efi_image=None), folder / "own.iso")
    images = [(folder / "own.iso").read_bytes()]
    others = (("-J", "-R"), ("-J",), ("-l",))
    return [*images, *(standins.iso(made, folder / "x.iso", *options).read_bytes() for options in others)]


@standins.needs_tools
def test_iso_images(isos: list[bytes], tmp_path: Path, counted: Counted) -> None:
    damaged = tmp_path / "damaged.iso"

    def look_at(chance: Random) -> None:
        data = chance.choice(isos)
        begin = 2048 * chance.choice((16, 16, 17, 18, *range(19, 30)))
        damaged.write_bytes(mutated(chance, data, (), begin))
        found = look.examine(damaged)
        assert text.lines(found.survey)
        used(found.root)
        for _path, node in isofs.read(damaged).tree.items():  # noqa: PERF102 - a tree has no values()
            assert node.is_dir or len(node.read()) == node.size

    told(counted, "ISO images", tried(800 * TIMES, look_at, seed="isos"))


@standins.needs_tools
def test_comparing_with_a_damaged_image(isos: list[bytes], tmp_path: Path, counted: Counted) -> None:
    whole, damaged = tmp_path / "whole.iso", tmp_path / "damaged.iso"
    whole.write_bytes(isos[0])

    def look_at(chance: Random) -> None:
        damaged.write_bytes(mutated(chance, isos[0], (), 2048 * chance.randrange(16, 40)))
        assert differ.lines(differ.compare(whole, damaged))

    told(counted, "ISO images", tried(150 * TIMES, look_at, seed="differ"))


def disk_images(folder: Path) -> list[Path]:
    """Return a disk with a GPT and a FAT, the same as qcow2, and file systems alone."""
    (folder / "one").mkdir()
    disk = disk_of(folder)
    qcow2.write(layout(disk.stat().st_size, (Piece(offset=0, source=disk),)), folder / "disk.qcow2")
    alone = [fat_image(folder / "one")]
    if shutil.which("mke2fs", path=PATH):
        (folder / "two").mkdir()
        alone.append(ext_image(folder / "two"))
    return [disk, folder / "disk.qcow2", *alone]


def test_disks(tmp_path: Path, counted: Counted) -> None:
    """Bytes are changed where they lie, in what is not empty, and put back: disks are large."""
    images = disk_images(tmp_path)
    used = {
        path: [at for at in range(0, min(path.stat().st_size, 4 << 20), 512) if any(data[at : at + 512])]
        for path in images
        for data in (path.read_bytes()[: 4 << 20],)
    }

    def look_at(chance: Random) -> None:
        path = chance.choice(images)
        with path.open("r+b", buffering=0) as file:
            at = chance.choice(used[path][: 1 << chance.randint(0, 9)])
            whole = os.pread(file.fileno(), 512, at)
            os.pwrite(file.fileno(), mutated(chance, whole).ljust(512, b"\0")[:512], at)
            try:
                found = look.examine(path)
                assert text.lines(found.survey)
                for _path, node in found.medium.files.items():  # noqa: PERF102 - a tree has no values()
                    assert node.size > 1 << 21 or len(node.read()) == node.size
            finally:
                os.pwrite(file.fileno(), whole, at)

    told(counted, "disks", tried(100 * TIMES, look_at, seed="disks"))


def test_tar_archives(tmp_path: Path, counted: Counted) -> None:
    """Ours, and those of others with records of their own for what GNU's headers cannot hold."""
    paths = [tmp_path / name for name in ("own.tar", "pax.tar", "damaged.tar")]
    tar.write(small_tree(), paths[0])
    with tarfile.open(paths[1], "w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("init", "é" * 120, "etc/os-release"):
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.uid = 4, 1.5, 1 << 40
            archive.addfile(member, io.BytesIO(b"data"))
    wholes = [path.read_bytes() for path in paths[:2]]

    def look_at(chance: Random) -> None:
        paths[2].write_bytes(mutated(chance, chance.choice(wholes), wholes))
        found = look.examine(paths[2])
        assert text.lines(found.survey)
        owners.dumps(found.root)

    told(counted, "tar archives", tried(400 * TIMES, look_at, seed="tar"))


MENUS = {
    "isolinux": b"default core\nprompt 1\ntimeout 300\nappend x\nlabel core\n\tmenu label ^Core\n"
    b"\tkernel /boot/vmlinuz64\n\tinitrd /boot/a.gz,/boot/b.gz\n\tappend loglevel=3 cde\nlabel x\n"
    b"menu default\n kernel x\n append initrd=y\ninclude foo.cfg\n",
    "grub": b'set timeout=10\nset default=1\nmenuentry "core" --id x {\n linux /boot/vmlinuz64 x=3 \\\n'
    b" cde\n initrd /boot/core.gz\n}\nmenuentry 'a' --class b {\n linuxefi x 'y z'\n}\n",
    "lists": b"Xvesa.tcz\nflwm.tcz # the window manager\n-KERNEL.tcz\n\n",
    "info": b"Title:\t\tflwm.tcz\nVersion:\t1.18\nComments:\tsome\n\t\tmore\n",
    "os-release": standins.os_release("16.1"),
}


def test_menus_and_lists(counted: Counted) -> None:
    def look_at(chance: Random) -> None:
        raw = mutated(chance, chance.choice(tuple(MENUS.values())), tuple(MENUS.values()))
        said = raw.decode(errors="replace")
        for menu in (bootconfig.isolinux(said, "x"), bootconfig.grub(said, "x")):
            assert sum(one.default for one in menu.entries) == bool(menu.entries) or menu.entries
        cde.names_in(said)
        rootfacts.facts(Tree({"etc/os-release": regular(raw), "bin/sh": regular(raw)}))
        parse_info(said)

    found = tried(3000 * TIMES, look_at, seed="menus")
    assert found.wrong == ()
    counted("damaged menus and lists", found.count)


def test_kernels(counted: Counted) -> None:
    """A header, and a kernel that holds its own configuration, packed."""
    config = "".join(f"CONFIG_A{number}=y\n" for number in range(50))
    image = standins.kernel_with_config("6.12.11-tinycore64", config)
    assert kconfig.find(image).value("A3") == "y"
    begins = (0, 0x1F0, 0x200, 0x236, 0x248, 0x800, 5 * 512 + 0x1000)

    def look_at(chance: Random) -> None:
        data = mutated(chance, image, (), chance.choice(begins))
        head = kernels.head_of(data)
        if kernels.is_kernel(head):
            kernels.read("k", len(data), head)
        kconfig.find(data)

    told(counted, "kernels", tried(2500 * TIMES, look_at, seed="kernels"))


def test_programs(counted: Counted) -> None:
    """The architecture comes from an ELF header, the libc's version from all of the libc."""
    program = standins.elf64(b"BusyBox" * 30)

    def look_at(chance: Random) -> None:
        nodes = {"bin/busybox": mutated(chance, program), "lib/libc.so.6": mutated(chance, standins.libc())}
        rootfacts.facts(Tree({path: regular(data) for path, data in nodes.items()}))

    found = tried(500 * TIMES, look_at, seed="programs")
    assert found.wrong == ()
    counted("damaged programs", found.count)


def test_records_of_owners(tmp_path: Path, counted: Counted) -> None:
    record = owners.dumps(small_tree())
    folder = tmp_path / "root"
    folder.mkdir()
    for path in ("init", "caf\udce9"):
        (tmp_path / "root" / os.fsdecode(encoded(path))).write_bytes(b"")

    def look_at(chance: Random) -> None:
        owners.beside(folder).write_bytes(mutated(chance, record))
        used(owners.read(folder))

    told(counted, "records of owners", tried(800 * TIMES, look_at, seed="owners"))


def test_a_reader_that_fails_is_told() -> None:
    """The watch itself: exceptions, memory and time are seen."""
    calls: tuple[Callable[[Random], object], ...] = (
        lambda _: {}["absent"],
        lambda _: bytes(1 << 32),
        lambda _: os._exit(3),
    )
    for call in calls:
        assert tried(1, call).wrong
