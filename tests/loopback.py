"""HTTP servers on the loopback, which say nothing."""

from __future__ import annotations

import functools
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: Seconds between two looks at whether the end has come.
_SOON = 0.02


class Quiet(BaseHTTPRequestHandler):
    """A handler without a log."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Files(Quiet, SimpleHTTPRequestHandler):
    """Files of a folder."""


def folder(path: Path, kind: type[Files] = Files) -> Callable[..., BaseHTTPRequestHandler]:
    """Return a handler for the files of a folder."""
    return functools.partial(kind, directory=str(path))


@contextmanager
def serving(
    handler: Callable[..., BaseHTTPRequestHandler],
    wrap: Callable[[socket.socket], socket.socket] | None = None,
) -> Iterator[int]:
    """Serve while the context lasts; give the port. ``wrap`` puts something around the socket."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if wrap is not None:
        server.socket = wrap(server.socket)
        # Clients hang up where they refuse.
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, args=(_SOON,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
