"""The power fails in the middle of every command that writes, at every place and in every way.

Each command is run once, what it does is recorded (see ``tests.unit.straced``), and its work is played back
up to somewhere; TCZ_CRASHES is how many of such folders are looked at for each command.
"""

from __future__ import annotations

import os
import shutil
import sys
from itertools import chain
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.cases.mirror_scenes import SCENES, staged
from tests.unit import powercut, straced

if TYPE_CHECKING:
    from tests.cases.mirror_scenes import Stage
    from tests.conftest import Counted

USUAL = 30
CRASHES = int(os.environ.get("TCZ_CRASHES", USUAL))

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


def record(stage: Stage) -> powercut.Recording:
    """Do the command and return what it did; ``old`` and ``new`` are what is shown before and after."""
    stage.old = stage.seen()
    argv = [sys.executable, "-m", "tcz", "mirror", *stage.scene.words]
    made, done = straced.record(
        argv, stage.written, stage.top, cwd=stage.mirror.root, env={**stage.env, "TMPDIR": str(stage.top)}
    )
    assert done.returncode == 0, done.stderr
    assert made.cuts > 3
    stage.new = stage.seen()
    return made


def _shuffled(made: powercut.Recording, random: Random) -> tuple[list[int], list[int]]:
    """Return places to cut, and as many out of those that matter most: near renames, links and the end."""
    cuts = list(range(made.cuts))
    turns = [
        number + 1 + more
        for number, one in enumerate(made.steps)
        if isinstance(one, powercut.Change) and one.turns
        for more in range(3)
        if number + 1 + more < made.cuts
    ]
    turns += cuts[-12:]
    random.shuffle(cuts)
    return cuts, random.choices(turns, k=len(cuts))


@pytest.mark.parametrize("name", SCENES)
def test_a_power_cut_leaves_the_old_or_the_new_state(name: str, counted: Counted) -> None:
    random = Random(name)
    with staged(name) as stage:
        made = record(stage)
        cuts = list(chain.from_iterable(zip(*_shuffled(made, random), strict=False)))
        most = CRASHES // stage.scene.part
        for number in range(most):
            loss = random.choice(powercut.LOSSES)
            ordered = random.random() < 0.25
            crashed = made.crash(cuts[number % len(cuts)], random, loss, ordered=ordered)
            shutil.rmtree(stage.written)
            powercut.write(crashed, stage.written)
            stage.look()
            stage.go_on(same=random.random() < 0.5)
        if name != "publish by rsync":  # which leaves it to the other machine when folders are written out
            for loss in powercut.LOSSES:
                shutil.rmtree(stage.written)
                powercut.write(made.crash(made.cuts - 1, random, loss, ordered=False), stage.written)
                assert stage.seen() == stage.new, "a command that has ended is undone"
    counted(f"power cuts during {name}", most)
