"""sha256 of files that lie still, remembered from run to run.

A file is known again by its place, device, inode, size and both times: whatever writes into a file, or puts
another in its place, changes the time of its inode, which no program can set. Remembered is only what was
looked at more than two seconds after the last change, for a change within one tick of the clock cannot be
seen; and only until the machine is started anew, for a file whose bytes were lost with the power may look
as before.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tcz.store import replacing, sha256_file

if TYPE_CHECKING:
    from tcz.paths import Dirs

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_STILL: Final = 2_000_000_000
FOLDER: Final = "sums"


@dataclass(frozen=True, slots=True)
class Sums:
    """The sums of files, each remembered in a small file in ``folder``, which exists."""

    folder: Path

    @classmethod
    def of_user(cls, dirs: Dirs) -> Sums:
        """Return those that the user's cache remembers."""
        return cls(dirs.cache_folder(FOLDER))

    def of(self, path: Path) -> str:
        """Return the lower-case hex sha256 of a file; raises ``OSError`` as reading it does."""
        looks = _looks(path)
        entry = self.folder / hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:32]
        with suppress(OSError, ValueError):
            was, sha256 = entry.read_text("ascii").split()
            if looks and was == looks:
                return sha256
        started = time.time_ns()
        sha256 = sha256_file(path)
        status = path.stat()
        still = 0 <= status.st_ctime_ns <= started - _STILL and status.st_mtime_ns <= started - _STILL
        if still and looks and looks == _looks(path):
            with suppress(OSError), replacing(entry) as temporary:
                temporary.write_text(f"{looks} {sha256}\n", "ascii")
        return sha256


def state(path: Path) -> tuple[int, ...]:
    """Return what changes with a file: place on its device, size, both times. Raises ``OSError``."""
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _looks(path: Path) -> str:
    """Return what a file is known by; nothing where one start of the machine cannot be told from another."""
    seen = state(path)
    try:
        boot = _BOOT.read_text("ascii").strip()
    except OSError:
        return ""
    return ".".join((boot, *map(str, seen)))
