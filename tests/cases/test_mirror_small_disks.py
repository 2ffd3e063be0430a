"""Every command that writes, on disks that are full before it ends: TCZ_ROOMS is how many sizes at most."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.cases.mirror_scenes import SCENES
from tests.cases.room import FULL, outcomes

if TYPE_CHECKING:
    from tests.conftest import Counted

USUAL = 8
ROOMS = int(os.environ.get("TCZ_ROOMS", USUAL))
#: What frees a disk must not need one that is free; a name for a state needs next to nothing.
FREEING = ("gc", "snapshot remove", "snapshot create")


@pytest.mark.parametrize("name", SCENES)
def test_a_full_disk_changes_nothing(name: str, counted: Counted) -> None:
    found = outcomes("tests.cases.small_disk", name, str(ROOMS))
    assert [one.short for one in found if one.status == 0] == ["bytes", "files"]
    full = sum(one.status == FULL for one in found)
    assert bool(full) == (name not in FREEING)
    counted(f"full disks during {name}", full)
