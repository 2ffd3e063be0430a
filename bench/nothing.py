"""``tcz build`` when all is built: less than half a second.

Peer: ``python -c pass``. All recipes that are built already are named, which is what ``--all`` comes to when
every one of them is; nothing is built here.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from bench.harness import Case, Side, Skipped
from bench.startup import nothing, python
from tcz.run import CommandError, HostRunner

if TYPE_CHECKING:
    from pathlib import Path


def _built() -> tuple[str, ...]:
    argv = [sys.executable, "-m", "tcz", "build", "--all", "--dry-run", "--json", "--progress", "none"]
    try:
        planned = json.loads(HostRunner().run(argv).stdout)
    except CommandError:
        return ()
    missing = {one["recipe"]["name"] for one in planned if not one["cached"]}
    upon = {one["recipe"]["name"]: set(one["recipe"]["build"]["recipes"]) for one in planned}
    makers = {
        package["name"]: one["recipe"]["name"] for one in planned for package in one["recipe"]["packages"]
    }
    for one in planned:
        for package in one["recipe"]["packages"]:
            upon[one["recipe"]["name"]] |= {makers[need] for need in package["needs"] if need in makers}
    while more := {name for name, needs in upon.items() if needs & missing} - missing:
        missing |= more
    return tuple(name for name in sorted(upon) if name not in missing)


def cases(place: Path) -> tuple[Case, ...]:  # noqa: ARG001 - nothing is written
    names = _built()
    if not names:
        raise Skipped("no recipe is built; build some with tcz build --all first")
    run = python("-m", "tcz", "build", *names, "--progress", "none")
    ours = Side(name=f"tcz build, {len(names)} recipes, all built", run=run)
    return (Case(name="nothing-to-build", ours=ours, peers=(nothing("< 0.5 s"),)),)
