"""A run of ``remaster`` when nothing has changed: less than two seconds, all hashes checked.

Peer: ``python -c pass``. The packages of the variant must be built already (nothing is built here); the
image goes to a scratch folder.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final

from bench.harness import Case, Side, Skipped
from bench.startup import nothing, python
from tcz.run import CommandError, HostRunner

if TYPE_CHECKING:
    from pathlib import Path

_VARIANTS: Final = ("linux", "docker")


def _built(variant: str) -> bool:
    argv = [
        sys.executable,
        "-m",
        "remaster",
        "--variant",
        variant,
        "--dry-run",
        "--json",
        "--progress",
        "none",
    ]
    try:
        told = json.loads(HostRunner().run(argv).stdout)
    except CommandError:
        return False
    return all(recipe["cached"] for recipe in told["recipes"])


def cases(place: Path) -> tuple[Case, ...]:
    found = []
    for variant in filter(_built, _VARIANTS):
        words = ("-m", "remaster", "--variant", variant, "--output", str(place / f"{variant}.iso"))
        ours = Side(name=f"remaster --variant {variant}", run=python(*words, "--progress", "none"))
        found.append(Case(name=f"unchanged-{variant}", ours=ours, peers=(nothing("< 2 s"),)))
    if not found:
        raise Skipped("no variant has all its packages built; build one with make iso first")
    return tuple(found)
