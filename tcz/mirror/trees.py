"""The .tree of every package of a branch, made anew only where something below it changed.

A tree repeats what is needed twice, so texts are put together from the texts below them. One that would
be large, deep or without end (a circle) lists every need all the same, but follows each package only where
it is met first: the one reader of .tree files, tce-size, takes the set of the names.
"""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Final

from tcz import versions
from tcz.mirror.entries import Entries
from tcz.mirror.graph import Graph
from tcz.names import KERNEL, file_name, follows_kernel, with_kernel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tcz.mirror.model import Blob, Entry
    from tcz.mirror.objects import Objects

_INDENT: Final = b"   "
#: Above these a tree is shortened: the largest of the public repository has 1.6 MB and 18 levels.
_LARGEST: Final = 4 << 20
_DEEPEST: Final = 64
#: Trees of fewer bytes are kept to be put into those above them, some of them at a time.
_SMALL: Final = 16 << 10
_KEPT: Final = 6 << 20
#: In the place of a tree's size: not known yet, and shortened.
_UNKNOWN: Final = 0
_SHORT: Final = -1


class Names:
    """Which kernel releases the packages of a branch speak of."""

    def __init__(self, entries: Entries) -> None:
        """Count the releases in the names of packages that others need as NAME-KERNEL."""
        needed = (need for _, needs in entries.graph() for need in needs)
        stems = {need.removesuffix(KERNEL) for need in needed if follows_kernel(need)}
        found: Counter[str] = Counter()
        for name in entries if stems else ():
            at = name.find("-")
            while at > 0:
                if name[:at] in stems and name[at + 1 : at + 2].isdigit():
                    found[name[at + 1 :]] += 1
                at = name.find("-", at + 1)
        self.releases = frozenset(found)
        self.usual = self._usual(found)

    @staticmethod
    def _usual(found: Counter[str]) -> str | None:
        """Return the release of most packages; of x86's two kernels that of 32 bits."""
        plain = {release for release in found if not release.endswith("64")} or set(found)
        if not plain:
            return None
        most = max(found[release] for release in plain)
        return max((r for r in plain if found[r] == most), key=lambda r: (versions.key(r), r))

    def release(self, name: str) -> str | None:
        """Return the release by which ``KERNEL`` is replaced below a package: its own, or the usual."""
        at = name.find("-")
        while at > 0:
            if name[at + 1 :] in self.releases:
                return name[at + 1 :]
            at = name.find("-", at + 1)
        return self.usual


class _Forest:
    """The trees of a branch for one kernel release."""

    def __init__(self, graph: Graph, release: str | None) -> None:
        self._graph = graph
        self._release = release
        #: Those that stand for a package of every kernel.
        self._templates = {one for one in range(len(graph)) if follows_kernel(graph.name(one))}
        #: The lines of trees as they stand below what needs them.
        self._blocks: dict[int, bytes] = {}
        self._kept = 0
        #: Bytes, lines and levels of each tree that is not shortened.
        self._sizes = array("i", bytes(4 * len(graph)))
        self._lines = array("i", bytes(4 * len(graph)))
        self._levels = bytearray(len(graph))

    def needs(self, number: int) -> Sequence[int]:
        graph, found = self._graph, self._graph.needs(number)
        if self._release is None or self._templates.isdisjoint(found):
            return found
        meant = [graph.added(with_kernel(graph.name(need), self._release)) for need in found]
        more = len(graph) - len(self._levels)
        if more > 0:
            self._sizes.extend([_UNKNOWN] * more)
            self._lines.extend([0] * more)
            self._levels.extend(bytes(more))
        return meant

    def text(self, name: str) -> Iterator[bytes]:
        """Yield a .tree in pieces."""
        number = self._graph.added(name)
        self._measure(number)
        return chain(self._short(number) if self._sizes[number] == _SHORT else self._full(number), (b"\n",))

    def _full(self, root: int) -> Iterator[bytes]:
        """Yield a tree that is neither large nor deep, in pieces: those below it that are small."""
        stack = [(root, 0)]
        while stack:
            number, depth = stack.pop()
            indent = _INDENT * depth
            if self._sizes[number] > _SMALL or not depth:
                yield indent + self._line(number)
                stack += [(need, depth + 1) for need in reversed(self.needs(number))]
            else:
                yield _moved(self._block(number), indent.removesuffix(_INDENT))

    def _line(self, number: int) -> bytes:
        return file_name(self._graph.name(number)).encode() + b"\n"

    def _measure(self, root: int) -> None:
        """Measure a tree without making it, and all trees below it."""
        sizes = self._sizes
        if sizes[root]:
            return
        stack = [(root, iter(self.needs(root)))]
        above = {root}
        while stack:
            number, left = stack[-1]
            for need in left:
                if need in above:
                    for one in above:
                        sizes[one] = _SHORT
                elif not sizes[need]:
                    above.add(need)
                    stack.append((need, iter(self.needs(need))))
                    break
            else:
                stack.pop()
                above.discard(number)
                if not sizes[number]:
                    self._sum(number)

    def _sum(self, number: int) -> None:
        size, lines, levels = len(self._line(number)), 1, 1
        for need in self.needs(number):
            if self._sizes[need] == _SHORT:
                self._sizes[number] = _SHORT
                return
            size += self._sizes[need] + self._lines[need] * len(_INDENT)
            lines += self._lines[need]
            levels = max(levels, self._levels[need] + 1)
        if size > _LARGEST or levels > _DEEPEST:
            size, lines, levels = _SHORT, 0, 0
        self._sizes[number], self._lines[number], self._levels[number] = size, lines, levels

    def _block(self, number: int) -> bytes:
        """Return the lines of a small tree, each with an indent before it."""
        known = self._blocks.get(number)
        if known is not None:
            return known
        lines = b"".join([self._line(number), *map(self._block, self.needs(number))])
        block = _moved(lines, _INDENT)
        if self._kept + len(block) > _KEPT:
            self._blocks.clear()
            self._kept = 0
        self._blocks[number] = block
        self._kept += len(block)
        return block

    def _short(self, root: int) -> Iterator[bytes]:
        met: set[int] = set()
        stack = [(root, 0)]
        while stack:
            number, depth = stack.pop()
            yield _INDENT * min(depth, _DEEPEST) + self._line(number)
            if number not in met:
                met.add(number)
                stack += [(need, depth + 1) for need in reversed(self.needs(number))]


def _moved(lines: bytes, indent: bytes) -> bytes:
    """Return lines, each with an indent before it."""
    return indent + lines[:-1].replace(b"\n", b"\n" + indent) + b"\n" if indent else lines


class _Trees:
    """Makes the trees of a branch; what it needs for that is read when the first one is asked for."""

    def __init__(self, entries: Entries, objects: Objects) -> None:
        self._entries = entries
        self._objects = objects
        self._names: Names | None = None
        self._graph: Graph | None = None
        self._forests: dict[str | None, _Forest] = {}

    @property
    def names(self) -> Names:
        if self._names is None:
            self._names = Names(self._entries)
        return self._names

    @property
    def graph(self) -> Graph:
        if self._graph is None:
            self._graph = Graph(self._entries.graph)
        return self._graph

    def blob(self, name: str) -> Blob:
        release = self.names.release(name)
        forest = self._forests.get(release)
        if forest is None:
            forest = self._forests[release] = _Forest(self.graph, release)
        return self._objects.add_bytes(b"".join(forest.text(name)))


def with_trees(given: Mapping[str, Entry], before: Mapping[str, Entry], objects: Objects) -> Entries:
    """Return entries whose .tree tells what each needs among ``given``, kept as objects.

    Those of ``before`` stand where nothing that they tell of has changed; a package without needs has none.
    """
    new, old = Entries.of(given), Entries.of(before)
    trees = _Trees(new, objects)
    if not len(old):
        return new.changed(_renewed(new.values(), trees, None))
    changed, moved = [], []
    for name, *_ in new.differences(old):
        changed.append(name)
        if new.needs(name) != old.needs(name):
            moved.append(name)
    stale = _stale(trees, old, moved) if moved else frozenset()
    if stale is None:
        return new.changed(_renewed(new.values(), trees, None))
    there = (new[name] for name in sorted({*changed, *stale}) if name in new)
    kept = {name: old[name].files.get(".tree") for name in changed if name in old and name not in stale}
    return new.changed(_renewed(there, trees, kept))


def _renewed(
    entries: Iterable[Entry], trees: _Trees, kept: Mapping[str, Blob | None] | None
) -> Iterator[Entry]:
    """Yield the entries that get another .tree, or lose it; one in ``kept`` is not made again."""
    for entry in entries:
        files = {suffix: blob for suffix, blob in entry.files.items() if suffix != ".tree"}
        if entry.needs:
            files[".tree"] = (kept or {}).get(entry.name) or trees.blob(entry.name)
        if files != entry.files:
            yield replace(entry, files=files)


def _stale(trees: _Trees, old: Entries, moved: Iterable[str]) -> frozenset[str] | None:
    """Return the packages below which something has changed, ``None`` for all: ``moved`` and those above."""
    before = Names(old)
    if (trees.names.usual, trees.names.releases) != (before.usual, before.releases):
        return None
    graph = trees.graph
    above = graph.above()
    found: set[int] = set()
    waiting: list[int] = []
    for name in moved:
        number = graph.number(name)
        waiting += _templates(name, graph) if number is None else (number,)
    while waiting:
        number = waiting.pop()
        if number not in found:
            found.add(number)
            waiting += above(number)
            waiting += _templates(graph.name(number), graph)
    return frozenset(graph.name(number) for number in found if number < graph.count)


def _templates(name: str, graph: Graph) -> Iterator[int]:
    """Yield the NAME-KERNEL needs that may stand for a package."""
    parts = name.split("-")
    stems = ("-".join(parts[:count]) for count in range(1, len(parts)))
    return (number for stem in stems if (number := graph.number(stem + KERNEL)) is not None)
