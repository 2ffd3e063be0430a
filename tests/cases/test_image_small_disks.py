"""Builds of images on disks that are full before they end: TCZ_ROOMS is how many sizes at most."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.artefact.test_image_formats import pytestmark as needs
from tests.cases.room import FULL, outcomes

if TYPE_CHECKING:
    from tests.conftest import Counted

pytestmark = needs
#: A build takes much longer than a command of ``tcz mirror``.
ROOMS = max(2, int(os.environ.get("TCZ_ROOMS", "12")) // 4)


def test_a_full_disk_leaves_the_image_before(counted: Counted) -> None:
    found = outcomes("tests.cases.small_image_disk", "every format", str(ROOMS))
    assert sum(one.status == 0 for one in found) == 7
    full = sum(one.status == FULL for one in found)
    assert full > ROOMS
    counted("full disks during a build", full)
