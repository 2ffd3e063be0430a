"""What the kernel takes from an initrd before it unpacks it: microcode, and ACPI tables.

It looks for both in plain archives at the very front (lib/earlycpio.c), and never in what is packed. Wherever
they came from, of a base, a package or a file that was given, they go into an archive of their own there.
"""

from __future__ import annotations

import stat
from dataclasses import replace
from typing import TYPE_CHECKING

from tcz import cpio
from tcz.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tcz.tree import Node


def paths(names: Iterable[str]) -> tuple[str, ...]:
    """Return those of some paths that the kernel takes early, sorted."""
    return tuple(sorted({name for name in names if name.startswith(cpio.EARLY)}))


def files(tree: Tree) -> tuple[str, ...]:
    """Return the files of a tree that the kernel takes early."""
    return paths(path for path, node in tree.items() if _is_file(tree, node))


def split(tree: Tree) -> tuple[Tree, Tree]:
    """Return what is taken early, with the folders on the way, and all else; laid together they are the tree.

    The first is empty but for its root where there is no such file.
    """
    early = {path for path in tree if path.startswith(cpio.EARLY)}
    if not files(tree):
        return Tree(), tree
    on_way = {parent for path in early for parent in _parents(path)}
    used = {parent for path in tree if path not in early | on_way for parent in _parents(path)}
    front = Tree({path: _alone(tree, node, early) for path, node in tree.items() if path in early | on_way})
    others = {path for path in tree if path not in early and (path not in on_way or path in used)} | {""}
    return front, Tree({path: _alone(tree, node, others) for path, node in tree.items() if path in others})


def archive(front: Tree) -> bytes:
    """Return the first member of an initrd: plain, contents where processors want them; nothing for none."""
    return cpio.dumps(front, align=cpio.EARLY_ALIGNMENT) if files(front) else b""


def _parents(path: str) -> Iterable[str]:
    while path:
        path = path.rpartition("/")[0]
        if path:
            yield path


def _is_file(tree: Tree, node: Node) -> bool:
    return stat.S_ISREG((tree[node.link] if node.link is not None else node).mode)


def _alone(tree: Tree, node: Node, there: set[str]) -> Node:
    """Return a node with its own content where what it shares goes elsewhere."""
    if node.link is None or node.link in there:
        return node
    return replace(node, link=None, data=tree[node.link].data)
