"""ELF facts against readelf, and mutated files against time and tracebacks."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcz.elf import MAGIC, Elf, inspect
from tcz.errors import VerifyError
from tcz.tree import FileRef

LS = Path(shutil.which("ls") or "/bin/ls").resolve()


@cache
def _libc() -> Path:
    text = subprocess.run(["ldd", str(LS)], check=True, capture_output=True, text=True).stdout
    return Path(re.findall(r"libc\.so\.6 => (\S+)", text)[0])


def _known(source: bytes | FileRef | Path) -> Elf:
    found = inspect(source)
    assert found is not None
    return found


def _readelf(path: Path) -> str:
    return subprocess.run(
        ["readelf", "-W", "-d", "-l", "-V", str(path)], check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize("path", [LS, _libc(), Path(sys.executable).resolve()], ids=lambda path: path.name)
def test_same_as_readelf(path: Path) -> None:
    found, text = _known(path), _readelf(path)
    assert found.needed == tuple(re.findall(r"\(NEEDED\).*\[(.*)\]", text))
    assert ([found.soname] if found.soname else []) == re.findall(r"\(SONAME\).*\[(.*)\]", text)
    assert [found.interpreter] == re.findall(r"interpreter: (\S+)\]", text)
    needed = {name for _, names in found.versions_needed for name in names}
    _, _, needs = text.partition("Version needs section")
    assert needed == set(re.findall(r"Name: (\S+)  Flags: \S+  Version", needs))
    assert {library for library, _ in found.versions_needed} == set(re.findall(r"File: (\S+)", needs))


def test_one_file_three_ways(tmp_path: Path) -> None:
    data = LS.read_bytes()
    (tmp_path / "x").write_bytes(b"before" + data + b"after")
    assert _known(data) == _known(LS) == _known(FileRef(tmp_path / "x", 6, len(data)))


def test_no_elf_file(tmp_path: Path) -> None:
    for data in (b"", b"\x7fEL", b"#!/bin/sh\n"):
        assert inspect(data) is None
    with pytest.raises(VerifyError, match="cannot be read"):
        inspect(tmp_path / "absent")


def _compile(folder: Path, name: str, source: str, *flags: str) -> Path:
    (folder / "x.c").write_text(source)
    subprocess.run(["gcc", "-x", "c", "-o", name, "x.c", *flags], cwd=folder, check=True)
    return folder / name


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("elf")


def test_kinds(place: Path) -> None:
    main = "int main(void) { return 0; }"
    program = _known(_compile(place, "pie", main, "-pie", "-fPIE"))
    assert (program.kind, program.pie, program.stripped, program.debug) == ("executable", True, False, False)
    assert program.interpreter
    assert program.dynamic
    fixed = _known(_compile(place, "fixed", main, "-no-pie", "-g", "-z", "execstack", "-Wl,-rpath,/a:/b"))
    assert (fixed.kind, fixed.pie, fixed.debug, fixed.executable_stack) == ("executable", False, True, True)
    assert {fixed.runpath, fixed.rpath} == {("/a", "/b"), ()}
    static = _known(_compile(place, "static", main, "-static", "-s"))
    assert (static.kind, static.interpreter, static.needed, static.stripped) == ("executable", None, (), True)
    assert not static.dynamic
    unlinked = _known(_compile(place, "x.o", main, "-c"))
    assert (unlinked.kind, unlinked.dynamic, unlinked.is_kernel_module) == ("object", False, False)


def test_library_with_versions(place: Path) -> None:
    (place / "map").write_text("A_1 { global: a; }; A_2 { global: b; } A_1;")
    source = "int a(void) { return 1; } int b(void) { return 2; }"
    library = _compile(
        place, "liba.so.1", source, "-shared", "-fPIC", "-Wl,-soname,liba.so.1,--version-script,map"
    )
    found = _known(library)
    assert (found.kind, found.soname, found.versions_defined) == ("shared", "liba.so.1", ("A_1", "A_2"))
    user = _known(
        _compile(place, "user", "int b(void); int main(void) { return b(); }", "-L.", "-l:liba.so.1")
    )
    assert "liba.so.1" in user.needed
    assert ("liba.so.1", ("A_2",)) in user.versions_needed


def test_kernel_module(place: Path) -> None:
    source = 'int x __attribute__((section(".modinfo")));'
    module = _compile(place, "x.ko", source, "-c")
    found = _known(module)
    assert (found.is_kernel_module, found.signed) == (True, False)
    signed = _known(module.read_bytes() + b"signature~Module signature appended~\n")
    assert (signed.is_kernel_module, signed.signed) == (True, True)


def test_section_headers_are_not_needed() -> None:
    data = bytearray(LS.read_bytes())
    whole = _known(LS)
    data[0x28:0x30] = bytes(8)
    data[0x3A:0x40] = bytes(6)
    bare = _known(bytes(data))
    assert (bare.needed, bare.versions_needed, bare.interpreter) == (
        whole.needed,
        whole.versions_needed,
        whole.interpreter,
    )


@pytest.mark.parametrize("size", [4, 15, 63, 64, 200, 4096, 20000])
def test_truncated(size: int) -> None:
    with pytest.raises(VerifyError, match=r"ELF file") as caught:
        inspect(LS.read_bytes()[:size])
    assert caught.value.hint


def _either(data: bytes) -> None:
    try:
        found = inspect(data)
    except VerifyError:
        return
    assert (found is None) == (not data.startswith(MAGIC))


_spots = st.tuples(st.integers(0, 0x400), st.sampled_from([0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF]))


@settings(max_examples=150)
@given(spots=st.lists(_spots, min_size=1, max_size=6), end=st.integers(0, 5000))
def test_hostile_headers(spots: list[tuple[int, int]], end: int) -> None:
    data = bytearray(LS.read_bytes())
    for at, value in spots:
        data[at] = value
    _either(bytes(data[: len(data) - (end if end < 1000 else 0)]))


@cache
def _dynamic() -> tuple[int, int]:
    found = re.search(r"DYNAMIC\s+(0x\w+)\s+\S+\s+\S+\s+(0x\w+)", _readelf(LS))
    assert found
    return int(found[1], 16), int(found[2], 16)


@settings(max_examples=100)
@given(data=st.data())
def test_hostile_dynamic_section(data: st.DataObject) -> None:
    start, size = _dynamic()
    content = bytearray(LS.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        at = start + data.draw(st.integers(0, size - 8))
        value = data.draw(st.integers(0, 2**64 - 1) | st.sampled_from([1, 5, 14, 0x6FFFFFFE, 0x6FFFFFFC]))
        content[at : at + 8] = value.to_bytes(8, "little")
    _either(bytes(content))


@settings(max_examples=100)
@given(bits=st.integers(0, 3), order=st.integers(0, 3), rest=st.binary(max_size=200))
def test_noise_behind_the_magic(bits: int, order: int, rest: bytes) -> None:
    _either(MAGIC + bytes([bits, order]) + rest)


def test_versions_that_never_end() -> None:
    """Chains within chains must not multiply."""
    data = bytearray(LS.read_bytes())
    whole = _known(LS)
    assert whole.versions_needed
    text = subprocess.run(["readelf", "-W", "-S", str(LS)], check=True, capture_output=True, text=True).stdout
    found = re.search(r"\.gnu\.version_r\s+VERNEED\s+\w+\s+(\w+)", text)
    assert found
    at = int(found[1], 16)
    length = len(data) - at - 64
    # Every record's link leads four bytes on, the inner ones' as well.
    for offset in range(at, at + length - length % 4, 4):
        data[offset : offset + 4] = (4).to_bytes(4, "little")
    _either(bytes(data))
