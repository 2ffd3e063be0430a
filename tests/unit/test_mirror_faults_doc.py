"""docs/reference/mirror-faults.md says how much is tested; here it is counted."""

from __future__ import annotations

import re
from pathlib import Path

from tests.artefact import test_mirror_clients as clients
from tests.cases import test_mirror_hostile as commands
from tests.cases import test_mirror_kills as kills
from tests.cases import test_mirror_powercut as powercut
from tests.cases import test_mirror_small_disks as disks
from tests.cases.mirror_scenes import SCENES
from tests.unit import test_floe_load as floe
from tests.unit import test_mirror_hostile as hostile
from tests.unit import test_sync as sync

DOC = Path(__file__).parents[2] / "docs/reference/mirror-faults.md"
_ROW = re.compile(r"\| (.+?) \| ([0-9,]+) \| `(.+?)` \|")


def counts() -> dict[str, int]:
    return {
        "commands that write, some in two ways": len(SCENES),
        "power cuts, of each command": powercut.USUAL,
        "power cuts, in all": sum(powercut.USUAL // one.part for one in SCENES.values()),
        "kills at random times, of each command": kills.USUAL,
        "kills at random times, in all": sum(kills.USUAL // one.part for one in SCENES.values()),
        "sizes of a full disk, at most, of each command": 2 * (disks.USUAL + 1),
        "faults of an upstream that pass": len(sync.PASSING),
        "faults of an upstream that last": len(sync.LASTING),
        "faults of a mirror that floe's `tce-load` meets": len(floe.PASSING) + len(floe.LASTING),
        "hostile index files": len(hostile.INDEXES),
        "hostile catalogues, and packages to add": len(commands.CATALOGUES) + len(commands.PACKAGES),
        "rules by which Tiny Core's scripts read": len(clients.CHECKS),
        "spoilt mirrors that those find out": sum(len(one.spoilt) for one in clients.CHECKS.values()),
    }


def test_the_counts_are_those_of_the_tests() -> None:
    told = {what: int(number.replace(",", "")) for what, number, _ in _ROW.findall(DOC.read_text())}
    assert told == counts()


def test_each_rule_of_a_script_is_in_the_table() -> None:
    text = DOC.with_name("mirror.md").read_text()
    rows = re.findall(
        r"^\| `?[^|]+ \| [^|]+ \| (`[^|]+`) \|$", text.partition("scripts reads what")[2], re.MULTILINE
    )
    named = {check for row in rows for check in re.findall(r"`([^`]+)`", row)}
    assert named == set(clients.CHECKS)


def test_the_tests_are_where_they_are_said_to_be() -> None:
    top = DOC.parents[2]
    named = {where for _, _, where in _ROW.findall(DOC.read_text())}
    named |= set(re.findall(r"`(tests/[a-z_/]+\.py)`", DOC.read_text()))
    assert [name for name in sorted(named) if not (top / name).is_file()] == []
