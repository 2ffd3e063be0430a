"""Where paths lead: links followed through a package, those it needs and the base."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcz.tree import Tree


def resolve(path: str, *trees: Tree, limit: int = 40) -> str | None:
    """Follow a path through the links of trees laid over each other; ``None`` where it leads nowhere.

    A link of the first tree that has it counts. The result is a path without links.
    """
    done: list[str] = []
    waiting = list(reversed(list(_parts(path))))
    while waiting:
        part = waiting.pop()
        if part == "..":
            done = done[:-1]
            continue
        here = "/".join((*done, part))
        node = next((found for one in trees if (found := one.get(here)) is not None), None)
        if node is None:
            return None
        if not node.is_link:
            done.append(part)
            continue
        limit -= 1
        if limit < 0:
            return None
        target = node.read().decode(errors="surrogateescape")
        if target.startswith("/"):
            done = []
        waiting += reversed(list(_parts(target)))
    return "/".join(done)


def _parts(path: str) -> Iterator[str]:
    return (part for part in path.split("/") if part not in ("", "."))


def escapes(path: str, target: str) -> bool:
    """Tell whether a link at ``path`` leads above the root of its tree on its way."""
    depth = 0 if target.startswith("/") else path.count("/")
    for part in _parts(target):
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return False
