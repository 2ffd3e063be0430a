"""All objects of a mirror hashed, and compared with what its catalogues say of them.

Both the objects and what is said come sorted, and are put together while they are read: neither is held.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from itertools import groupby, islice
from typing import TYPE_CHECKING, Final

from tcz.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tcz.mirror.model import Blob
    from tcz.mirror.objects import Objects
    from tcz.reporting import Reporter

_BLOCK: Final = 1 << 20
#: Objects that are under way at a time.
_BATCH: Final = 512


@dataclass(frozen=True, slots=True)
class Sums:
    """What a file is; ``md5`` is empty where it was not asked for."""

    size: int
    sha256: str
    md5: str


def sums(path: Path, *, md5: bool = False) -> Sums | None:
    """Hash a file; ``None`` for one that cannot be read."""
    sha256, other, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    try:
        with path.open("rb", buffering=0) as file:
            while data := file.read(_BLOCK):
                size += len(data)
                sha256.update(data)
                if md5:
                    other.update(data)
    except OSError:
        return None
    return Sums(size, sha256.hexdigest(), other.hexdigest() if md5 else "")


def promise(blob: Blob, md5: str = "") -> bytes:
    """Return what a catalogue says of an object as a line; ``md5`` is told of packages."""
    return f"{blob.sha256} {blob.size} {md5}\n".encode()


def hashed(
    objects: Objects, promised: Iterator[bytes], reporter: Reporter
) -> tuple[int, int, list[tuple[str, str]]]:
    """Hash objects in as many threads as there are processors.

    ``promised`` are the lines of ``promise``, sorted; all are taken. Return how many objects there are, their
    bytes, and the names of those that are wrong, with why.
    """
    both = _Both(objects.root / "objects", promised)
    total = sum(1 for _ in both.names())
    done = size = 0
    wrong = []
    with (
        reporter.step("hash objects", total=total) as step,
        Threads(len(os.sched_getaffinity(0))) as pool,
    ):
        found = iter(both)
        while batch := list(islice(found, _BATCH)):
            step.progress(done, total)
            for one, its in zip(batch, pool.map(lambda one: one.sums(objects), batch), strict=True):
                done += one.there
                size += 0 if its is None else its.size
                message = one.wrong(its)
                if message:
                    wrong.append((one.name, message))
    return done, size, wrong


@dataclass(frozen=True, slots=True)
class _Object:
    """An object that is there or should be, and what catalogues say of it: nothing of a leftover."""

    name: str
    there: bool
    told: tuple[tuple[int, str], ...]

    def sums(self, objects: Objects) -> Sums | None:
        md5 = any(md5 for _, md5 in self.told)
        return sums(objects.path(self.name), md5=md5) if self.there else None

    def wrong(self, its: Sums | None) -> str:
        """Return what is wrong, or nothing."""
        if not self.told:
            return ""  # no catalogue names it: whatever it holds, gc removes it
        if its is None:
            return "is missing or cannot be read"
        if its.sha256 != self.name:
            return f"has {its.size} bytes that are not those of its name"
        for size, md5 in self.told:
            if its.size != size:
                return f"has {its.size} bytes, a catalogue says {size}"
            if md5 and its.md5 != md5:
                return f"has the md5 {its.md5}, a catalogue says {md5}"
        return ""


class _Both:
    """The objects that are there, and what is said of them, put together."""

    def __init__(self, folder: Path, promised: Iterator[bytes]) -> None:
        self._folder = folder
        lines = (line.decode().rstrip("\n").split(" ") for line in promised)
        self._promised = groupby(lines, lambda words: words[0])
        self._next = self._said()

    def names(self) -> Iterator[str]:
        """Yield the names of all objects, sorted."""
        for folder in sorted(self._folder.glob("??")):
            if folder.is_dir():
                names = sorted(os.listdir(folder))  # noqa: PTH208 - of ten thousands the names only
                yield from (folder.name + name for name in names)

    def __iter__(self) -> Iterator[_Object]:
        for name in self.names():
            while self._next is not None and self._next.name < name:
                yield self._next
                self._next = self._said()
            if self._next is not None and self._next.name == name:
                yield _Object(name, there=True, told=self._next.told)
                self._next = self._said()
            else:
                yield _Object(name, there=True, told=())
        while self._next is not None:
            yield self._next
            self._next = self._said()

    def _said(self) -> _Object | None:
        """Return the next that something is said of."""
        for name, lines in self._promised:
            told = dict.fromkeys((int(size), md5) for _, size, md5 in lines)
            return _Object(name, there=False, told=tuple(told))
        return None
