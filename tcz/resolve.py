"""What a set of packages needs, in the order in which Tiny Core loads it. Pure: asks, never reads.

Tiny Core's ``tce-load`` walks each ``.dep`` depth first, puts every name it meets in front of its
list and loads the list from its front, each package once. So the *last* dependency named in a
``.dep`` is loaded first, and dependencies come before what needs them: the order in which a depth
first walk that takes the last dependency first *leaves* the packages, which is how it is done here,
in linear time and with cycles survived.
"""

from __future__ import annotations

import difflib
import re
from collections import deque
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from tcz.walk import Walk, plain_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tcz.walk import Needs

__all__ = [
    "Direct",
    "Missing",
    "Orders",
    "Resolution",
    "closure",
    "near",
    "plain_name",
    "reverse",
    "tree_lines",
]


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


def closure(wanted: Sequence[str], needs: Needs, kernel: str | None = None) -> Resolution:
    """Return all that ``wanted`` needs, in Tiny Core's load order.

    ``wanted`` and what ``needs`` returns may carry ``.tcz`` and ``-KERNEL``; ``needs`` is asked once
    for each plain name. Nothing is raised: what is missing and what goes round is in the result.
    """
    names = tuple(dict.fromkeys(plain_name(name, kernel) for name in wanted))
    walk = Walk(needs, kernel)
    for name in names:
        walk.visit(name)
    return Resolution(
        wanted=names,
        order=tuple(walk.order),
        missing=tuple(Missing(name=name, chain=chain) for name, chain in walk.missing.items()),
        cycles=tuple(walk.cycles.values()),
        direct=tuple(Direct(name=name, needs=walk.direct[name]) for name in walk.order),
    )


class Orders:
    """The load orders of many packages, each as ``closure`` gives it, put together from those below it.

    Where nothing goes round, what a package's last dependency needs is all loaded before what the one before
    it needs besides: its order is theirs, one after the other, each package once, and then itself.
    ``missing`` maps names that nobody has to one that needs them, ``cycles`` are as ``Resolution`` has them.
    """

    def __init__(self, needs: Needs, kernel: str | None = None) -> None:
        """Take what ``closure`` takes."""
        self._needs = needs
        self._kernel = kernel
        self._direct: dict[str, tuple[str, ...]] = {}
        #: ``None`` for what leads to a cycle.
        self._found: dict[str, tuple[str, ...] | None] = {}
        self.missing: dict[str, str] = {}
        self.cycles: dict[str, tuple[str, ...]] = {}

    def order(self, name: str) -> tuple[str, ...]:
        """Return all that a package needs, and it: in load order."""
        name = plain_name(name, self._kernel)
        if name not in self._found:
            self._find(name)
        found = self._found[name]
        if found is not None:
            return found
        walk = Walk(self._known, None)
        walk.visit(name)
        self.cycles |= walk.cycles
        return tuple(walk.order)

    def _known(self, name: str) -> tuple[str, ...] | None:
        return self._direct.get(name)

    def _find(self, start: str) -> None:
        stack: list[tuple[str, Iterator[str]]] = []
        path: set[str] = set()
        self._enter(start, start, stack, path)
        while stack:
            name, rest = stack[-1]
            for need in rest:
                if need in path:
                    # All above lead here; those below it go round.
                    self._found |= dict.fromkeys(path)
                elif need not in self._found:
                    self._enter(need, name, stack, path)
                    break
            else:
                stack.pop()
                path.discard(name)
                if name not in self._found:
                    self._found[name] = self._joined(name)

    def _enter(self, name: str, by: str, stack: list[tuple[str, Iterator[str]]], path: set[str]) -> None:
        needs = self._needs(name)
        if needs is None:
            self.missing.setdefault(name, by)
            self._found[name] = ()
            return
        direct = tuple(dict.fromkeys([plain_name(need, self._kernel) for need in needs]))
        self._direct[name] = direct
        path.add(name)
        stack.append((name, iter(direct)))

    def _joined(self, name: str) -> tuple[str, ...] | None:
        parts = [self._found[need] for need in reversed(self._direct[name])]
        if None in parts:
            return None
        return (*dict.fromkeys(chain.from_iterable(filter(None, parts))), name)


def reverse(graph: Mapping[str, Sequence[str]], kernel: str | None = None) -> dict[str, list[str]]:
    """Return for each name that something needs who needs it directly, in the order of ``graph``."""
    found: dict[str, list[str]] = {}
    for name, needs in graph.items():
        for need in dict.fromkeys(plain_name(need, kernel) for need in needs):
            found.setdefault(need, []).append(name)
    return found


#: What ends the name of a package of kernel modules: a release such as 6.18.2-tinycore64.
_RELEASE = re.compile(r"-(?:KERNEL|[0-9]+\.[0-9]+(?:\.[0-9]+)?-[A-Za-z][A-Za-z0-9-]*)\Z")
_NEAR = 0.75
_FEW = 3


def near(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return a few of ``known`` that ``name`` may stand for, the likeliest first.

    The same modules for another kernel, the same name in other letters, another version in the name,
    then whatever is spelt alike.
    """
    known = sorted(set(known))
    stem = _RELEASE.sub("", name)
    if stem != name:
        same = [one for one in known if one != name and _RELEASE.sub("", one) == stem]
        if same:
            return tuple(same[:_FEW])
    folded = name.casefold()
    same = [one for one in known if one.casefold() == folded]
    bare = folded.rstrip("0123456789.-")
    same += [one for one in known if bare and one.casefold().rstrip("0123456789.-") == bare]
    by_folded = {one.casefold(): one for one in known}
    same += [by_folded[one] for one in difflib.get_close_matches(folded, by_folded, n=_FEW, cutoff=_NEAR)]
    return tuple(dict.fromkeys(one for one in same if one != name))[:_FEW]


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
