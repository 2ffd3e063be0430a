"""What a disk image is before it is written: pieces at offsets, and zeros everywhere else.

A piece is bytes, or something that is read when it is its turn, so that no image is ever in memory
whole; what is zero is neither kept nor written.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from tcz.errors import ToolkitError, VerifyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcz.tree import Content

    #: Where bytes come from: they themselves, a whole file, or a region of one.
    Source: TypeAlias = bytes | Path | Content

MIB: Final = 1 << 20
SECTOR: Final = 512
_PIECE: Final = 1 << 20
#: Zeros of this size and place are left out of raw images.
_HOLE: Final = 1 << 16


def size_of(source: Source) -> int:
    """Return how many bytes a source has."""
    if isinstance(source, bytes):
        return len(source)
    return source.stat().st_size if isinstance(source, Path) else source.size


def bytes_of(source: Source) -> bytes:
    """Return all bytes of a source."""
    return b"".join(data for _, data in pieces_of(source)) if isinstance(source, Path) else _whole(source)


def _whole(source: bytes | Content) -> bytes:
    return source if isinstance(source, bytes) else source.read()


def pieces_of(source: Source, size: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Give offset and bytes of a source in order; holes of a file may be left out when ``size`` is given.

    Raises ``VerifyError`` for a file that has become shorter than ``size``.
    """
    if isinstance(source, bytes):
        yield 0, source
    elif isinstance(source, Path):
        yield from _file_pieces(source, size)
    else:
        at = 0
        for piece in source.pieces():
            yield at, piece
            at += len(piece)


def _file_pieces(path: Path, size: int | None) -> Iterator[tuple[int, bytes]]:
    with path.open("rb", buffering=0) as file:
        end = path.stat().st_size if size is None else size
        at = 0
        while at < end:
            data = _next_data(file.fileno(), at) if size is not None else at
            if data is None or data >= end:
                if path.stat().st_size < end:
                    raise VerifyError("the file became shorter while it was copied", where=str(path))
                return
            file.seek(data)
            piece = file.read(min(_PIECE, end - data))
            if not piece:
                raise VerifyError("the file became shorter while it was copied", where=str(path))
            yield data, piece
            at = data + len(piece)


def _next_data(descriptor: int, at: int) -> int | None:
    """Return where the next bytes are that are no hole; ``None`` where only a hole follows."""
    try:
        return os.lseek(descriptor, at, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        return at  # the file system does not tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Bytes of a layout: where they begin and where they come from."""

    offset: int
    source: Source

    @property
    def size(self) -> int:
        """How many bytes."""
        return size_of(self.source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """``size`` bytes: ``pieces``, in the order of their offsets, and zeros between them."""

    size: int
    pieces: tuple[Piece, ...]

    def shifted(self, offset: int) -> tuple[Piece, ...]:
        """Return the pieces as they lie in a bigger layout that has this one at ``offset``."""
        return tuple(Piece(offset=offset + piece.offset, source=piece.source) for piece in self.pieces)

    def runs(self) -> Iterator[tuple[int, bytes]]:
        """Give offset and bytes in order; what is not given is zero.

        Raises ``ToolkitError`` for pieces that overlap or stand out.
        """
        end = 0
        for piece in self.pieces:
            size = piece.size
            if piece.offset < end or piece.offset + size > self.size:
                raise ToolkitError(f"a piece of an image lies over another, or outside, at {piece.offset}")
            end = piece.offset + size
            for at, data in pieces_of(piece.source, size):
                if at + len(data) > size:
                    raise VerifyError(f"a file became longer while it was copied: {piece.source!r:.200}")
                yield piece.offset + at, data


def layout(size: int, *groups: tuple[Piece, ...]) -> Layout:
    """Return a layout of all pieces, sorted."""
    pieces = sorted((piece for group in groups for piece in group), key=lambda piece: piece.offset)
    return Layout(size=size, pieces=tuple(pieces))


def write_raw(wanted: Layout, path: Path) -> None:
    """Write a layout as a raw image; where it is zero the file has holes."""
    with path.open("wb", buffering=0) as file:
        file.truncate(wanted.size)
        for offset, data in clusters(wanted, _HOLE):
            view = memoryview(data)[: wanted.size - offset * _HOLE]
            at = offset * _HOLE
            while view:
                count = os.pwrite(file.fileno(), view, at)
                view, at = view[count:], at + count


def clusters(wanted: Layout, size: int) -> Iterator[tuple[int, bytes]]:
    """Give number and bytes of each cluster of ``size`` bytes that is not all zero, in order."""
    zeros = bytes(size)
    number, buffer = -1, bytearray()
    for offset, data in wanted.runs():
        at = 0
        while at < len(data):
            wanted_number, inside = divmod(offset + at, size)
            if wanted_number != number:
                if number >= 0 and buffer != zeros:
                    yield number, bytes(buffer)
                number, buffer = wanted_number, bytearray(size)
            count = min(size - inside, len(data) - at)
            buffer[inside : inside + count] = data[at : at + count]
            at += count
    if number >= 0 and buffer != zeros:
        yield number, bytes(buffer)
