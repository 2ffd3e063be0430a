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
    from pathlib import Path

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
def serving(mirror: Mirror, *options: str, listen: str = "127.0.0.1:0") -> Iterator[tuple[str, int, int]]:
    """Yield the URL, the port and the process of a server; it must end well and say nothing but its URL."""
    code = "from tcz.cli.mirror_serve import serve; serve()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(mirror.root), "--listen", listen, *options],
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
        process.terminate()
        assert process.wait(20) == 0
        assert process.stderr.read() == ""
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
