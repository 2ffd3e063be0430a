"""The tables of an image, written: inodes, listings of folders, and what is found by an index."""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct
from typing import TYPE_CHECKING, Final

from tcz.squashfs.layout import (
    DIR_ENTRY,
    DIR_HEADER,
    DIR_INDEX,
    HEADER_ENTRIES,
    HEADER_REACH,
    METADATA_PLAIN,
    METADATA_SIZE,
    POSITION,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tcz.squashfs.codec import Pack

_HEADER: Final = Struct("<H")


class MetadataWriter:
    """A table in the making, compressed 8 KiB at a time."""

    def __init__(self, pack: Pack) -> None:
        """Nothing is in it."""
        self._pack = pack
        self._open = bytearray()
        self._done: list[bytes] = []
        self._size = 0

    @property
    def start(self) -> int:
        """The packed position of the block that the next byte goes to."""
        return self._size

    @property
    def offset(self) -> int:
        """The place in that block."""
        return len(self._open)

    def write(self, data: bytes | bytearray) -> None:
        """Append ``data``."""
        self._open += data
        while len(self._open) >= METADATA_SIZE:
            self._seal(METADATA_SIZE)

    def finish(self) -> bytes:
        """Return the whole table, packed."""
        if self._open:
            self._seal(len(self._open))
        return b"".join(self._done)

    def _seal(self, size: int) -> None:
        block = bytes(self._open[:size])
        del self._open[:size]
        packed = self._pack(block)
        plain = len(packed) >= size
        body = block if plain else packed
        self._done.append(_HEADER.pack(len(body) | (METADATA_PLAIN if plain else 0)) + body)
        self._size += _HEADER.size + len(body)


@dataclass(frozen=True, slots=True)
class Entry:
    """A name in a folder, and where its inode is."""

    name: bytes
    kind: int
    start: int
    offset: int
    number: int


@dataclass(slots=True)
class Listing:
    """A folder's listing as it was written; ``index`` tells which names its later blocks begin with."""

    start: int
    offset: int
    size: int = 0
    index: bytearray = field(default_factory=bytearray)
    indexed: int = 0


def write_listing(table: MetadataWriter, entries: Sequence[Entry]) -> Listing:
    """Write the sorted ``entries`` of a folder.

    A header speaks for entries whose inodes are in one block, with numbers that are near, and never for
    more than one block of the listing: so a reader that seeks a name can begin at any indexed block.
    """
    found = Listing(table.start, table.offset)
    first, block = 0, table.start
    while first < len(entries):
        last = _run(entries, first, table.offset)
        if table.start != block:
            block = table.start
            name = entries[first].name
            found.index += DIR_INDEX.pack(found.size, block, len(name) - 1) + name
            found.indexed += 1
        data = _run_bytes(entries[first:last])
        table.write(data)
        found.size += len(data)
        first = last
    return found


def _run(entries: Sequence[Entry], first: int, offset: int) -> int:
    """Return the end of the entries that one header speaks for; ``offset`` is where it begins."""
    base = entries[first]
    room = METADATA_SIZE - offset - DIR_HEADER.size
    last = first
    while last < len(entries) and last - first < HEADER_ENTRIES:
        entry = entries[last]
        room -= DIR_ENTRY.size + len(entry.name)
        # One entry follows a header always, though it may reach into the next block.
        far = entry.start != base.start or abs(entry.number - base.number) > HEADER_REACH
        if last > first and (far or room < 0):
            break
        last += 1
    return last


def _run_bytes(entries: Sequence[Entry]) -> bytes:
    base = entries[0]
    parts = [DIR_HEADER.pack(len(entries) - 1, base.start, base.number)]
    for entry in entries:
        parts += (
            DIR_ENTRY.pack(entry.offset, entry.number - base.number, entry.kind, len(entry.name) - 1),
            entry.name,
        )
    return b"".join(parts)


def indexed_table(data: bytes, position: int, pack: Pack) -> tuple[bytes, int]:
    """Pack a table that is to stand at ``position``, then its index; return both and the index's place."""
    blocks = []
    index = []
    at = position
    for begin in range(0, len(data), METADATA_SIZE):
        one = MetadataWriter(pack)
        one.write(data[begin : begin + METADATA_SIZE])
        blocks.append(one.finish())
        index.append(POSITION.pack(at))
        at += len(blocks[-1])
    return b"".join((*blocks, *index)), at
