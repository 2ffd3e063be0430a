"""Images read: every compressor but lzo, every kind of inode; names, owners and sizes in one go.

Nothing in an image is believed. What is read of it is bounded by the size of its file, and whatever does
not fit together ends in a ``VerifyError`` that says where.
"""

from __future__ import annotations

import os
import stat
import struct
from typing import TYPE_CHECKING, Final

from tcz.errors import VerifyError
from tcz.squashfs.codec import unpacker
from tcz.squashfs.content import Blocks, Stored, identity_of
from tcz.squashfs.layout import (
    DEVICE_INODE,
    DIR_ENTRY,
    DIR_HEADER,
    DIR_INODE,
    EXTENDED,
    FILE,
    FILE_INODE,
    FRAGMENT,
    HEADER_ENTRIES,
    INODE,
    INVALID,
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
from tcz.tree import Node, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MODE_OF: Final = tuple(MODE_OF.get(number, 0) for number in range(16))
_BIG_ENDIAN: Final = b"sqsh"
_VERSION: Final = 4
#: A listing's size counts "." and "..", which are not in it.
_DOTS: Final = 3


def read(path: Path) -> Tree:
    """Return the tree of an image; files' contents are read from it when they are asked for.

    Raises ``VerifyError`` for what is no squashfs 4.0 image, or a damaged one.
    """
    return Tree(Image(path).items())


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
        self._inodes, self._directories, self._ids, fragments = self._tables()
        self._blocks = Blocks(
            path=path,
            identity=identity_of(status),
            block=self.superblock.block,
            used=self.superblock.used,
            unpack=unpack,
            fragments=fragments,
        )

    def _broken(self, what: str, hint: str | None = None) -> VerifyError:
        return VerifyError(what, where=str(self.path), hint=hint)

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
            raise self._broken(f"not a sound squashfs image: blocks of {found.block} bytes")
        if found.used > size:
            raise self._broken(
                f"the image is cut off: {size} bytes of {found.used} are there", "fetch or build it again"
            )
        if not SUPERBLOCK_SIZE <= found.inode_table <= found.directory_table <= found.used:
            raise self._broken("not a sound squashfs image: its tables are in no order")
        if found.used - found.inode_table > LIMIT:
            raise self._broken(f"its tables are larger than {LIMIT} bytes")
        return found

    def _tables(self) -> tuple[Table, Table, tuple[int, ...], bytes]:
        """Return the tables of inodes and directories, the owners' ids, and the table of fragments."""
        sb, region = self.superblock, self._region
        ids = region.indexed(sb.id_table, sb.ids * WORD.size)
        fragments = b""
        ends = [region.position(sb.id_table)] if sb.ids else [sb.id_table]
        if sb.fragments:
            fragments = region.indexed(sb.fragment_table, sb.fragments * FRAGMENT.size)
            ends.append(region.position(sb.fragment_table))
        if sb.export_table != INVALID:
            ends.append(region.position(sb.export_table))
        return (
            region.table(sb.inode_table, sb.directory_table),
            region.table(sb.directory_table, min(ends)),
            struct.unpack(f"<{sb.ids}I", ids),
            fragments,
        )

    # -- the walk -------------------------------------------------------------------------------

    def items(self) -> list[tuple[str, Node]]:
        """Return every path with its node, folders before what they hold; the root is first.

        Of the names of a file with hard links the bytewise first has the content. Raises
        ``VerifyError`` for names and structures that no file system has.
        """
        at = ""
        try:
            found: dict[str, Node] = {}
            shared: dict[int, list[str]] = {}
            for at, position in self._walk():
                node = self._node(at, position)
                found[at] = node
                if not node.is_dir:
                    shared.setdefault(position, []).append(at)
        except (struct.error, KeyError, IndexError) as error:
            raise self._broken(
                f"not a sound squashfs image: the inode of /{at} lies outside of it"
            ) from error
        for names in shared.values():
            if len(names) > 1:
                names.sort(key=os.fsencode)
                holder = found[names[0]]
                for name in names[1:]:
                    found[name] = _linked(holder, names[0])
        return list(found.items())

    def tree(self) -> Tree:
        """Return all of it as a tree."""
        return Tree(self.items())

    def _walk(self) -> Iterator[tuple[str, int]]:
        """Give each path with the place of its inode."""
        places, inodes = self._inodes.places, self._inodes.data
        root = self.superblock.root
        position = places[root >> 16] + (root & 0xFFFF)
        if _MODE_OF[inodes[position]] != stat.S_IFDIR:
            raise self._broken("not a sound squashfs image: its root is no folder")
        waiting = [("", position)]
        entered = {position}
        budget = len(self._directories.data)
        yield "", position
        while waiting:
            folder, position = waiting.pop()
            names = set()
            at, end = self._listing(position)
            # Listings are never shared, or a small image could name any number of files.
            budget -= end - at
            if budget < 0:
                raise self._broken(f"not a sound squashfs image: /{folder} lists what another folder lists")
            prefix = f"{folder}/" if folder else ""
            for name, place in self._entries(at, end, folder):
                path = prefix + name
                if name in names:
                    raise self._broken(f"not a sound squashfs image: /{path} is there twice")
                names.add(name)
                yield path, place
                if _MODE_OF[inodes[place]] == stat.S_IFDIR:
                    if place in entered:
                        raise self._broken(f"not a sound squashfs image: the folder /{path} is in two places")
                    entered.add(place)
                    waiting.append((path, place))

    def _listing(self, position: int) -> tuple[int, int]:
        """Return where the listing of a folder begins and ends."""
        data = self._inodes.data
        if data[position] > EXTENDED:
            _, _, size, start, _, _, offset, _ = LONG_DIR_INODE.unpack_from(data, position)[5:]
        else:
            _, start, _, size, offset, _ = DIR_INODE.unpack_from(data, position)[5:]
        if size <= _DOTS:
            return 0, 0
        begin = self._directories.places[start] + offset
        return begin, begin + size - _DOTS

    def _entries(self, at: int, end: int, folder: str) -> Iterator[tuple[str, int]]:
        """Give the names of a listing with the places of their inodes."""
        data, places = self._directories.data, self._inodes.places
        entry, step = DIR_ENTRY.unpack_from, DIR_ENTRY.size
        while at < end:
            more, start, _ = DIR_HEADER.unpack_from(data, at)
            at += DIR_HEADER.size
            base = places[start]
            if more >= HEADER_ENTRIES:
                break
            for _ in range(more + 1):
                offset, _, _, length = entry(data, at)
                at += step
                name = data[at : at + length + 1]
                at += length + 1
                if b"/" in name or b"\0" in name or name in (b".", b".."):
                    raise self._broken(f"a name that no file can have, in /{folder}: {name!r}")
                yield name.decode("utf-8", "surrogateescape"), base + offset
        if at != end or end > len(data):
            raise self._broken(f"not a sound squashfs image: the listing of /{folder} is damaged")

    def _node(self, path: str, position: int) -> Node:
        """Return what an inode says."""
        data = self._inodes.data
        kind, mode, uid, gid, mtime, _ = INODE.unpack_from(data, position)
        bits = _MODE_OF[kind]
        if not bits or len(path) > PATH_MAX:
            raise self._broken(
                f"an inode of the unknown kind {kind}, at /{path}"
                if not bits
                else f"too long a path: /{path}"
            )
        content: bytes | Stored = b""
        device = (0, 0)
        if bits == stat.S_IFREG:
            content = self._file(path, kind, position)
        elif bits == stat.S_IFLNK:
            length = LINK_INODE.unpack_from(data, position)[-1]
            begin = position + LINK_INODE.size
            content = data[begin : begin + length]
            if len(content) != length or length > TARGET_MAX:
                raise self._broken(f"not a sound squashfs image: the target of /{path} is cut off")
        elif bits in (stat.S_IFCHR, stat.S_IFBLK):
            device = device_of(DEVICE_INODE.unpack_from(data, position)[-1])
        ids = self._ids
        return Node(
            mode=bits | (mode & 0o7777), uid=ids[uid], gid=ids[gid], mtime=mtime, data=content, rdev=device
        )

    def _file(self, path: str, kind: int, position: int) -> Stored:
        data = self._inodes.data
        if kind == FILE:
            start, fragment, offset, size = FILE_INODE.unpack_from(data, position)[6:]
            words = position + FILE_INODE.size
        else:
            start, size, _, _, fragment, offset, _ = LONG_FILE_INODE.unpack_from(data, position)[6:]
            words = position + LONG_FILE_INODE.size
        block = self.superblock.block
        count = size // block if fragment != NO_FRAGMENT else -(-size // block)
        if words + WORD.size * count > len(data):
            raise self._broken(f"not a sound squashfs image: /{path} is said to hold {size} bytes")
        return Stored(self._blocks, path, size, start, data, words, fragment, offset)


def _linked(holder: Node, path: str) -> Node:
    return Node(
        mode=holder.mode, uid=holder.uid, gid=holder.gid, mtime=holder.mtime, rdev=holder.rdev, link=path
    )
