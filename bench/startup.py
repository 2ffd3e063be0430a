"""Starting the commands (goal G16), compiled modules at hand.

Peer: ``python -c pass``, the least that any program in Python takes.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING

from bench.harness import Case, Side
from tcz.run import HostRunner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@functools.cache
def _compiled() -> str:
    """Return a folder of our own for compiled modules; it goes when the program ends."""
    folder = tempfile.mkdtemp(prefix="bench-compiled-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def python(*words: str) -> Callable[[], None]:
    """Return a run of this interpreter, which keeps compiled modules whatever the environment says."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = _compiled()

    def run() -> None:
        HostRunner().run([sys.executable, *words], env=env)

    return run


def nothing(goal: str) -> Side:
    """Return the peer of all that start."""
    return Side(name="python -c pass", run=python("-c", "pass"), goal=goal)


def cases(_place: Path) -> tuple[Case, ...]:
    commands = (
        ("tcz", "--version", "<= 4.5"),
        ("tcz", "--help", "<= 3.0"),
        ("remaster", "--version", "<= 4.5"),
        ("remaster", "--help", "<= 3.0"),
    )
    return tuple(
        Case(
            name=f"startup-{command}{option}",
            ours=Side(name=f"{command} {option}", run=python("-m", command, option)),
            peers=(nothing(goal),),
        )
        for command, option, goal in commands
    )
