"""Where things live: XDG folders of the user, and the data that ships with the package."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tcz.errors import ConfigError, NoSpaceError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

_CACHEDIR_TAG = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# Everything below can be made again; see https://bford.info/cachedir/\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dirs:
    """The user's folders for this toolkit. Nothing is created until it is used."""

    cache: Path
    config: Path
    state: Path

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Dirs:
        """XDG base directories, or their defaults below HOME."""
        home = Path(env.get("HOME") or Path.home())

        def pick(key: str, default: str) -> Path:
            value = env.get(key, "")
            base = Path(value) if value.startswith("/") else home / default
            return base / "tcz"

        return cls(
            cache=pick("XDG_CACHE_HOME", ".cache"),
            config=pick("XDG_CONFIG_HOME", ".config"),
            state=pick("XDG_STATE_HOME", ".local/state"),
        )

    def cache_folder(self, name: str) -> Path:
        """Return ``cache/name``, made if need be, with a CACHEDIR.TAG at the top."""
        folder = self.cache / name
        folder.mkdir(parents=True, exist_ok=True)
        tag = self.cache / "CACHEDIR.TAG"
        if not tag.exists():
            tag.write_text(_CACHEDIR_TAG)
        return folder


def shipped(package_root: Path, name: str) -> Path:
    """Return a folder of data such as ``recipes``: in an installed package, or beside it in a checkout."""
    installed = package_root / "_data" / name
    return installed if installed.is_dir() else package_root.parent / name


def check_writable(file: Path) -> None:
    """Raise ``ConfigError`` unless ``file`` can be written, so that this is known before long work.

    Raises ``NoSpaceError`` on a disk that has no room for one more file.
    """
    problem = None
    if file.is_dir():
        problem = "is a folder, not a file"
    else:
        place = file.parent
        while not place.exists() and place != place.parent:
            place = place.parent
        if not place.is_dir():
            problem = f"{place} is no folder"
        else:
            try:
                # Asking for permissions is not enough: root has them all on a read-only disk.
                tempfile.TemporaryFile(dir=place).close()
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise NoSpaceError(
                        "the disk is full", where=str(place), hint="free some space, then run again"
                    ) from error
                problem = f"nothing can be written in {place.resolve()}: {error.strerror}"
    if problem:
        raise ConfigError(
            "the output cannot be written",
            [Problem(where=str(file), message=problem)],
            hint="name another file",
        )


def need_space(folder: Path, size: int, what: str) -> None:
    """Raise ``NoSpaceError`` unless ``size`` bytes are free where ``folder`` is (or will be)."""
    place = folder
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < size:
        raise NoSpaceError(
            f"{what} needs {size / 1e6:.0f} MB and only {free / 1e6:.0f} MB are free",
            where=str(place),
            hint="free some space, or point XDG_CACHE_HOME to a larger disk",
        )
