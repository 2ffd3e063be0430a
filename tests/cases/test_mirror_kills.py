"""Every command that writes, killed at any time (TCZ_KILLS is how often each), and all of them at once."""

from __future__ import annotations

import os
import time
from random import Random
from typing import TYPE_CHECKING

import pytest

from tcz.mirror.verify import verify
from tests.cases.mirror_scenes import SCENES, Again, adopting, staged
from tests.unit.mirror_made import BRANCH, QUIET

if TYPE_CHECKING:
    from tests.conftest import Counted

USUAL = 16
KILLS = int(os.environ.get("TCZ_KILLS", USUAL))


@pytest.mark.parametrize("name", SCENES)
def test_a_command_may_be_killed_at_any_time(name: str, counted: Counted) -> None:
    random = Random(name)
    with staged(name) as stage, adopting():
        again = Again(stage)
        stage.old = stage.seen()
        duration = 1.0
        for _ in range(2):  # the first takes longer
            again.set()
            begin = time.monotonic()
            assert stage.command() == 0, (stage.top / "said").read_text()
            duration = time.monotonic() - begin
        stage.new = stage.seen()
        killed = 0
        most = KILLS // stage.scene.part
        for number in range(3 * most):
            again.set()
            process = stage.begin()
            # The last parts of a command are the ones that matter.
            time.sleep(duration * max(random.random(), random.random()))
            died = stage.kill(process)
            # What else the machine does changes how long it takes.
            duration *= 1.03 if died else 0.85
            killed += died
            stage.look()
            stage.go_on(same=number % 2 == 0)
            if killed == most:
                break
        assert killed
        counted(f"kills of {name}", killed)


def test_commands_that_meet_wait_for_each_other() -> None:
    """All that change one mirror at the same time; none fails, none undoes what another did."""
    # What is added may need what remove takes away, and what is signed the key that is revoked; whoever began
    # before the mirror was signed is told that it is now.
    apart = ("init", "index", "remove", "keys revoke", "sign")
    names = [name for name, scene in SCENES.items() if not scene.damaged and name not in apart]
    with staged("index") as stage:
        (stage.top / "www/tc").mkdir()
        begun = []
        before = stage.mirror.catalogue().serial
        for name in names:
            stage.name = name
            begun.append(stage.begin(stage.top / f"said {name}"))
        ended = [stage.wait(process) for process in begun]
        said = [(stage.top / f"said {name}").read_text() for name in names]
        assert ended == [0] * len(names), said
        assert verify(stage.mirror, QUIET).damage == ()
        catalogue = stage.mirror.catalogue()
        # add, files add and sync publish a state each.
        assert catalogue.serial >= before + 3
        assert {"b", "c", "x", "y"} <= set(catalogue.entries(BRANCH))
        assert list(stage.mirror.snapshots()) == ["new"]
        assert set(stage.keys()) == {"key", "next", "fresh"}
