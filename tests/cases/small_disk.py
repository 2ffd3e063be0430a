"""A program for ``unshare -rm``: the command of a scene on disks that are full, or nearly so.

``python -m tests.cases.small_disk SCENE MOST`` mounts a tmpfs for each try, with room for some more bytes or
some more files than are there, till that is enough. It prints a line for each: what was short, by how much
there was more, the status of the command, and what was wrong.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.cases.mirror_scenes import Again, staged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cases.mirror_scenes import Stage

FULL = 7
_PAGE = 4096
_LARGE = "size=64m,nr_inodes=100000"
_ENDLESS = 10_000


def main(name: str, most: int) -> None:
    """Try till the command has room, ``most`` times of each kind."""
    with staged(name) as stage:
        again = Again(stage)
        stage.old = stage.seen()
        assert stage.command() == 0, (stage.top / "said").read_text()
        stage.new = stage.seen()
        for kind in ("bytes", "files"):
            for more in _steps(most):
                again.set()
                status, wrong = _tried(stage, kind, more)
                sys.stdout.write(f"{kind}\t{more}\t{status}\t{wrong}\n")
                if status == 0:
                    break


def _steps(most: int) -> Iterator[int]:
    """Yield 0, 1, 2, 3, 5, 8..., and what is surely enough."""
    here, following = 0, 1
    for _ in range(most):
        yield here
        here, following = following, here + following if here else 2
    yield _ENDLESS


def _tried(stage: Stage, kind: str, more: int) -> tuple[int, str]:
    moved = stage.top / "moved"
    stage.written.rename(moved)
    stage.written.mkdir()
    _mount(stage, _LARGE)
    try:
        subprocess.run(["cp", "-a", f"{moved}/.", stage.written], check=True)
        used = os.statvfs(stage.written)
        pages = used.f_blocks - used.f_bfree + (more if kind == "bytes" else _ENDLESS)
        inodes = used.f_files - used.f_ffree + (more if kind == "files" else _ENDLESS)
        _mount(stage, f"remount,size={max(pages, 1) * _PAGE},nr_inodes={inodes}")
        status = stage.command()
        said = (stage.top / "said").read_text()
        try:
            _look(stage, status, said)
        except Exception as error:  # noqa: BLE001 - told to the test
            return status, f"{type(error).__name__}: {error!s:.300} {said[-300:]!r}".replace("\n", " ")
        return status, "right"
    finally:
        subprocess.run(["umount", stage.written], check=True)
        stage.written.rmdir()
        shutil.rmtree(moved)
        stage.written.mkdir()


def _mount(stage: Stage, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", stage.written], check=True)


def _look(stage: Stage, status: int, said: str) -> None:
    assert status in (0, FULL), "it ended otherwise"
    assert "Traceback" not in said, "a traceback"
    if status == FULL:
        assert said.count("the disk is full") == 1, "not told once"
        assert "theirs" not in said.partition("the disk is full")[0].rpartition("\n")[2], "the wrong disk"
    stage.look()
    _mount(stage, f"remount,{_LARGE}")
    stage.go_on(same=True)
    if stage.name not in ("sign", "snapshot create"):
        # The catalogue tells where packages came from: by the path that was given.
        now, new = (
            {path: data for path, data in files.items() if not path.startswith("catalogue/")}
            for files in (stage.seen(), stage.new)
        )
        assert now == new or stage.scene.damaged, "it did not do its work then"


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
