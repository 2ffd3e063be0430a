"""Whole command lines of tcz import: what is written, and what is said to input that is bad."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tcz.squashfs.image import read
from tests.cases.commandline import Home, member, tarball

if TYPE_CHECKING:
    from pathlib import Path

GOOD = tarball((member("tool-1.2/bin/tool"), b"#!/bin/sh\n"), (member("tool-1.2/README"), b"read me\n"))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_a_tarball(home: Home) -> None:
    (home.folder / "tool-1.2.tar.gz").write_bytes(GOOD)
    words = ("import", "tool-1.2.tar.gz", "--strip", "1", "--prefix", "usr-local")
    said = home.tcz(*words, "--dry-run", "--json")
    (made,) = json.loads(said.stdout)["extensions"]
    assert (made["name"], made["version"], made["files"], made["path"]) == ("tool", "1.2", 2, "")
    assert not (home.folder / "tool.tcz").exists()
    said = home.tcz(*words)
    assert (said.returncode, said.stdout) == (0, "tool.tcz\n")
    tree = read(home.folder / "tool.tcz")
    assert tree["usr/local/bin/tool"].read() == b"#!/bin/sh\n"
    assert sorted(path.name for path in home.folder.glob("tool.tcz*")) == [
        *("tool.tcz", "tool.tcz.info", "tool.tcz.list", "tool.tcz.md5.txt")
    ]
    assert not home.leftovers()


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("absent.deb",), 2, "absent.deb: there is no such file"),
        (("No Such",), 2, "neither a file nor the name of a Debian package"),
        (("cut.deb",), 5, "cut.deb: truncated Debian package"),
        (("evil.tar",), 5, "evil.tar: archive member leaves its tree: '../../x'"),
        (("page.tar.gz",), 5, "page.tar.gz: damaged archive"),
        (("good.tar", "--base", "flow"), 2, "there is no base 'flow'"),
        (("good.tar", "--name", "a b"), 2, "'a b' is not a package name"),
        (("good.tar", "--strip", "9"), 5, "there is no file in it"),
        (("good.tar", "--merge", "x"), 2, "--merge and --closure are for Debian packages"),
        (("good.tar", "evil.tar"), 2, "imported alone"),
        (("good.tar", "--layer", "0"), 2, "the number of a layer"),
        (("good.tar", "--block", "5000"), 2, "power of two"),
        (("good.tar", "--compressor", "rar"), 2, "no compressor 'rar'"),
        (("./folder",), 2, "no OCI image layout"),
        (("cut.deb", "--prefix", "/opt"), 2, "cannot be put below '/opt'"),
    ],
)
def test_bad_input(home: Home, words: tuple[str, ...], code: int, told: str) -> None:
    folder = home.folder
    (folder / "good.tar").write_bytes(GOOD)
    (folder / "evil.tar").write_bytes(tarball((member("../../x"), b"x"), mode="w"))
    (folder / "page.tar.gz").write_bytes(b"<html>not found</html>" * 90)
    (folder / "cut.deb").write_bytes(
        b"!<arch>\n" + b"debian-binary   0           0     0     100644  400       `\n"
    )
    (folder / "folder").mkdir()
    before = sorted(folder.rglob("*.tcz*"))
    said = home.tcz("import", *words)
    assert (said.returncode, said.stdout) == (code, "")
    assert told in said.stderr
    assert "Traceback" not in said.stderr
    assert sorted(folder.rglob("*.tcz*")) == before
    assert not home.leftovers()


def test_help_is_complete(home: Home) -> None:
    said = home.tcz("import", "--help").stdout
    assert "Examples:" in said
    assert "Exit codes:" in said
