"""What the packages of a branch need, by numbers: a hundred bytes for each package, not some thousand."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


class Graph:
    """Packages by number, in the order of their names, and behind them what is needed and not there."""

    def __init__(self, packages: Callable[[], Iterable[tuple[str, Sequence[str]]]]) -> None:
        """Read each name with what it needs, sorted by name; ``packages`` is called twice."""
        self._names = [name for name, _ in packages()]
        self.count = len(self._names)
        self._others: dict[str, int] = {}
        self._needs = array("I")
        #: Where the needs of each begin, and the end of the last.
        self._starts = array("I", [0])
        for _, needs in packages():
            self._needs.extend([self.added(need) for need in needs])
            self._starts.append(len(self._needs))

    def __len__(self) -> int:
        """Count the numbers: packages, and what is not there."""
        return len(self._names)

    def name(self, number: int) -> str:
        """Return the name of a number."""
        return self._names[number]

    def number(self, name: str) -> int | None:
        """Return the number of a name, ``None`` for one that nobody has or needs."""
        at = bisect_left(self._names, name, 0, self.count)
        if at < self.count and self._names[at] == name:
            return at
        return self._others.get(name)

    def added(self, name: str) -> int:
        """Return the number of a name, a new one if it has none."""
        number = self.number(name)
        if number is None:
            number = self._others[name] = len(self._names)
            self._names.append(name)
        return number

    def needs(self, number: int) -> Sequence[int]:
        """Return what a package needs, in the order of its .dep."""
        if number >= self.count:
            return ()
        return self._needs[self._starts[number] : self._starts[number + 1]]

    def above(self) -> Callable[[int], Sequence[int]]:
        """Return what tells who needs a number."""
        counts = array("I", bytes(4 * (len(self) + 1)))
        for need in self._needs:
            counts[need + 1] += 1
        starts = array("I", accumulate(counts))
        found = array("I", bytes(4 * len(self._needs)))
        ends = starts[:-1]
        for number in range(self.count):
            for need in self.needs(number):
                found[ends[need]] = number
                ends[need] += 1
        return lambda number: found[starts[number] : starts[number + 1]]
