"""Every command that writes, on disks that are full before it ends: TCZ_ROOMS is how many sizes at most.

The disks are tmpfs in namespaces of their own, so that no root is needed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cases.commandline import TOP
from tests.cases.mirror_scenes import SCENES
from tests.cases.small_disk import FULL

if TYPE_CHECKING:
    from tests.conftest import Counted

USUAL = 8
ROOMS = int(os.environ.get("TCZ_ROOMS", USUAL))
#: What frees a disk must not need one that is free; a name for a state needs next to nothing.
FREEING = ("gc", "snapshot remove", "snapshot create")


@pytest.mark.parametrize("name", SCENES)
def test_a_full_disk_changes_nothing(name: str, counted: Counted) -> None:
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no user and mount namespaces")
    done = subprocess.run(
        ["unshare", "-rm", sys.executable, "-m", "tests.cases.small_disk", name, str(ROOMS)],
        cwd=TOP,
        env={**os.environ, "PYTHONPATH": str(TOP)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line for line in told if line[3] != "right"] == []
    assert [(kind, status) for kind, _, status, _ in told if status == "0"] == [
        ("bytes", "0"),
        ("files", "0"),
    ]
    full = [more for _, more, status, _ in told if int(status) == FULL]
    assert bool(full) == (name not in FREEING)
    counted(f"full disks during {name}", len(full))
