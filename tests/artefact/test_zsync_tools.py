"""Control files against zsync's own programs: the same bytes, and a client that updates by them."""

from __future__ import annotations

import os
import random
import subprocess
from typing import TYPE_CHECKING

import pytest

from tcz import zsync
from tests import loopback

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EPOCH = 1735689600


@pytest.mark.parametrize("size", [1, 2, 2047, 2048, 2049, 5000, 65536, 300_000, 3_000_000])
def test_the_same_as_zsyncmake(tmp_path: Path, size: int) -> None:
    file = tmp_path / "x.tcz"
    file.write_bytes(random.Random(size).randbytes(size))
    os.utime(file, (EPOCH, EPOCH))
    subprocess.run(
        ["zsyncmake", "-u", "x.tcz", "-o", "theirs", "x.tcz"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        env={**os.environ, "TZ": "UTC"},
    )
    assert zsync.control(file, epoch=EPOCH) == (tmp_path / "theirs").read_bytes()


class _Ranges(loopback.Files):
    """Serves files, and parts of them: zsync asks for ranges, which the standard library does not know."""

    protocol_version = "HTTP/1.1"
    sent: list[int]

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        if wanted is None:
            super().do_GET()
            return
        with open(self.translate_path(self.path), "rb") as file:  # noqa: PTH123
            data = file.read()
        parts = [tuple(map(int, part.split("-"))) for part in wanted.removeprefix("bytes=").split(",")]
        boundary = "a-boundary-of-parts"
        bodies = [data[first : last + 1] for first, last in parts]
        self.sent.append(sum(map(len, bodies)))
        self.send_response(206)
        if len(parts) == 1:
            body = bodies[0]
            self.send_header("Content-Range", f"bytes {parts[0][0]}-{parts[0][1]}/{len(data)}")
        else:
            body = b"".join(
                f"\r\n--{boundary}\r\nContent-Range: bytes {first}-{last}/{len(data)}\r\n\r\n".encode()
                + piece
                for (first, last), piece in zip(parts, bodies, strict=True)
            )
            body += f"\r\n--{boundary}--\r\n".encode()
            self.send_header("Content-Type", f"multipart/byteranges; boundary={boundary}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str, list[int]]]:
    folder = tmp_path / "served"
    folder.mkdir()
    sent: list[int] = []
    handler = type("Handler", (_Ranges,), {"sent": sent})
    with loopback.serving(loopback.folder(folder, handler)) as port:
        yield folder, f"http://127.0.0.1:{port}", sent


def test_a_client_fetches_only_what_changed(tmp_path: Path, served: tuple[Path, str, list[int]]) -> None:
    folder, url, sent = served
    noise = random.Random(1)
    new = bytearray(noise.randbytes(1_000_003))
    old = bytes(new[:400_000]) + noise.randbytes(77) + bytes(new[400_000:])
    new[100_000:100_010] = b"0123456789"
    new[900_000:900_010] = b"0123456789"
    (folder / "x.tcz").write_bytes(new)
    (folder / "x.tcz.zsync").write_bytes(zsync.control(folder / "x.tcz", epoch=EPOCH))
    (tmp_path / "old").write_bytes(old)
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    ran = subprocess.run(
        ["zsync", "-q", "-i", "old", "-o", "x.tcz", f"{url}/x.tcz.zsync"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (tmp_path / "x.tcz").read_bytes() == new
    assert 0 < sum(sent) < 30_000
