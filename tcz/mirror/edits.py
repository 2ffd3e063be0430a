"""Index files made from those before in one pass: what is the same is copied, and never held whole.

All files of a branch have their records in one order. What is to be done to it is found once, and then done
to each of them.
"""

from __future__ import annotations

import hashlib
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from tcz.mirror.model import listing_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tcz.mirror.model import Blob
    from tcz.mirror.objects import Objects

_BLOCK: Final = 1 << 16
#: Records that are put together before they are written.
_GROUP: Final = 512


class StaleError(Exception):
    """What was kept is gone or damaged, or of other packages."""


def pieces(objects: Objects, blob: Blob, end: bytes) -> Iterator[bytes]:
    """Yield an object in pieces that end in ``end``; raises ``StaleError`` in the end if it was damaged."""
    digest = hashlib.sha256()
    left = b""
    try:
        with objects.path(blob.sha256).open("rb") as file:
            while data := file.read(_BLOCK):
                digest.update(data)
                *whole, left = (left + data).split(end)
                for piece in whole:
                    yield piece + end
    except FileNotFoundError as error:
        raise StaleError from error
    if left or digest.hexdigest() != blob.sha256:
        raise StaleError


class Change(NamedTuple):
    """A record that is not what it was: whether there was one, and whether there is one now."""

    name: str
    was: bool
    now: bool


class _Step(NamedTuple):
    """Copy so many records, leave one out, put in that of a package."""

    copy: int
    drop: bool
    put: str | None


class Edits:
    """What makes the records of now out of those of before."""

    def __init__(self, order: Iterable[str], changed: Iterable[Change]) -> None:
        """``order`` are the names of the records there are. Raises ``StaleError`` where one is missing."""
        self._steps: list[_Step] = []
        waiting = sorted(((listing_key(one.name), one) for one in changed), reverse=True)
        copy = 0
        #: How many records there were.
        self.count = 0
        for name in order:
            self.count += 1
            key = listing_key(name)
            while waiting and waiting[-1][0] < key:
                self._put(copy, waiting.pop()[1])
                copy = 0
            if waiting and waiting[-1][0] == key:
                now = waiting.pop()[1].now
                self._steps.append(_Step(copy, drop=True, put=name if now else None))
                copy = 0
            else:
                copy += 1
        while waiting:
            self._put(copy, waiting.pop()[1])
            copy = 0
        self._steps.append(_Step(copy, drop=False, put=None))

    def _put(self, copy: int, one: Change) -> None:
        if one.was:
            raise StaleError
        self._steps.append(_Step(copy, drop=False, put=one.name))

    def done(self, old: Iterator[bytes], fresh: Callable[[str], bytes]) -> Iterator[tuple[bytes, bool]]:
        """Yield records, and whether ``fresh`` made them. Raises ``StaleError`` where there are too few."""
        for copy, drop, put in self._steps:
            count = 0
            for count, record in enumerate(islice(old, copy), 1):  # noqa: B007 - it is looked at below
                yield record, False
            if count < copy or (drop and next(old, None) is None):
                raise StaleError
            if put is not None:
                yield fresh(put), True


def grouped(records: Iterator[tuple[bytes, bool]]) -> Iterator[bytes]:
    """Yield records, some hundred at a time."""
    while group := [record for record, _ in islice(records, _GROUP)]:
        yield b"".join(group)
