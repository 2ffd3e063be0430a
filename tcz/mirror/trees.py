"""The .tree of every package of a branch, made anew only where something below it changed.

A tree repeats what is needed twice, so texts are put together from the texts below them. One that would
be large, deep or without end (a circle) lists every need all the same, but follows each package only where
it is met first: the one reader of .tree files, tce-size, takes the set of the names.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tcz import versions
from tcz.mirror.entries import Entries
from tcz.names import KERNEL, file_name, follows_kernel, with_kernel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tcz.mirror.model import Entry
    from tcz.mirror.objects import Objects

_INDENT: Final = "   "
#: Above these a tree is shortened: the largest of the public repository has 1.6 MB and 18 levels.
_LARGEST: Final = 4 << 20
_DEEPEST: Final = 64
#: Bytes of texts that are kept to be used again.
_KEPT: Final = 16 << 20


class Names:
    """The names of a branch, and which kernel release its packages speak of."""

    def __init__(self, graph: Mapping[str, Sequence[str]]) -> None:
        """Count the releases in the names of packages that others need as NAME-KERNEL."""
        stems = {
            need.removesuffix(KERNEL) for needs in graph.values() for need in needs if follows_kernel(need)
        }
        found: Counter[str] = Counter()
        for name in graph if stems else ():
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

    def __init__(self, graph: Mapping[str, Sequence[str]], release: str | None) -> None:
        self._graph = graph
        self._release = release
        self._texts: dict[str, str] = {}
        self._kept = 0
        #: Bytes, lines and levels of a tree; ``None`` for one that goes round.
        self._sizes: dict[str, tuple[int, int, int] | None] = {}

    def needs(self, name: str) -> Sequence[str]:
        needs = self._graph.get(name, ())
        return needs if self._release is None else [with_kernel(need, self._release) for need in needs]

    def text(self, name: str) -> str:
        size = self._size(name)
        if size is None or size[0] > _LARGEST or size[2] > _DEEPEST:
            return self._short(name) + "\n"
        return self._full(name) + "\n"

    def _size(self, root: str) -> tuple[int, int, int] | None:
        """Measure a tree without making it, and all trees below it."""
        sizes = self._sizes
        if root in sizes:
            return sizes[root]
        stack = [(root, iter(self.needs(root)))]
        above = {root}
        while stack:
            name, left = stack[-1]
            for need in left:
                if need in above:
                    sizes |= dict.fromkeys(above)
                elif need not in sizes:
                    above.add(need)
                    stack.append((need, iter(self.needs(need))))
                    break
            else:
                stack.pop()
                above.discard(name)
                if name not in sizes:
                    sizes[name] = self._sum(name)
        return sizes[root]

    def _sum(self, name: str) -> tuple[int, int, int] | None:
        size, lines, levels = len(name) + 5, 1, 1
        for need in self.needs(name):
            below = self._sizes[need]
            if below is None:
                return None
            size += below[0] + below[1] * len(_INDENT)
            lines += below[1]
            levels = max(levels, below[2] + 1)
        return size, lines, levels

    def _full(self, name: str) -> str:
        """Return the lines of a tree that is neither large nor deep."""
        known = self._texts.get(name)
        if known is not None:
            return known
        parts = [file_name(name)]
        for need in self.needs(name):
            below = self._full(need).removesuffix("\n")
            parts.append(_INDENT + below.replace("\n", "\n" + _INDENT))
        text = "\n".join(parts) + "\n"
        if self._kept > _KEPT:
            self._texts.clear()
            self._kept = 0
        self._texts[name] = text
        self._kept += len(text)
        return text

    def _short(self, root: str) -> str:
        lines = []
        met: set[str] = set()
        stack = [(root, 0)]
        while stack:
            name, depth = stack.pop()
            lines.append(_INDENT * min(depth, _DEEPEST) + file_name(name))
            if name not in met:
                met.add(name)
                stack += [(need, depth + 1) for need in reversed(self.needs(name))]
        return "\n".join(lines) + "\n"


def with_trees(given: Mapping[str, Entry], before: Mapping[str, Entry], objects: Objects) -> Entries:
    """Return entries whose .tree tells what each needs among ``given``, kept as objects.

    Those of ``before`` stand where nothing that they tell of has changed; a package without needs has none.
    """
    new, old = Entries.of(given), Entries.of(before)
    changed = new.differing(old)
    moved = {name for name in changed if new.needs(name) != old.needs(name)}
    graph = new.graph() if moved or not old else {}
    names = Names(graph)
    stale = _stale(graph, old.graph(), names, moved) if moved else set()
    forests: dict[str | None, _Forest] = {}
    found = []
    for name in sorted((changed | stale) & new.keys()):
        entry = new[name]
        files = {suffix: blob for suffix, blob in entry.files.items() if suffix != ".tree"}
        if entry.needs:
            kept = old[name].files.get(".tree") if name in old and name not in stale else None
            if kept is None:
                if not graph:
                    graph = new.graph()
                    names = Names(graph)
                release = names.release(name)
                forest = forests.setdefault(release, _Forest(graph, release))
                kept = objects.add_bytes(forest.text(name).encode())
            files[".tree"] = kept
        if files != entry.files:
            found.append(replace(entry, files=files))
    return new.changed(found)


def _stale(
    new: Mapping[str, Sequence[str]], old: Mapping[str, Sequence[str]], names: Names, moved: set[str]
) -> set[str]:
    """Return the packages below which something has changed: those in ``moved``, and all above them."""
    before = Names(old)
    if not old or (names.usual, names.releases) != (before.usual, before.releases):
        return set(new)
    above: dict[str, list[str]] = {}
    for name, needs in new.items():
        for need in needs:
            above.setdefault(need, []).append(name)
    found: set[str] = set()
    waiting = list(moved)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += above.get(name, ())
            waiting += _templates(name, above)
    return found


def _templates(name: str, above: Mapping[str, object]) -> list[str]:
    """Return the NAME-KERNEL needs that may stand for a package."""
    parts = name.split("-")
    stems = ("-".join(parts[:count]) for count in range(1, len(parts)))
    return [stem + KERNEL for stem in stems if stem + KERNEL in above]
