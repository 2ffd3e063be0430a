"""What the writers of disks make, looked at with the tools of others."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remaster.formats import ext4, fat, gpt, qcow2
from remaster.formats.model import MIB, Layout, Piece, layout, write_raw
from tcz.run import HostRunner

ENV = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC", "MTOOLS_SKIP_CHECK": "1"}
ENV["PATH"] += ":/usr/sbin:/sbin"
pytestmark = pytest.mark.skipif(
    any(shutil.which(tool, path=ENV["PATH"]) is None for tool in ("sgdisk", "qemu-img", "mcopy", "fsck.fat")),
    reason="no gdisk, qemu-utils, mtools or dosfstools here",
)
QUICK = settings(max_examples=12)
KINDS = {str(kind).upper() for kind in (gpt.BIOS_BOOT, gpt.EFI_SYSTEM, gpt.LINUX_DATA)}


def tool(*argv: object, **options: Any) -> str:
    """Run a tool, which must succeed; return all it says."""
    done = subprocess.run(
        [str(word) for word in argv],
        env=ENV,
        text=True,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        **options,
    )
    assert done.returncode == 0, f"{argv}\n{done.stdout}"
    return done.stdout


# -- partition tables ------------------------------------------------------------------------------


@st.composite
def disks(draw: st.DrawFn) -> tuple[int, tuple[gpt.Partition, ...]]:
    """A disk and partitions on it, with gaps."""
    at, parts = 34, []
    for number in range(draw(st.integers(0, 128))):
        at += draw(st.integers(0, 40))
        size = draw(st.integers(1, 300))
        parts.append(
            gpt.Partition(
                kind=draw(st.sampled_from([gpt.BIOS_BOOT, gpt.EFI_SYSTEM, gpt.LINUX_DATA])),
                guid=gpt.derived(b"test", str(number)),
                offset=at * 512,
                size=size * 512,
                name=draw(st.text("abcé-_ 0", max_size=36)).strip(),
                attributes=draw(st.sampled_from([0, gpt.GROW])),
            )
        )
        at += size
    # sgdisk calls a disk with no room for any partition too small.
    return (at + 34 + draw(st.integers(0, 99))) * 512, tuple(parts)


@given(disks())
@QUICK
def test_partition_tables(made: tuple[int, tuple[gpt.Partition, ...]]) -> None:
    size, parts = made
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "disk")
        write_raw(layout(size, gpt.tables(size, gpt.derived(b"test", "disk"), parts)), image)
        assert "No problems found" in tool("sgdisk", "-v", image)
        table = json.loads(tool("sfdisk", "-J", image))["partitiontable"]
    assert table["id"] == str(gpt.derived(b"test", "disk")).upper()
    assert table["label"] == "gpt"
    seen = [(one["start"] * 512, one["size"] * 512, one["uuid"]) for one in table.get("partitions", [])]
    assert seen == [(one.offset, one.size, str(one.guid).upper()) for one in parts]
    for row, part in zip(table.get("partitions", []), parts, strict=True):
        assert row["type"] == str(part.kind).upper()
        assert row.get("name", "") == part.name
        assert row.get("attrs", "") == ("GUID:59" if part.attributes else "")


def test_the_backup_table_is_good_when_the_first_is_lost(tmp_path: Path) -> None:
    part = gpt.Partition(
        kind=gpt.LINUX_DATA,
        guid=gpt.derived(b"t", "p"),
        offset=MIB,
        size=MIB,
        name="data",
        attributes=gpt.GROW,
    )
    image = tmp_path / "disk"
    write_raw(layout(4 * MIB, gpt.tables(4 * MIB, gpt.derived(b"t", "d"), (part,))), image)
    before = json.loads(tool("sfdisk", "-J", image))["partitiontable"]
    with image.open("r+b") as file:
        file.seek(512)
        file.write(bytes(33 * 512))
    tool("sgdisk", "-b", tmp_path / "saved", image)
    tool("sgdisk", "-l", tmp_path / "saved", image)
    assert json.loads(tool("sfdisk", "-J", image))["partitiontable"] == before


# -- FAT -------------------------------------------------------------------------------------------

NAME = st.text("abcXYZ019.-_+~ é", min_size=1, max_size=40).filter(
    lambda name: name.strip(" .") == name and not name.startswith("~")
)


@st.composite
def trees(draw: st.DrawFn) -> dict[str, bytes]:
    """Files by path; no two folders or files whose names FAT takes for the same."""
    files: dict[str, bytes] = {}
    taken: set[str] = set()
    for _ in range(draw(st.integers(0, 25))):
        path = "/".join(draw(st.lists(NAME, min_size=1, max_size=3)))
        parents = ["/".join(path.split("/")[: n + 1]) for n in range(path.count("/"))]
        if path.upper() in taken or any(p.upper() in taken and p not in taken for p in parents):
            continue
        if any(p in files for p in parents):
            continue
        taken |= {path, path.upper(), *parents, *(p.upper() for p in parents)}
        files[path] = draw(st.sampled_from([b"", b"x", b"ab" * 300, bytes(range(256)) * 40]))
    return files


@given(trees())
@settings(max_examples=6)
def test_room_is_enough(files: dict[str, bytes]) -> None:
    pairs = (*files.items(), *((f"many/{number}.tcz.md5.txt", b"x") for number in range(3000)))
    for more in ((), (("big", bytes(64 * MIB)),)):
        whole = (*pairs, *more)
        size = gpt.aligned(fat.room(whole))
        fat.build(fat.FatPlan(size=size, files=whole, label="X", serial=1, epoch=0))


def fat_image(folder: Path, files: dict[str, bytes], size: int = fat.SMALLEST) -> Path:
    image = folder / "fat"
    plan = fat.FatPlan(
        size=size, files=tuple(files.items()), label="TEST", serial=0x12345678, epoch=1735689600, hidden=4096
    )
    write_raw(fat.build(plan), image)
    return image


@given(trees())
@QUICK
def test_fat_file_systems(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        image = fat_image(Path(folder), files)
        said = tool("fsck.fat", "-n", "-v", image)
        assert "32 bit entries" in said
        assert "differ" not in said
        out = Path(folder, "out")
        out.mkdir()
        if files:
            tool(
                "mcopy",
                "-s",
                "-i",
                image,
                *(f"::{name}" for name in {path.split("/")[0] for path in files}),
                out,
            )
        assert {
            str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()
        } == files


def test_a_folder_of_more_than_one_cluster_and_the_times(tmp_path: Path) -> None:
    files = {f"cde/optional/package-{number}.tcz": b"%d" % number for number in range(700)}
    image = fat_image(tmp_path, files, 512 * MIB)
    assert "4096 bytes per cluster" in tool("fsck.fat", "-n", "-v", image)
    listed = tool("mdir", "-i", image, "::cde/optional")
    assert listed.count("2025-01-01   0:00") == 702
    assert "package-699.tcz" in listed
    assert tool("mtype", "-i", image, "::cde/optional/package-699.tcz") == "699"
    assert image.stat().st_blocks * 512 < 16 * MIB
    blkid = tool("blkid", "-p", "-o", "export", image)
    assert {"LABEL=TEST", "UUID=1234-5678", "TYPE=vfat"} <= set(blkid.splitlines())


# -- qcow2 -----------------------------------------------------------------------------------------


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    """A few pieces far from each other: several tables, and parts of clusters."""
    size = draw(st.integers(1, 4_000_000)) * 512
    marks = sorted(draw(st.sets(st.integers(0, size), max_size=8)))
    pieces = []
    for start, end in zip(marks[::2], marks[1::2], strict=False):
        data = draw(st.sampled_from([b"\0", b"\1", b"\0\2"])) * (end - start)
        pieces.append(Piece(offset=start, source=data[: min(end - start, 300_000)]))
    return layout(size, tuple(pieces))


@given(layouts())
@QUICK
def test_qcow2_images(wanted: Layout) -> None:
    with tempfile.TemporaryDirectory() as folder:
        raw, packed = Path(folder, "raw"), Path(folder, "qcow2")
        write_raw(wanted, raw)
        qcow2.write(wanted, packed)
        assert "No errors were found" in tool("qemu-img", "check", packed)
        assert "identical" in tool("qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, packed)
        told = json.loads(tool("qemu-img", "info", "--output=json", packed))
        assert told["format"] == "qcow2"
        assert told["format-specific"]["data"]["compat"] == "1.1"


def test_a_qcow2_image_with_more_than_one_block_of_counts(tmp_path: Path) -> None:
    """More than 2 GiB of clusters: the counts need a second block."""
    packed = tmp_path / "qcow2"
    big = tmp_path / "big"
    with big.open("wb") as file:
        for number in range(33_000):
            file.seek(number << 16)
            file.write(b"x")
    qcow2.write(layout(3 << 30, (Piece(offset=0, source=big),)), packed)
    assert "No errors were found" in tool("qemu-img", "check", packed)


# -- ext4 ------------------------------------------------------------------------------------------


def ext4_image(path: Path, size: int = 64 * MIB) -> Path:
    ext4.make(
        path,
        size,
        label="floe-data",
        guid=gpt.derived(b"t", "fs"),
        seed=gpt.derived(b"t", "seed"),
        epoch=1735689600,
        runner=HostRunner(),
    )
    return path


def test_an_empty_ext4_is_always_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ext4_image(tmp_path / "one").read_bytes()
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    monkeypatch.setenv("MKE2FS_CONFIG", "/dev/null")
    monkeypatch.setenv("E2FSPROGS_FAKE_TIME", "12345678")
    assert ext4_image(tmp_path / "two").read_bytes() == first
    tool("e2fsck", "-f", "-n", tmp_path / "one")
    told = tool("dumpe2fs", "-h", tmp_path / "one")
    assert "Filesystem volume name:   floe-data" in told
    assert f"Filesystem UUID:          {gpt.derived(b't', 'fs')}" in told
    assert "metadata_csum" in told


def test_an_empty_ext4_grows(tmp_path: Path) -> None:
    image = ext4_image(tmp_path / "one")
    with image.open("r+b") as file:
        file.truncate(40 << 30)
    tool("resize2fs", image)
    tool("e2fsck", "-f", "-n", image)
    assert f"Block count:              {(40 << 30) // 4096}" in tool("dumpe2fs", "-h", image)
