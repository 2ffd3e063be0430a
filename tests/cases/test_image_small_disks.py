"""Builds of images on disks that are full before they end: TCZ_ROOMS is how many sizes at most.

The disks are tmpfs in namespaces of their own, so that no root is needed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.artefact.test_image_formats import pytestmark as needs
from tests.cases.commandline import TOP
from tests.cases.small_image_disk import FULL

if TYPE_CHECKING:
    from tests.conftest import Counted

pytestmark = needs
#: A build takes much longer than a command of ``tcz mirror``.
ROOMS = max(2, int(os.environ.get("TCZ_ROOMS", "12")) // 4)


def test_a_full_disk_leaves_the_image_before(counted: Counted) -> None:
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no user and mount namespaces")
    done = subprocess.run(
        ["unshare", "-rm", sys.executable, "-m", "tests.cases.small_image_disk", "every format", str(ROOMS)],
        cwd=TOP,
        env={**os.environ, "PYTHONPATH": str(TOP)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line for line in told if line[3] != "right"] == []
    assert sum(status == "0" for _, _, status, _ in told) == 7
    full = [more for _, more, status, _ in told if int(status) == FULL]
    assert len(full) > ROOMS
    counted("full disks during a build", len(full))
