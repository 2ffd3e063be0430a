"""FAT32 file systems, written as a layout: long names, one time for all, the same bytes each time.

Format: Microsoft's "FAT32 File System Specification" 1.03 (fatgen103). A writer of our own, because
mkfs.fat and mtools together copy everything twice, take times from the zone of the machine and start
a process per folder; what is written here is read in place from where it lies.

Folders come first, then files in the order of their paths, each in one run of clusters.
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from remaster.formats.fatnames import entries_for, folded
from remaster.formats.model import SECTOR, Layout, Piece, layout, size_of
from tcz.errors import ToolkitError
from tcz.tree import safe_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from remaster.formats.model import Source

_RESERVED: Final = 32
_FATS: Final = 2
_ENTRY: Final = 32
_FILE_MAX: Final = 0xFFFFFFFF
#: Fewer clusters than this make a FAT16, whatever the boot sector says; a little distance is advised.
_FEWEST: Final = 65525 + 16
_MOST: Final = 0x0FFFFFF5
_LARGEST_CLUSTER: Final = 4096
_END: Final = 0x0FFFFFFF
_MEDIA: Final = 0xF8
_FOLDER: Final = 0x10
_ARCHIVE: Final = 0x20
_LABEL: Final = 0x08
_LABEL_MAX: Final = 11
_FIRST_YEAR: Final = 1980
#: The smallest file system that can be made.
SMALLEST: Final = 34 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FatPlan:
    """What a file system is made of.

    ``files`` pairs paths with content. ``hidden`` is how many sectors lie before it on its disk.
    """

    size: int
    files: tuple[tuple[str, Source], ...]
    label: str
    serial: int
    epoch: int
    hidden: int = 0


@dataclass(slots=True)
class _Folder:
    """A folder: what it holds by name, and where it begins once that is known."""

    folders: dict[str, _Folder] = field(default_factory=dict)
    files: dict[str, Source] = field(default_factory=dict)
    cluster: int = 0
    starts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Geometry:
    cluster: int
    fat_sectors: int
    count: int

    @property
    def data(self) -> int:
        """Where clusters begin."""
        return (_RESERVED + _FATS * self.fat_sectors) * SECTOR

    def offset(self, cluster: int) -> int:
        return self.data + (cluster - 2) * self.cluster


def room(files: Iterable[tuple[str, Source]]) -> int:
    """Return a size in bytes that is enough for files, with all that the file system itself takes."""
    total = 0
    for path, source in files:
        total += size_of(source) + _LARGEST_CLUSTER + _ENTRY * (3 + len(path) // 8) * (path.count("/") + 1)
        total += _LARGEST_CLUSTER * path.count("/")
    return max(SMALLEST, total + total // 64 + (1 << 20))


def build(plan: FatPlan) -> Layout:
    """Return the file system.

    Raises ``ToolkitError`` for names that FAT cannot hold or tell apart, files of 4 GiB and more, and a
    size that is too small.
    """
    shape = _geometry(plan.size)
    top = _tree(plan.files)
    allocator = _Allocator(shape)
    stamp = _stamp(plan.epoch)
    folders = list(_walk(top, top))
    for folder, _, depth in folders:
        names = [*folder.folders, *folder.files]
        extra = 1 if depth == 0 else 2
        slots = extra + sum(len(entry) // _ENTRY for entry in entries_for(names).values())
        folder.cluster = allocator.take(slots * _ENTRY)
    pieces: list[Piece] = []
    for folder, _, _ in folders:
        for name, source in sorted(folder.files.items()):
            size = size_of(source)
            folder.starts[name] = allocator.take(size) if size else 0
            if size:
                pieces.append(Piece(offset=shape.offset(folder.starts[name]), source=source))
    for folder, parent, depth in folders:
        data = _folder_bytes(folder, parent, depth, plan, stamp)
        pieces.append(Piece(offset=shape.offset(folder.cluster), source=data))
    return layout(plan.size, _head(plan, shape, allocator), tuple(pieces))


def _geometry(size: int) -> _Geometry:
    sectors = size // SECTOR
    cluster = _LARGEST_CLUSTER
    while True:
        per = cluster // SECTOR
        # Each FAT entry has 4 bytes; the two reserved ones count as well.
        fat = -(-(4 * (sectors // per + 2)) // SECTOR)
        count = (sectors - _RESERVED - _FATS * fat) // per
        if count >= _FEWEST or cluster == SECTOR:
            break
        cluster //= 2
    if size % SECTOR or not _FEWEST <= count < _MOST:
        raise ToolkitError(f"no FAT32 file system can have {size} bytes", hint=f"{SMALLEST} at least")
    return _Geometry(cluster=cluster, fat_sectors=fat, count=count)


def _tree(files: Sequence[tuple[str, Source]]) -> _Folder:
    top = _Folder()
    for raw, source in files:
        *parents, name = safe_path(raw).split("/")
        here = top
        for parent in parents:
            if parent in here.files:
                raise ToolkitError(f"{raw!r} lies below something that is a file")
            here = here.folders.setdefault(parent, _Folder())
        if not name or name in here.files or name in here.folders:
            raise ToolkitError(f"two files of the image are named {raw!r}" if name else "a file has no name")
        if size_of(source) > _FILE_MAX:
            raise ToolkitError(f"{raw!r} is too large for FAT, where a file has less than 4 GiB")
        here.files[name] = source
    return top


def _walk(folder: _Folder, parent: _Folder, depth: int = 0) -> Iterable[tuple[_Folder, _Folder, int]]:
    seen: dict[str, str] = {}
    for name in sorted((*folder.folders, *folder.files)):
        other = seen.setdefault(folded(name), name)
        if other != name:
            raise ToolkitError(f"FAT cannot tell {other!r} from {name!r}")
    yield folder, parent, depth
    for _, below in sorted(folder.folders.items()):
        yield from _walk(below, folder, depth + 1)


class _Allocator:
    """Gives clusters away in order and keeps the table of what follows what."""

    def __init__(self, shape: _Geometry) -> None:
        self._shape = shape
        self._next = 2
        self._runs: list[tuple[int, int]] = []

    def take(self, size: int) -> int:
        """Return the first of the clusters that ``size`` bytes need."""
        first, count = self._next, max(1, -(-size // self._shape.cluster))
        if first + count > self._shape.count + 2:
            raise ToolkitError("the FAT file system is too small for what is to go into it")
        self._next += count
        self._runs.append((first, count))
        return first

    @property
    def free(self) -> int:
        return self._shape.count + 2 - self._next

    @property
    def next(self) -> int:
        return self._next

    def table(self) -> bytes:
        """Return the FAT as far as it is used."""
        table = bytearray(struct.pack("<II", 0x0FFFFF00 | _MEDIA, _END))
        for first, count in self._runs:
            table += struct.pack(f"<{count - 1}I", *range(first + 1, first + count))
            table += struct.pack("<I", _END)
        return bytes(table)


def _head(plan: FatPlan, shape: _Geometry, allocator: _Allocator) -> tuple[Piece, ...]:
    boot = _boot_sector(plan, shape)
    info = struct.pack("<I480xIII12xI", 0x41615252, 0x61417272, allocator.free, allocator.next, 0xAA550000)
    # The third sector is boot code where there is some; Windows wants its signature.
    head = boot + info + bytes(SECTOR - 2) + b"\x55\xaa"
    table = allocator.table()
    fats = tuple(
        Piece(offset=(_RESERVED + number * shape.fat_sectors) * SECTOR, source=table)
        for number in range(_FATS)
    )
    return (Piece(offset=0, source=head), Piece(offset=6 * SECTOR, source=head), *fats)


def _boot_sector(plan: FatPlan, shape: _Geometry) -> bytes:
    sectors = plan.size // SECTOR
    fields = struct.pack(
        "<3s8sHBHBHHBHHHIIIHHIHH12xBBBI11s8s",
        *(b"\xeb\x58\x90", b"MSWIN4.1", SECTOR, shape.cluster // SECTOR, _RESERVED, _FATS, 0, 0, _MEDIA, 0),
        *(63, 255, plan.hidden, sectors, shape.fat_sectors, 0, 0, 2, 1, 6),
        *(0x80, 0, 0x29, plan.serial, _label(plan.label), b"FAT32   "),
    )
    # int 0x18: nothing to start here, the BIOS may go on to its next device.
    return (fields + b"\xcd\x18\xeb\xfe").ljust(SECTOR - 2, b"\0") + b"\x55\xaa"


def _label(text: str) -> bytes:
    label = text.upper()
    if not 0 < len(label) <= _LABEL_MAX or not label.isascii() or not label.replace("_", "").isalnum():
        raise ToolkitError(f"a FAT label has 1 to {_LABEL_MAX} letters, digits and underscores: {text!r}")
    return label.encode().ljust(_LABEL_MAX)


def _stamp(epoch: int) -> tuple[int, int]:
    """Return date and time as FAT has them: from 1980 on, every two seconds."""
    moment = time.gmtime(epoch)
    if moment.tm_year < _FIRST_YEAR:
        return (1 << 5) | 1, 0
    date = (moment.tm_year - _FIRST_YEAR) << 9 | moment.tm_mon << 5 | moment.tm_mday
    return date, moment.tm_hour << 11 | moment.tm_min << 5 | moment.tm_sec // 2


def _record(short: bytes, kind: int, cluster: int, size: int, stamp: tuple[int, int]) -> bytes:
    date, clock = stamp
    fields = (short, kind, 0, 0, clock, date, date, cluster >> 16, clock, date, cluster & 0xFFFF, size)
    return struct.pack("<11sBBBHHHHHHHI", *fields)


def _folder_bytes(
    folder: _Folder, parent: _Folder, depth: int, plan: FatPlan, stamp: tuple[int, int]
) -> bytes:
    if depth == 0:
        data = _record(_label(plan.label), _LABEL, 0, 0, stamp)
    else:
        # The root is cluster 0 here, wherever it is.
        above = 0 if depth == 1 else parent.cluster
        data = _record(b".".ljust(11), _FOLDER, folder.cluster, 0, stamp)
        data += _record(b"..".ljust(11), _FOLDER, above, 0, stamp)
    for name, entry in entries_for([*folder.folders, *folder.files]).items():
        long, short = entry[:-_ENTRY], entry[-_ENTRY : -_ENTRY + 11]
        if name in folder.folders:
            data += long + _record(short, _FOLDER, folder.folders[name].cluster, 0, stamp)
        else:
            size = size_of(folder.files[name])
            data += long + _record(short, _ARCHIVE, folder.starts[name], size, stamp)
    return data
