"""Copying from a real rsync daemon, and from a folder: cut off, gone on with, changed under us."""

from __future__ import annotations

import shutil
import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

import pytest

from tcz.errors import FetchError, ToolkitError
from tcz.mirror.sync import Wish, sync
from tcz.mirror.upstream import FolderUpstream, RsyncUpstream
from tcz.mirror.verify import verify
from tcz.run import HostRunner
from tests.unit.mirror_made import BRANCH, QUIET, begun, package, quick_folder
from tests.unit.repository_made import TCZ, index
from tests.unit.signed_made import rsync_daemon

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tcz.mirror.repository import Mirror
    from tcz.mirror.sync import Synced
    from tcz.mirror.upstream import Upstream
    from tcz.reporting import Step

ALL = Wish(everything=True)
SIZE = 3_000_000
needs_rsync = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")


@dataclass
class Wire:
    """What lies between a client and a daemon: counts bytes, and cuts connections by their number."""

    to: tuple[str, int]
    address: str = ""
    connections: int = 0
    received: list[int] = field(default_factory=list)
    #: After so many bytes, of the connection of that number.
    cut: dict[int, int] = field(default_factory=dict)
    #: What is done before a connection of that number is made.
    before: dict[int, Callable[[], None]] = field(default_factory=dict)

    def carry(self, client: socket.socket) -> None:
        number = self.connections
        self.connections += 1
        self.received.append(0)
        self.before.get(number, lambda: None)()
        left = self.cut.get(number)
        with client, suppress(OSError), socket.create_connection(self.to) as server:
            threading.Thread(target=_pump, args=(client, server), daemon=True).start()
            while (left is None or left > 0) and (data := server.recv(min(left or 1 << 16, 1 << 16))):
                client.sendall(data)
                self.received[number] += len(data)
                left = None if left is None else left - len(data)
            for end in (client, server):
                end.shutdown(socket.SHUT_RDWR)


def _pump(source: socket.socket, to: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            to.sendall(data)


@contextmanager
def wired(address: str) -> Iterator[Wire]:
    """Give an address behind which a daemon is reached, by connections that are counted."""
    host, _, module = address.removeprefix("rsync://").partition("/")
    name, _, port = host.partition(":")
    wire = Wire((name, int(port)))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        wire.address = f"rsync://127.0.0.1:{listening.getsockname()[1]}/{module}"

        def listen() -> None:
            with suppress(OSError):
                while True:
                    wire.carry(listening.accept()[0])

        threading.Thread(target=listen, daemon=True).start()
        yield wire
        listening.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def top() -> Iterator[Path]:
    with quick_folder() as folder:
        theirs = folder / "theirs" / TCZ
        package(theirs, "app", "lib", padding=SIZE)
        package(theirs, "lib")
        index(theirs)
        yield folder


@pytest.fixture
def mirror(top: Path) -> Mirror:
    return begun(top / "m")


@pytest.fixture
def wire(top: Path) -> Iterator[Wire]:
    with rsync_daemon(top / "theirs", top / "daemon") as address, wired(address) as found:
        yield found


def run(mirror: Mirror, upstream: Upstream) -> Synced:
    return sync(mirror, upstream, BRANCH, ALL, QUIET)


def by_rsync(wire: Wire, top: Path) -> Upstream:
    return RsyncUpstream(wire.address, BRANCH, top / "cache", HostRunner())


def same(mirror: Mirror, theirs: Path) -> bool:
    names = ("app.tcz", "lib.tcz", "app.tcz.md5.txt", "lib.tcz.info", "app.tcz.dep")
    return verify(mirror, QUIET).damage == () and all(
        (mirror.public / TCZ / name).read_bytes() == (theirs / name).read_bytes() for name in names
    )


@needs_rsync
def test_a_copy_that_was_cut_off_is_gone_on_with(mirror: Mirror, wire: Wire, top: Path) -> None:
    wire.cut[1] = SIZE * 2 // 3
    with pytest.raises(FetchError, match="rsync failed"):
        run(mirror, by_rsync(wire, top))
    assert not list(mirror.public.rglob("*.tcz"))
    before = wire.connections
    assert run(mirror, by_rsync(wire, top)).fetched == ("app", "lib")
    assert sum(wire.received[before:]) < SIZE * 2 // 3  # the rest, and not all of it again
    assert same(mirror, top / "theirs" / TCZ)
    # nothing new: index files alone, and those only compared
    before = wire.connections
    assert not run(mirror, by_rsync(wire, top)).published
    assert sum(wire.received[before:]) < 5000


@needs_rsync
def test_a_daemon_that_goes_away(mirror: Mirror, wire: Wire, top: Path) -> None:
    for number in range(3):
        wire.cut[wire.connections + number] = 10
        with pytest.raises(FetchError, match="rsync failed") as told:
            run(mirror, by_rsync(wire, top))
        assert wire.address in str(told.value.where)
        wire.cut.clear()
    assert run(mirror, by_rsync(wire, top)).fetched == ("app", "lib")


@needs_rsync
@pytest.mark.parametrize("kept", [False, True])
def test_a_daemon_whose_files_change_meanwhile(mirror: Mirror, wire: Wire, top: Path, kept: bool) -> None:  # noqa: FBT001
    """Between the index files and the packages; ``kept``: with the same length and the same time."""
    theirs = top / "theirs" / TCZ

    def change() -> None:
        old = (theirs / "lib.tcz").stat()
        package(theirs, "lib", version="2")
        if kept:
            assert (theirs / "lib.tcz").stat().st_size == old.st_size
            shutil.os.utime(theirs / "lib.tcz", ns=(old.st_atime_ns, old.st_mtime_ns))
        index(theirs)

    if kept:
        run(mirror, by_rsync(wire, top))
    wire.before[wire.connections + 1] = change
    run(mirror, by_rsync(wire, top))
    if kept:
        # nothing was to be copied, so that nobody looked again; the next run sees it
        assert run(mirror, by_rsync(wire, top)).fetched == ("lib",)
    assert same(mirror, theirs)


@needs_rsync
def test_files_that_never_rest(mirror: Mirror, wire: Wire, top: Path) -> None:
    theirs = top / "theirs" / TCZ
    count = iter(range(100))

    def change() -> None:
        package(theirs, "lib", version=f"{next(count)}")
        index(theirs)

    wire.before |= dict.fromkeys(range(100), change)
    with pytest.raises(FetchError, match="again and again"):
        run(mirror, by_rsync(wire, top))
    assert not list(mirror.public.rglob("*.tcz"))
    wire.before.clear()
    assert run(mirror, by_rsync(wire, top)).fetched == ("app", "lib")
    assert same(mirror, theirs)


class Changing(FolderUpstream):
    """A folder that somebody works in while it is copied."""

    change: Callable[[int], None]
    asked = 0
    #: Several files are brought at once.
    alone = threading.Lock()

    def bring(self, file: str, to: Path, step: Step, limit: int) -> bool:
        with self.alone:
            self.asked += 1
            self.change(self.asked)
        return super().bring(file, to, step, limit)


def test_a_folder_that_changes_meanwhile(mirror: Mirror, top: Path) -> None:
    theirs = top / "theirs" / TCZ
    upstream = Changing(top / "theirs", BRANCH)
    data = Random(1).randbytes(100)

    def once(asked: int) -> None:
        if asked == 2:
            package(theirs, "lib", version="2")
            package(theirs, "app", "lib", version="2")
            index(theirs)

    upstream.change = once
    run(mirror, upstream)
    assert same(mirror, theirs)
    before = mirror.catalogue()

    def ever(asked: int) -> None:
        package(theirs, "lib", version=f"{asked}")
        index(theirs)

    def gone(_asked: int) -> None:
        shutil.rmtree(theirs, ignore_errors=True)

    def half(_asked: int) -> None:
        (theirs / "lib.tcz").write_bytes(data)

    for change, words in (
        (ever, "again and again|promise"),
        (half, "not what the index files promise|larger"),
        (gone, "lib.tcz|app.tcz|not there|no packages"),
    ):
        package(theirs, "lib", version=f"{change.__name__}")
        package(theirs, "app", "lib", version=f"{change.__name__}")
        index(theirs)
        upstream.change = change
        with pytest.raises(ToolkitError, match=words):
            run(mirror, upstream)
        assert mirror.catalogue() == before
        assert verify(mirror, QUIET).damage == ()
