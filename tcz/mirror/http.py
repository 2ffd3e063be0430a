"""HTTP/1.1 as far as a server of files needs it, pure: bytes of a request in, what to answer out.

Syntax: RFC 9112; conditional requests and ranges: RFC 9110. Where the standard leaves room, the strict
reading is taken: what two programs could understand in two ways is refused.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Longest request line, and longest head of a request, in bytes; most lines of a head.
LINE_LIMIT: Final = 8192
HEAD_LIMIT: Final = 16384
MOST_FIELDS: Final = 100

REASONS: Final[Mapping[int, str]] = {
    200: "OK",
    206: "Partial Content",
    304: "Not Modified",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    412: "Precondition Failed",
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}

_KNOWN_METHODS = frozenset((b"OPTIONS", b"POST", b"PUT", b"DELETE", b"TRACE", b"CONNECT", b"PATCH"))
_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) HTTP/([0-9])\.([0-9])\Z")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*\Z")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})?")
_RANGE = re.compile(rb"bytes[ \t]*=[ \t]*([0-9]{0,19})-([0-9]{0,19})\Z", re.IGNORECASE)
#: Fields that may stand once only: a second one is how requests are smuggled past a proxy.
_SINGLE = frozenset((b"host", b"content-length", b"transfer-encoding", b"range", b"if-range"))


class Refused(Exception):  # noqa: N818 - an answer, not a mistake of this program
    """A request that cannot be answered as asked; the connection ends after ``status`` was told."""

    def __init__(self, status: int, line: str = "") -> None:
        """``line`` is the request's first line, for the log, where it is known."""
        super().__init__(status)
        self.status = status
        self.line = line


@dataclass(frozen=True, slots=True)
class Request:
    """A request. ``path`` is relative, decoded and free of ``.``, ``..``, NUL and empty parts.

    ``line`` is its first line, for the log; ``keep`` tells whether another request may follow.
    """

    line: str
    head: bool
    path: str
    keep: bool
    fields: Mapping[bytes, bytes]


def parse(head: bytes) -> Request:
    """Read the head of a request, without the empty line that ends it.

    Raises ``Refused`` with 400, 405, 413, 414, 431, 501 or 505; 404 for a path that can be no file's.
    """
    lines = head.split(b"\r\n")
    line = lines[0]
    if len(line) > LINE_LIMIT:
        raise Refused(414, line[:80].decode("latin-1"))
    text = line.decode("latin-1")
    found = _LINE.match(line)
    if found is None:
        raise Refused(400, text)
    method, target, major, minor = found.groups()
    if major != b"1":
        raise Refused(505, text)
    if len(head) > HEAD_LIMIT or len(lines) > MOST_FIELDS:
        raise Refused(431, text)
    fields = _fields(lines, text)
    if minor != b"0" and b"host" not in fields:
        raise Refused(400, text)
    if method not in (b"GET", b"HEAD"):
        raise Refused(405 if method in _KNOWN_METHODS else 501, text)
    if b"transfer-encoding" in fields or fields.get(b"content-length", b"0").strip(b"0"):
        raise Refused(413, text)
    wishes = fields.get(b"connection", b"").lower()
    keep = b"close" not in wishes if minor != b"0" else b"keep-alive" in wishes
    return Request(text, method == b"HEAD", _path(target, text), keep, fields)


def _fields(lines: list[bytes], text: str) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for line in lines[1:]:
        found = _FIELD.match(line)
        if found is None:
            raise Refused(400, text)
        name = found[1].lower()
        if name not in fields:
            fields[name] = found[2]
        elif name in _SINGLE:
            raise Refused(400, text)
        else:
            fields[name] += b", " + found[2]
    return fields


def _path(target: bytes, text: str) -> str:
    if target[:1] != b"/":  # the form that proxies use
        scheme, mark, rest = target.partition(b"://")
        if not mark or scheme.lower() not in (b"http", b"https"):
            raise Refused(400, text)
        target = b"/" + rest.partition(b"/")[2]
    raw = target.partition(b"?")[0].partition(b"#")[0]
    if b"%" in raw:
        raw = _ESCAPE.sub(lambda found: _unescaped(found, text), raw)
    path = raw[1:]
    if b"//" in raw or b"/." in raw:
        # /opt/tcemirror that ends in a slash makes Tiny Core's scripts ask for //latest-x86_64
        parts = [part for part in raw.split(b"/") if part not in (b"", b".")]
        if b".." in parts:
            raise Refused(404, text)
        path = b"/".join(parts) + (b"/" if raw.endswith((b"/", b"/.")) else b"")
    if b"\0" in path:
        raise Refused(400, text)
    return path.decode(errors="surrogateescape")


def _unescaped(found: re.Match[bytes], text: str) -> bytes:
    if found[1] is None:
        raise Refused(400, text)
    return bytes((int(found[1], 16),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What of a file is sent: ``length`` bytes from ``start``, under a status."""

    status: int
    start: int
    length: int


@functools.lru_cache(maxsize=256)
def date(seconds: int) -> bytes:
    """Return a time as HTTP writes it."""
    return formatdate(seconds, usegmt=True).encode()


def choose(request: Request, etag: bytes, modified: int, size: int) -> Span:
    """Return what to send of a file: 200, 206, 304, 412 or 416.

    Dates are compared for equality, not for order: a mirror that shows an older state again shows older
    files, and a client that has the newer ones must get them.
    """
    fields = request.fields
    if b"if-match" in fields and not _listed(fields[b"if-match"], etag, weak=False):
        return Span(status=412, start=0, length=0)
    if b"if-none-match" in fields:
        if _listed(fields[b"if-none-match"], etag, weak=True):
            return Span(status=304, start=0, length=0)
    elif b"if-modified-since" in fields and _seconds(fields[b"if-modified-since"]) == modified:
        return Span(status=304, start=0, length=0)
    whole = Span(status=200, start=0, length=size)
    if b"range" not in fields or request.head:
        return whole
    if b"if-range" in fields:
        wanted = fields[b"if-range"]
        if wanted != etag and _seconds(wanted) != modified:
            return whole
    return _span(fields[b"range"], size) or whole


def _span(value: bytes, size: int) -> Span | None:
    """Return the part that a Range asks for; ``None`` for what is malformed or asks for several."""
    found = _RANGE.match(value)
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        length = min(int(found[2]), size)
        start = size - length
    else:
        start = int(found[1])
        end = int(found[2]) if found[2] else size
        if end < start and found[2]:
            return None
        length = min(end + 1, size) - start
    if length <= 0 or start >= size:
        return Span(status=416, start=0, length=0)
    return Span(status=206, start=start, length=length)


def _listed(value: bytes, etag: bytes, *, weak: bool) -> bool:
    if value == b"*":
        return True
    tags = [tag.strip() for tag in value.split(b",")]
    return etag in tags or (weak and b"W/" + etag in tags)


def _seconds(value: bytes) -> int | None:
    try:
        return int(parsedate_to_datetime(value.decode("latin-1")).timestamp())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
