"""Locks that a mirror keeps packages for: files in its folder ``locks``, and those that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tcz import lock
from tcz.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pathlib import Path

    from tcz.mirror.config import Config

FOLDER: Final = "locks"


def lock_files(root: Path, config: Config) -> tuple[Path, ...]:
    """Return the locks of the mirror in ``root``; those that the configuration names may be missing."""
    folder = root / FOLDER
    inside = [path for path in folder.glob("[!.]*") if path.is_file()] if folder.is_dir() else []
    return tuple(dict.fromkeys((*sorted(inside), *(root / name for name in config.locks))))


def locked(root: Path, config: Config) -> frozenset[str]:
    """Return the sha256 of every file that a lock names. Raises ``ConfigError`` for one that cannot be read.

    A lock that cannot be read might name anything: nothing is removed then.
    """
    found: set[str] = set()
    problems: list[Problem] = []
    for path in lock_files(root, config):
        try:
            value = lock.read(path)
        except ConfigError as error:
            problems += error.problems or (Problem(where=str(path), message=error.what),)
            continue
        found.update(package.sha256 for package in value.packages)
        found.update(source.hash.removeprefix("sha256:") for source in value.sources)
    if problems:
        raise ConfigError("a lock cannot be read", problems, hint="mend it, or take it out of the mirror")
    return frozenset(found)
