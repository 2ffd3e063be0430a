"""Inodes and listings of a tree: each folder's inodes side by side, its listing next, folders last.

The kernel reads them in 8 KiB, so what is looked up together lies together.
"""

from __future__ import annotations

import stat
from struct import pack as pack_struct
from typing import TYPE_CHECKING, Final

from tcz.errors import VerifyError
from tcz.squashfs.layout import (
    DEVICE_INODE,
    DIR,
    DIR_INODE,
    EXTENDED,
    FILE,
    FILE_INODE,
    IPC_INODE,
    LINK_INODE,
    LONG_DIR_INODE,
    LONG_FILE_INODE,
    NAME_MAX,
    NO_XATTR,
    TYPE_OF,
    device_word,
)
from tcz.squashfs.metadata import Entry, MetadataWriter, write_listing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tcz.squashfs.codec import Pack
    from tcz.squashfs.data import Place
    from tcz.tree import Node, Tree

_32_BITS: Final = 0xFFFFFFFF
_16_BITS: Final = 0xFFFF
_DOTS: Final = 3
_MAJOR_MAX: Final = 0xFFF
_MINOR_MAX: Final = 0xFFFFF
#: The kernel refuses a target that does not fit a page.
_TARGET_MAX: Final = 4095


class InodeWriter:
    """Writes the inodes of a tree whose contents are at ``places``."""

    def __init__(self, tree: Tree, places: Mapping[str, Place], pack: Pack, epoch: int | None) -> None:
        """All times become ``epoch``, unless it is ``None``."""
        self._tree = tree
        self._places = places
        self._epoch = epoch
        self._inodes = MetadataWriter(pack)
        self._listings = MetadataWriter(pack)
        self._ids: dict[int, int] = {}
        self._names: dict[str, int] = {}
        self._folders: dict[str, list[str]] = {}
        self._numbers: dict[str, int] = {}
        self._entries: dict[str, Entry] = {}
        self.count = 0

    @property
    def ids(self) -> bytes:
        """The table of owners and groups."""
        return pack_struct(f"<{len(self._ids)}I", *self._ids)

    def tables(self) -> tuple[bytes, bytes]:
        """Return the tables of inodes and of listings, when all is written."""
        return self._inodes.finish(), self._listings.finish()

    def write(self) -> int:
        """Write everything; return the reference of the root's inode.

        Raises ``VerifyError`` for names, targets, owners and devices that the format cannot hold.
        """
        self._survey()
        # Sorted paths put a folder before all that it holds: backwards, listings find their inodes made.
        for folder in reversed(self._folders):
            self._folder(folder)
        root = self._entries[""]
        return root.start << 16 | root.offset

    def _survey(self) -> None:
        """Find who is in which folder, count names of hard links, and number the inodes as they will come."""
        for path, node in self._tree.items():
            if node.is_dir:
                self._folders[path] = []
            if path:
                parent = path.rpartition("/")[0]
                if parent not in self._folders:
                    raise VerifyError(f"/{path} is in something that is no folder")
                self._folders[parent].append(path)
            if node.link is not None:
                holder = self._tree.get(node.link)
                if holder is None or holder.link is not None or holder.is_dir:
                    raise VerifyError(f"/{path} is a hard link to {node.link}, which is no file of the tree")
                self._names[node.link] = self._names.get(node.link, 1) + 1
        for folder in reversed(self._folders):
            for path in (*self._folders[folder], folder):
                node = self._tree[path]
                if node.link is None and (path == folder or not node.is_dir):
                    self.count += 1
                    self._numbers[path] = self.count

    def _folder(self, folder: str) -> None:
        """Write the inodes in a folder, but for those of folders, then its listing and its own inode."""
        entries = []
        subfolders = 0
        prefix = len(folder) + 1 if folder else 0
        for path in self._folders[folder]:
            node = self._tree[path]
            holder = node.link or path
            if node.is_dir:
                subfolders += 1
            elif holder not in self._entries:
                self._file(holder, self._tree[holder])
            made = self._entries[holder]
            name = path[prefix:].encode("utf-8", "surrogateescape")
            if not 0 < len(name) <= NAME_MAX or b"\0" in name:
                raise VerifyError(f"squashfs cannot hold the name of /{path}")
            entries.append(Entry(name, made.kind, made.start, made.offset, made.number))
            if node.is_dir:
                del self._entries[path]
        # Names are sorted within their folder, as whole paths are not: "a-b" goes between "a" and "a/b".
        entries.sort(key=lambda entry: entry.name)
        listing = write_listing(self._listings, entries)
        node = self._tree[folder]
        parent = self._numbers[folder.rpartition("/")[0]] if folder else self.count + 1
        size = listing.size + _DOTS
        nlink = subfolders + 2
        start, offset = (listing.start, listing.offset) if entries else (0, 0)
        if size > _16_BITS or listing.indexed:
            data = LONG_DIR_INODE.pack(
                *self._base(DIR + EXTENDED, folder, node),
                *(nlink, size, start, parent, listing.indexed, offset, NO_XATTR),
            )
            self._add(folder, DIR, data + listing.index)
        else:
            data = DIR_INODE.pack(*self._base(DIR, folder, node), start, nlink, size, offset, parent)
            self._add(folder, DIR, data)

    def _add(self, path: str, kind: int, data: bytes | bytearray) -> None:
        inodes = self._inodes
        self._entries[path] = Entry(b"", kind, inodes.start, inodes.offset, self._numbers[path])
        inodes.write(data)

    def _base(self, kind: int, path: str, node: Node) -> tuple[int, int, int, int, int, int]:
        ids = self._ids
        if not (0 <= node.uid <= _32_BITS and 0 <= node.gid <= _32_BITS) or len(ids) > _16_BITS - 1:
            raise VerifyError(f"squashfs cannot hold the owner of /{path}: {node.uid}:{node.gid}")
        return (
            kind,
            stat.S_IMODE(node.mode),
            ids.setdefault(node.uid, len(ids)),
            ids.setdefault(node.gid, len(ids)),
            node.mtime if self._epoch is None else self._epoch,
            self._numbers[path],
        )

    def _file(self, path: str, node: Node) -> None:
        """Write an inode of anything but a folder."""
        kind = TYPE_OF.get(stat.S_IFMT(node.mode))
        if kind is None:
            raise VerifyError(f"/{path} is of no kind that squashfs knows")
        nlink = self._names.get(path, 1)
        if kind == FILE:
            data = self._regular(path, node, nlink)
        elif node.is_link:
            target = node.read()
            if not 0 < len(target) <= _TARGET_MAX or b"\0" in target:
                raise VerifyError(f"/{path} points to what no link can: {len(target)} bytes")
            data = LINK_INODE.pack(*self._base(kind, path, node), nlink, len(target)) + target
        elif stat.S_ISCHR(node.mode) or stat.S_ISBLK(node.mode):
            major, minor = node.rdev
            if not (0 <= major <= _MAJOR_MAX and 0 <= minor <= _MINOR_MAX):
                raise VerifyError(f"there is no such device: /{path}, {major},{minor}")
            data = DEVICE_INODE.pack(*self._base(kind, path, node), nlink, device_word(major, minor))
        else:
            data = IPC_INODE.pack(*self._base(kind, path, node), nlink)
        self._add(path, kind, data)

    def _regular(self, path: str, node: Node, nlink: int) -> bytes:
        place = self._places[path]
        words = place.words.tobytes()
        if nlink == 1 and not place.sparse and place.size <= _32_BITS and place.start <= _32_BITS:
            base = self._base(FILE, path, node)
            return FILE_INODE.pack(*base, place.start, place.fragment, place.offset, place.size) + words
        base = self._base(FILE + EXTENDED, path, node)
        rest = (place.start, place.size, place.sparse, nlink, place.fragment, place.offset, NO_XATTR)
        return LONG_FILE_INODE.pack(*base, *rest) + words
