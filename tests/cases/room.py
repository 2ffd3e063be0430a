"""Disks that are full, or nearly so: tmpfs in namespaces of their own, so that no root is needed.

A program for ``unshare -rm`` calls ``tried`` for each room and tells every outcome by ``told``; a test runs
it with ``outcomes``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Literal, NamedTuple

import pytest

from tests.cases.commandline import TOP

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: The exit status of a command that found no room.
FULL = 7
Kind = Literal["bytes", "files"]
_PAGE = 4096
_LARGE = "size=256m,nr_inodes=100000"
#: More pages or files than any command takes.
ENOUGH = 60_000


class Outcome(NamedTuple):
    """What was short, by how much there was more, the status of the command, and what was wrong."""

    short: str
    more: int
    status: int
    wrong: str


def tried(
    folder: Path, kind: Kind, more: int, command: Callable[[], int], look: Callable[[int], None]
) -> Outcome:
    """Run a command with ``folder`` on a disk that has room for ``more`` pages or files; then look at it."""
    moved = folder.with_name("moved")
    folder.rename(moved)
    folder.mkdir()
    _mount(folder, _LARGE)
    try:
        subprocess.run(["cp", "-a", "--sparse=always", f"{moved}/.", folder], check=True)
        used = os.statvfs(folder)
        pages = used.f_blocks - used.f_bfree + (more if kind == "bytes" else ENOUGH)
        inodes = used.f_files - used.f_ffree + (more if kind == "files" else ENOUGH)
        _mount(folder, f"remount,size={max(pages, 1) * _PAGE},nr_inodes={inodes}")
        status = command()
        try:
            look(status)
        except Exception as error:  # noqa: BLE001 - told to the test
            wrong = f"{type(error).__name__}: {error!s:.600}".replace("\n", " ")
            return Outcome(kind, more, status, wrong)
        return Outcome(kind, more, status, "right")
    finally:
        subprocess.run(["umount", folder], check=True)
        folder.rmdir()
        shutil.rmtree(moved)
        folder.mkdir()


def freed(folder: Path) -> None:
    """Give the disk of a try as much room as anything needs."""
    _mount(folder, f"remount,{_LARGE}")


def _mount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], check=True)


def told(outcome: Outcome) -> None:
    """Write an outcome for ``outcomes``."""
    sys.stdout.write("\t".join(map(str, outcome)) + "\n")


def outcomes(module: str, *words: str) -> list[Outcome]:
    """Run a program in namespaces of its own; return what it told, after all of it was right."""
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no user and mount namespaces")
    done = subprocess.run(
        ["unshare", "-rm", sys.executable, "-m", module, *words],
        cwd=TOP,
        env={**os.environ, "PYTHONPATH": str(TOP)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    found = [Outcome(short, int(more), int(status), wrong) for short, more, status, wrong in lines]
    assert [one for one in found if one.wrong != "right"] == []
    return found
