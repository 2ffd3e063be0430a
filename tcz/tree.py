"""A file tree as a value: sorted mapping of path to node, with owners and devices that need no root.

Paths are relative, ``/``-separated, without leading ``./`` or trailing slash; the root is ``""``.
"""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from tcz.errors import VerifyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path


_PIECE = 1 << 20
_ESCAPES: Final = "surrogateescape"
#: What one tree out of an image may hold: so many entries, and so many characters in all paths together.
ENTRIES_MAX: Final = 500_000
PATHS_MAX: Final = 256 << 20


class Content(Protocol):
    """A file's bytes that are somewhere else until they are asked for."""

    @property
    def size(self) -> int:
        """How many bytes there are."""

    def read(self) -> bytes:
        """Return all of them; raises ``VerifyError`` where they cannot be had whole."""

    def pieces(self) -> Iterator[bytes]:
        """Give them in order, none longer than 1 MiB; raises ``VerifyError`` as ``read`` does."""


@dataclass(frozen=True, slots=True)
class FileRef:
    """A region of a file on disk, so that big trees do not sit in memory."""

    path: Path
    offset: int
    size: int

    def read(self) -> bytes:
        """Return the region's bytes."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            data = file.read(self.size)
        if len(data) != self.size:
            raise VerifyError("file changed or was truncated while it was read", where=str(self.path))
        return data

    def pieces(self) -> Iterator[bytes]:
        """Give the region in order, none longer than 1 MiB; raises ``VerifyError`` where it is cut off."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            left = self.size
            while left:
                piece = file.read(min(left, _PIECE))
                if not piece:
                    raise VerifyError("file changed or was truncated while it was read", where=str(self.path))
                left -= len(piece)
                yield piece


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One entry: ``mode`` with its type bits; ``data`` is a file's content or a link's target.

    ``link`` names the path whose content a hard link shares; such a node has no data of its own.
    """

    mode: int
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    data: bytes | Content = b""
    rdev: tuple[int, int] = (0, 0)
    link: str | None = None

    @property
    def size(self) -> int:
        """Bytes of content (0 for all but files and links)."""
        return len(self.data) if isinstance(self.data, bytes) else self.data.size

    def read(self) -> bytes:
        """Return the content."""
        return self.data if isinstance(self.data, bytes) else self.data.read()

    def pieces(self) -> Iterator[bytes]:
        """Give the content in order, in pieces of at most 1 MiB where it is not in memory."""
        if isinstance(self.data, bytes):
            return iter((self.data,) if self.data else ())
        return self.data.pieces()

    def sha256(self) -> bytes:
        """Return the sha256 of the content."""
        digest = hashlib.sha256()
        for piece in self.pieces():
            digest.update(piece)
        return digest.digest()

    @property
    def is_dir(self) -> bool:
        """Tell a directory."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        """Tell a regular file."""
        return stat.S_ISREG(self.mode)

    @property
    def is_link(self) -> bool:
        """Tell a symbolic link."""
        return stat.S_ISLNK(self.mode)


def _at(node: Node, mtime: int) -> Node:
    # Several times as quick as dataclasses.replace, and done for every file of an image.
    return Node(
        mode=node.mode,
        uid=node.uid,
        gid=node.gid,
        mtime=mtime,
        data=node.data,
        rdev=node.rdev,
        link=node.link,
    )


def directory(mode: int = 0o755, uid: int = 0, gid: int = 0, mtime: int = 0) -> Node:
    """Return a directory node."""
    return Node(mode=stat.S_IFDIR | mode, uid=uid, gid=gid, mtime=mtime)


def regular(data: bytes | Content, mode: int = 0o644, uid: int = 0, gid: int = 0, mtime: int = 0) -> Node:
    """Return a regular file node."""
    return Node(mode=stat.S_IFREG | mode, uid=uid, gid=gid, mtime=mtime, data=data)


def symlink(target: str, uid: int = 0, gid: int = 0, mtime: int = 0) -> Node:
    """Return a symbolic link node."""
    return Node(mode=stat.S_IFLNK | 0o777, uid=uid, gid=gid, mtime=mtime, data=target.encode())


def safe_path(raw: str) -> str:
    """Normalise a path out of an archive; raise ``VerifyError`` where it would leave the tree."""
    if "\0" in raw:
        raise VerifyError(f"archive member has a NUL in its name: {raw!r}")
    parts = [part for part in raw.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise VerifyError(f"archive member leaves its tree: {raw!r}")
    return "/".join(parts)


class Tree:
    """An immutable, sorted tree. Building one adds the parent directories that are missing."""

    __slots__ = ("_nodes",)

    def __init__(self, nodes: Mapping[str, Node] | Iterable[tuple[str, Node]] = ()) -> None:
        """Later entries of an iterable replace earlier ones of the same path."""
        found = dict(nodes)
        for path in list(found):
            parent = path
            while parent:
                parent = parent.rpartition("/")[0]
                if parent in found:
                    break
                found[parent] = directory(mtime=found[path].mtime)
        found.setdefault("", directory())
        # Code points sort as the bytes of UTF-8 do, but for those that stand for bytes that are none.
        plain = all(map(str.isascii, found))
        paths = sorted(found) if plain else sorted(found, key=lambda path: path.encode(errors=_ESCAPES))
        self._nodes = {path: found[path] for path in paths}

    @classmethod
    def ordered(cls, nodes: dict[str, Node]) -> Tree:
        """Return a tree of all the nodes of another one, in its order."""
        made = cls.__new__(cls)
        made._nodes = nodes  # noqa: SLF001 - its own
        return made

    def __iter__(self) -> Iterator[str]:
        """Iterate over paths, bytewise sorted, the root first."""
        return iter(self._nodes)

    def __len__(self) -> int:
        """Count entries, the root included."""
        return len(self._nodes)

    def __contains__(self, path: object) -> bool:
        """Tell whether the path is there."""
        return path in self._nodes

    def __getitem__(self, path: str) -> Node:
        """Return the node of a path."""
        return self._nodes[path]

    def __eq__(self, other: object) -> bool:
        """Compare paths and nodes."""
        return isinstance(other, Tree) and self._nodes == other._nodes

    __hash__ = None  # type: ignore[assignment]

    def get(self, path: str) -> Node | None:
        """Return the node of a path, or ``None``."""
        return self._nodes.get(path)

    def items(self) -> Iterable[tuple[str, Node]]:
        """Return path and node pairs in order."""
        return self._nodes.items()

    def overlay(self, other: Tree) -> Tree:
        """Return this tree with ``other`` laid over it.

        A directory of ``other`` that exists here already as a directory or a symlink leaves the
        one here alone: laying a package over a base must never change the base's directories.
        """
        nodes = dict(self._nodes)
        for path, node in other.items():
            here = nodes.get(path)
            if node.is_dir and here is not None and (here.is_dir or here.is_link):
                continue
            nodes[path] = node
        return Tree(nodes)

    def with_mtime(self, mtime: int) -> Tree:
        """Return the tree with every time set to ``mtime``."""
        return Tree.ordered({path: _at(node, mtime) for path, node in self._nodes.items()})

    def content_size(self) -> int:
        """Return the bytes of all regular files."""
        return sum(node.size for node in self._nodes.values() if node.is_file)


def listing(tree: Tree) -> str:
    """Return a text form: type and mode, uid, gid, size or device, path, link target; one a line."""
    lines = []
    for path, node in tree.items():
        kind = stat.filemode(node.mode)
        if stat.S_ISCHR(node.mode) or stat.S_ISBLK(node.mode):
            size = f"{node.rdev[0]},{node.rdev[1]}"
        else:
            size = str(node.size if node.is_file else 0)
        tail = f" -> {node.read().decode(errors='replace')}" if node.is_link else ""
        tail += f" = {node.link}" if node.link else ""
        lines.append(f"{kind} {node.uid} {node.gid} {size} {path or '.'}{tail}")
    return "\n".join(lines) + "\n"
