"""A program for ``unshare -rm``: the command of a scene on disks that are full, or nearly so.

``python -m tests.cases.small_disk SCENE MOST`` makes a disk for each try, with room for some more bytes or
some more files than are there, till that is enough, and tells each outcome.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests.cases.mirror_scenes import Again, staged
from tests.cases.room import ENOUGH, FULL, freed, told, tried

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cases.mirror_scenes import Stage
    from tests.cases.room import Kind

_KINDS: tuple[Kind, ...] = ("bytes", "files")


def main(name: str, most: int) -> None:
    """Try till the command has room, ``most`` times of each kind."""
    with staged(name) as stage:
        again = Again(stage)
        stage.old = stage.seen()
        assert stage.command() == 0, (stage.top / "said").read_text()
        stage.new = stage.seen()
        for kind in _KINDS:
            for more in _steps(most):
                again.set()
                outcome = tried(stage.written, kind, more, stage.command, lambda status: _look(stage, status))
                told(outcome)
                if outcome.status == 0:
                    break


def _steps(most: int) -> Iterator[int]:
    """Yield 0, 1, 2, 3, 5, 8..., and what is surely enough."""
    here, following = 0, 1
    for _ in range(most):
        yield here
        here, following = following, here + following if here else 2
    yield ENOUGH


def _look(stage: Stage, status: int) -> None:
    said = (stage.top / "said").read_text()
    assert status in (0, FULL), f"it ended otherwise: {said[-300:]!r}"
    assert "Traceback" not in said, f"a traceback: {said[-300:]!r}"
    if status == FULL:
        assert said.count("the disk is full") == 1, "not told once"
        assert "theirs" not in said.partition("the disk is full")[0].rpartition("\n")[2], "the wrong disk"
    stage.look()
    freed(stage.written)
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
