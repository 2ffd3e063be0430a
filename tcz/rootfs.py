"""The root file system as the kernel fills it from an initrd, entry by entry.

The rules are those of init/initramfs.c: an entry of the same type writes into what is there, another
type replaces it, a folder with content stays; a file lands where the symbolic links of its path
lead; names share an inode when their archive gives them the same number.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from typing import Final

from tcz.errors import VerifyError
from tcz.tree import ENTRIES_MAX, PATHS_MAX, Node, Tree, safe_path

_DEPTH_MAX: Final = 128
_LINK_HOPS_MAX: Final = 40
#: Parts of paths that are looked up in all: links to long paths could make any number of them.
_STEPS_MAX: Final = 50_000_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of an archive, its header already checked; ``offset`` is where it begins."""

    offset: int
    name: str
    ino: tuple[int, int, int]
    mode: int
    uid: int
    gid: int
    nlink: int
    mtime: int
    rdev: tuple[int, int]
    data: bytes


@dataclass(slots=True, eq=False)
class _Inode:
    """What names point to while archives are applied; several names may share one."""

    mode: int
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    rdev: tuple[int, int] = (0, 0)
    data: bytes = b""

    @property
    def kind(self) -> int:
        return stat.S_IFMT(self.mode)


@dataclass(slots=True)
class RootFs:
    """A root file system that starts with an empty root folder."""

    names: dict[str, _Inode] = field(default_factory=lambda: {"": _Inode(stat.S_IFDIR | 0o755)})
    children: dict[str, int] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)
    shared: dict[tuple[int, int, int, int], _Inode] = field(default_factory=dict)
    characters: int = 0
    steps: int = 0

    def add(self, entry: Entry) -> None:
        """Do what the kernel does with one entry."""
        self._check_room(entry)
        raw = _checked_path(entry)
        kind = stat.S_IFMT(entry.mode)
        parent, _, base = raw.rpartition("/")
        folder = self._folder(parent, entry) if parent else ""
        path = f"{folder}/{base}" if folder else base
        here = self.names.get(path)
        if here is not None and (here.kind != kind or kind == stat.S_IFLNK):
            if here.kind == stat.S_IFDIR and (self.children.get(path) or not path):
                return  # the kernel's rmdir fails, and with it the entry
            self._remove(path)
            here = None
        linked = self._linked(entry) if kind not in (stat.S_IFDIR, stat.S_IFLNK) else None
        if linked is not None and linked is not here:
            self._remove(path)
            self._put(path, linked)
        inode = linked or here
        if inode is None:
            # A device that exists keeps its numbers: the kernel's mknod fails, chmod and chown do not.
            inode = _Inode(entry.mode, rdev=entry.rdev)
            self._put(path, inode)
        self._fill(inode, entry, is_link=linked is not None)
        if entry.nlink > 1 and kind not in (stat.S_IFDIR, stat.S_IFLNK):
            self.shared[(*entry.ino, kind)] = inode

    def _check_room(self, entry: Entry) -> None:
        if len(self.names) > ENTRIES_MAX or self.characters > PATHS_MAX:
            raise bad(entry.offset, f"more files, or longer names, than any image has: {len(self.names)}")
        if self.steps > _STEPS_MAX:
            raise bad(entry.offset, "its symbolic links lead on for too long")

    def _linked(self, entry: Entry) -> _Inode | None:
        return self.shared.get((*entry.ino, stat.S_IFMT(entry.mode))) if entry.nlink > 1 else None

    @staticmethod
    def _fill(inode: _Inode, entry: Entry, *, is_link: bool) -> None:
        inode.mode, inode.uid, inode.gid = entry.mode, entry.uid, entry.gid
        inode.mtime = entry.mtime
        # Further names of a hard link carry no content of their own except for one of them.
        if entry.data or not is_link:
            inode.data = entry.data

    def end_of_archive(self) -> None:
        """Inode numbers mean nothing beyond their archive."""
        self.shared.clear()

    def _put(self, path: str, inode: _Inode) -> None:
        self.names[path] = inode
        self.characters += len(path)
        parent = path.rpartition("/")[0]
        self.children[parent] = self.children.get(parent, 0) + 1
        if inode.kind == stat.S_IFLNK:
            self.folders.clear()

    def _remove(self, path: str) -> None:
        inode = self.names.pop(path, None)
        if inode is None:
            return
        self.children[path.rpartition("/")[0]] -= 1
        if inode.kind in (stat.S_IFLNK, stat.S_IFDIR):
            self.folders.clear()

    def _folder(self, parent: str, entry: Entry) -> str:
        """Follow the symbolic links in a parent path; make what is missing."""
        known = self.folders.get(parent)
        if known is not None:
            return known
        done, hops = "", 0
        todo = parent.split("/")[::-1]
        while todo:
            part = todo.pop()
            self.steps += 1
            if part in ("", "."):
                continue
            if part == "..":
                done = done.rpartition("/")[0]
                continue
            path = f"{done}/{part}" if done else part
            inode = self.names.get(path)
            if inode is None:
                if path.count("/") > _DEPTH_MAX:
                    raise bad(entry.offset, f"path is too deep: {entry.name[:80]!r}...")
                self._check_room(entry)
                inode = _Inode(stat.S_IFDIR | 0o755, mtime=entry.mtime)
                self._put(path, inode)
            if inode.kind == stat.S_IFLNK:
                hops += 1
                if hops > _LINK_HOPS_MAX:
                    raise bad(entry.offset, f"too many symbolic links on the way to {entry.name!r}")
                target = inode.data.decode(errors="surrogateescape")
                done = "" if target.startswith("/") else done
                todo += target.split("/")[::-1]
            elif inode.kind == stat.S_IFDIR:
                done = path
            else:
                raise bad(entry.offset, f"{entry.name!r} lies below {path!r}, which is not a directory")
        self.folders[parent] = done
        return done

    def tree(self) -> Tree:
        """Return the result; of names that share an inode the bytewise first one has the content."""
        first: dict[int, str] = {}
        nodes: dict[str, Node] = {}
        for path in sorted(self.names, key=encoded):
            inode = self.names[path]
            holder = first.setdefault(id(inode), path)
            nodes[path] = Node(
                mode=inode.mode,
                uid=inode.uid,
                gid=inode.gid,
                mtime=inode.mtime,
                rdev=inode.rdev,
                data=inode.data if holder == path else b"",
                link=None if holder == path else holder,
            )
        return Tree(nodes)


def bad(offset: int, what: str) -> VerifyError:
    """Return the error for a mistake at an offset of an archive."""
    return VerifyError(f"offset {offset}: {what}")


def encoded(path: str) -> bytes:
    """Return the bytes of a path; what was no UTF-8 when it was read comes out unchanged."""
    return path.encode(errors="surrogateescape")


def _checked_path(entry: Entry) -> str:
    try:
        path = safe_path(entry.name)
    except VerifyError as error:
        raise bad(entry.offset, error.what) from error
    if path.count("/") > _DEPTH_MAX:
        raise bad(entry.offset, f"path is too deep: {path[:80]!r}...")
    if not path and not stat.S_ISDIR(entry.mode):
        raise bad(entry.offset, f"the root {entry.name!r} is not a directory")
    return path
