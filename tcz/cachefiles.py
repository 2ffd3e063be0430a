"""The user's cache: how much is in each part of it, and how to empty it."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tcz.errors import ConfigError, Problem
from tcz.toml import guess

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tcz.paths import Dirs


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One folder of the cache; ``size`` is what its files take on the disk."""

    name: str
    path: Path
    files: int
    size: int


def parts(dirs: Dirs) -> tuple[Part, ...]:
    """Return the parts of the cache by name; none when there is no cache yet."""
    if not dirs.cache.is_dir():
        return ()
    folders = sorted(entry for entry in dirs.cache.iterdir() if entry.is_dir() and not entry.is_symlink())
    return tuple(_measure(folder) for folder in folders)


def _measure(folder: Path) -> Part:
    seen: set[tuple[int, int]] = set()
    size = 0
    for top, _, names in os.walk(folder):
        for name in names:
            try:
                status = Path(top, name).lstat()
            except FileNotFoundError:  # another run may be at work
                continue
            identity = (status.st_dev, status.st_ino)
            if identity not in seen:
                seen.add(identity)
                size += status.st_blocks * 512
    return Part(name=folder.name, path=folder, files=len(seen), size=size)


def clean(dirs: Dirs, names: Sequence[str] = ()) -> tuple[Part, ...]:
    """Delete parts of the cache (none named: all) and return what they were.

    Raises ``ConfigError`` for a name that is no part, before anything is deleted.
    """
    here = parts(dirs)
    known = [part.name for part in here]
    problems = [
        Problem(where=name, message="is not a part of the cache", hint=guess(name, known))
        for name in names
        if name not in known
    ]
    if problems:
        raise ConfigError("nothing was deleted", problems, hint="tcz cache status lists the parts")
    chosen = tuple(part for part in here if not names or part.name in names)
    for part in chosen:
        _delete(part.path)
    return chosen


def _delete(folder: Path) -> None:
    # Go's module cache and unpacked packages hold folders that may not be written to
    for top, names, _ in os.walk(folder):
        for name in names:
            path = Path(top, name)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | stat.S_IRWXU)
    shutil.rmtree(folder)
