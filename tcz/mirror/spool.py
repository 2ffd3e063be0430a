"""Many lines sorted in little memory: runs of them in nameless files, put together while they are read."""

from __future__ import annotations

import heapq
import tempfile
from contextlib import ExitStack
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Lines that are held at a time.
_RUN: Final = 1 << 13


def sorted_lines(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield lines, each with its end, sorted by their bytes; all are taken before the first is given."""
    waiting = iter(lines)
    run = sorted(islice(waiting, _RUN))
    if len(run) < _RUN:
        yield from run
        return
    with ExitStack() as stack:
        files = []
        while run:
            file = stack.enter_context(tempfile.TemporaryFile())
            file.writelines(run)
            file.seek(0)
            files.append(file)
            run = sorted(islice(waiting, _RUN))
        yield from heapq.merge(*files)


def without(lines: Iterable[bytes], others: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines that are not among ``others``; both are sorted."""
    rest = iter(others)
    other = next(rest, None)
    for line in lines:
        while other is not None and other < line:
            other = next(rest, None)
        if line != other:
            yield line
