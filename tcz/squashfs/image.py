"""Images read: every compressor but lzo, every kind of inode; names, owners and sizes in one go.

Nothing in an image is believed. What is read of it is bounded by the size of its file, and whatever does
not fit together ends in a ``VerifyError`` that says where.
"""

from __future__ import annotations

import os
import stat
import struct
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from tcz.errors import VerifyError
from tcz.squashfs.codec import unpacker
from tcz.squashfs.content import Blocks, Stored, identity_of
from tcz.squashfs.layout import (
    DEVICE_INODE,
    DIR,
    DIR_ENTRY,
    DIR_HEADER,
    DIR_INODE,
    EXTENDED,
    FILE,
    FILE_INODE,
    HEADER_ENTRIES,
    INODE,
    INVALID,
    LINK,
    LINK_INODE,
    LONG_DIR_INODE,
    LONG_FILE_INODE,
    MAGIC,
    MODE_OF,
    NO_FRAGMENT,
    PATH_MAX,
    SUPERBLOCK_SIZE,
    TARGET_MAX,
    WORD,
    Superblock,
    device_of,
)
from tcz.squashfs.options import LARGEST_BLOCK, SMALLEST_BLOCK
from tcz.squashfs.tables import LIMIT, Region, Table
from tcz.tree import ENTRIES_MAX, PATHS_MAX, Node, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_MODE_OF: Final = tuple(MODE_OF.get(number, 0) for number in range(16))
_BIG_ENDIAN: Final = b"sqsh"
_VERSION: Final = 4
_DOT_NAMES: Final = frozenset((b".", b".."))
_FOLDERS: Final = (DIR, DIR + EXTENDED)
#: A listing's size counts "." and "..", which are not in it.
_DOTS: Final = 3
#: A listing of a million names of 24 letters.
_LISTING_MAX: Final = 32 << 20


def read(path: Path) -> Tree:
    """Return the tree of an image; files' contents are read from it when they are asked for.

    Raises ``VerifyError`` for what is no squashfs 4.0 image, or a damaged one.
    """
    return Tree(Image(path).items())


class Row(NamedTuple):
    """What a listing tells of a path: ``mode`` with its type bits, ``size`` 0 for all but files and links."""

    path: str
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    target: str = ""
    rdev: tuple[int, int] = (0, 0)


class Image:
    """An image's superblock and tables; contents of files stay where they are."""

    def __init__(self, path: Path) -> None:
        """Read the tables of the image at ``path``; raises ``VerifyError`` as ``read`` does."""
        self.path = path
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            status = os.fstat(file)
            self.superblock = self._superblock(os.pread(file, SUPERBLOCK_SIZE, 0), status.st_size)
            begin = self.superblock.inode_table
            data = os.pread(file, self.superblock.used - begin, begin)
        finally:
            os.close(file)
        where = str(path)
        try:
            unpack = unpacker(self.superblock.compression)
        except VerifyError as error:
            raise self._broken(error.what, error.hint) from error
        self._region = Region(data, begin, unpack, where)
        self._inodes, self._directories, self._ids = self._tables()
        self._status = status

    @cached_property
    def _blocks(self) -> Blocks:
        """What files hold; a listing does not ask for it."""
        return Blocks(
            path=self.path,
            identity=identity_of(self._status),
            block=self.superblock.block,
            used=self.superblock.used,
            unpack=self._region.unpack,
            region=self._region,
            table=self.superblock.fragment_table,
            count=self.superblock.fragments,
        )

    def _broken(self, what: str, hint: str | None = None) -> VerifyError:
        return VerifyError(what, where=str(self.path), hint=hint)

    def _unsound(self, what: str) -> VerifyError:
        return self._broken(f"not a sound squashfs image: {what}")

    def _superblock(self, data: bytes, size: int) -> Superblock:
        if len(data) < SUPERBLOCK_SIZE:
            raise self._broken(f"too short for a squashfs image: {len(data)} bytes")
        if data[:4] == _BIG_ENDIAN:
            raise self._broken("a big-endian squashfs image, of a version before 4.0: it cannot be read")
        if data[:4] != MAGIC.to_bytes(4, "little"):
            raise self._broken("not a squashfs image", f"it begins with the bytes {data[:4].hex(' ')}")
        found = Superblock.unpack(data)
        if found.major != _VERSION or found.minor:
            raise self._broken(
                f"a squashfs image of version {found.major}.{found.minor}: only 4.0 can be read",
                "unpack it with the unsquashfs of its time, and pack it anew",
            )
        if not SMALLEST_BLOCK <= found.block <= LARGEST_BLOCK or found.block != 1 << min(found.block_log, 32):
            raise self._unsound(f"blocks of {found.block} bytes")
        if found.used > size:
            raise self._broken(
                f"the image is cut off: {size} bytes of {found.used} are there", "fetch or build it again"
            )
        if not SUPERBLOCK_SIZE <= found.inode_table <= found.directory_table <= found.used:
            raise self._unsound("its tables are in no order")
        if found.used - found.inode_table > LIMIT:
            raise self._broken(f"its tables are larger than {LIMIT} bytes")
        return found

    def _tables(self) -> tuple[Table, Table, tuple[int, ...]]:
        """Return the tables of inodes and directories, and the owners' ids."""
        sb, region = self.superblock, self._region
        ids = region.indexed(sb.id_table, sb.ids * WORD.size)
        ends = [region.position(sb.id_table)] if sb.ids else [sb.id_table]
        if sb.fragments:
            ends.append(region.position(sb.fragment_table))
        if sb.export_table != INVALID:
            ends.append(region.position(sb.export_table))
        return (
            region.table(sb.inode_table, sb.directory_table),
            region.table(sb.directory_table, min(ends)),
            struct.unpack(f"<{sb.ids}I", ids),
        )

    # -- the walk -------------------------------------------------------------------------------

    def items(self) -> list[tuple[str, Node]]:
        """Return every path with its node, folders before what they hold; the root is first.

        Of the names of a file with hard links the bytewise first has the content. Raises
        ``VerifyError`` for names and structures that no file system has.
        """
        found: dict[str, Node] = {}
        first: dict[int, str] = {}
        shared: dict[int, list[str]] = {}
        targets, path = 0, ""
        try:
            for path, position, kind in self._walk():
                if position in first:
                    shared.setdefault(position, [first[position]]).append(path)
                elif kind not in _FOLDERS:
                    first[position] = path
                node = found[path] = self._node(path, position, kind)
                if node.is_link:
                    targets += node.size
                    if targets > PATHS_MAX:
                        raise self._unsound(f"the target of /{path} is too long")
        except (struct.error, KeyError, IndexError) as error:
            raise self._unsound(f"the inode of /{path}, or of what it holds, lies outside of it") from error
        for names in shared.values():
            names.sort(key=os.fsencode)
            holder = found[names[0]]
            for name in names[1:]:
                found[name] = _linked(holder, names[0])
        return list(found.items())

    def rows(self) -> list[Row]:
        """Return a row for every path, in the order of ``items``, in two thirds of its time: for many images.

        Raises ``VerifyError`` as ``items`` does.
        """
        data, ids = self._inodes.data, self._ids
        unpack_file, unpack_link, unpack_any = (
            FILE_INODE.unpack_from,
            LINK_INODE.unpack_from,
            INODE.unpack_from,
        )
        found: list[Row] = []
        # Rows are made as Row._make does it, without a call of a function of Python for each.
        new, add = tuple.__new__, found.append
        nothing = (0, 0)
        targets, path = 0, ""
        try:
            for path, position, kind in self._walk():
                if kind == FILE:
                    _, mode, uid, gid, mtime, _, _, _, _, size = unpack_file(data, position)
                    told = (path, mode & 0o7777 | stat.S_IFREG, ids[uid], ids[gid], size, mtime, "", nothing)
                elif kind in _FOLDERS:
                    _, mode, uid, gid, mtime, _ = unpack_any(data, position)
                    told = (path, mode & 0o7777 | stat.S_IFDIR, ids[uid], ids[gid], 0, mtime, "", nothing)
                elif kind == LINK:
                    _, mode, uid, gid, mtime, _, _, size = unpack_link(data, position)
                    targets += size
                    if size > TARGET_MAX or targets > PATHS_MAX:
                        raise self._unsound(f"the target of /{path} is too long")
                    target = os.fsdecode(data[position + LINK_INODE.size : position + LINK_INODE.size + size])
                    mode = mode & 0o7777 | stat.S_IFLNK
                    told = (path, mode, ids[uid], ids[gid], size, mtime, target, nothing)
                else:
                    node = self._node(path, position, kind)
                    target = os.fsdecode(node.read()) if node.is_link else ""
                    told = (path, node.mode, node.uid, node.gid, node.size, node.mtime, target, node.rdev)
                add(new(Row, told))
        except (struct.error, KeyError, IndexError) as error:
            raise self._unsound(f"the inode of /{path}, or of what it holds, lies outside of it") from error
        return found

    def tree(self) -> Tree:
        """Return all of it as a tree."""
        return Tree(self.items())

    def _walk(self) -> Iterator[tuple[str, int, int]]:
        """Give each path with the place and the kind of its inode."""
        places, inodes = self._inodes.places, self._inodes.data
        root = self.superblock.root
        position = places[root >> 16] + (root & 0xFFFF)
        if inodes[position] not in _FOLDERS:
            raise self._unsound("its root is no folder")
        yield "", position, inodes[position]
        waiting = [("", position)]
        entered = {position}
        budget = len(self._directories.data)
        entries, characters = 0, 0
        while waiting:
            folder, position = waiting.pop()
            at, end = self._listing(position)
            # Listings are never shared, or a small image could name any number of files.
            budget -= end - at
            if end - at > _LISTING_MAX:
                raise self._unsound(f"/{folder} holds more than any folder does")
            if budget < 0:
                raise self._unsound(f"/{folder} lists what another folder lists")
            prefix = f"{folder}/" if folder else ""
            listed = self._entries(at, end, folder)
            entries += len(listed)
            characters += len(listed) * len(prefix) + end - at
            if entries > ENTRIES_MAX or characters > PATHS_MAX:
                raise self._unsound("more files, or longer names, than any image has")
            if len(prefix) > PATH_MAX:
                raise self._unsound(f"too long a path: /{folder:.80}...")
            for name, place in listed:
                path = prefix + name
                kind = inodes[place]
                if kind in _FOLDERS:
                    if place in entered:
                        raise self._unsound(f"the folder /{path} is in two places")
                    entered.add(place)
                    waiting.append((path, place))
                yield path, place, kind

    def _listing(self, position: int) -> tuple[int, int]:
        """Return where the listing of a folder begins and ends."""
        data = self._inodes.data
        if data[position] != DIR:
            _, _, size, start, _, _, offset, _ = LONG_DIR_INODE.unpack_from(data, position)[5:]
        else:
            _, _, _, _, _, _, start, _, size, offset, _ = DIR_INODE.unpack_from(data, position)
        if size <= _DOTS:
            return 0, 0
        begin = self._directories.places[start] + offset
        return begin, begin + size - _DOTS

    def _entries(self, at: int, end: int, folder: str) -> Sequence[tuple[str, int]]:
        """Return the names of a listing with the places of their inodes."""
        data, places = self._directories.data, self._inodes.places
        entry, step = DIR_ENTRY.unpack_from, DIR_ENTRY.size
        if at < end:
            # Most folders of a package hold one name.
            more, start, _ = DIR_HEADER.unpack_from(data, at)
            offset, _, _, length = entry(data, at + DIR_HEADER.size)
            begin = at + DIR_HEADER.size + step
            if not more and begin + length + 1 == end <= len(data):
                name = data[begin:end]
                if b"/" not in name and b"\0" not in name and name not in _DOT_NAMES:
                    return ((name.decode("utf-8", "surrogateescape"), places[start] + offset),)
        names, found = [], []
        while at < end:
            more, start, _ = DIR_HEADER.unpack_from(data, at)
            at += DIR_HEADER.size
            base = places[start]
            if more >= HEADER_ENTRIES:
                break
            for _ in range(more + 1):
                offset, _, _, length = entry(data, at)
                begin = at + step
                at = begin + length + 1
                names.append(data[begin:at])
                found.append(base + offset)
        if at != end or end > len(data):
            raise self._unsound(f"the listing of /{folder} is damaged")
        # All names of a folder are judged and decoded at once: there are millions in a mirror.
        joined = b"\0".join(names)
        if b"/" in joined or joined.count(b"\0") >= max(len(names), 1) or not _DOT_NAMES.isdisjoint(names):
            raise self._broken(f"a name that no file can have, in /{folder}")
        if len(set(names)) != len(names):
            raise self._unsound(f"a name is twice in /{folder}")
        return tuple(zip(joined.decode("utf-8", "surrogateescape").split("\0"), found, strict=False))

    def _node(self, path: str, position: int, kind: int) -> Node:
        """Return what an inode says."""
        data = self._inodes.data
        bits = _MODE_OF[kind]
        if not bits:
            raise self._unsound(f"an inode of the unknown kind {kind}, at /{path}")
        if len(path) > PATH_MAX:
            raise self._unsound(f"too long a path: /{path:.80}...")
        if kind == FILE:
            _, mode, uid, gid, mtime, _, start, fragment, offset, size = FILE_INODE.unpack_from(
                data, position
            )
            content = self._stored(path, size, start, position + FILE_INODE.size, fragment, offset)
            ids = self._ids
            return Node(mode=bits | mode & 0o7777, uid=ids[uid], gid=ids[gid], mtime=mtime, data=content)
        return self._rarer(path, position, bits)

    def _rarer(self, path: str, position: int, bits: int) -> Node:
        """Return what an inode says that is not of the most common kind."""
        data = self._inodes.data
        _, mode, uid, gid, mtime, _ = INODE.unpack_from(data, position)
        content: bytes | Stored = b""
        device = (0, 0)
        if bits == stat.S_IFREG:
            start, size, _, _, fragment, offset, _ = LONG_FILE_INODE.unpack_from(data, position)[6:]
            content = self._stored(path, size, start, position + LONG_FILE_INODE.size, fragment, offset)
        elif bits == stat.S_IFLNK:
            length = LINK_INODE.unpack_from(data, position)[-1]
            begin = position + LINK_INODE.size
            content = data[begin : begin + length] if length <= TARGET_MAX else b""
            if len(content) != length:
                raise self._unsound(f"the target of /{path} is cut off")
        elif bits in (stat.S_IFCHR, stat.S_IFBLK):
            device = device_of(DEVICE_INODE.unpack_from(data, position)[-1])
        ids = self._ids
        return Node(
            mode=bits | (mode & 0o7777), uid=ids[uid], gid=ids[gid], mtime=mtime, data=content, rdev=device
        )

    def _stored(self, path: str, size: int, start: int, words: int, fragment: int, offset: int) -> Stored:
        data, block = self._inodes.data, self.superblock.block
        count = size // block if fragment != NO_FRAGMENT else -(-size // block)
        if words + WORD.size * count > len(data):
            raise self._unsound(f"/{path} is said to hold {size} bytes")
        return Stored(self._blocks, path, size, start, data, words, fragment, offset)


def _linked(holder: Node, path: str) -> Node:
    return Node(
        mode=holder.mode, uid=holder.uid, gid=holder.gid, mtime=holder.mtime, rdev=holder.rdev, link=path
    )
