"""A server of a mirror's public files: HTTP/1.1 with ranges, for stock clients on a network of one's own.

One process and one thread; large files go from the disk to the network without passing through it. It does
no TLS and knows no names of hosts: ``tcz mirror nginx-config`` writes what puts a mirror on the open network.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tcz.errors import ConfigError, ToolkitError
from tcz.mirror.connection import Connection
from tcz.mirror.served import Served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tcz.mirror.accesslog import AccessLog
    from tcz.mirror.repository import Mirror

_SWEEP: Final = 0.5
_BACKLOG: Final = 512
#: Clients that may be told that there is no room, at a time; the rest are cut off.
_TOLD_AWAY: Final = 32
_HIGHEST_PORT: Final = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to listen; ``host`` is ``None`` for everywhere, ``port`` 0 for any that is free."""

    host: str | None
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``127.0.0.1:8080``, ``[::1]:8080`` or ``:8080``; raises ``ConfigError``."""
        host, colon, port = text.rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            colon = ""
        if not (colon and port.isascii() and port.isdigit() and int(port) <= _HIGHEST_PORT):
            raise ConfigError(
                f"{text!r} is no address to listen on", hint="such as 127.0.0.1:8080, [::1]:8080 or :8080"
            )
        return cls(host=host or None, port=int(port))


def served_by(mirror: Mirror, snapshot: str | None) -> Served:
    """Return what to serve of a mirror; raises ``ConfigError`` for a snapshot that is not there."""
    if snapshot is None:
        return Served(mirror)
    snapshots = mirror.snapshots()
    if snapshot not in snapshots:
        raise ConfigError(
            f"there is no snapshot {snapshot}", hint=f"there are: {', '.join(snapshots) or 'none'}"
        )
    return Served(mirror, snapshots[snapshot])


class Server:
    """Serves a shelf until it is told to stop."""

    def __init__(
        self,
        shelf: Served,
        log: AccessLog | None,
        *,
        most: int,
        tell: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True),  # noqa: T201
    ) -> None:
        """``most`` connections are served at a time; ``tell`` takes lines on faults of the machine."""
        self.shelf = shelf
        self.stopping = False
        self._log = log
        self._most = most
        self._tell = tell
        self._told = ""
        self._connections: set[Connection] = set()
        self._stop = asyncio.Event()
        self._empty = asyncio.Event()

    def admit(self, connection: Connection) -> bool:
        """See ``connection.Host``."""
        others = len(self._connections)
        room = others < self._most and not self.stopping
        self._connections.add(connection)
        if others >= self._most + _TOLD_AWAY:
            connection.abort()
        return room

    def leave(self, connection: Connection) -> None:
        """See ``connection.Host``."""
        self._connections.discard(connection)
        if self.stopping and not self._connections:
            self._empty.set()

    def log(
        self, peer: str, line: str, status: int, size: int, fields: Mapping[bytes, bytes] | None = None
    ) -> None:
        """See ``connection.Host``."""
        with self._faults():
            if self._log is not None:
                self._log.add(peer, line, status, size, fields or {})

    def fault(self, error: Exception) -> None:
        """See ``connection.Host``; a fault that goes on is told once."""
        if str(error) != self._told:
            self._told = str(error)
            self._tell(f"tcz mirror serve: {error}")

    def reopen(self) -> None:
        """Open the log anew."""
        with self._faults():
            if self._log is not None:
                self._log.reopen()

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Serve on when the log cannot be written."""
        try:
            yield
        except OSError as error:
            self.fault(error)

    def stop(self) -> None:
        """Take no more connections and end when those that are have their answers; twice: end at once."""
        if self._stop.is_set():
            for connection in tuple(self._connections):
                connection.abort()
        self._stop.set()

    async def run(self, addresses: Sequence[Address], ready: Callable[[Sequence[str]], None]) -> None:
        """Serve until ``stop``; ``ready`` is called with the URLs when clients may come.

        Raises ``ToolkitError`` where it cannot listen.
        """
        loop = asyncio.get_running_loop()
        servers = [await self._listen(address) for address in addresses]
        ready([_url(sock.getsockname()) for server in servers for sock in server.sockets])
        sweeper = loop.create_task(self._sweep())
        try:
            await self._stop.wait()
            self.stopping = True
            for server in servers:
                server.close()
            for connection in tuple(self._connections):
                connection.finish()
            if self._connections:
                await self._empty.wait()
        finally:
            sweeper.cancel()
            with suppress(asyncio.CancelledError):
                await sweeper
            with self._faults():
                if self._log is not None:
                    self._log.close()

    async def _listen(self, address: Address) -> asyncio.Server:
        try:
            return await asyncio.get_running_loop().create_server(
                self._connection, address.host, address.port, backlog=_BACKLOG
            )
        except OSError as error:
            raise ToolkitError(
                f"cannot listen on {address.host or 'any address'}, port {address.port}",
                why=error.strerror,
                hint="choose another with --listen",
            ) from error

    def _connection(self) -> Connection:
        return Connection(self)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP)
            now = time.monotonic()
            for connection in tuple(self._connections):
                connection.sweep(now)
            with self._faults():
                if self._log is not None:
                    self._log.flush()


def _url(name: tuple[object, ...]) -> str:
    host, port = name[:2]
    return f"http://[{host}]:{port}/" if ":" in str(host) else f"http://{host}:{port}/"


def serve(
    shelf: Served,
    addresses: Sequence[Address],
    log: AccessLog | None,
    *,
    most: int,
    ready: Callable[[Sequence[str]], None],
) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP opens the log anew. For the main thread."""
    # Each connection may hold a file too.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < 2 * most + 64:
        enough = 2 * most + 64
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(enough, hard) if hard > 0 else enough, hard))

    async def main() -> None:
        server = Server(shelf, log, most=most)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, server.stop)
        loop.add_signal_handler(signal.SIGHUP, server.reopen)
        await server.run(addresses, ready)

    asyncio.run(main())


def open_log(file: Path | None) -> AccessLog:
    """Open the access log; raises ``ConfigError`` where it cannot be written."""
    from tcz.mirror.accesslog import AccessLog  # noqa: PLC0415 - a server may have none

    try:
        return AccessLog(file)
    except OSError as error:
        raise ConfigError(f"the access log {file} cannot be written: {error.strerror}") from error
