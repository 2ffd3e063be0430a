"""Partition tables: GPT with its backup, MBR with logical partitions, and disks without any.

Formats: UEFI specification 2.10, chapter 5; for MBR what PCs have done since 1983. What a partition holds is
told by the magic numbers of file systems, never by the type that a table gives it.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tcz.errors import VerifyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remaster.disks.blocks import Blocks

_SECTORS: Final = (512, 4096)
_MARK: Final = b"EFI PART"
_HEADER: Final = struct.Struct("<8sIIIIQQQQ16sQIII")
_ENTRY: Final = struct.Struct("<16s16sQQQ72s")
_ENTRIES_MAX: Final = 1024
_BOOT_MARK: Final = b"\x55\xaa"
_PROTECTIVE: Final = 0xEE
_EXTENDED: Final = (0x05, 0x0F, 0x85)
_LOGICAL_MAX: Final = 64
_NAMES: Final = {
    uuid.UUID("21686148-6449-6e6f-744e-656564454649"): "BIOS boot",
    uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"): "EFI system",
    uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4"): "Linux",
    uuid.UUID("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"): "swap",
    uuid.UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"): "data",
}
_KINDS: Final = {
    0x01: "FAT12",
    0x04: "FAT16",
    0x06: "FAT16",
    0x0B: "FAT32",
    0x0C: "FAT32",
    0x0E: "FAT16",
    0x82: "swap",
    0x83: "Linux",
    0xEF: "EFI system",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A partition: ``number`` as Linux counts, offset and size in bytes; ``kind`` is what the table says."""

    number: int
    name: str
    kind: str
    offset: int
    size: int
    guid: str = ""
    active: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table: ``gpt``, ``mbr``, or ``none`` for a disk that is one file system."""

    scheme: str
    partitions: tuple[Partition, ...]
    notes: tuple[str, ...] = ()


def read(blocks: Blocks) -> Table:
    """Return a disk's table. Raises ``VerifyError`` for a disk that has none, or a damaged one."""
    head = blocks.read(0, min(512, blocks.size)).ljust(512, b"\0")
    for sector in _SECTORS:
        found = _gpt(blocks, sector)
        if found is not None:
            return found
    if head[510:] != _BOOT_MARK:
        raise VerifyError("no partition table", where=blocks.where)
    rows = [struct.unpack_from("<B3xB3xII", head, 446 + 16 * number) for number in range(4)]
    if any(kind == _PROTECTIVE for _, kind, _, _ in rows):
        raise VerifyError("a GUID partition table that is damaged, and its backup too", where=blocks.where)
    if _is_file_system(head) or not any(kind and count for _, kind, _, count in rows):
        whole = Partition(number=0, name="", kind="", offset=0, size=blocks.size)
        return Table(scheme="none", partitions=(whole,))
    return Table(scheme="mbr", partitions=tuple(_mbr(blocks, rows)))


def _is_file_system(head: bytes) -> bool:
    """Tell the boot sector of a FAT, which ends as an MBR does."""
    return head[0] in (0xEB, 0xE9) and (head[54:57] == b"FAT" or head[82:85] == b"FAT")


def _mbr(blocks: Blocks, rows: list[tuple[int, int, int, int]]) -> Iterator[Partition]:
    logical = 5
    for number, (flag, kind, first, count) in enumerate(rows, 1):
        if not kind or not count:
            continue
        if kind in _EXTENDED:
            for part in _logical(blocks, first, logical):
                yield part
                logical += 1
            continue
        yield _row(number, flag, kind, first, count)


def _row(number: int, flag: int, kind: int, first: int, count: int) -> Partition:
    return Partition(
        number=number,
        name="",
        kind=_KINDS.get(kind, f"type {kind:02x}"),
        offset=first * 512,
        size=count * 512,
        active=flag == 0x80,  # noqa: PLR2004 - the one value that means so
    )


def _logical(blocks: Blocks, start: int, number: int) -> Iterator[Partition]:
    at, seen = start, set[int]()
    while at not in seen and len(seen) < _LOGICAL_MAX and (at + 1) * 512 <= blocks.size:
        seen.add(at)
        data = blocks.read(at * 512, 512)
        if data[510:] != _BOOT_MARK:
            return
        flag, kind, first, count = struct.unpack_from("<B3xB3xII", data, 446)
        if kind and count:
            yield _row(number, flag, kind, at + first, count)
            number += 1
        _, kind, following, count = struct.unpack_from("<B3xB3xII", data, 462)
        if kind not in _EXTENDED or not count:
            return
        at = start + following


def _gpt(blocks: Blocks, sector: int) -> Table | None:
    """Return the table, of its backup where the first is damaged; ``None`` where there is neither."""
    last = blocks.size // sector - 1
    if last < 2 or blocks.read(sector, 8) != _MARK:  # noqa: PLR2004 - MBR, header, and one more
        first = None
        if last < 2 or blocks.read(last * sector, 8) != _MARK:  # noqa: PLR2004
            return None
    else:
        first = _gpt_at(blocks, sector, 1)
    found = first if first is not None else _gpt_at(blocks, sector, last)
    if found is None:
        return None
    notes = () if first is not None else ("the partition table is damaged; its backup was read",)
    return Table(scheme="gpt", partitions=found, notes=notes)


def _gpt_at(blocks: Blocks, sector: int, at: int) -> tuple[Partition, ...] | None:
    data = bytearray(blocks.read(at * sector, _HEADER.size))
    mark, _, size, check, _, own, _, _, _, _, table, count, width, table_check = _HEADER.unpack(data)
    data[16:20] = bytes(4)
    if mark != _MARK or size != _HEADER.size or own != at or zlib.crc32(data) != check:
        return None
    if width < _ENTRY.size or width > 4096 or not 0 < count <= _ENTRIES_MAX:  # noqa: PLR2004 - a page
        return None
    if (table * sector) + width * count > blocks.size:
        return None
    entries = blocks.read(table * sector, width * count)
    if zlib.crc32(entries) != table_check:
        return None
    found = []
    for number in range(count):
        kind, guid, start, end, _, name = _ENTRY.unpack_from(entries, number * width)
        if not any(kind) or end < start:
            continue
        known = uuid.UUID(bytes_le=kind)
        found.append(
            Partition(
                number=number + 1,
                name=name.decode("utf-16-le", "replace").partition("\0")[0],
                kind=_NAMES.get(known, str(known)),
                offset=start * sector,
                size=(end - start + 1) * sector,
                guid=str(uuid.UUID(bytes_le=guid)),
            )
        )
    return tuple(found)
