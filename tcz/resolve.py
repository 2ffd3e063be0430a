"""What a set of packages needs, in the order in which Tiny Core loads it. Pure: asks, never reads.

Tiny Core's ``tce-load`` walks each ``.dep`` depth first, puts every name it meets in front of its
list and loads the list from its front, each package once. So the *last* dependency named in a
``.dep`` is loaded first, and dependencies come before what needs them: the order in which a depth
first walk that takes the last dependency first *leaves* the packages, which is how it is done here,
in linear time and with cycles survived.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    #: Returns the names a package needs, in its .dep's order, or ``None`` for an unknown package.
    Needs = Callable[[str], Sequence[str] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A package that nobody has; ``chain`` leads from a wanted package to it, both included."""

    name: str
    chain: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Direct:
    """A package and what it needs itself."""

    name: str
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """A closure.

    ``order`` is the load order, without what is missing. ``cycles`` are chains that end where they
    begin. ``direct`` holds the dependencies of each package of ``order``, in that order.
    """

    wanted: tuple[str, ...]
    order: tuple[str, ...]
    missing: tuple[Missing, ...]
    cycles: tuple[tuple[str, ...], ...]
    direct: tuple[Direct, ...]

    def why(self, package: str, wanted: str | None = None) -> tuple[str, ...]:
        """Return the shortest chain from ``wanted`` (``None``: any wanted package) to ``package``.

        Both ends are included; the chain is empty when one does not lead to the other.
        """
        needs = {direct.name: direct.needs for direct in self.direct}
        starts = self.wanted if wanted is None else (wanted,)
        came_from: dict[str, str | None] = dict.fromkeys(starts)
        queue = deque(starts)
        while queue:
            name = queue.popleft()
            if name == package:
                return _walk_back(came_from, name)
            for need in needs.get(name, ()):
                if need not in came_from:
                    came_from[need] = name
                    queue.append(need)
        return ()


def _walk_back(came_from: dict[str, str | None], name: str) -> tuple[str, ...]:
    chain: list[str] = []
    at: str | None = name
    while at is not None:
        chain.append(at)
        at = came_from[at]
    return tuple(reversed(chain))


def plain_name(name: str, kernel: str | None) -> str:
    """Return a name without ``.tcz``, its ``-KERNEL`` replaced when the kernel is known."""
    name = name.removesuffix(".tcz")
    if kernel is not None and name.endswith("-KERNEL"):
        return f"{name.removesuffix('KERNEL')}{kernel}"
    return name


def closure(wanted: Sequence[str], needs: Needs, kernel: str | None = None) -> Resolution:
    """Return all that ``wanted`` needs, in Tiny Core's load order.

    ``wanted`` and what ``needs`` returns may carry ``.tcz`` and ``-KERNEL``; ``needs`` is asked once
    for each plain name. Nothing is raised: what is missing and what goes round is in the result.
    """
    names = tuple(dict.fromkeys(plain_name(name, kernel) for name in wanted))
    walk = _Walk(needs, kernel)
    for name in names:
        walk.visit(name)
    return Resolution(
        wanted=names,
        order=tuple(walk.order),
        missing=tuple(walk.missing.values()),
        cycles=tuple(walk.cycles.values()),
        direct=tuple(Direct(name=name, needs=walk.direct[name]) for name in walk.order),
    )


class _Walk:
    """A depth first walk without recursion: chains may be longer than Python's stack is deep."""

    def __init__(self, needs: Needs, kernel: str | None) -> None:
        self._needs = needs
        self._kernel = kernel
        self.order: list[str] = []
        self.missing: dict[str, Missing] = {}
        self.cycles: dict[str, tuple[str, ...]] = {}
        self.direct: dict[str, tuple[str, ...]] = {}

    def visit(self, start: str) -> None:
        stack: list[tuple[str, Iterator[str]]] = []
        path: dict[str, int] = {}
        self._enter(start, stack, path)
        while stack:
            name, rest = stack[-1]
            need = next(rest, None)
            if need is None:
                stack.pop()
                del path[name]
                self.order.append(name)
            elif need in path:
                # one cycle for each entrance: all of them could be exponentially many
                chain = [entry for entry, _ in stack[path[need] :]]
                self.cycles.setdefault(need, (*chain, need))
            else:
                self._enter(need, stack, path)

    def _enter(self, name: str, stack: list[tuple[str, Iterator[str]]], path: dict[str, int]) -> None:
        if name in self.direct or name in self.missing:
            return
        found = self._needs(name)
        if found is None:
            self.missing[name] = Missing(name=name, chain=(*(entry for entry, _ in stack), name))
            return
        direct = tuple(dict.fromkeys(plain_name(need, self._kernel) for need in found))
        self.direct[name] = direct
        path[name] = len(stack)
        stack.append((name, reversed(direct)))


def tree_lines(resolution: Resolution, top: str) -> tuple[str, ...]:
    """Return a drawing of what ``top`` needs; a package met again is named but not drawn again."""
    needs = {direct.name: direct.needs for direct in resolution.direct}
    gone = {missing.name for missing in resolution.missing}
    lines: list[str] = []
    drawn: set[str] = set()
    stack: list[tuple[str, str, str]] = [(top, "", "")]
    while stack:
        name, lead, below = stack.pop()
        again = name in drawn and bool(needs.get(name))
        lines.append(f"{lead}{name}" + (" (missing)" if name in gone else " (above)" if again else ""))
        drawn.add(name)
        children = () if again else needs.get(name, ())
        for n, child in enumerate(reversed(children)):
            last = n == 0
            stack.append(
                (child, f"{below}{'`-- ' if last else '|-- '}", f"{below}{'    ' if last else '|   '}")
            )
    return tuple(lines)
