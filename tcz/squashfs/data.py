"""The data of an image: files in blocks, their ends and small files packed together in fragments.

Blocks are compressed by threads, a quarter of a MiB at a time, and written in the order of the tree, so that
neither the number of threads nor their luck decides a byte. The same content is stored once; blocks of
zeros are not stored at all.
"""

from __future__ import annotations

import hashlib
import os
from array import array
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import IO, TYPE_CHECKING, Final, TypeAlias

from tcz.squashfs.layout import DATA_PLAIN, FRAGMENT, NO_FRAGMENT
from tcz.tree import FileRef

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tcz.squashfs.codec import Pack
    from tcz.squashfs.pipeline import Pipeline
    from tcz.tree import Node

_AT_ONCE: Final = 256 << 10

#: Compressed blocks in a row, and their words.
Packed: TypeAlias = tuple[bytes, "array[int]"]


@dataclass(slots=True)
class Place:
    """Where a file's content is; complete when all of the data is written."""

    size: int
    start: int = 0
    words: array[int] = field(default_factory=lambda: array("I"))
    sparse: int = 0
    fragment: int = NO_FRAGMENT
    offset: int = 0


class DataWriter:
    """Writes contents at the end of ``file``, which may be at any position."""

    def __init__(self, file: IO[bytes], block: int, pack: Pack, pipeline: Pipeline[Packed]) -> None:
        """``pack`` is called by the threads of ``pipeline``."""
        self._file = file
        self._position = file.tell()
        self._block = block
        self._pack = pack
        self._pipeline = pipeline
        self._zeros = bytes(block)
        self._ends: dict[bytes, tuple[int, int]] = {}
        self._known: dict[object, Place] = {}
        self._open = bytearray()
        self._sealed: list[bytes] = []
        self._fragments = 0
        self._table = bytearray()

    def write(self, nodes: Iterable[tuple[str, Node]]) -> dict[str, Place]:
        """Write the contents of files, in this order; return their places.

        Raises ``VerifyError`` for a file that changed its size since the tree was made.
        """
        files = list(nodes)
        sizes = Counter(node.size for _, node in files if node.size >= self._block)
        places: dict[str, Place] = {}
        for path, node in files:
            places[path] = self._stored(node, alone=sizes[node.size] == 1)
        self._seal()
        self._flush()
        self._pipeline.finish()
        return places

    @property
    def fragments(self) -> bytes:
        """The table of fragments."""
        return bytes(self._table)

    def _stored(self, node: Node, *, alone: bool) -> Place:
        """Return the place of a content, written now unless the same was written before."""
        size = node.size
        if size < self._block:
            place = Place(size)
            if size:
                data = node.data
                place.fragment, place.offset = self._end(
                    _read(data) if isinstance(data, FileRef) else node.read()
                )
            return place
        # A size that no other file has spares reading the file twice.
        keys = [] if alone else list(_keys(node))
        for key in keys:
            if key in self._known:
                return self._known[key]
        place = self._blocks(node, size)
        self._known.update(dict.fromkeys(keys, place))
        return place

    def _blocks(self, node: Node, size: int) -> Place:
        place = Place(size)
        end = size % self._block
        whole = size - end
        step = max(_AT_ONCE, self._block)
        if isinstance(node.data, FileRef):
            ref = node.data
            for at in range(0, whole, step):
                part = FileRef(ref.path, ref.offset + at, min(step, whole - at))
                self._put(partial(_read, part), place)
            if end:
                place.fragment, place.offset = self._end(_read(FileRef(ref.path, ref.offset + whole, end)))
            return place
        left = whole
        for piece in _steps(node.pieces(), step):
            inside = piece[:left]
            if inside:
                self._put(partial(bytes, inside), place)
            left -= len(inside)
            if len(inside) < len(piece):
                place.fragment, place.offset = self._end(piece[len(inside) :])
        return place

    def _put(self, read: Callable[[], bytes], place: Place) -> None:
        self._pipeline.put(partial(self._compress, read), partial(self._take_blocks, place))

    def _compress(self, read: Callable[[], bytes]) -> Packed:
        """Compress whole blocks; the work of a thread."""
        data, size, zeros, pack = read(), self._block, self._zeros, self._pack
        words = array("I")
        parts: list[bytes | bytearray] = []
        for at in range(0, len(data), size):
            block = data[at : at + size]
            if block == zeros:
                words.append(0)
                continue
            packed = pack(block)
            if len(packed) < len(block):
                parts.append(packed)
                words.append(len(packed))
            else:
                parts.append(block)
                words.append(len(block) | DATA_PLAIN)
        return b"".join(parts), words

    def _take_blocks(self, place: Place, made: Packed) -> None:
        data, words = made
        if not place.words:
            place.start = self._position
        place.words.extend(words)
        place.sparse += words.count(0) * self._block
        self._append(data)

    def _append(self, data: bytes) -> None:
        self._file.write(data)
        self._position += len(data)

    # -- fragments ------------------------------------------------------------------------------

    def _end(self, data: bytes) -> tuple[int, int]:
        """Return fragment and offset of what is less than a block."""
        key = hashlib.sha256(data).digest()
        found = self._ends.get(key)
        if found is None:
            if len(self._open) + len(data) > self._block:
                self._seal()
            found = self._ends[key] = (self._fragments, len(self._open))
            self._open += data
        return found

    def _seal(self) -> None:
        """Close the fragment that is being filled; many small ones go to a thread together."""
        if not self._open:
            return
        self._sealed.append(bytes(self._open))
        self._open.clear()
        self._fragments += 1
        if len(self._sealed) * self._block >= _AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if self._sealed:
            self._pipeline.put(partial(self._compress_fragments, self._sealed), self._take_fragments)
            self._sealed = []

    def _compress_fragments(self, fragments: list[bytes]) -> Packed:
        words = array("I")
        parts: list[bytes | bytearray] = []
        for fragment in fragments:
            packed = self._pack(fragment)
            smaller = len(packed) < len(fragment)
            parts.append(packed if smaller else fragment)
            words.append(len(packed) if smaller else len(fragment) | DATA_PLAIN)
        return b"".join(parts), words

    def _take_fragments(self, made: Packed) -> None:
        data, words = made
        at = self._position
        for word in words:
            self._table += FRAGMENT.pack(at, word, 0)
            at += word & ~DATA_PLAIN
        self._append(data)


def _read(ref: FileRef) -> bytes:
    """Return a region with as few calls as can be: there are thousands of small ones."""
    file = os.open(ref.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.pread(file, ref.size, ref.offset)
    finally:
        os.close(file)
    return data if len(data) == ref.size else ref.read()


def _keys(node: Node) -> Iterator[object]:
    """Give what tells that two contents are the same: the same region of a file, the same hash."""
    if isinstance(node.data, FileRef):
        yield (os.fspath(node.data.path), node.data.offset, node.data.size)
    yield node.sha256()


def _steps(pieces: Iterator[bytes], step: int) -> Iterator[bytes]:
    """Give the same bytes in pieces of exactly ``step``, but for the last."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= step:
            yield bytes(held[:step])
            del held[:step]
    if held:
        yield bytes(held)
