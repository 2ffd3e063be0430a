"""What an index file tells of each package, sorted in a file without a name: looked up there, never held.

Index files come in any order, with names that stand in them twice.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Generic, TypeVar

from tcz.mirror.lines import TABLE, Lines
from tcz.mirror.spool import sorted_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")


class Table(Mapping[str, T], Generic[T]):
    """Values by name, in the order of names; each is kept as a text, and read when it is asked for."""

    __slots__ = ("_lines", "_value")

    def __init__(
        self,
        pairs: Iterable[tuple[str, str]],
        value: Callable[[str], T],
        best: Callable[[list[str]], str] = lambda texts: texts[-1],
    ) -> None:
        """Take names and texts without line ends; ``value`` reads a text.

        Where there are several for a name, in their order, ``best`` chooses: the last if it is not given.
        """
        self._value = value
        with tempfile.TemporaryFile() as file:
            numbered = (f"{name}\t{number:012}{text}\n" for number, (name, text) in enumerate(pairs))
            lines = sorted_lines(line.encode(errors="surrogateescape") for line in numbered)
            for name, some in groupby(lines, lambda line: line[: line.index(b"\t")]):
                texts = [line[len(name) + 13 : -1] for line in some]
                if len(texts) > 1:
                    text = best([one.decode(errors="surrogateescape") for one in texts])
                    texts = [text.encode(errors="surrogateescape")]
                file.write(name + b"\t" + texts[0] + b"\n")
            file.flush()
            self._lines = Lines(file, TABLE)

    def _read(self, line: bytes) -> T:
        return self._value(line[line.index(b"\t") + 1 :].decode(errors="surrogateescape"))

    def __getitem__(self, name: str) -> T:
        """Return the value of a name."""
        line = self._lines.find(name)
        if line is None:
            raise KeyError(name)
        return self._read(line)

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a value."""
        return isinstance(name, str) and self._lines.find(name) is not None

    def __iter__(self) -> Iterator[str]:
        """Yield the names, sorted."""
        return map(TABLE.name, self._lines)

    def __len__(self) -> int:
        """Count the names."""
        return self._lines.count

    def pairs(self) -> Iterator[tuple[str, T]]:
        """Yield names and values, sorted by name."""
        return ((TABLE.name(line), self._read(line)) for line in self._lines)

    def starting(self, start: str) -> Iterator[str]:
        """Yield the names that begin with ``start``."""
        return map(TABLE.name, self._lines.starting(start))
