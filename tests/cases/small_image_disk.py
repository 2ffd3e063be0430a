"""A program for ``unshare -rm``: a build of ``image_scenes`` on disks that are full, or nearly so.

``python -m tests.cases.small_image_disk SCENE STEPS`` mounts a tmpfs over the output, over the cache or over
the folder for temporary files, with room for more and more bytes or files, till that is enough. Builds look
at the room first, or are made to believe that there is enough, as if another program took it meanwhile. It
prints a line for each: what was short, by how much there was more, the status, and what was wrong.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.cases.image_scenes import OUT, files_of, staged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cases.image_scenes import Stage

FULL = 7
_PAGE = 4096
_LARGE = "size=256m,nr_inodes=100000"
_ENDLESS = 60_000


def main(name: str, steps: int) -> None:
    """Try till the build has room, ``steps`` times of each kind."""
    with staged(name) as stage:
        for folder in (OUT, "home/.cache", "tmp"):
            for kind, blind in (("bytes", False), ("bytes", True), ("files", True)):
                if folder != OUT and not blind:
                    continue
                stage.blind = blind
                for more in _steps(kind, steps):
                    status, wrong = _tried(stage, stage.top / folder, kind, more)
                    sys.stdout.write(f"{folder} {kind}\t{more}\t{status}\t{wrong}\n")
                    if status == 0:
                        break


def _steps(kind: str, steps: int) -> Iterator[int]:
    """Give numbers of pages or files, further and further apart, and what is surely enough."""
    highest = 1500 if kind == "bytes" else 12
    yield from sorted({round(highest ** (step / steps)) - 1 for step in range(steps)})
    yield _ENDLESS


def _tried(stage: Stage, folder: Path, kind: str, more: int) -> tuple[int, str]:
    stage.set(packed=False)
    moved = stage.top / "moved"
    folder.rename(moved)
    folder.mkdir()
    _mount(folder, _LARGE)
    try:
        subprocess.run(["cp", "-a", "--sparse=always", f"{moved}/.", folder], check=True)
        used = os.statvfs(folder)
        pages = used.f_blocks - used.f_bfree + (more if kind == "bytes" else _ENDLESS)
        inodes = used.f_files - used.f_ffree + (more if kind == "files" else _ENDLESS)
        _mount(folder, f"remount,size={max(pages, 1) * _PAGE},nr_inodes={inodes}")
        status = stage.command()
        said = stage.said
        try:
            _look(stage, folder, status, said)
        except Exception as error:  # noqa: BLE001 - told to the test
            return status, f"{type(error).__name__}: {error!s:.300} {said[-300:]!r}".replace("\n", " ")
        return status, "right"
    finally:
        subprocess.run(["umount", folder], check=True)
        folder.rmdir()
        shutil.rmtree(moved)
        folder.mkdir()


def _mount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], check=True)


def _look(stage: Stage, folder: Path, status: int, said: str) -> None:
    assert status in (0, FULL), "it ended otherwise"
    assert "Traceback" not in said, "a traceback"
    if status == FULL:
        told = [words in said for words in ("the disk is full", "are free")]
        assert sum(told) == 1, "not told once"
        assert files_of(stage.out) == stage.old, "the old image is not what it was"
        assert stage.leftovers() == [], "something was left"
    stage.look()
    _mount(folder, f"remount,{_LARGE}")
    stage.go_on()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
