"""FAT12, FAT16 and FAT32 read as a tree: long names, fragments, nothing believed.

Format: Microsoft's "FAT32 File System Specification" 1.03 (fatgen103). FAT knows neither owners nor modes:
files have mode 644, folders 755. Names are those that a mount would show; times are taken as UTC.
"""

from __future__ import annotations

import calendar
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tcz.errors import VerifyError
from tcz.tree import Node, Tree, directory, regular

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remaster.disks.blocks import Blocks
    from tcz.tree import Content

_ENTRY: Final = 32
_LONG: Final = 0x0F
_LABEL, _FOLDER = 0x08, 0x10
_DELETED: Final = 0xE5
_LONG_MAX: Final = 20
_ENTRIES_MAX: Final = 1_000_000
_DEPTH_MAX: Final = 128
_FAT12_MAX, _FAT16_MAX = 4085, 65525
_LOWER_BASE, _LOWER_EXTENSION = 0x08, 0x10
_MASK: Final = 0x0FFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Fat:
    """A file system: its label, how wide its entries are, its files."""

    label: str
    bits: int
    serial: str
    tree: Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """``fat`` and ``data`` are offsets on the disk, ``count`` is that of clusters."""

    bits: int
    fat: int
    fat_size: int
    data: int
    cluster: int
    count: int
    root_at: int
    root_size: int
    root_cluster: int


def is_fat(head: bytes) -> bool:
    """Tell a FAT by its first sector."""
    if len(head) < 512 or head[510:512] != b"\x55\xaa":  # noqa: PLR2004 - a sector
        return False
    sector, per, reserved, fats = struct.unpack_from("<HBHB", head, 11)
    return sector in (512, 1024, 2048, 4096) and per and not per & (per - 1) and reserved and fats in (1, 2)


def read(blocks: Blocks, offset: int, size: int) -> Fat:
    """Return the file system at ``offset``. Raises ``VerifyError`` for a damaged one."""
    head = blocks.read(offset, 512)
    try:
        reader = _Reader(blocks, offset, _shape(head, offset, size, blocks.where))
        label_at = 71 if reader.shape.bits == 32 else 43  # noqa: PLR2004 - FAT32
        tree = Tree(reader.walk())
    except (struct.error, IndexError) as error:
        raise _bad(blocks.where, str(error)) from error
    label = reader.label or head[label_at : label_at + 11].decode("cp437").rstrip()
    serial = struct.unpack_from("<I", head, label_at - 4)[0]
    return Fat(
        label="" if label == "NO NAME" else label,
        bits=reader.shape.bits,
        serial=f"{serial >> 16:04X}-{serial & 0xFFFF:04X}",
        tree=tree,
    )


def _bad(where: str, what: str) -> VerifyError:
    return VerifyError(f"not a sound FAT file system: {what}", where=where)


def _shape(head: bytes, offset: int, size: int, where: str) -> _Shape:
    sector, per, reserved, fats, root, small, _, fat16 = struct.unpack_from("<HBHBHHBH", head, 11)
    if not is_fat(head):
        raise _bad(where, "its boot sector is none")
    total = small or struct.unpack_from("<I", head, 32)[0]
    fat = fat16 or struct.unpack_from("<I", head, 36)[0]
    root_size = -(-root * _ENTRY // sector) * sector
    data = (reserved + fats * fat) * sector + root_size
    count = (total * sector - data) // (per * sector)
    if not fat or count < 1 or total * sector > size:
        raise _bad(where, f"{total} sectors of {sector} bytes in {size} bytes")
    bits = 12 if count < _FAT12_MAX else 16 if count < _FAT16_MAX else 32
    if not fat16:
        bits = 32
    if fat * sector * 8 < (count + 2) * bits:
        raise _bad(where, "its table is too small")
    return _Shape(
        bits=bits,
        fat=offset + reserved * sector,
        fat_size=fat * sector,
        data=offset + data,
        cluster=per * sector,
        count=count,
        root_at=offset + (reserved + fats * fat) * sector,
        root_size=root_size,
        root_cluster=struct.unpack_from("<I", head, 44)[0] if bits == 32 else 0,  # noqa: PLR2004
    )


@dataclass(slots=True)
class _Reader:
    blocks: Blocks
    offset: int
    shape: _Shape
    label: str = ""
    _table: dict[int, bytes] = field(default_factory=dict)
    _seen: set[int] = field(default_factory=set)

    def bad(self, what: str) -> VerifyError:
        return _bad(self.blocks.where, what)

    def walk(self) -> dict[str, Node]:
        found: dict[str, Node] = {}
        shape = self.shape
        top = self._data(shape.root_cluster) if shape.root_cluster else self._fixed_root()
        waiting: list[tuple[str, bytes, int]] = [("", top, 0)]
        while waiting:
            path, data, depth = waiting.pop()
            if depth > _DEPTH_MAX:
                raise self.bad(f"folders lie deeper than {_DEPTH_MAX}: {path}")
            for name, raw in self._entries(data, top=not path):
                attributes, high, time, date, low, size = struct.unpack_from("<B8xHHHHI", raw, 11)
                cluster = low | (high << 16 if shape.bits == 32 else 0)  # noqa: PLR2004 - FAT32
                inside = f"{path}/{name}" if path else name
                if inside in found:
                    raise self.bad(f"two files are named {inside!r}")
                if len(found) >= _ENTRIES_MAX:
                    raise self.bad(f"more than {_ENTRIES_MAX} files")
                mtime = _time(date, time)
                if attributes & _FOLDER:
                    found[inside] = directory(mtime=mtime)
                    waiting.append((inside, self._data(cluster), depth + 1))
                else:
                    found[inside] = regular(self._content(cluster, size, inside), mtime=mtime)
        return found

    def _fixed_root(self) -> bytes:
        return self.blocks.read(self.shape.root_at, self.shape.root_size)

    def _content(self, cluster: int, size: int, path: str) -> bytes | Content:
        if not size:
            return b""
        runs: list[tuple[int, int]] = []
        left = size
        for offset, count in self._runs(cluster, -(-size // self.shape.cluster)):
            take = min(count, left)
            runs.append((offset, take))
            left -= take
        if left:
            raise self.bad(f"{path!r} is cut off: {left} bytes of {size} are missing")
        return self.blocks.content(tuple(runs))

    def _data(self, cluster: int) -> bytes:
        """Return all of a folder; each is entered once."""
        if cluster in self._seen:
            raise self.bad("a folder is in itself, or in two others")
        self._seen.add(cluster)
        most = _ENTRIES_MAX * _ENTRY // self.shape.cluster
        return b"".join(self.blocks.read(*run) for run in self._runs(cluster, most))

    def _runs(self, cluster: int, most: int) -> Iterator[tuple[int, int]]:
        """Give a chain of at most ``most`` clusters as runs that lie together."""
        shape = self.shape
        start, count, taken = cluster, 0, 0
        while taken < most and 2 <= cluster < shape.count + 2:  # noqa: PLR2004 - the first two are no clusters
            if cluster != start + count:
                yield shape.data + (start - 2) * shape.cluster, count * shape.cluster
                start, count = cluster, 0
            count, taken = count + 1, taken + 1
            cluster = self._next(cluster)
        if count:
            yield shape.data + (start - 2) * shape.cluster, count * shape.cluster

    def _next(self, cluster: int) -> int:
        bits = self.shape.bits
        at = cluster * bits // 8
        data = self._table_bytes(at, 4)
        if bits == 32:  # noqa: PLR2004 - FAT32
            return int.from_bytes(data, "little") & _MASK
        value = int.from_bytes(data[:2], "little")
        if bits == 16:  # noqa: PLR2004 - FAT16
            return value
        return value >> 4 if cluster % 2 else value & 0xFFF

    def _table_bytes(self, at: int, count: int) -> bytes:
        page, inside = divmod(at, 65536)
        found = self._page(page)[inside : inside + count]
        if len(found) < count and (page + 1) * 65536 < self.shape.fat_size:
            found += self._page(page + 1)[: count - len(found)]
        return found.ljust(count, b"\0")

    def _page(self, page: int) -> bytes:
        if page not in self._table:
            at = page * 65536
            self._table[page] = self.blocks.read(self.shape.fat + at, min(65536, self.shape.fat_size - at))
        return self._table[page]

    def _entries(self, data: bytes, *, top: bool) -> Iterator[tuple[str, bytes]]:
        """Give name and short entry of each file; note the label, which is an entry of the top folder."""
        long = _Long()
        for at in range(0, len(data) - _ENTRY + 1, _ENTRY):
            raw = data[at : at + _ENTRY]
            if not raw[0]:
                return
            if raw[0] == _DELETED or raw[11] & 0x3F == _LONG:
                long.add(raw)
                continue
            name = long.name(raw) or _short_name(raw)
            long = _Long()
            if raw[11] & _LABEL:
                self.label = raw[:11].decode("cp437").rstrip() if top else self.label
                continue
            if name in (".", ".."):
                continue
            if not name or "/" in name or "\0" in name:
                raise self.bad(f"a file is named {name!r}")
            yield name, raw


@dataclass(slots=True)
class _Long:
    """The entries of a long name, the last part first, and the checksum of the short one they belong to."""

    parts: dict[int, bytes] = field(default_factory=dict)
    check: int = -1

    def add(self, raw: bytes) -> None:
        if raw[0] == _DELETED:
            self.parts = {}
            return
        number = raw[0] & 0x1F
        if raw[0] & 0x40:
            self.parts, self.check = {}, raw[13]
        if 0 < number <= _LONG_MAX and raw[13] == self.check:
            self.parts[number] = raw[1:11] + raw[14:26] + raw[28:32]

    def name(self, raw: bytes) -> str:
        """Return the long name of a short entry, empty where there is none or it is another's."""
        numbers = sorted(self.parts)
        if not numbers or numbers != list(range(1, len(numbers) + 1)) or self.check != _checksum(raw[:11]):
            return ""
        units = b"".join(self.parts[number] for number in numbers)
        return units.decode("utf-16-le", "replace").partition("\0")[0]


def _checksum(short: bytes) -> int:
    total = 0
    for byte in short:
        total = ((total >> 1) | (total & 1) << 7) + byte & 0xFF
    return total


def _short_name(raw: bytes) -> str:
    first = b"\xe5" + raw[1:8] if raw[0] == 0x05 else raw[:8]  # noqa: PLR2004 - stands for e5
    base, extension = first.decode("cp437").rstrip(), raw[8:11].decode("cp437").rstrip()
    base = base.lower() if raw[12] & _LOWER_BASE else base
    extension = extension.lower() if raw[12] & _LOWER_EXTENSION else extension
    return f"{base}.{extension}" if extension else base


def _time(date: int, time: int) -> int:
    year, month, day = 1980 + (date >> 9), date >> 5 & 15, date & 31
    if not 1 <= month <= 12 or not day:  # noqa: PLR2004 - months
        return 0
    clock = (time >> 11, time >> 5 & 63, (time & 31) * 2)
    return calendar.timegm((year, month, day, *clock))
