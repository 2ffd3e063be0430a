"""Debian packages as files and names, against dpkg-deb."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcz.deb import DebFile, Pin, Pins, member, members, upstream_version
from tcz.errors import VerifyError
from tcz.unpack import tar_member
from tests.unit.debs import build_deb


@pytest.mark.parametrize("compress", ["xz", "gzip", "none"])
def test_members(tmp_path: Path, compress: str) -> None:
    deb = build_deb(tmp_path, "p", {"usr/bin/p": "x"}, postinst="true\n", compress=compress)
    assert len(members(deb)) == 3
    assert tar_member(member(deb, "control.tar"), "postinst") == b"#!/bin/sh\ntrue\n"
    assert tar_member(member(deb, "data.tar"), "usr/bin/p") == b"x"
    assert tar_member(member(deb, "data.tar"), "usr/bin/q") is None


def test_damaged(tmp_path: Path) -> None:
    whole = build_deb(tmp_path, "p", {"usr/bin/p": "x"}).read_bytes()
    for data in (b"", b"!<arch>\nrubbish" * 9, whole[:-3], whole.replace(b"`\n", b"xx", 1)):
        (tmp_path / "bad.deb").write_bytes(data)
        with pytest.raises(VerifyError):
            member(tmp_path / "bad.deb", "data.tar")


@given(st.binary(max_size=300))
def test_rubbish_is_refused_cleanly(data: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"!<arch>\n" + data)
        file.flush()
        with pytest.raises(VerifyError):
            member(Path(file.name), "data.tar")


@pytest.mark.parametrize(
    ("version", "upstream"),
    [("1:1.37.0-6", "1.37.0"), ("6.12.117-1", "6.12.117"), ("3.6.7", "3.6.7"), ("2.0-rc1-1", "2.0-rc1")],
)
def test_upstream_version(version: str, upstream: str) -> None:
    assert upstream_version(version) == upstream


def test_file_name_as_apt_writes_it() -> None:
    deb = DebFile(name="gcc", version="4:14.2.0-1", architecture="amd64", sha256="", size=1, uri="")
    assert deb.file_name == "gcc_4%3a14.2.0-1_amd64.deb"


def test_pins() -> None:
    pins = Pins(debian=(Pin(name="linux-image-6.1-amd64", version="1", sha256="a"),))
    assert pins.get("linux-image-6.1-amd64") is not None
    assert pins.get("linux-image-6.1") is None
    assert len(pins.matching("linux-image-*-amd64")) == 1
