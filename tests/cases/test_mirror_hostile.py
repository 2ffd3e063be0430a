"""Hostile index files, catalogues and packages, as ``tcz mirror sync`` and ``add`` meet them: whole commands.

Each command runs in a process with little memory; it must end by itself, with one error, and change nothing.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import tcz.mirror_commands  # noqa: F401 - imported before memory is short
from tcz.mirror import catalogue as catalogues
from tcz.mirror.repository import Mirror
from tcz.mirror.verify import verify
from tests.cases.commandline import Home
from tests.cases.mirror_scenes import run_here
from tests.unit.mirror_made import BRANCH, QUIET, added, begun, package, quick_folder
from tests.unit.repository_made import TCZ, index, put
from tests.unit.test_mirror_hostile import INDEXES, spoiled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOM = 1 << 29
PATIENCE = 20


@pytest.fixture
def home() -> Iterator[Home]:
    with quick_folder() as folder:
        home = Home(folder / "home")
        put(home.folder / "theirs" / TCZ, "a", ["b"])
        put(home.folder / "theirs" / TCZ, "b")
        index(home.folder / "theirs" / TCZ)
        added(begun(home.folder / "m"), package(home.folder / "in", "mine"))
        yield home


def mirror_command(home: Home, *words: str) -> tuple[int, str]:
    """Run ``tcz mirror`` with little memory; return its status and all that it said."""
    said = home.folder / "said"
    process = os.fork()
    if not process:
        code = 99
        try:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))
            sys.stdout = open(1, "w", closefd=False, errors="surrogateescape")  # noqa: SIM115
            sys.stderr = open(2, "w", closefd=False, errors="backslashreplace")  # noqa: SIM115
            code = run_here(home.folder, home.env(), words, said)
        finally:
            os._exit(code)
    end = time.monotonic() + PATIENCE
    while not (ended := os.waitpid(process, os.WNOHANG))[0]:
        if time.monotonic() > end:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            pytest.fail(f"it does not end: {said.read_text()}")
        time.sleep(0.005)
    return os.waitstatus_to_exitcode(ended[1]), said.read_text()


def refused(home: Home, words: str, *command: str) -> None:
    """Run a command: one error that says ``words``, and the mirror as it was."""
    status, said = mirror_command(home, *command, "--mirror", "m")
    errors = [line for line in said.splitlines() if not line.startswith(" ")]
    assert (status in (2, 4, 5, 9), len(errors)) == (True, 1), said
    assert words in said
    assert "Traceback" not in said
    mirror = Mirror(home.folder / "m")
    assert [path.name for path in (mirror.public / TCZ).glob("*.tcz")] == ["mine.tcz"]
    assert verify(mirror, QUIET).damage == ()


SYNC = ("sync", "--all", "--from", "theirs")


@pytest.mark.parametrize("case", INDEXES)
def test_index_files(case: str, home: Home) -> None:
    refused(home, spoiled(home.folder / "theirs" / TCZ, case), *SYNC)


LIST = b"{}\n"


def root(**keys: object) -> bytes:
    listed = {"sha256": hashlib.sha256(LIST).hexdigest(), "size": len(LIST), "packages": 1}
    value = {"format": 1, "serial": 5, "extra": {}, "indexes": {}, "branches": {str(BRANCH): listed}}
    return json.dumps({**value, **keys}).encode()


CATALOGUES: dict[str, tuple[bytes, str]] = {
    "cut off": (b'{"format": 1, "serial"', "catalogue"),
    "nested without end": (b'{"a":' * 200_000, "catalogue"),
    "a number without end": (b'{"format": 1, "serial": ' + b"9" * 6000 + b"}", "catalogue"),
    "a huge serial": (root(serial=1 << 80), "catalogue"),
    "another schema": (root(format=99), "catalogue"),
    "no object": (b'{"format": []}', "catalogue"),
    "not UTF-8": (b'{"format": "\xff\xfe"}', "catalogue"),
    "a list that is none": (root(), "catalogue"),
    "another list": (root(branches={str(BRANCH): {"sha256": "0" * 64, "size": 1}}), "not the list"),
    "a path that climbs": (root(extra={"../../x": ["0" * 64, 1]}), "catalogue"),
    "a path from the root": (root(extra={"/etc/x": ["0" * 64, 1]}), "catalogue"),
    "a hash that is a path": (root(extra={"x": ["../" * 20, 1]}), "catalogue"),
    "a branch that is a path": (root(branches={"../..": {}}), "catalogue"),
    "many packages": (
        root(branches={str(BRANCH): {"sha256": "0" * 64, "size": 1 << 60, "packages": 1 << 60}}),
        "catalogue",
    ),
}


@pytest.mark.parametrize("case", CATALOGUES)
def test_catalogues(case: str, home: Home) -> None:
    data, words = CATALOGUES[case]
    (home.folder / "theirs/catalogue").mkdir()
    (home.folder / "theirs/catalogue/catalogue.json").write_bytes(data)
    (home.folder / "theirs" / catalogues.list_path(BRANCH)).write_bytes(LIST)
    refused(home, words, *SYNC)


def bad_image(folder: Path) -> None:
    (folder / "a.tcz").write_bytes(b"hsqs" + bytes(200))


def bad_dep(text: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / "a.tcz.dep").write_bytes(text)


def gone(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def fifo(name: str) -> Callable[[Path], None]:
    """Put something there that a reader waits for, for ever."""

    def put_fifo(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return put_fifo


def link(name: str, target: str) -> Callable[[Path], None]:
    def put_link(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return put_link


def renamed(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "a.tcz").rename(folder / name) and None


PACKAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a .dep with a command": (bad_dep(b"$(reboot).tcz\n"), "not a package name"),
    "a .dep with two commands": (bad_dep(b"b.tcz; rm -rf ~\n"), "not a package name"),
    "a .dep that climbs": (bad_dep(b"../../../etc/passwd\n"), "not a package name"),
    "a .dep with an option": (bad_dep(b"-O/etc/passwd\n"), "not a package name"),
    "a .dep with NUL": (bad_dep(b"b.tcz\0\n"), "not a package name"),
    "a .dep in UTF-16": (bad_dep("b.tcz\n".encode("utf-16")), "not a package name"),
    "a .dep without end": (bad_dep(b"b" * (70 << 20)), "larger"),
    "a .dep that packs another": (bad_dep(gzip.compress(b"b.tcz\n" * 10_000_000)), "not a package name"),
    "an image that is none": (bad_image, "a.tcz"),
    "a name with a command": (renamed("a;reboot.tcz"), "not a package name"),
    "a name with a newline": (renamed("a\nb.tcz"), "not a package name"),
    "a name that is no text": (renamed("a\udcff.tcz"), "not a package name"),
    "an image that is a pipe": (fifo("a.tcz"), "a.tcz"),
    "a .dep that is a pipe": (fifo("a.tcz.dep"), "its .dep"),
    "an .info that is a pipe": (fifo("a.tcz.info"), "its .info"),
    "a .md5.txt that is a pipe": (fifo("a.tcz.md5.txt"), "its .md5.txt"),
    "a .list that leads out": (link("a.tcz.list", "/etc/passwd"), "its .list is a link"),
    "a .dep without end elsewhere": (link("a.tcz.dep", "/dev/zero"), "its .dep is a link"),
    "an image that is a device": (link("a.tcz", "/dev/zero"), "a.tcz"),
}


@pytest.mark.parametrize("linted", [True, False])
@pytest.mark.parametrize("case", PACKAGES)
def test_packages_that_are_added(case: str, linted: bool, home: Home) -> None:  # noqa: FBT001
    spoil, words = PACKAGES[case]
    folder = home.folder / "bad"
    package(folder, "a")
    spoil(folder)
    more = () if linted else ("--no-lint",)
    status, said = mirror_command(home, "add", "bad", "--mirror", "m", *more)
    assert status in (2, 5, 9), said
    # Lint, which is asked first, has other words for most.
    assert words in said or (linted and "lint finds errors" in said), said
    assert "Traceback" not in said
    mirror = Mirror(home.folder / "m")
    assert [path.name for path in (mirror.public / TCZ).glob("*.tcz")] == ["mine.tcz"]
    assert verify(mirror, QUIET).damage == ()


@pytest.mark.parametrize("name", ["a.tcz", "a.tcz.info", "a.tcz.list", "info.lst.gz", "md5.db.gz"])
def test_a_folder_of_pipes_and_devices(name: str, home: Home) -> None:
    folder = home.folder / "theirs" / TCZ
    for put_it in (fifo(name), link(name, "/dev/zero")):
        put_it(folder)
        refused(home, name.removesuffix(".gz"), *SYNC)


def test_what_needs_very_much(home: Home) -> None:
    """Very many needs of one package: told, and no more of the memory used than there is."""
    package(home.folder / "bad", "a")
    names = "".join(f"n{number}.tcz\n" for number in range(20_000))
    (home.folder / "bad/a.tcz.dep").write_text(names)
    status, said = mirror_command(home, "add", "bad", "--no-lint", "--strict", "--mirror", "m")
    assert (status, "Traceback" in said) == (9, False), said[-2000:]
    assert verify(Mirror(home.folder / "m"), QUIET).damage == ()
