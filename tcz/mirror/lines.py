"""Sorted lines of a file, read where they are asked for: the list of a branch, never held whole.

Each line begins with a name and stands in the order of the names. Of every dozen lines the first one's name
is kept: with it one read finds any line. The file stays open, so that whoever removes it meanwhile does not
matter.
"""

from __future__ import annotations

import hashlib
import os
import re
from array import array
from bisect import bisect_right
from io import BytesIO
from itertools import chain, dropwhile, pairwise, takewhile
from operator import lt
from typing import TYPE_CHECKING, BinaryIO, Final

from tcz.mirror.model import Blob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BLOCK: Final = 1 << 13
#: A line may be longer than a block, but not without bound.
_LINE_MAX: Final = 1 << 26
#: The grammar of ``tcz.names``. Within a text the quotes would have backslashes before them.
PLAIN: Final = rb"[A-Za-z0-9][A-Za-z0-9+._-]*"


class Form:
    """What stands before a name and behind it in each line.

    Beginnings of lines sort as names do, and before their lines: names are ASCII, and what follows them
    sorts before whatever else may follow the beginning of a name.
    """

    __slots__ = ("after", "before", "match")

    def __init__(self, before: bytes, after: bytes) -> None:
        """Take both; neither has what a name may have."""
        self.before = before
        self.after = after
        self.match = re.compile(re.escape(before) + b"(" + PLAIN + b")" + re.escape(after)).match

    def beginning(self, name: str) -> bytes:
        """Return how the line of a name begins."""
        return self.before + name.encode(errors="surrogateescape") + self.after

    def name(self, line: bytes) -> str:
        """Return the name in a line that ``Lines`` gave."""
        start = len(self.before)
        return line[start : line.index(self.after, start)].decode()


#: Lines as ``tcz.mirror.entries`` writes them.
ENTRY: Final = Form(b'{"name":"', b'",')
#: A name, a tab and anything.
TABLE: Final = Form(b"", b"\t")


class Lines:
    """The lines of one file; several threads may ask."""

    __slots__ = ("_close", "_firsts", "_form", "_kept", "_read", "_starts", "blob", "count")

    def __init__(self, file: BinaryIO, form: Form = ENTRY) -> None:
        """Read the file once, from its beginning. Raises ``ValueError`` for what is no sorted list.

        ``blob`` tells what its bytes are, ``count`` how many lines there are.
        """
        self._form = form
        self._close: Callable[[], None] | None = None
        self._read = self._reading(file)
        self._firsts: list[bytes] = []
        #: Where each block begins, and the end of the file.
        self._starts = array("Q", [0])
        #: The block that was read last, and where in it the line behind the one that was found begins.
        self._kept: tuple[int, bytes, int] = (-1, b"", 0)
        self.count = 0
        digest, at, left, last = hashlib.sha256(), 0, b"", b""
        while data := self._read(_BLOCK, at):
            digest.update(data)
            at += len(data)
            end = data.rfind(b"\n") + 1
            if not end:
                left += data
                if len(left) > _LINE_MAX:
                    raise ValueError("a line without an end")
                continue
            last = self._add(left + data[:end], last)
            left = data[end:]
        if left:
            raise ValueError("the last line is cut off")
        self.blob = Blob(sha256=digest.hexdigest(), size=at)

    def _reading(self, file: BinaryIO) -> Callable[[int, int], bytes]:
        if isinstance(file, BytesIO):
            data = file.getvalue()
            return lambda size, at: data[at : at + size]
        handle = os.dup(file.fileno())
        self._close = lambda: os.close(handle)
        return lambda size, at: os.pread(handle, size, at)

    def _add(self, block: bytes, last: bytes) -> bytes:
        """Take the next block; return the last name in it."""
        match = self._form.match
        matches = [match(line) for line in block.split(b"\n")[:-1]]
        names = [found[1] for found in matches if found is not None]
        if len(names) < len(matches):
            raise ValueError("a line without a package's name")
        if not all(lt(*pair) for pair in pairwise(chain([last], names))):
            raise ValueError("lines that are not sorted by name")
        self._firsts.append(names[0])
        self._starts.append(self._starts[-1] + len(block))
        self.count += len(names)
        return names[-1]

    def __del__(self) -> None:
        """Close the file."""
        if self._close is not None:
            self._close()

    def _block(self, number: int) -> bytes:
        start = self._starts[number]
        return self._read(self._starts[number + 1] - start, start)

    def find(self, name: str) -> bytes | None:
        """Return the line of a name; ``None`` where there is none."""
        plain = name.encode(errors="surrogateescape")
        number = bisect_right(self._firsts, plain) - 1
        if number < 0 or self._form.after[:1] in plain:
            return None
        wanted = self._form.beginning(name)
        kept, block, at = self._kept
        if kept != number:
            block, at = self._block(number), 0
        if not block.startswith(wanted, at):  # whoever asks for one after the other finds it there
            at = 0 if block.startswith(wanted) else block.find(b"\n" + wanted) + 1
            if not at and not block.startswith(wanted):
                self._kept = (number, block, at)
                return None
        end = block.index(b"\n", at)
        self._kept = (number, block, end + 1)
        return block[at:end]

    def starting(self, start: str) -> Iterator[bytes]:
        """Yield the lines of the names that begin with ``start``."""
        plain = start.encode(errors="surrogateescape")
        wanted = self._form.before + plain
        first = max(0, bisect_right(self._firsts, plain) - 1)
        found = dropwhile(lambda line: line < wanted, self._from(first))
        return takewhile(lambda line: line.startswith(wanted), found)

    def __iter__(self) -> Iterator[bytes]:
        """Yield all lines in their order."""
        return self._from(0)

    def _from(self, first: int) -> Iterator[bytes]:
        for number in range(first, len(self._firsts)):
            yield from self._block(number).split(b"\n")[:-1]
