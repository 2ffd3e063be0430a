"""A program for ``unshare -rm``: a build of ``image_scenes`` on disks that are full, or nearly so.

``python -m tests.cases.small_image_disk SCENE STEPS`` puts the output, the cache or the folder for temporary
files on a small disk, with room for more and more bytes or files, till that is enough. Builds look at the
room first, or are made to believe that there is enough, as if another program took it meanwhile. Each
outcome is told.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from tests.cases.image_scenes import OUT, files_of, staged
from tests.cases.room import ENOUGH, FULL, freed, told, tried

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cases.image_scenes import Stage
    from tests.cases.room import Kind

_KINDS: tuple[tuple[Kind, bool], ...] = (("bytes", False), ("bytes", True), ("files", True))


def main(name: str, steps: int) -> None:
    """Try till the build has room, ``steps`` times of each kind."""
    with staged(name) as stage:
        for folder in (OUT, "home/.cache", "tmp"):
            for kind, blind in _KINDS:
                if folder != OUT and not blind:
                    continue
                stage.blind = blind
                for more in _steps(kind, steps):
                    stage.set(packed=False)
                    place = stage.top / folder
                    outcome = tried(place, kind, more, stage.command, partial(_look, stage, place))
                    told(outcome)
                    if outcome.status == 0:
                        break


def _steps(kind: Kind, steps: int) -> Iterator[int]:
    """Give numbers of pages or files, further and further apart, and what is surely enough."""
    highest = 1500 if kind == "bytes" else 12
    yield from sorted({round(highest ** (step / steps)) - 1 for step in range(steps)})
    yield ENOUGH


def _look(stage: Stage, folder: Path, status: int) -> None:
    said = stage.said
    assert status in (0, FULL), f"it ended otherwise: {said[-300:]!r}"
    assert "Traceback" not in said, f"a traceback: {said[-300:]!r}"
    if status == FULL:
        reasons = [words in said for words in ("the disk is full", "are free")]
        assert sum(reasons) == 1, "not told once"
        assert files_of(stage.out) == stage.old, "the old image is not what it was"
        assert stage.leftovers() == [], "something was left"
    stage.look()
    freed(folder)
    stage.go_on()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
