"""ext2, ext3 and ext4 read as a tree, with owners, modes, devices and links; the journal is not replayed.

Format: the kernel's Documentation/filesystems/ext4. Nothing is believed: every block must lie within the file
system, every folder is entered once. File systems with features that are not known are refused.
"""

from __future__ import annotations

import stat
import struct
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from tcz.errors import VerifyError
from tcz.tree import Node, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remaster.disks.blocks import Blocks
    from tcz.tree import Content

_SUPER_AT: Final = 1024
_MAGIC: Final = 0xEF53
_ROOT: Final = 2
_EXTENTS, _INLINE = 0x80000, 0x10000000
_EXTENT_MAGIC: Final = 0xF30A
_EXTENT_MAX: Final = 32768
_64BIT, _META_BG = 0x80, 0x10
#: filetype, recover, extents, 64bit, flex_bg, csum_seed, largedir, inline data, and older ones without a say.
_KNOWN: Final = 0x2 | 0x4 | 0x40 | 0x80 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000
_ENTRIES_MAX: Final = 1_000_000
_DEPTH_MAX: Final = 128
_TREE_DEPTH_MAX: Final = 5
_FAST_LINK: Final = 60
_FOLDER_MAX: Final = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Ext:
    """A file system: which of the three, its label, its files."""

    kind: str
    label: str
    uuid: str
    tree: Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class _Zeros:
    """A file that is a hole."""

    size: int

    def read(self) -> bytes:
        return bytes(self.size)

    def pieces(self) -> Iterator[bytes]:
        for at in range(0, self.size, 1 << 20):
            yield bytes(min(1 << 20, self.size - at))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """Content in parts, holes among them."""

    parts: tuple[Content, ...]

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts)

    def read(self) -> bytes:
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        for part in self.parts:
            yield from part.pieces()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inode:
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    flags: int
    block: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    block: int
    blocks: int
    inodes: int
    per_group: int
    inode_size: int
    tables: tuple[int, ...]


def is_ext(blocks: Blocks, offset: int, size: int) -> bool:
    """Tell one of the family by its superblock."""
    if size < 2 * _SUPER_AT:
        return False
    return int.from_bytes(blocks.read(offset + _SUPER_AT + 56, 2), "little") == _MAGIC


def read(blocks: Blocks, offset: int, size: int) -> Ext:
    """Return the file system at ``offset``. Raises ``VerifyError`` for a damaged or unknown one."""
    data = blocks.read(offset + _SUPER_AT, 1024)
    incompatible, compatible = struct.unpack_from("<I", data, 96)[0], struct.unpack_from("<I", data, 92)[0]
    unknown = incompatible & ~_KNOWN
    if unknown:
        raise _bad(blocks.where, f"features {unknown:#x} are not known")
    reader = _Reader(blocks, offset, _shape(blocks, data, offset, size, wide=bool(incompatible & _64BIT)))
    try:
        tree = Tree(reader.walk())
    except (struct.error, IndexError) as error:
        raise _bad(blocks.where, str(error)) from error
    kind = "ext4" if incompatible & 0x2C0 else "ext3" if compatible & 4 else "ext2"
    return Ext(
        kind=kind,
        label=data[120:136].partition(b"\0")[0].decode(errors="replace"),
        uuid=str(uuid.UUID(bytes=data[104:120])),
        tree=tree,
    )


def _bad(where: str, what: str) -> VerifyError:
    return VerifyError(f"not a sound ext file system: {what}", where=where)


def _shape(blocks: Blocks, data: bytes, offset: int, size: int, *, wide: bool) -> _Shape:
    inodes, count = struct.unpack_from("<II", data)
    first, log = struct.unpack_from("<II", data, 20)
    per_blocks, _, per_inodes = struct.unpack_from("<III", data, 32)
    revision = struct.unpack_from("<I", data, 76)[0]
    inode_size = struct.unpack_from("<H", data, 88)[0] if revision else 128
    width = struct.unpack_from("<H", data, 254)[0] if wide else 32
    if wide:
        count |= struct.unpack_from("<I", data, 336)[0] << 32
    if log > 6 or not per_blocks or not per_inodes or inode_size < 128 or width < 32:  # noqa: PLR2004 - the format's
        raise _bad(blocks.where, "its superblock makes no sense")
    block = 1024 << log
    groups = -(-(count - first) // per_blocks)
    at = offset + (first + 1) * block
    if count * block > size or groups * width > 64 << 20 or groups < 1:
        raise _bad(blocks.where, f"{count} blocks of {block} bytes in {size} bytes")
    table = blocks.read(at, groups * width)
    tables = []
    for group in range(groups):
        low = struct.unpack_from("<I", table, group * width + 8)[0]
        high = struct.unpack_from("<I", table, group * width + 40)[0] if wide and width >= 64 else 0  # noqa: PLR2004
        tables.append(low | high << 32)
    return _Shape(
        block=block,
        blocks=count,
        inodes=inodes,
        per_group=per_inodes,
        inode_size=inode_size,
        tables=tuple(tables),
    )


@dataclass(slots=True)
class _Reader:
    blocks: Blocks
    offset: int
    shape: _Shape
    _seen: dict[int, str] = field(default_factory=dict)
    _visits: int = 0

    def bad(self, what: str) -> VerifyError:
        return _bad(self.blocks.where, what)

    def block(self, number: int) -> bytes:
        self._visits += 1
        # No file has more tables than there are blocks: one that does names the same again and again.
        if not 0 < number < self.shape.blocks or self._visits > self.shape.blocks:
            raise self.bad(f"block {number} of {self.shape.blocks}")
        return self.blocks.read(self.offset + number * self.shape.block, self.shape.block)

    def inode(self, number: int) -> _Inode:
        group, index = divmod(number - 1, self.shape.per_group)
        if number < 1 or number > self.shape.inodes or group >= len(self.shape.tables):
            raise self.bad(f"inode {number} of {self.shape.inodes}")
        at = self.offset + self.shape.tables[group] * self.shape.block + index * self.shape.inode_size
        data = self.blocks.read(at, 128)
        mode, uid, low, _, _, mtime = struct.unpack_from("<HHIIII", data)
        gid = struct.unpack_from("<H", data, 24)[0]
        high = struct.unpack_from("<I", data, 108)[0] if stat.S_ISREG(mode) else 0
        uid_high, gid_high = struct.unpack_from("<HH", data, 120)
        return _Inode(
            mode=mode,
            uid=uid | uid_high << 16,
            gid=gid | gid_high << 16,
            size=low | high << 32,
            mtime=mtime,
            flags=struct.unpack_from("<I", data, 32)[0],
            block=data[40:100],
        )

    def walk(self) -> dict[str, Node]:
        top = self.inode(_ROOT)
        found = {"": Node(mode=top.mode, uid=top.uid, gid=top.gid, mtime=top.mtime)}
        waiting = [("", _ROOT, top, 0)]
        folders = {_ROOT}
        while waiting:
            path, _, folder, depth = waiting.pop()
            if depth > _DEPTH_MAX:
                raise self.bad(f"folders lie deeper than {_DEPTH_MAX}: {path}")
            for name, number in self._names(folder):
                inside = f"{path}/{name}" if path else name
                if len(found) >= _ENTRIES_MAX or inside in found:
                    raise self.bad(f"{inside!r} is there twice, or there are too many files")
                one = self.inode(number)
                if stat.S_ISDIR(one.mode):
                    if number in folders:
                        raise self.bad("a folder is in itself, or in two others")
                    folders.add(number)
                    waiting.append((inside, number, one, depth + 1))
                found[inside] = self._node(number, one, inside)
        return found

    def _node(self, number: int, one: _Inode, path: str) -> Node:
        node = Node(mode=one.mode, uid=one.uid, gid=one.gid, mtime=one.mtime)
        if stat.S_ISLNK(one.mode):
            short = one.size < _FAST_LINK and not one.flags & _EXTENTS
            target = one.block[: one.size] if short else self._content(one).read()[: one.size]
            return replace(node, data=target)
        if stat.S_ISREG(one.mode):
            first = self._seen.setdefault(number, path)
            if first != path:
                return replace(node, link=first)
            return replace(node, data=self._content(one) if one.size else b"")
        if stat.S_ISCHR(one.mode) or stat.S_ISBLK(one.mode):
            old, new = struct.unpack_from("<II", one.block)
            rdev = (
                (old >> 8 & 0xFF, old & 0xFF) if old else (new >> 8 & 0xFFF, new & 0xFF | new >> 12 & ~0xFF)
            )
            return replace(node, rdev=rdev)
        return node

    def _names(self, folder: _Inode) -> Iterator[tuple[str, int]]:
        if folder.size > _FOLDER_MAX:
            raise self.bad(f"a folder of {folder.size} bytes")
        data = self._content(folder).read()
        at = 0
        while at + 8 <= len(data):
            number, length, size = struct.unpack_from("<IHB", data, at)
            if length < 8 or at + length > len(data) or size + 8 > length:  # noqa: PLR2004 - the entry's head
                raise self.bad("an entry of a folder makes no sense")
            raw = data[at + 8 : at + 8 + size]
            at += length
            if not number or raw in (b".", b".."):
                continue
            if not raw or b"/" in raw or b"\0" in raw:
                raise self.bad(f"a file is named {raw!r}")
            yield raw.decode(errors="surrogateescape"), number

    def _content(self, one: _Inode) -> Content:
        if one.flags & _INLINE:
            raise self.bad("a file is kept in its inode")
        block, left = self.shape.block, one.size
        parts: list[Content] = []
        runs: list[tuple[int, int]] = []
        at = self._visits = 0
        pieces = self._extents(one.block, 0) if one.flags & _EXTENTS else self._mapped(one)
        for logical, physical, count in pieces:
            if logical < at or not count:
                raise self.bad("the blocks of a file overlap")
            if logical > at:
                self._flush(parts, runs)
                hole = min((logical - at) * block, left)
                parts += [_Zeros(size=hole)] if hole else []
                left -= hole
            if physical < 1 or physical + count > self.shape.blocks:
                raise self.bad(f"block {physical} of {self.shape.blocks}")
            take = min(count * block, left)
            if take:
                runs.append((self.offset + physical * block, take))
            left -= take
            at = logical + count
        self._flush(parts, runs)
        if left:
            parts.append(_Zeros(size=left))
        return parts[0] if len(parts) == 1 else _Parts(parts=tuple(parts))

    def _flush(self, parts: list[Content], runs: list[tuple[int, int]]) -> None:
        if runs:
            parts.append(self.blocks.content(tuple(runs)))
            runs.clear()

    def _extents(self, data: bytes, depth: int) -> Iterator[tuple[int, int, int]]:
        magic, count, _, level = struct.unpack_from("<HHHH", data)
        if magic != _EXTENT_MAGIC or depth > _TREE_DEPTH_MAX or 12 * (count + 1) > len(data):
            raise self.bad("a tree of extents makes no sense")
        for number in range(count):
            row = 12 * (number + 1)
            if level:
                low, high = struct.unpack_from("<IH", data, row + 4)
                yield from self._extents(self.block(low | high << 32), depth + 1)
                continue
            logical, length, high, low = struct.unpack_from("<IHHI", data, row)
            if length > _EXTENT_MAX:  # there, and not written to: zeros
                continue
            yield logical, low | high << 32, length

    def _mapped(self, one: _Inode) -> Iterator[tuple[int, int, int]]:
        """Give the blocks of a file of ext2: twelve at once, then by one, two and three tables."""
        pointers = struct.unpack("<15I", one.block)
        last = -(-one.size // self.shape.block)
        run: list[int] = []
        for logical, physical in self._numbers(pointers, last):
            if run and physical == run[1] + run[2] and logical == run[0] + run[2]:
                run[2] += 1
                continue
            if run:
                yield run[0], run[1], run[2]
            run = [logical, physical, 1]
        if run:
            yield run[0], run[1], run[2]

    def _numbers(self, pointers: tuple[int, ...], last: int) -> Iterator[tuple[int, int]]:
        per = self.shape.block // 4
        at = 0
        for index, pointer in enumerate(pointers):
            depth = max(0, index - 11)
            yield from self._below(pointer, depth, at, last)
            at += per**depth
            if at >= last:
                return

    def _below(self, pointer: int, depth: int, at: int, last: int) -> Iterator[tuple[int, int]]:
        if not pointer or at >= last:
            return
        if not depth:
            yield at, pointer
            return
        per = self.shape.block // 4
        for index, inner in enumerate(struct.unpack(f"<{per}I", self.block(pointer))):
            yield from self._below(inner, depth - 1, at + index * per ** (depth - 1), last)
