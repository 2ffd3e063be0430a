"""Reads the index files of a mirror with the official layout, with the dirt that real ones have. Pure.

Formats: those that search.sh, provides.sh, depends-on.sh, tce-size and tce-update parse. Tolerated are CRs,
blanks around and within lines, empty lines in any number, a missing final newline and names without
``.tcz``. What could harm is refused with ``VerifyError``: a name outside the grammar, an HTML page that a
server sent instead, a .gz that unpacks to more than any index has.
"""

from __future__ import annotations

import re
import zlib
from io import SEEK_END, BytesIO
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO, Final

from tcz.errors import VerifyError
from tcz.metadata import decode
from tcz.names import is_package_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

#: More than an index of any repository: provides.db of all of Tiny Core has some 60 MB.
UNPACKED_MAX: Final = 1 << 29
#: What is larger than this never gets this many times smaller, unless it was made to harm.
_SMALL: Final = 16 << 20
_RATIO_MAX: Final = 200
_GZIP: Final = b"\x1f\x8b"
_ANY_HEADER: Final = 47
_BLANK = re.compile(r"[ \t\r\n\f\v]+")
_BETWEEN = re.compile(r"\n\n+")
_APART = re.compile(rb"\n\n+")
_BLOCK: Final = 1 << 18
#: More than the paths of any package.
_RECORD_MAX: Final = 1 << 25
_PAGE = re.compile(rb"\s*<(?:!doctype|html|head|\?xml)", re.IGNORECASE)
_MD5 = re.compile(r"([0-9a-fA-F]{32})\s+\*?(?:\./)?(\S+)\Z")
_SIZE_DIGITS: Final = 15


def is_page(data: bytes) -> bool:
    """Tell an HTML page, which some servers send for what they do not have."""
    return _PAGE.match(data[:256]) is not None


def text(data: bytes, where: str) -> str:
    """Return the text of an index file, packed or not. Raises ``VerifyError``."""
    return decode(b"".join(unpacked(BytesIO(data), where))).replace("\r", "\n")


def unpacked(file: BinaryIO, where: str) -> Iterator[bytes]:
    """Yield an index file, packed or not, in blocks. Raises ``VerifyError``."""
    size = file.seek(0, SEEK_END)
    file.seek(0)
    first = file.read(_BLOCK)
    blocks: Iterator[bytes] = chain((first,), iter(lambda: file.read(_BLOCK), b""))
    if first.startswith(_GZIP):
        blocks = _members(blocks, min(UNPACKED_MAX, max(_SMALL, _RATIO_MAX * size)), where)
    first = next(blocks, b"")
    if is_page(first):
        raise VerifyError("a web page, not an index file", where=where, hint="check the address")
    yield first
    yield from blocks


def _members(blocks: Iterable[bytes], limit: int, where: str) -> Iterator[bytes]:
    """Unpack the members of a .gz, which may have NULs behind each."""
    stream = None
    left = limit
    for block in blocks:
        data = block
        while data:
            if stream is None:
                data = data.lstrip(b"\0")
                stream = zlib.decompressobj(_ANY_HEADER) if data else None
                continue
            try:
                piece = stream.decompress(data, min(left + 1, _BLOCK))
            except zlib.error as error:
                raise VerifyError("damaged, or not gzip", where=where, why=str(error)) from error
            left -= len(piece)
            if left < 0:
                raise VerifyError(f"unpacks to more than {limit >> 20} MiB", where=where)
            yield piece
            data = stream.unconsumed_tail
            if stream.eof:
                data, stream = stream.unused_data, None
    if stream is not None:
        # What was left in it for want of room comes to less than a block.
        raise VerifyError("cut off", where=where, why="the packed data has no end")


def name_in(raw: str, where: str) -> str:
    """Return a name without blanks and suffix. Raises ``VerifyError`` for one outside the grammar."""
    name = _BLANK.sub("", raw).removesuffix(".tcz")
    if not is_package_name(name):
        raise VerifyError(
            f"{raw[:80]!r} is not a package name",
            where=where,
            hint="the file is damaged or hostile; nothing of it was used",
        )
    return name


def _lines(content: str) -> Iterator[str]:
    """Yield lines one by one: a list of all takes more room than what is made of them."""
    start = 0
    while start <= len(content):
        end = content.find("\n", start)
        end = len(content) if end < 0 else end
        yield content[start:end]
        start = end + 1


def _records(content: str) -> Iterator[str]:
    """Yield what stands between empty lines."""
    start = 0
    for between in _BETWEEN.finditer(content):
        yield content[start : between.start()]
        start = between.end()
    yield content[start:]


def names(content: str, where: str = "info.lst") -> Iterator[str]:
    """Read ``info.lst``: one name a line."""
    return (name_in(line, where) for line in _lines(content) if line.strip())


def sizes(content: str, where: str = "sizelist") -> Iterator[tuple[str, str]]:
    """Read ``sizelist``: a name and its bytes, a decimal number, a line."""
    for line in _lines(content):
        words = line.split()
        if not words:
            continue
        if len(words) != 2 or not words[1].isdecimal() or len(words[1]) > _SIZE_DIGITS:  # noqa: PLR2004
            raise VerifyError(f"not a name and a size: {line[:80]!r}", where=where)
        yield name_in(words[0], where), words[1]


def md5s(content: str, where: str = "md5.db") -> Iterator[tuple[str, str]]:
    """Read ``md5.db``: the lines of all .md5.txt files."""
    for line in _lines(content):
        if not line.strip():
            continue
        match = _MD5.match(line.strip())
        if match is None:
            raise VerifyError(f"not an md5 and a name: {line[:80]!r}", where=where)
        yield name_in(match[2], where), match[1].lower()


def tags(content: str, where: str = "tags.db") -> Iterator[tuple[str, str]]:
    """Read ``tags.db``: a name, a tab or a blank, and the tags verbatim."""
    for line in _lines(content):
        words = line.split(None, 1)
        if words:
            yield name_in(words[0], where), line.lstrip()[len(words[0]) + 1 :].rstrip()


def needs(content: str, where: str = "dep.db") -> Iterator[tuple[str, tuple[str, ...]]]:
    """Read ``dep.db``: records of a name and what it needs, an empty line after each.

    Of several records for a name the one that says most counts (``fullest``): a .dep with an empty line
    within leaves a piece behind that looks like a record.
    """
    for record in _records(content):
        lines = [name_in(line, where) for line in _lines(record) if line.strip()]
        if lines:
            yield lines[0], tuple(dict.fromkeys(lines[1:]))


def fullest(records: Sequence[Sequence[str]]) -> Sequence[str]:
    """Return which of a package's needs counts: those that are most, the last of several."""
    return max(reversed(records), key=len)


def dep(content: str, where: str) -> tuple[str, ...]:
    """Read one .dep file."""
    return tuple(dict.fromkeys(name_in(line, where) for line in _lines(content) if line.strip()))


def paths(blocks: Iterable[bytes], where: str = "provides.db") -> Iterator[tuple[str, tuple[str, ...]]]:
    """Read the blocks of ``provides.db``: yield each name with its paths, without leading slashes."""
    for record in _records_in(blocks, where):
        first, *rest = decode(record).lstrip("\n").split("\n")
        if first.strip():
            yield (
                name_in(first, where),
                tuple(line.strip().removeprefix("./").lstrip("/") for line in rest if line.strip()),
            )


def _records_in(blocks: Iterable[bytes], where: str) -> Iterator[bytes]:
    """Yield what stands between empty lines, whatever line ends there are."""
    left = b""
    for block in blocks:
        data = left + block
        # Perhaps half of a CR LF.
        end = len(data) - data.endswith(b"\r")
        *whole, left = _APART.split(data[:end].replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
        left += data[end:]
        if len(left) > _RECORD_MAX:
            raise VerifyError("a package with more paths than any has", where=where)
        yield from whole
    yield left.replace(b"\r", b"\n")
