"""Machines whose serial consoles are written to files as they speak, for whoever looks into a failure."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from remaster.vm import Machine
from tcz.run import HostRunner

if TYPE_CHECKING:
    from remaster.vm import MachineSpec

#: Kept until the next run; git ignores it.
FOLDER = Path(__file__).parents[2] / "out/serial"
#: Those of this process, the newest last.
made: list[Path] = []
_naming = threading.Lock()


def _new() -> Path:
    """Return an empty file named after the test that boots, and after how many it booted before."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "boot").rpartition("/")[2].rpartition(" ")[0]
    name = re.sub(r"[^\w.-]+", "-", test).strip("-") or "boot"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with _naming:
        earlier = sum(path.name.startswith(f"{name}.") for path in made)
        path = FOLDER / f"{name}.{earlier + 1}.log"
        path.write_bytes(b"")
        made.append(path)
    return path


def machine(spec: MachineSpec) -> Machine:
    """Return a machine that is not started yet; all that it says is in a file of ``FOLDER``."""
    path = _new()

    def write(text: str) -> None:
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write(text)

    return Machine(spec, HostRunner(), listener=write)
