"""The tables of an image, unpacked: metadata blocks of 8 KiB, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from tcz.errors import VerifyError
from tcz.squashfs.codec import BrokenBlockError
from tcz.squashfs.layout import METADATA_PLAIN, METADATA_SIZE, POSITION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tcz.squashfs.codec import Unpack

#: What the tables of one image may hold, packed or unpacked; an image of a million files holds less.
LIMIT: Final = 256 << 20
_HEADER: Final = Struct("<H")


class Table(NamedTuple):
    """Unpacked blocks in a row; ``places`` tells where the block that began at a packed position is."""

    data: bytes
    places: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Region:
    """The end of an image, with its tables: ``data`` stood at ``start`` in the file."""

    data: bytes
    start: int
    unpack: Unpack
    where: str

    def _broken(self, what: str, position: int) -> VerifyError:
        return VerifyError(f"not a sound squashfs image: {what} at byte {position}", where=self.where)

    def position(self, at: int) -> int:
        """Return the position that is stored at ``at``; raises ``VerifyError`` outside of the tables."""
        if not self.start <= at <= self.start + len(self.data) - POSITION.size:
            raise self._broken("a table lies outside of the image,", at)
        found: int = POSITION.unpack_from(self.data, at - self.start)[0]
        return found

    def table(self, start: int, end: int) -> Table:
        """Unpack the metadata blocks from ``start`` up to ``end``; raises ``VerifyError``."""
        if not self.start <= start <= end <= self.start + len(self.data):
            raise self._broken("a table lies outside of the image,", start)
        parts = []
        places = {}
        at, total = start, 0
        while at < end:
            block, after = self._block(at, end)
            places[at - start] = total
            parts.append(block)
            total += len(block)
            at = after
            if total > LIMIT:
                raise self._broken(f"a table larger than {LIMIT} bytes", start)
        return Table(b"".join(parts), places)

    def indexed(self, index: int, size: int) -> bytes:
        """Unpack ``size`` bytes of a table whose blocks' positions are listed at ``index``."""
        blocks = -(-size // METADATA_SIZE)
        if blocks * POSITION.size > len(self.data):
            raise self._broken("a table lies outside of the image,", index)
        end = self.start + len(self.data)
        data = b"".join(
            self._block(self.position(index + POSITION.size * number), end)[0] for number in range(blocks)
        )
        if len(data) < size:
            raise self._broken("a table that is too short", index)
        return data[:size]

    def indexed_part(self, index: int, begin: int, size: int) -> bytes:
        """Return ``size`` bytes at ``begin`` of a table as ``indexed`` has it, all in one of its blocks."""
        number, offset = divmod(begin, METADATA_SIZE)
        at = self.position(index + POSITION.size * number)
        data = self._block(at, self.start + len(self.data))[0]
        if len(data) < offset + size:
            raise self._broken("a table that is too short", index)
        return bytes(data[offset : offset + size])

    def _block(self, at: int, end: int) -> tuple[bytes | bytearray, int]:
        """Return the metadata block at a position, and the position behind it."""
        offset = at - self.start
        if offset < 0 or at + _HEADER.size > end:
            raise self._broken("a metadata block lies outside of its table,", at)
        word: int = _HEADER.unpack_from(self.data, offset)[0]
        size = word & (METADATA_PLAIN - 1)
        after = at + _HEADER.size + size
        if not size or after > end:
            raise self._broken("a metadata block that is cut off", at)
        begin = offset + _HEADER.size
        if word & METADATA_PLAIN:
            if size > METADATA_SIZE:
                raise self._broken("a metadata block that is too long", at)
            return self.data[begin : begin + size], after
        try:
            return self.unpack(memoryview(self.data)[begin : begin + size], METADATA_SIZE), after
        except BrokenBlockError as error:
            raise self._broken(f"a metadata block that cannot be unpacked ({error})", at) from error
