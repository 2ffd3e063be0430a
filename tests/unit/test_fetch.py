"""Downloads from a server that misbehaves, on the loopback interface."""

from __future__ import annotations

import hashlib
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tcz.apt import Apt
from tcz.aptsource import DebianSources
from tcz.errors import FetchError, VerifyError
from tcz.fetch import Fetcher
from tcz.model import Archive
from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tcz.run import HostRunner
from tcz.sources.archive import Archives
from tcz.store import Store
from tests import loopback

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = bytes(range(256)) * 2000
SHA = hashlib.sha256(DATA).hexdigest()


class Faulty(loopback.Quiet):
    """The path says what goes wrong."""

    asked: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Range")))
        times = sum(1 for path, _ in self.asked if path == self.path)
        kind = self.path.strip("/").split("/")[0]
        start = 0
        if kind == "gone":
            self.send_error(404)
            return
        if kind == "busy" and times == 1:
            self.send_error(503)
            return
        asked = self.headers.get("Range")
        if kind == "refuse-range" and asked:
            self.send_error(416)
            return
        if asked and kind != "no-range":
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")
        else:
            self.send_response(200)
        body = (b"wrong" + DATA if kind == "wrong" else DATA)[start:]
        self.send_header("Content-Length", str(len(body) + (1000 if kind == "too-long" else 0)))
        self.end_headers()
        if kind == "always-cut" or (kind in ("cut", "no-range", "refuse-range") and times == 1):
            body = body[: len(body) // 3]
        self.wfile.write(body)


@dataclass(frozen=True)
class Server:
    server_port: int
    asked: list[tuple[str, str | None]]


@pytest.fixture
def server() -> Iterator[Server]:
    asked: list[tuple[str, str | None]] = []
    with loopback.serving(type("Handler", (Faulty,), {"asked": asked})) as port:
        yield Server(port, asked)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def fetcher(store: Store) -> Fetcher:
    return Fetcher(store, SilentReporter(), pause=0.01)


def url(server: Server, kind: str) -> str:
    return f"http://127.0.0.1:{server.server_port}/{kind}/file.tar"


@pytest.mark.parametrize("kind", ["good", "busy", "cut", "no-range", "refuse-range"])
def test_comes_through(server: Server, store: Store, fetcher: Fetcher, kind: str) -> None:
    assert fetcher.fetch(url(server, kind), SHA, what="file").read_bytes() == DATA
    assert not list((store.root / "partial").iterdir())
    asked = len(server.asked)
    fetcher.fetch(url(server, kind), SHA, what="file")
    assert len(server.asked) == asked


def test_resumes_where_it_stopped(server: Server, fetcher: Fetcher) -> None:
    fetcher.fetch(url(server, "cut"), SHA, what="file")
    assert [asked for _, asked in server.asked] == [None, f"bytes={len(DATA) // 3}-"]


def test_resumes_what_an_earlier_run_left(server: Server, store: Store, fetcher: Fetcher) -> None:
    (store.root / "partial").mkdir(parents=True)
    (store.root / "partial" / f"{SHA}.part").write_bytes(DATA[:1000])
    assert fetcher.fetch(url(server, "good"), SHA, what="file").read_bytes() == DATA
    assert server.asked[0][1] == "bytes=1000-"


def test_a_wrong_beginning_is_thrown_away(server: Server, store: Store, fetcher: Fetcher) -> None:
    (store.root / "partial").mkdir(parents=True)
    (store.root / "partial" / f"{SHA}.part").write_bytes(b"rubbish")
    assert fetcher.fetch(url(server, "good"), SHA, what="file").read_bytes() == DATA


@pytest.mark.parametrize(("kind", "why"), [("gone", "404"), ("too-long", ""), ("always-cut", "")])
def test_fails(server: Server, store: Store, fetcher: Fetcher, kind: str, why: str) -> None:
    with pytest.raises(FetchError) as caught:
        fetcher.fetch(url(server, kind), SHA, what="file")
    assert why in str(caught.value.why)
    assert not store.has(SHA)


def test_wrong_bytes(server: Server, store: Store, fetcher: Fetcher) -> None:
    with pytest.raises(VerifyError) as caught:
        fetcher.fetch(url(server, "wrong"), SHA, what="file.tar")
    found = hashlib.sha256(b"wrong" + DATA).hexdigest()
    assert SHA in str(caught.value.why)
    assert found in str(caught.value.why)
    assert not store.has(SHA)
    assert not store.has(found)
    (aside,) = (store.root / "rejected").iterdir()
    assert aside.read_bytes() == b"wrong" + DATA


def test_a_dead_host_is_asked_once(fetcher: Fetcher) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/f"
        for _ in range(2):
            with pytest.raises(FetchError, match="could not be fetched") as caught:
                fetcher.fetch(address, SHA, what="file")
            assert "refused" in str(caught.value.why)
        assert fetcher._downloads._dead


def archives(tmp_path: Path, store: Store, fetcher: Fetcher, *mirrors: str) -> Archives:
    dirs = Dirs(cache=tmp_path / "cache", config=tmp_path / "config", state=tmp_path / "state")
    apt = Apt(dirs, store, HostRunner(), SilentReporter())
    debian = DebianSources(dirs, store, apt, SilentReporter())
    return Archives(store, fetcher, debian, SilentReporter(), mirrors)


def test_mirrors_go_first(server: Server, tmp_path: Path, store: Store, fetcher: Fetcher) -> None:
    base = f"http://127.0.0.1:{server.server_port}/"
    got = archives(tmp_path, store, fetcher, base + "gone", base + "good/")
    part = got.fetch(Archive(url="http://upstream.invalid/p/file.tar", sha256=SHA), "1")
    assert part.file.read_bytes() == DATA
    assert [path for path, _ in server.asked] == [f"/gone/{SHA}", "/gone/file.tar", f"/good/{SHA}"]


def test_every_place_is_told(server: Server, tmp_path: Path, store: Store, fetcher: Fetcher) -> None:
    mirror = f"http://127.0.0.1:{server.server_port}/gone"
    with pytest.raises(FetchError) as caught:
        archives(tmp_path, store, fetcher, mirror).fetch(
            Archive(url="http://upstream.invalid/file.tar", sha256=SHA), "1"
        )
    why = str(caught.value.why)
    assert f"{mirror}/{SHA}" in why
    assert f"{mirror}/file.tar" in why
    assert "404" in why
    assert "http://upstream.invalid/file.tar" in why
    assert SHA in str(caught.value.hint)


def test_a_wrong_file_is_told_as_such(server: Server, tmp_path: Path, store: Store, fetcher: Fetcher) -> None:
    source = Archive(url=url(server, "wrong"), sha256=SHA)
    with pytest.raises(VerifyError) as caught:
        archives(tmp_path, store, fetcher).fetch(source, "1")
    assert SHA in str(caught.value.why)
    assert source.url in str(caught.value.why)


def test_another_place_makes_up_for_a_wrong_file(
    server: Server, tmp_path: Path, store: Store, fetcher: Fetcher
) -> None:
    mirror = f"http://127.0.0.1:{server.server_port}/wrong"
    part = archives(tmp_path, store, fetcher, mirror).fetch(Archive(url=url(server, "good"), sha256=SHA), "1")
    assert part.file.read_bytes() == DATA
