"""The user's cache: how much is in each part of it, and how to empty it."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tcz.errors import ConfigError, Problem
from tcz.paths import alone
from tcz.toml import guess

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tcz.paths import Dirs


_DAY: Final = 86_400
#: Where other programs keep what they know of one another's files.
_WHOLE: Final = ("apt", "go", "gomod")
#: How many folders deep things lie, where that is not directly in the part: sha256/ab/abcd...
_DEPTH: Final = {"store": 3}


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
    files, size, _ = _weigh((folder,))
    return Part(name=folder.name, path=folder, files=files, size=size)


def _weigh(places: Iterable[Path]) -> tuple[int, int, float]:
    """Return how many files there are, what they take, and when one was read or changed for the last time."""
    seen: set[tuple[int, int]] = set()
    size, used = 0, 0.0
    for path in _files(places):
        try:
            status = path.lstat()
        except FileNotFoundError:  # another run may be at work
            continue
        if stat.S_ISDIR(status.st_mode):  # looking into a folder is no use of it
            used = max(used, status.st_mtime)
            continue
        used = max(used, status.st_atime, status.st_mtime, status.st_ctime)
        identity = (status.st_dev, status.st_ino)
        if identity not in seen:
            seen.add(identity)
            size += status.st_blocks * 512
    return len(seen), size, used


def _files(places: Iterable[Path]) -> Iterator[Path]:
    for place in places:
        yield place
        if not place.is_symlink():
            for top, _, names in os.walk(place):
                yield from (Path(top, name) for name in names)


def _chosen(dirs: Dirs, names: Sequence[str]) -> tuple[Part, ...]:
    here = parts(dirs)
    known = [part.name for part in here]
    problems = [
        Problem(where=name, message="is not a part of the cache", hint=guess(name, known))
        for name in names
        if name not in known
    ]
    if problems:
        raise ConfigError("nothing was deleted", problems, hint="tcz cache status lists the parts")
    return tuple(part for part in here if not names or part.name in names)


def clean(dirs: Dirs, names: Sequence[str] = ()) -> tuple[Part, ...]:
    """Delete parts of the cache (none named: all) and return what they were.

    Raises ``ConfigError`` for a name that is no part, before anything is deleted, and ``ToolkitError`` while
    another process uses the cache.
    """
    if not dirs.cache.is_dir():
        return _chosen(dirs, names)
    with alone(dirs.cache):
        chosen = _chosen(dirs, names)
        for part in chosen:
            _delete(part.path)
    return chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Unused:
    """Something in a part of the cache that nothing has used for ``days``: what belongs together."""

    part: str
    name: str
    size: int
    days: int


def prune(
    dirs: Dirs, days: int, names: Sequence[str] = (), *, now: float, dry_run: bool = False
) -> tuple[Unused, ...]:
    """Delete what nothing has read or written for so many days, in all parts or those named.

    One thing is what has a name of its own in a part, with what is named after it (``X``, ``X.done``); what a
    program of others keeps for itself stays or goes as a whole. A file system that notes no reading
    (``noatime``) tells when it was made. Raises as ``clean`` does.
    """
    if dry_run or not dirs.cache.is_dir():
        return tuple(unused for unused, _ in _old(_chosen(dirs, names), now, days))
    found = []
    with alone(dirs.cache):
        for unused, paths in _old(_chosen(dirs, names), now, days):
            found.append(unused)
            # What tells that something is whole goes before it does.
            for path in sorted(paths, key=lambda path: (-len(path.name), path)):
                _delete(path)
    return tuple(found)


def _old(chosen: Iterable[Part], now: float, days: int) -> Iterator[tuple[Unused, list[Path]]]:
    for part in chosen:
        for name, paths in sorted(_things(part.path).items()):
            _, size, used = _weigh(paths)
            unused = int((now - used) // _DAY)
            if used and unused >= days:
                yield Unused(part=part.name, name=name, size=size, days=unused), paths


def _things(part: Path) -> dict[str, list[Path]]:
    """Return what is in a part, by name, and all files and folders of each."""
    if part.name in _WHOLE:
        return {"": [part]}
    found: dict[str, list[Path]] = {}
    for path in _down(part, _DEPTH.get(part.name, 1)):
        below = path.relative_to(part).as_posix()
        folder, _, name = below.rpartition("/")
        stem = name.lstrip(".").partition(".")[0] or name
        found.setdefault(f"{folder}/{stem}" if folder else stem, []).append(path)
    return found


def _down(folder: Path, depth: int) -> Iterator[Path]:
    for path in folder.iterdir():
        if depth > 1 and path.is_dir() and not path.is_symlink():
            yield from _down(path, depth - 1)
        else:
            yield path


def _delete(folder: Path) -> None:
    if folder.is_symlink() or not folder.is_dir():
        folder.unlink()
        return
    # Go's module cache and unpacked packages hold folders that may not be written to
    for top, names, _ in os.walk(folder):
        for name in names:
            path = Path(top, name)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | stat.S_IRWXU)
    shutil.rmtree(folder)
