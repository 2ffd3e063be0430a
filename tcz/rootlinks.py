"""Paths of a tree with its symbolic links followed, as they lead on the machine that boots it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tcz.tree import Tree

_HOPS_MAX: Final = 40


def resolved(tree: Tree, path: str) -> str | None:
    """Return where ``path`` leads within the tree, ``None`` where it leads nowhere or round in circles."""
    done, hops = "", 0
    todo = path.split("/")[::-1]
    while todo:
        part = todo.pop()
        if part in ("", "."):
            continue
        if part == "..":
            done = done.rpartition("/")[0]
            continue
        here = f"{done}/{part}" if done else part
        node = tree.get(here)
        if node is None:
            return None
        if not node.is_link:
            done = here
            continue
        hops += 1
        if hops > _HOPS_MAX:
            return None
        target = node.read().decode(errors="surrogateescape")
        done = "" if target.startswith("/") else done
        todo += target.split("/")[::-1]
    return done
