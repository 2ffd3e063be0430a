"""Disks read: file systems made by mkfs.vfat with mtools and by mke2fs, images converted by qemu-img."""

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

from remaster.disks import extfs, fatfs, filesystems, partitions
from remaster.disks.blocks import Qcow2, open_blocks
from remaster.formats import fat, gpt
from remaster.formats.model import Piece, layout, write_raw
from tcz.errors import VerifyError
from tcz.tree import Tree, listing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
MIB = 1 << 20
LONG = "a name that is longer than eight and three, with spaces.config"
NAMES = {
    "vmlinuz": b"k" * 70_000,
    "boot/grub/grub.cfg": b"menu\n",
    f"cde/{LONG}": b"",
    "cde/Ünïcode Näme.tcz": b"u" * 99,
}


def tool(*argv: object) -> str:
    env = {**os.environ, "PATH": PATH, "LC_ALL": "C.UTF-8", "TZ": "UTC", "MTOOLS_SKIP_CHECK": "1"}
    done = subprocess.run([str(arg) for arg in argv], check=True, capture_output=True, text=True, env=env)
    return done.stdout


def needs(*names: str) -> pytest.MarkDecorator:
    missing = [name for name in names if shutil.which(name, path=PATH) is None]
    return pytest.mark.skipif(bool(missing), reason=f"no {missing} here")


def read(path: Path) -> filesystems.Held:
    blocks = open_blocks(path)
    return filesystems.look(blocks, 0, blocks.size)


def files_of(tree: Tree | None) -> dict[str, bytes]:
    assert tree is not None
    return {path: node.read() for path, node in tree.items() if node.is_file}


@needs("mkfs.vfat", "mcopy", "mmd")
@pytest.mark.parametrize(
    ("bits", "size", "cluster"), [(12, 2 * MIB, 1), (16, 20 * MIB, 4), (32, 40 * MIB, 1)]
)
def test_fat_as_others_make_it(tmp_path: Path, bits: int, size: int, cluster: int) -> None:
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.truncate(size)
    tool("mkfs.vfat", "-F", bits, "-s", cluster, "-n", "TCLABEL", "-i", "1234ABCD", disk)
    # In pieces: what is removed leaves holes that the next file has to use.
    fill = tmp_path / "fill"
    fill.write_bytes(b"f" * 3000)
    for number in range(20):
        tool("mcopy", "-i", disk, fill, f"::fill{number}")
    for number in range(0, 20, 2):
        tool("mdel", "-i", disk, f"::fill{number}")
    expected = {f"fill{number}": b"f" * 3000 for number in range(1, 20, 2)}
    for folder in ("boot", "boot/grub", "cde"):
        tool("mmd", "-i", disk, f"::{folder}")
    for number, (name, data) in enumerate(NAMES.items()):
        (tmp_path / str(number)).write_bytes(data)
        tool("mcopy", "-i", disk, tmp_path / str(number), f"::{name}")
    found = read(disk)
    assert (found.kind, found.label, found.uuid, found.fault) == (f"fat{bits}", "TCLABEL", "1234-ABCD", "")
    assert files_of(found.tree) == {**expected, **NAMES}


def test_our_own_fat_is_read_back(tmp_path: Path) -> None:
    plan = fat.FatPlan(
        size=fat.SMALLEST, files=tuple(sorted(NAMES.items())), label="FLOE", serial=7, epoch=1735689600
    )
    write_raw(fat.build(plan), tmp_path / "disk")
    found = read(tmp_path / "disk")
    assert (found.kind, found.label) == ("fat32", "FLOE")
    assert files_of(found.tree) == NAMES
    assert found.tree is not None
    assert {node.mtime for path, node in found.tree.items() if path} == {1735689600}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "top"
    (top / "boot/deep/er").mkdir(parents=True)
    (top / "boot/vmlinuz").write_bytes(random.Random(1).randbytes(700_000))
    (top / "boot/deep/er/small").write_text("small")
    (top / "empty").touch()
    os.link(top / "boot/vmlinuz", top / "zz-hard")
    (top / "short").symlink_to("boot/vmlinuz")
    (top / "long").symlink_to("x/" * 60)
    for number in range(300):
        (top / "boot/deep" / f"file-{number:04}").write_text(str(number))
    with (top / "sparse").open("wb") as file:
        file.write(b"begin")
        file.seek(300_000)
        file.write(b"end")
    (top / "boot/deep").chmod(0o2775)
    return top


def target(link: Path) -> bytes:
    return os.readlink(os.fsencode(link))  # noqa: PTH115 - a path drops the last slash


@needs("mke2fs")
@pytest.mark.parametrize("kind", ["ext2", "ext3", "ext4"])
@pytest.mark.parametrize("block", [1024, 4096])
def test_ext_as_mke2fs_makes_it(tmp_path: Path, folder: Path, kind: str, block: int) -> None:
    disk = tmp_path / "disk"
    tool("mke2fs", "-q", "-t", kind, "-b", block, "-L", "data", "-d", folder, disk, "24M")
    found = read(disk)
    assert (found.kind, found.label, found.fault) == (kind, "data", "")
    tree = found.tree
    assert tree is not None
    expected = {
        str(path.relative_to(folder)): path
        for path in folder.rglob("*")
        if path.is_file() or path.is_symlink()
    }
    assert set(expected) == {path for path, node in tree.items() if not node.is_dir} - {"lost+found"}
    for path, real in expected.items():
        node = tree[path]
        data = tree[node.link].read() if node.link else node.read()
        assert data == (target(real) if real.is_symlink() else real.read_bytes()), path
    assert tree["boot/deep"].mode & 0o7777 == 0o2775
    links = {"boot/vmlinuz": tree["boot/vmlinuz"].link, "zz-hard": tree["zz-hard"].link}
    assert min(map(str, links.values())) == "None"
    assert set(links.values()) - {None} <= set(links)
    owner = (os.getuid(), os.getgid())
    assert (tree["boot/vmlinuz"].uid, tree["boot/vmlinuz"].gid) == owner


def disk_of(tmp_path: Path) -> Path:
    """A GPT with a FAT in it, by our own writers."""
    plan = fat.FatPlan(size=fat.SMALLEST, files=tuple(sorted(NAMES.items())), label="FLOE", serial=1, epoch=0)
    system = fat.build(plan)
    size = 2 * MIB + system.size + MIB
    part = gpt.Partition(
        kind=gpt.EFI_SYSTEM, guid=gpt.derived(b"x", "p"), offset=2 * MIB, size=system.size, name="floe-system"
    )
    tables = gpt.tables(size, gpt.derived(b"x", "d"), (part,), code=b"\xeb\x63\x90")
    path = tmp_path / "disk.img"
    write_raw(layout(size, tables, system.shifted(2 * MIB), (Piece(offset=MIB, source=b"core"),)), path)
    return path


@needs("qemu-img")
@pytest.mark.parametrize(
    "options",
    [
        ["-o", "compat=0.10"],
        ["-o", "compat=1.1,cluster_size=512"],
        ["-o", "cluster_size=2M"],
        ["-c"],
        ["-c", "-o", "compression_type=zstd"],
    ],
    ids=" ".join,
)
def test_qcow2_as_qemu_makes_it(tmp_path: Path, options: list[str]) -> None:
    raw = disk_of(tmp_path)
    tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", *options, raw, tmp_path / "disk.qcow2")
    one, two = open_blocks(raw), open_blocks(tmp_path / "disk.qcow2")
    assert isinstance(two, Qcow2)
    assert one.size == two.size
    assert all(one.read(at, MIB) == two.read(at, MIB) for at in range(0, one.size - MIB, MIB))
    table = partitions.read(two)
    held = filesystems.look(two, table.partitions[0].offset, table.partitions[0].size)
    assert files_of(held.tree) == NAMES


@needs("qemu-img")
def test_qcow2_that_cannot_be_read(tmp_path: Path) -> None:
    raw = disk_of(tmp_path)
    tool("qemu-img", "create", "-q", "-f", "qcow2", "-b", raw, "-F", "raw", tmp_path / "over.qcow2")
    with pytest.raises(VerifyError, match="needs another one behind it"):
        open_blocks(tmp_path / "over.qcow2")
    (tmp_path / "cut.qcow2").write_bytes((tmp_path / "over.qcow2").read_bytes()[:60])
    with pytest.raises(VerifyError, match="cut off"):
        open_blocks(tmp_path / "cut.qcow2")
    tool("qemu-img", "create", "-q", "-f", "qcow2", tmp_path / "good.qcow2", "1M")
    good = (tmp_path / "good.qcow2").read_bytes()
    # Where its first table lies: beyond the end, and beyond what an offset can say.
    for at in (1 << 40, 1 << 63):
        (tmp_path / "far.qcow2").write_bytes(good[:40] + at.to_bytes(8, "big") + good[48:])
        with pytest.raises(VerifyError, match="cut off"):
            open_blocks(tmp_path / "far.qcow2")


@needs("sgdisk")
def test_gpt_as_sgdisk_makes_it_and_its_backup(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.truncate(64 * MIB)
    tool(
        "sgdisk", "-n", "1:2048:4095", "-t", "1:ef02", "-c", "1:bios", "-n", "3:8192:0", "-c", "3:dätä", disk
    )
    table = partitions.read(open_blocks(disk))
    assert [(one.number, one.name, one.kind) for one in table.partitions] == [
        (1, "bios", "BIOS boot"),
        (3, "dätä", "Linux"),
    ]
    assert (table.partitions[0].offset, table.partitions[0].size) == (MIB, MIB)
    with disk.open("r+b") as file:
        file.seek(600)
        file.write(b"damage")
    again = partitions.read(open_blocks(disk))
    assert again.partitions == table.partitions
    assert again.notes == ("the partition table is damaged; its backup was read",)
    with disk.open("r+b") as file:
        file.seek(64 * MIB - 500)
        file.write(b"damage")
    with pytest.raises(VerifyError, match="and its backup too"):
        partitions.read(open_blocks(disk))


@needs("sfdisk")
def test_mbr_as_sfdisk_makes_it(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.truncate(64 * MIB)
    rows = "label: dos\n2048,8192,83,*\n16384,,5\n20480,4096,b\n32768,4096,83\n"
    subprocess.run(
        ["sfdisk", "-q", disk], input=rows, text=True, check=True, env={"PATH": PATH}, capture_output=True
    )
    table = partitions.read(open_blocks(disk))
    assert [(one.number, one.kind, one.offset // 512, one.active) for one in table.partitions] == [
        (1, "Linux", 2048, True),
        (5, "FAT32", 20480, False),
        (6, "Linux", 32768, False),
    ]


def fat_image(tmp_path: Path) -> Path:
    plan = fat.FatPlan(size=fat.SMALLEST, files=tuple(sorted(NAMES.items())), label="FLOE", serial=1, epoch=0)
    write_raw(fat.build(plan), tmp_path / "disk")
    return tmp_path / "disk"


def ext_image(tmp_path: Path) -> Path:
    (tmp_path / "few/boot").mkdir(parents=True)
    for number in range(40):
        (tmp_path / "few/boot" / f"{number:09}").write_bytes(b"x" * 3000 * number)
    tool(
        "mke2fs",
        "-q",
        "-t",
        "ext4",
        "-b",
        "1024",
        "-O",
        "^metadata_csum",
        "-d",
        tmp_path / "few",
        tmp_path / "disk",
        "4M",
    )
    return tmp_path / "disk"


@needs("mke2fs")
@pytest.mark.parametrize("make", [fat_image, ext_image])
def test_damage_is_told_or_harmless(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    """Whatever bytes a disk has: files, or one error; nothing else, and never for long."""
    disk = make(tmp_path)
    whole = disk.read_bytes()
    chance = random.Random(5)
    used = [at for at in range(0, len(whole), 512) if any(whole[at : at + 512])]
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 5)):
            at = chance.choice(used[:60]) + chance.randrange(512)
            data[at : at + 4] = struct.pack(
                "<I", chance.choice((0, 1, 2, 3, 0xFFFFFFFF, chance.getrandbits(32)))
            )
        (tmp_path / "bad").write_bytes(data)
        found = read(tmp_path / "bad")
        try:
            tree = found.tree or Tree()
            for node in map(tree.__getitem__, tree):
                if node.size < 64 * MIB:
                    node.read()
        except VerifyError:
            continue


def test_a_folder_in_itself(tmp_path: Path) -> None:
    data = bytearray(fat_image(tmp_path).read_bytes())
    # "cde" begins where "boot" does.
    boot, cde = data.index(b"BOOT~1     "), data.index(b"CDE~1      ")
    data[cde + 26 : cde + 28] = data[boot + 26 : boot + 28]
    (tmp_path / "bad").write_bytes(data)
    assert "in itself, or in two others" in read(tmp_path / "bad").fault


def test_reading_is_the_inverse_of_writing_for_listings(tmp_path: Path) -> None:
    blocks = open_blocks(fat_image(tmp_path))
    assert listing(fatfs.read(blocks, 0, blocks.size).tree) == listing(
        fatfs.read(blocks, 0, blocks.size).tree
    )
    assert not extfs.is_ext(blocks, 0, blocks.size)
