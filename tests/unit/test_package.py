import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tcz.job import last_line
from tcz.package import kernel_releases
from tcz.strip import kind_of
from tcz.tree import Tree, directory, regular


@pytest.mark.parametrize(
    ("kind", "machine", "order", "expected"),
    [
        (2, 62, 1, True),
        (3, 62, 1, True),
        (3, 3, 1, True),
        (1, 62, 1, False),
        (3, 183, 1, False),
        (3, 62, 2, False),
    ],
)
def test_strippable(tmp_path: Path, kind: int, machine: int, order: int, *, expected: bool) -> None:
    file = tmp_path / "x"
    file.write_bytes(
        b"\x7fELF" + bytes([2, order]) + bytes(10) + struct.pack("<HH", kind, machine) + bytes(44)
    )
    assert (kind_of(file) == "linked") == expected


def test_strippable_real_files(tmp_path: Path) -> None:
    assert kind_of(Path(sys.executable).resolve())
    assert kind_of(Path(shutil.which("ls") or "/bin/ls"))
    for data in (b"", b"\x7fELF", b"#!/bin/sh\n" * 10):
        (tmp_path / "x").write_bytes(data)
        assert kind_of(tmp_path / "x") is None


def test_kernel_releases() -> None:
    tree = Tree({"usr/local/lib/modules/6.1-x/kernel/a.ko": regular(b""), "lib/modules/6.2": directory()})
    assert kernel_releases(tree) == ("6.1-x", "6.2")
    assert kernel_releases(Tree({"lib/modules/README": regular(b"")})) == ()


def test_last_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_line(log) == ""
    log.write_bytes(b"a\nCC \x1b[1mb.c\n\n  \n")
    assert last_line(log) == "CC [1mb.c"
    log.write_text("x" * 5000)
    assert last_line(log) == "x" * 100


def _archive(*members: tuple[bytes, bytes]) -> bytes:
    rows = (
        name.ljust(16)
        + b"0".ljust(12)
        + b"0".ljust(12)
        + b"644".ljust(8)
        + b"%-10d" % len(data)
        + b"`\n"
        + data
        + b"\n" * (len(data) % 2)
        for name, data in members
    )
    return b"!<arch>\n" + b"".join(rows)


def test_archives_of_objects_and_others(tmp_path: Path) -> None:
    file = tmp_path / "x.a"
    thing = b"\x7fELF" + bytes([2, 1]) + bytes(10) + struct.pack("<HH", 1, 62) + bytes(45)
    tables = ((b"/", b"symbols"), (b"//", b"names\n"))
    for members, expected in {
        (*tables, (b"a.o/", thing), (b"/0", thing)): "archive",
        ((b"a.o/", thing), (b"__.PKGDEF", b"go object")): None,
        tables: None,
        (): None,
    }.items():
        file.write_bytes(_archive(*members))
        assert kind_of(file) == expected
    whole = _archive((b"a.o/", thing), (b"b.o/", thing))
    file.write_bytes(whole[:-90])
    assert kind_of(file) is None
    file.write_bytes(whole.replace(b"`\n", b"??"))
    assert kind_of(file) is None


def test_modules_lose_nothing_that_is_signed(tmp_path: Path) -> None:
    (tmp_path / "x.c").write_text('int x __attribute__((section(".modinfo")));')
    subprocess.run(["gcc", "-c", "-g", "-o", "x.ko", "x.c"], cwd=tmp_path, check=True)
    assert kind_of(tmp_path / "x.ko") == "module"
    shutil.copy(tmp_path / "x.ko", tmp_path / "x.o")
    assert kind_of(tmp_path / "x.o") is None
    with (tmp_path / "x.ko").open("ab") as file:
        file.write(b"~Module signature appended~\n")
    assert kind_of(tmp_path / "x.ko") is None
