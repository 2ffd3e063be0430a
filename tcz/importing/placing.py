"""Where imported files go: usr-merged names, another prefix, the base's folders, the parts of a package."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from tcz.split import LICENCE_FOLDER, part_of
from tcz.stage import STAFF
from tcz.tree import Node, Tree, directory, regular, symlink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tcz.bases import Base

Prefix = Literal["keep", "usr-local"]
STARTUP: Final = "usr/local/tce.installed"
_MERGED = re.compile(r"(bin|sbin|lib|lib32|lib64|libx32)(?=/|\Z)")
_MULTIARCH = re.compile(r"(usr/(?:local/)?lib)/x86_64-linux-gnu(?=/|\Z)")
_LOCAL = re.compile(r"usr/(bin|sbin|lib|libexec|share|include|games|src)(?=/|\Z)")
_SHARED = re.compile(r"lib[^/]*\.so(?:\.[0-9.]+)?\Z")


def usr_merged(path: str) -> str:
    """Return where a usr-merged Debian has a path: bin, sbin and lib below usr."""
    return _MERGED.sub(r"usr/\1", path, count=1) if _MERGED.match(path) else path


def new_place(path: str, prefix: Prefix) -> str:
    """Return where a path of a Debian package goes.

    Tiny Core has kernel modules and firmware below usr/local/lib only, whatever the prefix.
    """
    merged = usr_merged(path)
    if re.match(r"usr/lib/(?:modules|firmware)(?:/|\Z)", merged):
        return "usr/local/" + merged.removeprefix("usr/")
    if merged.startswith("etc/init.d/"):
        return "usr/local/" + merged
    if prefix == "keep" or merged.startswith("usr/local"):
        return merged
    if _LOCAL.match(merged):
        return _MULTIARCH.sub(r"\1", "usr/local/" + merged.removeprefix("usr/"))
    return f"usr/local/{merged}" if re.match(r"etc(?:/|\Z)", merged) else merged


def move(tree: Tree, place: Callable[[str], str]) -> Tree:
    """Return the tree with every path at its new place; links between its files still lead there."""
    nodes: dict[str, Node] = {}
    for path, node in tree.items():
        new = place(path) if path else ""
        if node.is_dir and new in nodes:
            continue
        if node.link is not None:
            node = replace(node, link=place(node.link))  # noqa: PLW2901 - the node at its new place
        elif node.is_link:
            node = replace(node, data=_moved_target(path, new, node, place))  # noqa: PLW2901
        nodes[new] = node
    filled = {place(parent) for path in tree for parent in _parents(path)}
    return Tree(_pruned(nodes, filled))


def _pruned(nodes: Mapping[str, Node], filled: set[str]) -> dict[str, Node]:
    """Leave out the folders that held something (``filled``) and now hold nothing."""
    leaves = {path for path, node in nodes.items() if path and not (node.is_dir and path in filled)}
    used = {parent for path in leaves for parent in _parents(path)}
    return {path: node for path, node in nodes.items() if path in leaves or path in used or not path}


def _moved_target(path: str, new: str, node: Node, place: Callable[[str], str]) -> bytes:
    target = node.read().decode(errors="surrogateescape")
    folder = posixpath.dirname(path)
    full = posixpath.normpath(posixpath.join("/", folder, target)).strip("/")
    moved = place(full)
    if moved == full and posixpath.dirname(new) == folder:
        return bytes(node.read())
    if target.startswith("/"):
        return f"/{moved}".encode(errors="surrogateescape")
    return posixpath.relpath(f"/{moved}", f"/{posixpath.dirname(new)}").encode(errors="surrogateescape")


def without(tree: Tree, gone: Iterable[str]) -> Tree:
    """Return the tree without some paths and all below them, and without folders that this leaves empty."""
    lost = set(gone)
    kept = {
        path: node
        for path, node in tree.items()
        if path not in lost and not any(parent in lost for parent in _parents(path))
    }
    filled = {parent for path in tree for parent in _parents(path)}
    return _linked_again(tree, _pruned(kept, filled))


def _linked_again(tree: Tree, nodes: Mapping[str, Node]) -> Tree:
    """Give the content of a hard link's lost holder to the first of those that shared it."""
    holders: dict[str, str] = {}
    out = dict(nodes)
    for path, node in nodes.items():
        if node.link is None or node.link in nodes:
            continue
        holder = holders.setdefault(node.link, path)
        out[path] = replace(tree[node.link], link=None) if holder == path else replace(node, link=holder)
    return Tree(out)


def _parents(path: str) -> Iterable[str]:
    while path:
        path = posixpath.dirname(path)
        if path:
            yield path


def divided(tree: Tree) -> dict[str, Tree]:
    """Return the parts of a tree by kind: ``main``, and ``doc`` and ``locale`` where there is any.

    Development files stay: Debian has packages of its own for them.
    """
    shares: dict[str, set[str]] = {"main": set(), "doc": set(), "locale": set()}
    for path, node in tree.items():
        if path and not node.is_dir:
            kind = part_of(path)
            # A link for a documentation folder leads to where the licence is.
            licence = node.is_link and posixpath.dirname(path) == LICENCE_FOLDER
            shares["main" if kind == "dev" or licence else kind].add(path)
    parts = {}
    for name, mine in shares.items():
        others = set().union(*(paths for other, paths in shares.items() if other != name))
        part = without(tree, others)
        if name == "main" or mine:
            # Empty folders are the package's own, whatever its kind.
            parts[name] = part if name == "main" else without(part, _empty(part))
    return parts


def _empty(tree: Tree) -> set[str]:
    used = {parent for path in tree for parent in _parents(path)}
    return {path for path, node in tree.items() if path and node.is_dir and path not in used}


def on_base(tree: Tree, base: Base) -> Tree:
    """Return the tree as the base wants it: folders that the base has look as they look there.

    Paths through links of the base (``var/run``) go where those lead. The root is root's, 755.
    """
    moved = move(tree, base.real)
    nodes = {}
    for path, node in moved.items():
        there = base.tree.get(path)
        if not path:
            node = directory(mtime=node.mtime)  # noqa: PLW2901 - as the base has it
        elif node.is_dir and path == STARTUP:
            node = directory(0o775, gid=STAFF, mtime=node.mtime)  # noqa: PLW2901
        elif node.is_dir and there is not None and there.is_dir:
            node = replace(node, mode=there.mode, uid=there.uid, gid=there.gid)  # noqa: PLW2901
        nodes[path] = node
    return Tree((path, node) for path, node in nodes.items() if not (path == "tmp" and node.is_dir))


def library_links(tree: Tree, base: Base) -> dict[str, Node]:
    """Return links in usr/local/lib to libraries in folders where the base's loader does not look."""
    links = {}
    for path, node in tree.items():
        folder, _, name = path.rpartition("/")
        if re.fullmatch(r"usr/lib/x86_64-linux-gnu", folder) and folder not in base.libraries:
            shared = _SHARED.match(name) and ".so." in name
            if shared and not node.is_dir and f"usr/local/lib/{name}" not in tree:
                links[f"usr/local/lib/{name}"] = symlink(f"/{path}", mtime=node.mtime)
    return links


def old_programs(tree: Tree, base: Base) -> dict[str, Node]:
    """Return links from bin and sbin to programs that usr-merging moved from there."""
    links = {}
    for path, node in tree.items():
        found = re.fullmatch(r"(s?bin)/([^/]+)", path)
        if found and not node.is_dir and not base.has(path):
            links[path] = symlink(f"../usr/{path}", mtime=node.mtime)
    return links


@dataclass(frozen=True, slots=True, kw_only=True)
class Startup:
    """A start-up script: lines of shell, run by root after loading."""

    name: str
    about: str
    lines: tuple[str, ...]

    def nodes(self, mtime: int) -> dict[str, Node]:
        """Return the script's file in its folder; nothing where there is nothing to do."""
        if not self.lines:
            return {}
        text = "\n".join(("#!/bin/sh", f"# {self.about}", *self.lines)) + "\n"
        return {
            STARTUP: directory(0o775, gid=STAFF, mtime=mtime),
            f"{STARTUP}/{self.name}": regular(text.encode(), mode=0o775, gid=STAFF, mtime=mtime),
        }
