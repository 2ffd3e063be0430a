"""What a person in front of a machine does: reads the text screen, and presses keys."""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from remaster.vm import Machine

COLUMNS: Final = 80
ROWS: Final = 25
#: The memory of an adapter in text mode: a character and its colours by turns (VGA, mode 3).
_TEXT: Final = 0xB8000
_PAUSE: Final = 0.2
#: Names that QEMU gives to keys whose character is not their name.
_NAMED: Final = {" ": "spc", "\n": "ret", "-": "minus", "=": "equal", "/": "slash", ".": "dot", ",": "comma"}


def screen(machine: Machine) -> str:
    """Return what is on the screen in text mode, a line a row."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "text")
        machine.execute("pmemsave", val=_TEXT, size=2 * COLUMNS * ROWS, filename=str(file))
        text = file.read_bytes()[::2].decode("cp437").replace("\0", " ")
    rows = (text[at : at + COLUMNS].rstrip() for at in range(0, len(text), COLUMNS))
    return "\n".join(rows)


def wait_for(machine: Machine, pattern: str, timeout: float) -> str:
    """Wait until the screen shows ``pattern``; return all of it."""
    deadline = time.monotonic() + timeout
    while True:
        shown = screen(machine)
        if re.search(pattern, shown, re.MULTILINE):
            return shown
        assert time.monotonic() < deadline, f"the screen does not show {pattern!r}:\n{shown}"
        time.sleep(_PAUSE)


def press(machine: Machine, *names: str) -> None:
    """Press keys one after the other, by QEMU's names for them."""
    for name in names:
        machine.execute("send-key", keys=[{"type": "qcode", "data": name}])
        # Firmware polls; a key that comes before the last one was fetched is lost.
        time.sleep(_PAUSE)


def type_text(machine: Machine, text: str) -> None:
    """Type a text of small letters, digits and a few signs."""
    press(machine, *(_NAMED.get(char, char) for char in text))
