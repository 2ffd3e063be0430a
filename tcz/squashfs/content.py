"""A file's bytes in an image, read when they are asked for: a block at a time, fragments kept a while."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from struct import unpack_from
from typing import TYPE_CHECKING, Final

from tcz.errors import VerifyError
from tcz.squashfs.codec import BrokenBlockError
from tcz.squashfs.layout import DATA_PLAIN, FRAGMENT, NO_FRAGMENT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tcz.squashfs.codec import Unpack
    from tcz.squashfs.tables import Region

#: Whole reads of more than this are refused: a few words of a hostile image make any number of zeros.
READ_LIMIT: Final = 2 << 30
_PIECE: Final = 1 << 20
_FRAGMENTS_KEPT: Final = 8


@dataclass(frozen=True, slots=True)
class Blocks:
    """The data of one image, with ``count`` fragments whose ``table`` is in ``region``.

    ``identity`` tells the image's file from one that took its place since.
    """

    path: Path
    identity: tuple[int, ...]
    block: int
    used: int
    unpack: Unpack
    region: Region
    table: int
    count: int
    _kept: dict[int, bytes | bytearray] = field(default_factory=dict)

    @contextmanager
    def opened(self) -> Iterator[int]:
        """Give a number to read the file by; raises ``VerifyError`` where it is no longer the same."""
        try:
            file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise self.broken("the image is gone since it was looked at", why=str(error)) from error
        try:
            if identity_of(os.fstat(file)) != self.identity:
                raise self.broken("the image changed since it was looked at")
            yield file
        finally:
            os.close(file)

    def broken(self, what: str, why: str | None = None) -> VerifyError:
        """Return an error about this image."""
        return VerifyError(what, where=str(self.path), why=why)

    def stored(self, file: int, start: int, size: int, name: str) -> memoryview:
        """Return bytes as they stand in the file."""
        data = os.pread(file, size, start) if start + size <= self.used else b""
        if len(data) != size:
            raise self.broken(f"{name}: its data lie outside of the image, at byte {start}")
        return memoryview(data)

    def unpacked(self, data: memoryview, word: int, name: str) -> bytes | bytearray | memoryview:
        """Return the content of a data block."""
        if word & DATA_PLAIN:
            return data
        try:
            return self.unpack(data, self.block)
        except BrokenBlockError as error:
            raise self.broken(f"{name}: a block cannot be unpacked", why=str(error)) from error

    def size_of(self, word: int, name: str) -> int:
        """Return the size in the file of a block by its word."""
        size = word & ~DATA_PLAIN
        if size > self.block:
            raise self.broken(f"{name}: a block is larger than blocks are in this image")
        return size

    def fragment(self, file: int, number: int, name: str) -> bytes | bytearray:
        """Return the content of a fragment block; the last few are kept."""
        found = self._kept.get(number)
        if found is None:
            if number >= self.count:
                raise self.broken(f"{name}: there is no fragment {number}")
            start, word, _ = FRAGMENT.unpack(
                self.region.indexed_part(self.table, number * FRAGMENT.size, FRAGMENT.size)
            )
            size = self.size_of(word, name)
            found = bytes(self.unpacked(self.stored(file, start, size, name), word, name))
            while len(self._kept) >= _FRAGMENTS_KEPT:
                self._kept.pop(next(iter(self._kept)), None)
            self._kept[number] = found
        return found


def identity_of(status: os.stat_result) -> tuple[int, ...]:
    """Return what changes when a file is replaced or written to."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


class Stored:
    """A file's content in an image; see ``tcz.tree.Content``."""

    __slots__ = ("_at", "_blocks", "_fragment", "_name", "_offset", "_start", "_table", "size")

    def __init__(
        self,
        blocks: Blocks,
        name: str,
        size: int,
        start: int,
        table: bytes,
        at: int,
        fragment: int,
        offset: int,
    ) -> None:
        """``at`` is where in ``table`` the words of the file's blocks are."""
        self._blocks = blocks
        self._name = name
        self.size = size
        self._start = start
        self._table = table
        self._at = at
        self._fragment = fragment
        self._offset = offset

    def __repr__(self) -> str:
        """Tell the file and its image."""
        return f"<{self.size} bytes of {self._name} in {self._blocks.path}>"

    def read(self) -> bytes:
        """Return the whole content; raises ``VerifyError`` where it is damaged or larger than 2 GiB."""
        if self.size > READ_LIMIT:
            raise self._blocks.broken(f"{self._name}: {self.size} bytes are too many to be read at once")
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """Give the content in order, none longer than 1 MiB; raises ``VerifyError`` where it is damaged."""
        blocks = self._blocks
        whole, tail = divmod(self.size, blocks.block)
        count = whole if self._fragment != NO_FRAGMENT or not tail else whole + 1
        with blocks.opened() as file:
            at = self._start
            step = max(_PIECE // blocks.block, 1)
            for first in range(0, count, step):
                words = unpack_from(f"<{min(step, count - first)}I", self._table, self._at + 4 * first)
                piece, at = self._piece(file, words, first, at)
                yield piece
            if self._fragment != NO_FRAGMENT and tail:
                data = blocks.fragment(file, self._fragment, self._name)[self._offset : self._offset + tail]
                if len(data) != tail:
                    raise blocks.broken(f"{self._name}: its end lies outside of fragment {self._fragment}")
                yield bytes(data)

    def _piece(self, file: int, words: tuple[int, ...], first: int, at: int) -> tuple[bytes, int]:
        """Read blocks that are next to each other; return them, and where the next are."""
        blocks, name = self._blocks, self._name
        sizes = [blocks.size_of(word, name) for word in words]
        data = blocks.stored(file, at, sum(sizes), name)
        parts: list[bytes | bytearray | memoryview] = []
        position = 0
        for number, (word, size) in enumerate(zip(words, sizes, strict=True), start=first):
            expected = min(blocks.block, self.size - number * blocks.block)
            if size:
                part = blocks.unpacked(data[position : position + size], word, name)
                position += size
            else:
                part = bytes(expected)
            if len(part) != expected:
                raise blocks.broken(f"{name}: block {number} holds {len(part)} bytes and not {expected}")
            parts.append(part)
        return b"".join(parts), at + position
