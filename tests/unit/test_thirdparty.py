import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcz import thirdparty
from tcz.sandbox import Bind
from tcz.sources.cargo import CRATES
from tcz.sources.gomod import GOMODCACHE

TOLD = (
    "path\texample.org/x\nmod\texample.org/x\tv1.0.0\t\n"
    "dep\tgithub.com/BurntSushi/toml\tv1.2.0\th1:a=\n"
    "dep\texample.org/old\tv0.1.0\n=>\texample.org/new\tv0.2.0\th1:b=\n"
    "dep\texample.org/../../up\tv1.0.0\th1:c=\nbuild\tCGO_ENABLED=0\n"
)


def program(told: str = TOLD, flags: int = 2) -> bytes:
    def part(data: bytes) -> bytes:
        size, out = len(data), b""
        while size > 0x7F:
            out += bytes([size & 0x7F | 0x80])
            size >>= 7
        return out + bytes([size]) + data

    head = b"\x7fELF" + bytes(60) + b"\xff Go buildinf:" + struct.pack("BB", 8, flags) + bytes(16)
    return head + part(b"go1.26") + part(bytes(16) + told.encode() + bytes(16)) + bytes(64)


def test_paths_are_those_of_builds() -> None:
    assert (thirdparty.GO_MODULES, thirdparty.CRATES) == (GOMODCACHE, CRATES)


def test_modules_of_a_program(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(program())
    assert thirdparty.go_modules(tmp_path / "x") == (
        ("github.com/BurntSushi/toml", "v1.2.0"),
        ("example.org/new", "v0.2.0"),
        ("example.org/../../up", "v1.0.0"),
    )
    for data in (b"", b"#!/bin/sh\n" * 9, b"\x7fELF" + bytes(99), program(flags=0)):
        (tmp_path / "x").write_bytes(data)
        assert thirdparty.go_modules(tmp_path / "x") == ()


@settings(max_examples=60)
@given(at=st.integers(0, 500), junk=st.binary(max_size=4), cut=st.integers(0, 500))
def test_damaged_programs(tmp_path_factory: pytest.TempPathFactory, at: int, junk: bytes, cut: int) -> None:
    data = program()
    file = tmp_path_factory.mktemp("damaged") / "x"
    file.write_bytes((data[:at] + junk + data[at + len(junk) :])[: len(data) - cut])
    assert all(len(module) == 2 for module in thirdparty.go_modules(file))


def test_texts_are_put_together(tmp_path: Path) -> None:
    dest, src, cache, crates = (tmp_path / name for name in ("dest", "src", "cache", "crates"))
    (dest / "bin").mkdir(parents=True)
    (dest / "bin/x").write_bytes(program())
    for path, text in {
        cache / "github.com/!burnt!sushi/toml@v1.2.0/COPYING": "MIT\r\n",
        src / "vendor/example.org/new/LICENSE": "BSD\n",
        cache / "example.org/unused@v1.0.0/LICENSE": "unused\n",
        crates / "serde-1.0.0/LICENSE-MIT": "MIT\n",
        crates / "serde-1.0.0/lib.rs": "code\n",
        tmp_path / "up@v1.0.0/LICENSE": "outside\n",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, newline="")
    binds = (
        Bind(host=cache, inside=thirdparty.GO_MODULES),
        Bind(host=crates, inside=thirdparty.CRATES),
    )
    assert thirdparty.write(dest, "x", src, binds)
    rule = "=" * 78
    assert (dest / "usr/local/share/doc/x/THIRD-PARTY.txt").read_text() == (
        f"{rule}\nexample.org/new v0.2.0\n{rule}\n\nBSD\n\n"
        f"{rule}\ngithub.com/BurntSushi/toml v1.2.0\nserde-1.0.0\n{rule}\n\nMIT\n"
    )
    assert not thirdparty.write(dest, "y", src, ())
