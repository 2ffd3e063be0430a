"""The bytes of a disk by offset, wherever they lie: raw images as they are, qcow2 images by their tables.

Format of qcow2: QEMU's docs/interop/qcow2.rst, versions 2 and 3. Nothing in an image is believed: tables and
clusters must lie within the file, and what does not fit together is a ``VerifyError``.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from tcz.errors import VerifyError
from tcz.tree import FileRef

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tcz.tree import Content

QCOW2: Final = b"QFI\xfb"
_PIECE: Final = 1 << 20
_HEADER: Final = struct.Struct(">4sIQIIQIIQQIIQ")
_V3: Final = struct.Struct(">QQQII")
_V2_SIZE: Final = 72
_BITS: Final = (9, 21)
#: The largest disk that is read: what tables for more would take is no image of ours.
_SIZE_MAX: Final = 64 << 40
_L1_MAX: Final = 32 << 20
_OFFSET: Final = 0x00FFFFFFFFFFFE00
_COMPRESSED: Final = 1 << 62
_ZERO: Final = 1
_DIRTY_OR_CORRUPT: Final = 0b11
_COMPRESSION_TYPE: Final = 1 << 3
_ZSTD: Final = 1
_TABLES_KEPT: Final = 64


class Blocks(Protocol):
    """A disk."""

    @property
    def where(self) -> str:
        """How messages call it."""
        ...

    @property
    def size(self) -> int:
        """Bytes of the disk."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes; raises ``VerifyError`` beyond the end and for a damaged image."""
        ...

    def content(self, runs: tuple[tuple[int, int], ...]) -> Content:
        """Return the content that lies at ``runs`` of offset and size, in this order."""
        ...


@dataclass(frozen=True, slots=True)
class Runs:
    """Content in several places of a disk."""

    blocks: Blocks
    runs: tuple[tuple[int, int], ...]

    @property
    def size(self) -> int:
        """See ``Content``."""
        return sum(size for _, size in self.runs)

    def read(self) -> bytes:
        """See ``Content``."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """See ``Content``."""
        for offset, size in self.runs:
            for at in range(0, size, _PIECE):
                yield self.blocks.read(offset + at, min(_PIECE, size - at))


def _beyond(where: str, offset: int, size: int) -> VerifyError:
    return VerifyError(f"cut off: {size} bytes at {offset} lie beyond its end", where=where)


@dataclass(frozen=True, slots=True)
class Raw:
    """A raw image."""

    path: Path
    size: int

    @property
    def where(self) -> str:
        """See ``Blocks``."""
        return str(self.path)

    def read(self, offset: int, size: int) -> bytes:
        """See ``Blocks``."""
        if offset < 0 or offset + size > self.size:
            raise _beyond(self.where, offset, size)
        return FileRef(self.path, offset, size).read()

    def content(self, runs: tuple[tuple[int, int], ...]) -> Content:
        """See ``Blocks``: a file in one piece can be copied from where it lies."""
        if len(runs) == 1 and runs[0][0] + runs[0][1] <= self.size:
            return FileRef(self.path, *runs[0])
        return Runs(self, runs)


@dataclass(frozen=True, slots=True)
class _Shape:
    bits: int
    size: int
    l1: tuple[int, ...]
    zstd: bool

    @property
    def cluster(self) -> int:
        return 1 << self.bits


@dataclass(slots=True)
class Qcow2:
    """A qcow2 image: made by ``open_blocks``."""

    path: Path
    file_size: int
    shape: _Shape
    _tables: dict[int, tuple[int, ...]] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """See ``Blocks``."""
        return str(self.path)

    @property
    def size(self) -> int:
        """See ``Blocks``."""
        return self.shape.size

    def content(self, runs: tuple[tuple[int, int], ...]) -> Content:
        """See ``Blocks``."""
        return Runs(self, runs)

    def read(self, offset: int, size: int) -> bytes:
        """See ``Blocks``."""
        if offset < 0 or offset + size > self.size:
            raise _beyond(self.where, offset, size)
        found = bytearray()
        while len(found) < size:
            number, inside = divmod(offset + len(found), self.shape.cluster)
            count = min(self.shape.cluster - inside, size - len(found))
            found += self._piece(number, inside, count)
        return bytes(found)

    def _piece(self, number: int, inside: int, count: int) -> bytes:
        entry = self._entry(number)
        if entry & _COMPRESSED:
            return self._unpacked(entry)[inside : inside + count]
        at = entry & _OFFSET
        if entry & _ZERO or not at:
            return bytes(count)
        return self._file(at + inside, count)

    def _entry(self, number: int) -> int:
        per = self.shape.cluster // 8
        which, index = divmod(number, per)
        place = (self.shape.l1[which] if which < len(self.shape.l1) else 0) & _OFFSET
        if not place:
            return 0
        if place not in self._tables:
            if len(self._tables) >= _TABLES_KEPT:
                self._tables.clear()
            self._tables[place] = struct.unpack(f">{per}Q", self._file(place, self.shape.cluster))
        return self._tables[place][index]

    def _unpacked(self, entry: int) -> bytes:
        bits = 62 - (self.shape.bits - 8)
        at = entry & ((1 << bits) - 1)
        sectors = ((entry & (_COMPRESSED - 1)) >> bits) + 1
        size = min(sectors * 512 - at % 512, self.file_size - at)
        data = self._file(at, size)
        try:
            if self.shape.zstd:
                import zstandard  # noqa: PLC0415 - few images need it

                one = zstandard.ZstdDecompressor().decompressobj()
                found = one.decompress(data)
            else:
                found = zlib.decompressobj(-15).decompress(data, self.shape.cluster)
        except Exception as error:  # both libraries have errors of their own
            raise VerifyError("a damaged cluster", where=self.where, why=str(error)) from error
        if len(found) != self.shape.cluster:
            raise VerifyError(f"a damaged cluster: {len(found)} bytes", where=self.where)
        return found

    def _file(self, offset: int, size: int) -> bytes:
        if size < 0 or offset + size > self.file_size:
            # The last cluster of a file may be cut short where what is missing is zero.
            data = FileRef(self.path, offset, max(0, self.file_size - offset)).read()
            if not data or size > self.shape.cluster:
                raise _beyond(self.where, offset, size)
            return data.ljust(size, b"\0")
        return FileRef(self.path, offset, size).read()


def open_blocks(path: Path) -> Blocks:
    """Return the disk in an image. Raises ``VerifyError`` for a qcow2 image that cannot be read."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = os.pread(file.fileno(), _V2_SIZE + _V3.size + 8, 0)
        if head[:4] != QCOW2:
            return Raw(path, size)
        try:
            return Qcow2(path, size, _shape(file.fileno(), head, path))
        except (struct.error, OverflowError) as error:
            raise VerifyError("a qcow2 image that is cut off", where=str(path)) from error


def _shape(file: int, head: bytes, path: Path) -> _Shape:
    _, version, backing, _, bits, size, crypt, l1_size, l1_at, *_ = _HEADER.unpack_from(head)
    zstd = False

    def bad(what: str, hint: str | None = None) -> VerifyError:
        return VerifyError(f"a qcow2 image {what}", where=str(path), hint=hint)

    flat = f"qemu-img convert -O raw {path.name} disk.img makes one that can be read"
    if version not in (2, 3):
        raise bad(f"of version {version}", flat)
    if backing:
        raise bad("that needs another one behind it", flat)
    if crypt:
        raise bad("that is encrypted", flat)
    if version == 3:  # noqa: PLR2004 - a version
        features, _, _, _, length = _V3.unpack_from(head, _V2_SIZE)
        if features & ~(_DIRTY_OR_CORRUPT | _COMPRESSION_TYPE):
            raise bad("with features that are not known", flat)
        zstd = bool(features & _COMPRESSION_TYPE) and length > 104 and head[104] == _ZSTD  # noqa: PLR2004
    if not _BITS[0] <= bits <= _BITS[1] or not 0 < size <= _SIZE_MAX or l1_size * 8 > _L1_MAX:
        raise bad("whose header makes no sense")
    table = os.pread(file, l1_size * 8, l1_at)
    return _Shape(bits=bits, size=size, l1=struct.unpack(f">{l1_size}Q", table), zstd=zstd)
