"""Lzip: read back what lzip and an encoder of our own wrote, with xz as a judge of that encoder."""

from __future__ import annotations

import base64
import io
import lzma
import shutil
import struct
import subprocess
import tarfile
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcz.errors import VerifyError
from tcz.lzip import LzipReader
from tcz.unpack import unpack

if TYPE_CHECKING:
    from pathlib import Path

#: A tar with the folder top and in it the file a, "alpha"; by lzip 1.25 -9.
BY_LZIP = base64.b64decode(
    "TFpJUAHOADobymMkBJSzSsi80f5CS2JNV/rvdBgszkLJMnnYOV3qzhPRzXet0DRFAtJ8HAxhhVI/QJUZTrBpvqPRcCR7tqEe4zpw"
    "kp7CtpbPdgjX9sqWSj5YFzn898q5sQeAP5qO5pBBLie4c+qlNX8yyZPQh///twcJAGj9KdsAKAAAAAAAAJAAAAAAAAAA"
)


def member(data: bytes) -> bytes:
    chain = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16, "lc": 3, "lp": 0, "pb": 2}]
    body = lzma.compress(data, lzma.FORMAT_RAW, filters=chain)
    whole = 6 + len(body) + 20
    return b"LZIP\x01\x10" + body + struct.pack("<IQQ", zlib.crc32(data), len(data), whole)


def read(data: bytes) -> bytes:
    return io.BufferedReader(LzipReader(io.BytesIO(data)), 512).read()


def test_by_lzip(tmp_path: Path) -> None:
    (tmp_path / "a.tar.lz").write_bytes(BY_LZIP)
    assert unpack(tmp_path / "a.tar.lz", tmp_path / "out", strip=1) == 1
    assert (tmp_path / "out/a").read_text() == "alpha\n"
    assert (tmp_path / "out/a").stat().st_mtime == 1_000_000_000


@given(
    st.lists(st.binary(max_size=3000) | st.binary(max_size=20).map(lambda b: b * 500), min_size=1, max_size=4)
)
def test_read_back(parts: list[bytes]) -> None:
    assert read(b"".join(map(member, parts))) == b"".join(parts)


@pytest.mark.skipif(shutil.which("xz") is None, reason="needs xz")
def test_the_encoder_writes_what_xz_reads() -> None:
    data = bytes(range(256)) * 300
    found = subprocess.run(
        ["xz", "--format=lzip", "-dc"], input=member(data) + member(b"x"), capture_output=True, check=False
    )
    if b"Unknown file format type" in found.stderr:
        pytest.skip("an xz before 5.4")
    assert found.stdout == data + b"x"


def test_what_follows_the_last_member_is_no_matter() -> None:
    assert read(member(b"a") + b"\0" * 100) == b"a"
    assert read(member(b"a") + b"LZ") == b"a"


@given(st.data())
def test_damage_is_told(data: st.DataObject) -> None:
    whole = member(bytes(range(200)))
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    at = data.draw(st.integers(0, len(whole) - 1))
    flipped = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    for bad in (cut, flipped):
        try:
            found = read(bad)
        except (VerifyError, lzma.LZMAError):
            continue
        # A larger dictionary than was used changes nothing.
        assert bad[:5] + bad[6:] == whole[:5] + whole[6:]
        assert found == bytes(range(200))


def test_a_damaged_archive_is_one_clear_error(tmp_path: Path) -> None:
    bad = bytearray(BY_LZIP)
    bad[60] ^= 0xFF
    (tmp_path / "a.tar.lz").write_bytes(bad)
    with pytest.raises(VerifyError, match="damaged archive"):
        unpack(tmp_path / "a.tar.lz", tmp_path / "out")


def test_large(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("f")
        info.size = 3_000_000
        tar.addfile(info, io.BytesIO(bytes(3_000_000)))
    (tmp_path / "a").write_bytes(member(buffer.getvalue()))
    unpack(tmp_path / "a", tmp_path / "out")
    assert (tmp_path / "out/f").read_bytes() == bytes(3_000_000)
