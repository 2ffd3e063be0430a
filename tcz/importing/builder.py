"""Trees put together member by member, as an unpacking program would, but in memory only.

Paths go through symbolic links of the tree itself, ``/`` being the tree's root: nothing can lead out.
Every file's content is bytes or a reference, so moving and linking copies nothing.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tcz.errors import VerifyError
from tcz.tree import Node, Tree, directory, safe_path

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_LINKS = 40


@dataclass(slots=True)
class TreeBuilder:
    """Collects nodes. With ``replacing``, files may take the place of folders, as in image layers."""

    replacing: bool = False
    _nodes: dict[str, Node] = field(default_factory=dict)
    _inodes: dict[str, int] = field(default_factory=dict)
    _children: dict[str, set[str]] = field(default_factory=lambda: {"": set()})
    _count: int = 0

    def put(self, raw: str, node: Node) -> str:
        """Put a node and return its real path; what was there goes, a folder gets the owner and mode.

        Raises ``VerifyError`` for a path that leaves the tree or goes through a file, and for a file
        in place of a folder unless that is allowed.
        """
        path = self._place(raw)
        here = self._nodes.get(path)
        if here is not None and here.is_dir and not node.is_dir:
            if not self.replacing or not path:
                raise VerifyError(f"archive member would replace a folder: {raw!r}")
            self.remove(path)
        elif node.is_dir and here is not None and here.is_link and not self.replacing:
            # As tar does: a folder that is a link to a folder already stays one.
            real = self._through(path, _MAX_LINKS)
            self._folder(real)
            return real
        elif node.is_dir and here is not None and not here.is_dir and not self.replacing:
            raise VerifyError(f"archive member goes through a file: {raw!r}")
        self._enter(path, node)
        return path

    def link(self, raw: str, target: str) -> str:
        """Make ``raw`` a hard link to the file ``target``; raises ``VerifyError`` where that is none."""
        source = self._place(target)
        node = self._nodes.get(source)
        if node is None or node.is_dir or node.is_link:
            raise VerifyError(f"archive member {raw!r} links to what is not a file: {target!r}")
        inode = self._inodes[source]
        path = self.put(raw, node)
        self._inodes[path] = inode
        return path

    def remove(self, path: str) -> None:
        """Take away a real path and all below it; nothing happens where there is none."""
        self.clear(path)
        if self._nodes.pop(path, None) is not None:
            self._inodes.pop(path, None)
            self._children.pop(path, None)
            self._children[posixpath.dirname(path)].discard(path)

    def clear(self, path: str) -> None:
        """Take away all below a real path."""
        for child in tuple(self._children.get(path, ())):
            self.remove(child)

    def real(self, raw: str) -> str:
        """Return the real path that ``raw`` names, links to folders on the way followed."""
        parent, _, name = safe_path(raw).rpartition("/")
        folder = self._resolve(parent, _MAX_LINKS)
        return f"{folder}/{name}" if folder else name

    def finish(self) -> Tree:
        """Return the tree. Of the names of one file the first in order holds the content."""
        return Tree(self._finished())

    def _finished(self) -> Iterator[tuple[str, Node]]:
        holders: dict[int, str] = {}
        for path in sorted(self._nodes, key=lambda p: p.encode(errors="surrogateescape")):
            node = self._nodes[path]
            inode = self._inodes.get(path)
            holder = path if inode is None else holders.setdefault(inode, path)
            yield path, node if holder == path else replace(node, data=b"", link=holder)

    def _enter(self, path: str, node: Node) -> None:
        self._nodes[path] = node
        if path:
            self._children.setdefault(posixpath.dirname(path), set()).add(path)
        if node.is_dir:
            self._inodes.pop(path, None)
            self._children.setdefault(path, set())
        else:
            self._count += 1
            self._inodes[path] = self._count

    def _place(self, raw: str) -> str:
        path = safe_path(raw)
        parent, _, name = path.rpartition("/")
        folder = self._folder(self._resolve(parent, _MAX_LINKS))
        return f"{folder}/{name}" if folder else name

    def _folder(self, path: str) -> str:
        """Make the folder at a real path, and its parents, where they are missing."""
        node = self._nodes.get(path)
        if node is None:
            if path:
                self._folder(posixpath.dirname(path))
                self._enter(path, directory())
        elif not node.is_dir:
            if not self.replacing:
                raise VerifyError(f"archive member goes through a file: {path!r}")
            self._enter(path, directory())
        return path

    def _resolve(self, path: str, budget: int) -> str:
        real = ""
        for part in path.split("/") if path else ():
            real = f"{real}/{part}" if real else part
            node = self._nodes.get(real)
            if node is not None and node.is_link:
                real = self._through(real, budget)
        return real

    def _through(self, link: str, budget: int) -> str:
        if not budget:
            raise VerifyError(f"too many symbolic links: {link!r}")
        target = self._nodes[link].read().decode(errors="surrogateescape")
        start = "/" if target.startswith("/") else "/" + posixpath.dirname(link)
        return self._resolve(posixpath.normpath(posixpath.join(start, target)).strip("/"), budget - 1)
