"""Programs of extensions ask for the dynamic loader where Tiny Core has it.

Debian's compiler writes /lib64/ld-linux-x86-64.so.2 into programs. CorePure64 has the loader in /lib and
no /lib64; floe has it in both. The name is shorter there, so it is changed in place.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Final

from tcz import elf
from tcz.errors import VerifyError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tcz.stage import Entry

ELSEWHERE: Final = "/lib64/ld-linux-x86-64.so.2"
LOADER: Final = "/lib/ld-linux-x86-64.so.2"


def rename(dest: Path, entries: Iterable[Entry]) -> bool:
    """Have the programs among staged files name ``LOADER``, in place; tell whether there were any.

    A file that is no sound ELF file is left alone.
    """
    found = False
    for entry in entries:
        path = dest / entry.path
        place = _place(path) if stat.S_ISREG(entry.status.st_mode) else None
        if place is not None:
            _write(path, *place)
            found = True
    return found


def _place(path: Path) -> tuple[int, int] | None:
    with path.open("rb") as file:
        if file.read(len(elf.MAGIC)) != elf.MAGIC:
            return None
    try:
        facts = elf.inspect(path)
    except VerifyError:
        return None
    return facts.interpreter_place if facts is not None and facts.interpreter == ELSEWHERE else None


def _write(path: Path, offset: int, room: int) -> None:
    path.chmod(stat.S_IMODE(path.stat().st_mode) | stat.S_IWUSR)
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(LOADER.encode().ljust(room, b"\0"))
