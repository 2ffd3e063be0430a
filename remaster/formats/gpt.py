"""GUID partition tables: a protective MBR, the table and its backup.

Format: UEFI specification, chapter 5 "GUID Partition Table (GPT) Disk Layout" (5.2.3 protective MBR,
5.3.2 header, 5.3.3 entries). Sectors have 512 bytes.
"""

from __future__ import annotations

import hashlib
import struct
import uuid
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remaster.formats.model import MIB, SECTOR, Piece
from tcz.errors import ToolkitError

if TYPE_CHECKING:
    from collections.abc import Sequence

BIOS_BOOT: Final = uuid.UUID("21686148-6449-6e6f-744e-656564454649")
EFI_SYSTEM: Final = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
LINUX_DATA: Final = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
#: Attribute "grow the file system" of the Discoverable Partitions Specification: the file system is to
#: fill its partition, and here the partition is to fill the disk.
GROW: Final = 1 << 59

_ENTRIES: Final = 128
_ENTRY: Final = struct.Struct("<16s16sQQQ72s")
_HEADER: Final = struct.Struct("<8sIIIIQQQQ16sQIII")
_REVISION: Final = 0x00010000
_TABLE_SECTORS: Final = _ENTRIES * _ENTRY.size // SECTOR
_NAME_UNITS: Final = 36
_MBR_MAX: Final = 0xFFFFFFFF
_NAMESPACE: Final = uuid.UUID("8b1dfd2f-8b2c-5c1d-9d5b-0c1a0f7f3a55")
_CODE: Final = 440


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A partition: offset and size in bytes, both whole sectors."""

    kind: uuid.UUID
    guid: uuid.UUID
    offset: int
    size: int
    name: str
    attributes: int = 0


def derived(identity: bytes, role: str) -> uuid.UUID:
    """Return the GUID of a part of an image, by RFC 9562's version 5: another image has another."""
    return uuid.uuid5(_NAMESPACE, f"{hashlib.sha256(identity).hexdigest()} {role}")


def tables(
    size: int, guid: uuid.UUID, partitions: Sequence[Partition], *, code: bytes = b""
) -> tuple[Piece, ...]:
    """Return MBR, table and backup for a disk of ``size`` bytes; ``code`` starts it by BIOS.

    Raises ``ToolkitError`` for partitions that overlap or do not fit.
    """
    last = size // SECTOR - 1
    usable = (2 + _TABLE_SECTORS, last - _TABLE_SECTORS - 1)
    if size % SECTOR or len(code) > _CODE or len(partitions) > _ENTRIES:
        raise ToolkitError(
            f"no partition table can be made for {size} bytes and {len(partitions)} partitions"
        )
    entries = _entries(partitions, usable)
    check = zlib.crc32(entries)

    def header(own: int, other: int, table: int) -> bytes:
        fields = (own, other, *usable, guid.bytes_le, table, _ENTRIES, _ENTRY.size, check)
        start = (b"EFI PART", _REVISION, _HEADER.size)
        blank = _HEADER.pack(*start, 0, 0, *fields)
        return _HEADER.pack(*start, zlib.crc32(blank), 0, *fields).ljust(SECTOR, b"\0")

    primary = _protective(code, last) + header(1, last, 2) + entries
    backup = entries + header(last, 1, last - _TABLE_SECTORS)
    return (Piece(offset=0, source=primary), Piece(offset=size - len(backup), source=backup))


def _entries(partitions: Sequence[Partition], usable: tuple[int, int]) -> bytes:
    packed = b""
    taken: list[tuple[int, int]] = []
    for part in partitions:
        first, end = part.offset // SECTOR, (part.offset + part.size) // SECTOR - 1
        if (
            part.offset % SECTOR
            or part.size % SECTOR
            or not usable[0] <= first <= end <= usable[1]
            or any(first <= other_end and other <= end for other, other_end in taken)
        ):
            raise ToolkitError(f"the partition {part.name} lies outside of the disk or over another")
        taken.append((first, end))
        name = part.name.encode("utf-16-le")
        if len(name) > 2 * _NAME_UNITS:
            raise ToolkitError(f"a partition's name has at most {_NAME_UNITS} characters: {part.name}")
        packed += _ENTRY.pack(part.kind.bytes_le, part.guid.bytes_le, first, end, part.attributes, name)
    return packed.ljust(_ENTRIES * _ENTRY.size, b"\0")


def _protective(code: bytes, last: int) -> bytes:
    """Return the MBR that tells older tools that the disk is taken."""
    entry = struct.pack("<B3sB3sII", 0, b"\0\x02\0", 0xEE, b"\xff\xff\xff", 1, min(last, _MBR_MAX))
    return code.ljust(_CODE, b"\0") + bytes(6) + entry.ljust(64, b"\0") + b"\x55\xaa"


def aligned(size: int) -> int:
    """Return ``size`` rounded up to what partitions begin at: whole MiB."""
    return -(-size // MIB) * MIB
