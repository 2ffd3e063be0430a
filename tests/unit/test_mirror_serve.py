from __future__ import annotations

import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tcz.errors import ConfigError
from tcz.mirror.repository import Mirror
from tcz.mirror.serve import Address
from tcz.reporting import SilentReporter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FOLDER = "17.x/x86_64/tcz"
BIG = Random(1).randbytes(3_000_001)
SMALL = b"libz.tcz\n"
FILES = {f"{FOLDER}/a.tcz": BIG, f"{FOLDER}/a.tcz.dep": SMALL, "latest-x86_64": b"17.0\n", "empty": b""}


def publish(mirror: Mirror, files: Mapping[str, bytes], serial: int) -> None:
    with mirror.writing(SilentReporter()) as writer:
        writer.publish({path: writer.objects.add_bytes(data) for path, data in files.items()}, serial)


def made(root: Path, files: Mapping[str, bytes] = FILES) -> Mirror:
    root.mkdir()
    (root / "mirror.toml").write_text("")
    mirror = Mirror.open(root)
    publish(mirror, files, 1)
    return mirror


@contextmanager
def serving(
    mirror: Mirror, *options: str, listen: str = "127.0.0.1:0", said: str = ""
) -> Iterator[tuple[str, int, int]]:
    """Yield the URL, the port and the process of a server; it must end well and say nothing else."""
    code = "from tcz.cli.mirror_serve import serve; serve()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "-m", str(mirror.root), "--listen", listen, *options],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.search(r"(http://\S+:([0-9]+)/)", line)
        assert found, line + process.stderr.read()
        yield found[1], int(found[2]), process.pid
        if process.poll() is None:
            process.terminate()
        assert process.wait(20) == 0
        assert process.stderr.read() == said
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int, int]]:
    folder = tmp_path_factory.mktemp("served")
    mirror = made(folder / "m")
    (folder / "secret").write_text("secret")
    state = mirror.shown()
    assert state is not None
    (state / "outside").symlink_to(folder / "secret")
    (state / "folder").symlink_to(folder)
    os.mkfifo(state / "fifo")
    with serving(mirror) as server:
        yield server


def ask(port: int, data: bytes, *, host: str = "127.0.0.1") -> bytes:
    """Send bytes, then no more; return all that comes back."""
    with socket.create_connection((host, port), timeout=20) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        got = b""
        while more := sock.recv(1 << 20):
            got += more
    return got


def get(port: int, path: str, *fields: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", *fields, "", ""]
    head, _, body = ask(port, "\r\n".join(lines).encode("latin-1")).partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    assert first.startswith("HTTP/1.1 ")
    return int(first.split()[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in rest)}, body


def test_files(served: tuple[str, int, int]) -> None:
    port = served[1]
    status, fields, body = get(port, f"/{FOLDER}/a.tcz")
    assert (status, body) == (200, BIG)
    assert fields["content-length"] == str(len(BIG))
    assert fields["content-type"] == "application/octet-stream"
    assert re.fullmatch(r'"[0-9a-f-]+"', fields["etag"])
    assert fields["accept-ranges"] == "bytes"
    again = get(port, f"/{FOLDER}/a.tcz", method="HEAD")
    del fields["date"], again[1]["date"]
    assert again == (200, fields, b"")
    assert get(port, f"/{FOLDER}/a.tcz.dep")[::2] == (200, SMALL)
    assert get(port, "//latest-x86_64")[::2] == (200, b"17.0\n")
    assert get(port, "/./17.x//x86_64/%74cz/a.tcz.dep?x=/../")[::2] == (200, SMALL)
    assert get(port, "http://other/latest-x86_64")[::2] == (200, b"17.0\n")
    assert get(port, "/empty")[::2] == (200, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        f"/{FOLDER}",
        f"/{FOLDER}/",
        f"/{FOLDER}/none.tcz.dep",
        f"/{FOLDER}/a.tcz/",
        f"/{FOLDER}/a.tcz/x",
        "/../mirror.toml",
        "/17.x/../../../mirror.toml",
        "/%2e%2e/%2e%2e/mirror.toml",
        "/17.x/%2E%2E/latest-x86_64",
        "/outside",
        "/folder/secret",
        "/fifo",
        "/" + "x" * 300,
        "/%ff%fe",
        "/~root",
    ],
)
def test_what_is_no_file_is_not_found(served: tuple[str, int, int], path: str) -> None:
    status, fields, body = get(served[1], path)
    assert (status, body) == (404, b"404 Not Found\n")
    assert fields["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("wish", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-9", 5, 10),
        ("bytes=2999990-", 2999990, len(BIG)),
        ("bytes=-7", len(BIG) - 7, len(BIG)),
        ("bytes=-99999999", 0, len(BIG)),
        ("bytes=10-99999999", 10, len(BIG)),
        ("Bytes=1-2", 1, 3),
    ],
)
def test_ranges(served: tuple[str, int, int], wish: str, start: int, end: int) -> None:
    status, fields, body = get(served[1], f"/{FOLDER}/a.tcz", f"Range: {wish}")
    assert (status, body) == (206, BIG[start:end])
    assert fields["content-range"] == f"bytes {start}-{end - 1}/{len(BIG)}"
    assert get(served[1], f"/{FOLDER}/a.tcz", f"Range: {wish}", method="HEAD")[0] == 200


@pytest.mark.parametrize("wish", ["bytes=9-", "bytes=100-200", "bytes=-0"])
def test_ranges_beyond_the_end(served: tuple[str, int, int], wish: str) -> None:
    status, fields, body = get(served[1], f"/{FOLDER}/a.tcz.dep", f"Range: {wish}")
    assert (status, fields["content-range"], body) == (416, "bytes */9", b"")


@pytest.mark.parametrize("wish", ["bytes=5-4", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=0-1,3-4", "x"])
def test_ranges_that_are_none(served: tuple[str, int, int], wish: str) -> None:
    assert get(served[1], f"/{FOLDER}/a.tcz.dep", f"Range: {wish}")[::2] == (200, SMALL)


def test_conditions(served: tuple[str, int, int]) -> None:
    path = f"/{FOLDER}/a.tcz.dep"
    fields = get(served[1], path)[1]
    etag, modified = fields["etag"], fields["last-modified"]
    other = '"other"'

    def status(*given: str) -> int:
        return get(served[1], path, *given)[0]

    told = get(served[1], path, f"If-None-Match: {etag}")
    assert (told[0], told[1]["etag"], told[2]) == (304, etag, b"")
    assert status(f"If-None-Match: {other}, W/{etag}") == 304
    assert status("If-None-Match: *") == 304
    assert status(f"If-None-Match: {other}", f"If-Modified-Since: {modified}") == 200
    assert status(f"If-Modified-Since: {modified}") == 304
    assert status("If-Modified-Since: Thu, 01 Jan 2099 00:00:00 GMT") == 200
    assert status("If-Modified-Since: Fri, 32 Foo 99999 99:99:99") == 200
    assert status(f"If-Match: {other}") == 412
    assert status(f"If-Match: {other}, {etag}") == 200
    ranged = "Range: bytes=0-1"
    assert status(ranged, f"If-Range: {etag}") == 206
    assert status(ranged, f"If-Range: {modified}") == 206
    assert status(ranged, f"If-Range: {other}") == 200
    assert status(ranged, f"If-Range: W/{etag}") == 200
    assert status(ranged, "If-Range: Thu, 01 Jan 1970 00:00:00 GMT") == 200


HOST = b"Host: x\r\n"


@pytest.mark.parametrize(
    ("status", "data"),
    [
        (400, b"GET\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\n\r\n"),
        (400, b"GET / HTTP/1.1\n\n"),
        (400, b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost : x\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: x\r\nA: b\nC: d\r\n\r\n"),
        (400, b"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b"GET /a%2 HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b"GET x HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
        (405, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"),
        (405, b"DELETE /latest-x86_64 HTTP/1.1\r\nHost: x\r\n\r\n"),
        (413, b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"),
        (413, b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (414, b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
        (414, b"GET /" + b"x" * 900000),
        (431, b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20000 + b"\r\n\r\n"),
        (431, b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 900000),
        (431, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 200 + b"\r\n"),
        (501, b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n"),
        (505, b"GET / HTTP/2.0\r\nHost: x\r\n\r\n"),
    ],
)
def test_refusals(served: tuple[str, int, int], status: int, data: bytes) -> None:
    got = ask(served[1], data)
    assert got.startswith(b"HTTP/1.1 %d " % status)
    assert got.count(b"HTTP/1.1") == 1
    assert b"Connection: close\r\n" in got
    assert (b"Allow: GET, HEAD\r\n" in got) == (status == 405)


def test_many_requests_in_a_row(served: tuple[str, int, int]) -> None:
    small = b"GET /latest-x86_64 HTTP/1.1\r\nHost: x\r\n\r\n"
    absent = b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n"
    large = f"GET /{FOLDER}/a.tcz HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    got = ask(served[1], (small + absent + large) * 5 + b"\r\n" + small)
    bodies = re.split(rb"HTTP/1\.1 (?:200|404) .*?\r\n\r\n", got, flags=re.DOTALL)
    assert bodies == [b"", *[b"17.0\n", b"404 Not Found\n", BIG] * 5, b"17.0\n"]
    # a server that buffered all answers would need gigabytes for this
    many = ask(served[1], small * 30000)
    assert many.count(b"\r\n\r\n17.0\n") == 30000


def test_keep_alive_ends_where_it_should(served: tuple[str, int, int]) -> None:
    ends = b"GET /latest-x86_64 HTTP/1.0\r\n\r\n"
    assert ask(served[1], ends * 2).count(b"HTTP/1.1 200") == 1
    stays = b"GET /latest-x86_64 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    assert ask(served[1], stays * 2).count(b"HTTP/1.1 200") == 2
    closes = b"GET /latest-x86_64 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert ask(served[1], closes * 2).count(b"HTTP/1.1 200") == 1


WORDS = (
    "GET|HEAD| |/|..|%2e|%00|%|HTTP/1.1|HTTP/1.0|\r\n|\r\n\r\n|\n|Host: x|Range: bytes=|-|9|0|If-Range: |"
    "If-Modified-Since: |mirror.toml|17.x/x86_64/tcz/a.tcz.dep|outside|Content-Length: |"
    "Transfer-Encoding: chunked|://"
)
PIECES = st.sampled_from(WORDS.encode().split(b"|"))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.lists(PIECES, max_size=25).map(b"".join),
        st.binary(max_size=200),
        st.lists(st.one_of(PIECES, st.binary(max_size=4)), max_size=20).map(
            lambda parts: b"GET /" + b"".join(parts) + b" HTTP/1.1\r\nHost: x\r\n\r\n"
        ),
    )
)
def test_any_bytes_get_an_answer_or_an_end(served: tuple[str, int, int], data: bytes) -> None:
    # ``serving`` sees to it that the server says nothing, a traceback least of all.
    got = ask(served[1], data)
    assert got == b"" or re.match(rb"HTTP/1\.1 (200|206|304|4[0-9]{2}|50[15]) ", got)
    assert b"secret" not in got


def test_stock_clients_resume(served: tuple[str, int, int], tmp_path: Path) -> None:
    url = f"{served[0]}/{FOLDER}/a.tcz"
    file = tmp_path / "a.tcz"
    for argv in (["busybox", "wget", "-qc"], ["wget", "-qc"], ["curl", "-sfC-", "-O"]):
        for have in (0, 1, 1_234_567, len(BIG) - 1):
            file.write_bytes(BIG[:have])
            subprocess.run([*argv, url], cwd=tmp_path, check=True)
            assert file.read_bytes() == BIG
    subprocess.run(["wget", "-qc", url], cwd=tmp_path, check=True)
    assert file.read_bytes() == BIG
    argv = ["curl", "-s", "-o", "x", "-w", "%{http_code}", "-r", "10-19"]
    assert subprocess.run([*argv, url], cwd=tmp_path, check=True, stdout=subprocess.PIPE).stdout == b"206"
    assert (tmp_path / "x").read_bytes() == BIG[10:20]
    assert subprocess.run(["busybox", "wget", "-q", f"{url}.none"], cwd=tmp_path, check=False).returncode
    assert subprocess.run(["busybox", "wget", "-q", "--spider", url], check=True)


def test_zsync_fetches_what_changed(tmp_path: Path) -> None:
    new = tmp_path / "a.tcz"
    new.write_bytes(BIG)
    subprocess.run(["zsyncmake", "-u", "a.tcz", "a.tcz"], cwd=tmp_path, check=True, stderr=subprocess.DEVNULL)
    zsync = (tmp_path / "a.tcz.zsync").read_bytes()
    client = tmp_path / "client"
    client.mkdir()
    (client / "a.tcz").write_bytes(BIG[:1_000_000] + b"other" * 400 + BIG[1_002_000:])
    log = tmp_path / "log"
    mirror = made(tmp_path / "m", {"a.tcz": BIG, "a.tcz.zsync": zsync})
    with serving(mirror, "--log", str(log)) as (url, _, _):
        argv = ["zsync", "-q", f"{url}/a.tcz.zsync"]
        subprocess.run(argv, cwd=client, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert (client / "a.tcz").read_bytes() == BIG
    sizes = [int(line.split()[9]) for line in log.read_text().splitlines() if "/a.tcz HTTP" in line]
    assert 0 < sum(sizes) < 20_000


def test_the_log(tmp_path: Path) -> None:
    mirror = made(tmp_path / "m")
    log = tmp_path / "log"
    with serving(mirror, "--log", str(log)) as (_, port, pid):
        get(port, "/latest-x86_64", 'User-Agent: a"b\\c', "Referer: http://r/")
        get(port, '/"none"\x85')
        while not log.stat().st_size:
            time.sleep(0.05)
        log.rename(tmp_path / "old")
        os.kill(pid, signal.SIGHUP)
        while not log.exists():
            time.sleep(0.05)
        get(port, f"/{FOLDER}/a.tcz", "Range: bytes=0-99999")
    first, second = (tmp_path / "old").read_text().splitlines()
    line = r"127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "
    assert re.fullmatch(line + r'"GET /latest-x86_64 HTTP/1.1" 200 5 "http://r/" "a\\x22b\\x5cc"', first)
    assert re.fullmatch(line + r'"GET /\\x22none\\x22\\x85 HTTP/1.1" 400 16 "-" "-"', second)
    assert re.fullmatch(line + rf'"GET /{FOLDER}/a.tcz HTTP/1.1" 206 100000 "-" "-"\n', log.read_text())


def test_a_full_disk_ends_the_log_and_not_the_service(tmp_path: Path) -> None:
    said = "tcz mirror serve: [Errno 28] No space left on device\n"
    with serving(made(tmp_path / "m"), "--log", "/dev/full", said=said) as (_, port, pid):
        many = b"GET /latest-x86_64 HTTP/1.1\r\nHost: x\r\n\r\n" * 1500
        assert ask(port, many).count(b"HTTP/1.1 200") == 1500
        os.kill(pid, signal.SIGHUP)
        assert get(port, "/latest-x86_64")[0] == 200


def test_no_file_stays_open(tmp_path: Path) -> None:
    with serving(made(tmp_path / "m")) as (_, port, pid):
        asked = f"GET /{FOLDER}/a.tcz HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        for size in (0, 1, 100, 100_000) * 5:
            with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
                sock.sendall(asked)
                left = size
                while left > 0:
                    left -= len(sock.recv(left))
        get(port, "/latest-x86_64")
        folder = Path(f"/proc/{pid}/fd")
        for _ in range(100):
            if not any("/m/states/" in os.path.realpath(link) for link in folder.iterdir()):
                break
            time.sleep(0.1)
        else:
            pytest.fail("files of downloads that broke off are still open")


def test_what_is_published_meanwhile(tmp_path: Path) -> None:
    mirror = made(tmp_path / "m")
    with serving(mirror) as (_, port, _), socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.sendall(f"GET /{FOLDER}/a.tcz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        got = sock.recv(1000)
        etag = get(port, "/latest-x86_64")[1]["etag"]
        publish(mirror, {**FILES, f"{FOLDER}/a.tcz": b"new", "latest-x86_64": b"18.0\n"}, 2)
        with mirror.writing(SilentReporter()) as writer:
            assert writer.prune(1) == ("1",)
        assert get(port, f"/{FOLDER}/a.tcz")[::2] == (200, b"new")
        assert get(port, "/latest-x86_64", f"If-None-Match: {etag}")[::2] == (200, b"18.0\n")
        while more := sock.recv(1 << 20):
            got += more
    assert got.partition(b"\r\n\r\n")[2] == BIG


def test_snapshots(tmp_path: Path) -> None:
    mirror = made(tmp_path / "m")
    with mirror.writing(SilentReporter()) as writer:
        state = mirror.shown()
        assert state is not None
        writer.name("may", state)
    publish(mirror, {"latest-x86_64": b"18.0\n"}, 2)
    with serving(mirror, "--snapshot", "may") as (_, port, _):
        status, fields, body = get(port, "/latest-x86_64")
        assert (status, body) == (200, b"17.0\n")
        assert "immutable" in fields["cache-control"]


def test_before_the_first_publication(tmp_path: Path) -> None:
    (tmp_path / "mirror.toml").write_text("")
    with serving(Mirror.open(tmp_path)) as (_, port, _):
        assert get(port, "/latest-x86_64")[0] == 404


def test_many_clients(served: tuple[str, int, int]) -> None:
    def one(number: int) -> bool:
        start = number * 1000
        got = get(served[1], f"/{FOLDER}/a.tcz", f"Range: bytes={start}-")[2]
        return hashlib.sha256(got).digest() == hashlib.sha256(BIG[start:]).digest()

    with ThreadPoolExecutor(32) as pool:
        assert all(pool.map(one, range(200)))


def test_more_clients_than_allowed(tmp_path: Path) -> None:
    with serving(made(tmp_path / "m"), "--connections", "2") as (_, port, _):
        held = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
        for sock in held:
            sock.sendall(b"GET /latest-x86_64 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert sock.recv(1000).startswith(b"HTTP/1.1 200 ")
        with socket.create_connection(("127.0.0.1", port), timeout=20) as third:
            assert third.recv(1000).startswith(b"HTTP/1.1 503 ")
        for sock in held:
            sock.close()


def test_stopping_lets_downloads_end(tmp_path: Path) -> None:
    with serving(made(tmp_path / "m")) as (_, port, pid):
        sock = socket.create_connection(("127.0.0.1", port), timeout=20)
        idle = socket.create_connection(("127.0.0.1", port), timeout=20)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.sendall(f"GET /{FOLDER}/a.tcz HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        got = sock.recv(1000)
        os.kill(pid, signal.SIGTERM)
        assert idle.recv(10) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        while more := sock.recv(1 << 20):
            got += more
        assert got.partition(b"\r\n\r\n")[2] == BIG
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def test_ipv6(tmp_path: Path) -> None:
    with serving(made(tmp_path / "m"), listen="[::1]:0") as (url, port, _):
        assert url.startswith("http://[::1]:")
        asked = b"GET /latest-x86_64 HTTP/1.1\r\nHost: x\r\n\r\n"
        assert ask(port, asked, host="::1").endswith(b"\r\n\r\n17.0\n")


@pytest.mark.parametrize("text", ["8080", "host", "::1:80", "h:99999", "h:", "h:-1", "h:\u0663"])
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError):
        Address.parse(text)


def test_slow_clients_are_sent_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, where the patience of a server can be shortened."""
    import asyncio  # noqa: PLC0415

    from tcz.mirror import connection  # noqa: PLC0415
    from tcz.mirror.serve import Server, served_by  # noqa: PLC0415

    for name in ("HEAD_TIME", "IDLE_TIME", "STALL_TIME", "LINGER_TIME"):
        monkeypatch.setattr(connection, name, 0.2)
    large = BIG * 10
    mirror = made(tmp_path / "m", {"big": large, "small": b"x"})

    async def clients(url: str, server: Server) -> tuple[bytes, ...]:
        port = int(url.rstrip("/").rpartition(":")[2])
        slow = await asyncio.open_connection("127.0.0.1", port)
        slow[1].write(b"GET /small HT")
        idle = await asyncio.open_connection("127.0.0.1", port)
        idle[1].write(b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n")
        stalled = await asyncio.open_connection("127.0.0.1", port, limit=1)
        stalled[1].write(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        got = await slow[0].read(), await idle[0].read()
        while server._connections:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        for _, writer in (slow, idle, stalled):
            writer.close()
        server.stop()
        return got

    async def main() -> tuple[bytes, ...]:
        server = Server(served_by(mirror, None), None, most=9)
        urls: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        running = asyncio.create_task(
            server.run([Address(host="127.0.0.1", port=0)], lambda found: urls.set_result(found[0]))
        )
        got = await clients(await urls, server)
        await running
        return got

    slow, idle = asyncio.run(main())
    assert slow.startswith(b"HTTP/1.1 408 ")
    assert idle.startswith(b"HTTP/1.1 200 ")
