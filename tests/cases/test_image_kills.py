"""Builds of images in every format, ended at any time (TCZ_KILLS tells how often), and several at once."""

from __future__ import annotations

import os
import signal
import time
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.artefact.test_image_formats import pytestmark as needs
from tests.cases.image_scenes import ENDS, SCENES, files_of, staged

if TYPE_CHECKING:
    from tests.conftest import Counted

pytestmark = needs
#: A build takes much longer than a command of ``tcz mirror``, so that fewer are killed for one of those.
KILLS = max(1, int(os.environ.get("TCZ_KILLS", "16")) // 4)


@pytest.mark.parametrize("name", SCENES)
def test_a_build_may_be_ended_at_any_time(name: str, counted: Counted) -> None:
    random = Random(name)
    with staged(name) as stage:
        stage.set(packed=False)
        begin = time.monotonic()
        assert stage.command() == 0, stage.said
        duration = time.monotonic() - begin
        assert files_of(stage.out) == stage.new, "the same inputs gave other bytes"
        ended = 0
        for number in range(3 * KILLS):
            stage.set(packed=number % 2 == 0)
            before = stage.leftovers()
            how = random.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM))
            process = stage.begin()
            # The last parts are the ones that matter.
            time.sleep(duration * max(random.random(), random.random()))
            os.kill(process, how)
            status = stage.wait(process)
            assert status in (0, *ENDS[how]), stage.said
            assert "Traceback" not in stage.said
            # What else the machine does changes how long it takes.
            duration *= 1.03 if status else 0.85
            ended += status != 0
            stage.look()
            if how != signal.SIGKILL and status > 0:
                assert set(stage.leftovers()) <= set(before)
            if number % 3 == 0:
                stage.go_on()
            if ended == KILLS:
                break
        stage.go_on()
        assert ended
        counted(f"builds ended early, {name}", ended)


def test_builds_that_write_the_same_image_at_a_time(counted: Counted) -> None:
    """None fails, and what lies there in the end is one image, not parts of two."""
    rounds = 2
    with staged("every format") as stage:
        for _ in range(rounds):
            stage.set(packed=False)
            kinds = ("new", "old", "new")
            begun = [stage.begin(which, stage.top / f"said {n}") for n, which in enumerate(kinds)]
            ended = [stage.wait(process) for process in begun]
            assert ended == [0, 0, 0], [(stage.top / f"said {n}").read_text() for n in range(3)]
            assert files_of(stage.out) in (stage.old, stage.new)
            assert stage.leftovers() == []
        stage.go_on()
    counted("builds of one image at the same time", 3 * rounds)
