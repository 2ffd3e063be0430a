"""One connection of a client to the server of a mirror: requests in a row, answers in the same order."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from io import FileIO
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from tcz.mirror.http import HEAD_LIMIT, LINE_LIMIT, REASONS, Refused, choose, date, parse
from tcz.mirror.served import Absent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tcz.mirror.http import Request, Span
    from tcz.mirror.served import Item, Served

#: Seconds for a request to be complete, for the next one to begin, for a client to take some bytes more,
#: and for one that was refused to read why.
HEAD_TIME: Final = 10.0
IDLE_TIME: Final = 30.0
STALL_TIME: Final = 60.0
LINGER_TIME: Final = 2.0
_END = b"\r\n\r\n"
_MOST_WAITING: Final = 4 * HEAD_LIMIT
_ALLOW = b"Allow: GET, HEAD\r\n"
#: Where Linux's tcp_info counts the bytes that the other side has acknowledged.
_ACKED = struct.Struct("=120xQ")
_NOTHING: Final[Mapping[bytes, bytes]] = {}


class Host(Protocol):
    """What a connection asks of its server."""

    shelf: Served
    stopping: bool

    def admit(self, connection: Connection) -> bool:
        """Count a new connection in; tell whether there is room for it. May end it."""
        ...

    def leave(self, connection: Connection) -> None:
        """Count a connection out."""
        ...

    def log(
        self, peer: str, line: str, status: int, size: int, fields: Mapping[bytes, bytes] = _NOTHING
    ) -> None:
        """Note an answer."""
        ...

    def fault(self, error: Exception) -> None:
        """Tell of a fault of the machine."""
        ...


class Connection(asyncio.Protocol):
    """See the module. ``sweep`` is called every now and then, and ends what takes too long."""

    def __init__(self, host: Host) -> None:
        """Wait for ``connection_made``."""
        self._host = host
        self._peer = "-"
        self._buffer = b""
        self._task: asyncio.Task[None] | None = None
        self._full = self._choked = self._draining = self._ended = False
        self._deadline = time.monotonic() + HEAD_TIME
        self._acked = -1
        self._partial = False

    # what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._peer = peer[0] if peer else "-"
        if not self._host.admit(self) and not transport.is_closing():
            self._refuse(503, "")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - gone is gone
        """End."""
        self._host.leave(self)
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        """Stop answering: the client reads more slowly than it asks."""
        self._full = True
        self._deadline = time.monotonic() + STALL_TIME

    def resume_writing(self) -> None:
        """Go on answering."""
        self._full = False
        self._advance()

    def data_received(self, data: bytes) -> None:
        """Take in more of a request, or of several."""
        if self._draining:
            return
        self._buffer = self._buffer + data if self._buffer else data
        self._advance()
        if len(self._buffer) > _MOST_WAITING and self._busy():
            self._transport.pause_reading()
            self._choked = True

    def eof_received(self) -> bool:
        """Note that no more is asked; what was asked is answered still."""
        self._ended = True
        return self._busy()

    # requests

    def _busy(self) -> bool:
        return self._task is not None or self._full

    def _advance(self) -> None:
        """Answer what has come in, as far as the client takes the answers."""
        while not (self._busy() or self._draining or self._transport.is_closing()):
            if self._buffer[:2] == b"\r\n":  # old clients send it after a request
                self._buffer = self._buffer[2:]
                continue
            end = self._buffer.find(_END)
            if end < 0:
                self._wait()
                break
            head, self._buffer = self._buffer[:end], self._buffer[end + len(_END) :]
            self._partial = False
            try:
                self._answer(parse(head))
            except Refused as refused:
                self._refuse(refused.status, refused.line)
        if self._choked and not self._busy() and len(self._buffer) <= _MOST_WAITING:
            self._choked = False
            self._transport.resume_reading()

    def _wait(self) -> None:
        """Look at a request that is not complete."""
        line = self._buffer.find(b"\n")
        if self._ended or (self._host.stopping and not self._buffer):
            self._transport.close()
        elif line > 0 and self._buffer[line - 1 : line] != b"\r":
            self._refuse(400, "")
        elif len(self._buffer) > LINE_LIMIT and not 0 <= line <= LINE_LIMIT:
            self._refuse(414, self._buffer[:80].decode("latin-1"))
        elif len(self._buffer) > HEAD_LIMIT:
            self._refuse(431, self._buffer[: max(line - 1, 0)].decode("latin-1"))
        elif self._buffer and not self._partial:
            self._partial = True
            self._deadline = time.monotonic() + HEAD_TIME
        elif not self._buffer:
            self._deadline = time.monotonic() + IDLE_TIME

    def _answer(self, request: Request) -> None:
        keep = request.keep and not self._host.stopping
        try:
            item, handle = self._host.shelf.find(request.path)
        except Absent:
            self._tell(404, request, keep=keep)
            return
        except OSError as error:
            self._host.fault(error)
            self._tell(403 if isinstance(error, PermissionError) else 500, request, keep=keep)
            return
        span = choose(request, item.etag, item.modified, item.size)
        if span.status == 412:  # noqa: PLR2004 - a status reads best as the number it is
            _close(handle)
            self._tell(412, request, keep=keep)
            return
        head = _head(span, item, keep=keep)
        if request.head or not span.length or item.data is not None:
            _close(handle)
            data = b"" if request.head or item.data is None else item.data
            if len(data) != span.length:
                data = data[span.start : span.start + span.length]
            self._transport.write(head + data)
            self._log(request, span.status, len(data))
            if not keep:
                self._transport.close()
        else:
            self._transport.write(head)
            self._deadline = time.monotonic() + STALL_TIME
            file = FileIO(cast("int", handle))
            loop = asyncio.get_running_loop()
            self._task = loop.create_task(self._send(request, span, file, keep=keep))
            # A task that is cancelled before it began runs none of its own code.
            self._task.add_done_callback(lambda _: file.close())

    async def _send(self, request: Request, span: Span, file: FileIO, *, keep: bool) -> None:
        """Send a part of a file from the disk; the connection ends where not all of it can be had."""
        sent = 0
        try:
            loop = asyncio.get_running_loop()
            sent = await loop.sendfile(self._transport, cast("Any", file), span.start, span.length)
        except (OSError, RuntimeError) as error:
            if not isinstance(error, ConnectionError) and not self._transport.is_closing():
                self._host.fault(error)
        except asyncio.CancelledError:
            self._log(request, span.status, sent)
            raise
        self._task = None
        self._log(request, span.status, sent)
        if sent != span.length:
            self._transport.abort()
        elif not keep:
            self._transport.close()
        else:
            self._advance()

    def _tell(self, status: int, request: Request, *, keep: bool) -> None:
        size = self._say(status, head=request.head, keep=keep)
        self._log(request, status, size)
        if not keep:
            self._transport.close()

    def _say(self, status: int, *, head: bool, keep: bool) -> int:
        """Answer with a status and a line of text; return how long the content is."""
        text = f"{status} {REASONS[status]}\n".encode()
        fields = b"Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"
        if status == 405:  # noqa: PLR2004 - see _answer
            fields += _ALLOW
        self._transport.write(_start(status, len(text), keep=keep) + fields + b"\r\n")
        if head:
            return 0
        self._transport.write(text)
        return len(text)

    def _refuse(self, status: int, line: str) -> None:
        """Answer what cannot be understood, and end: where the next request begins is not known."""
        size = self._say(status, head=line.startswith("HEAD "), keep=False)
        self._host.log(self._peer, line, status, size)
        self._buffer = b""
        # Closing at once, with bytes unread, would reset the connection before the client has the answer.
        self._draining = True
        self._deadline = time.monotonic() + LINGER_TIME
        if self._ended:
            self._transport.close()
            return
        try:
            self._transport.write_eof()
        except OSError:  # the client has gone
            self._transport.abort()

    def _log(self, request: Request, status: int, size: int) -> None:
        self._host.log(self._peer, request.line, status, size, request.fields)

    # time

    def finish(self) -> None:
        """Answer what is asked already and end; the server is stopping."""
        if not self._busy() and not self._buffer and not self._draining:
            self._transport.close()

    def abort(self) -> None:
        """End at once."""
        self._transport.abort()

    def sweep(self, now: float) -> None:
        """End the connection when its time is over."""
        if self._task is not None or self._transport.get_write_buffer_size():
            acked = self._taken()
            if acked != self._acked:
                self._acked, self._deadline = acked, now + STALL_TIME
            elif now >= self._deadline:
                self.abort()
        elif now >= self._deadline and not self._transport.is_closing():
            if self._partial and not self._draining:
                self._refuse(408, "")
            else:
                self._transport.close()

    def _taken(self) -> int:
        """Return how many bytes the client has taken since the connection began."""
        try:
            got = self._transport.get_extra_info("socket").getsockopt(
                socket.IPPROTO_TCP, socket.TCP_INFO, _ACKED.size
            )
            return int(_ACKED.unpack(got)[0])
        except (OSError, struct.error):
            return self._acked


def _start(status: int, length: int, *, keep: bool) -> bytes:
    return b"HTTP/1.1 %d %b\r\nDate: %b\r\nConnection: %b\r\nContent-Length: %d\r\n" % (
        status,
        _REASONS[status],
        date(int(time.time())),
        b"keep-alive" if keep else b"close",
        length,
    )


_REASONS = {status: reason.encode() for status, reason in REASONS.items()}


def _head(span: Span, item: Item, *, keep: bool) -> bytes:
    if span.status == 304:  # noqa: PLR2004 - see Connection._answer
        start = _start(span.status, item.size, keep=keep)
        start = start.partition(b"Content-Length:")[0]
        return start + item.fields + b"\r\n"
    ranged = b""
    if span.status == 206:  # noqa: PLR2004
        last = span.start + span.length - 1
        ranged = b"Content-Range: bytes %d-%d/%d\r\n" % (span.start, last, item.size)
    elif span.status == 416:  # noqa: PLR2004
        ranged = b"Content-Range: bytes */%d\r\n" % item.size
    return _start(span.status, span.length, keep=keep) + item.fields + ranged + b"\r\n"


def _close(handle: int | None) -> None:
    if handle is not None:
        os.close(handle)
