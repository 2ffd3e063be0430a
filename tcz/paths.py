"""Where things live: XDG folders of the user, and the data that ships with the package."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tcz.errors import ConfigError, NoSpaceError, Problem, ToolkitError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
        _hold(self.cache)
        tag = self.cache / "CACHEDIR.TAG"
        if not tag.exists():
            tag.write_text(_CACHEDIR_TAG)
        return folder


def mark_used(path: Path) -> None:
    """Note that something in the cache was used: what a sandbox reads of it, nothing else tells."""
    with suppress(OSError):
        os.utime(path)


#: The caches that this process uses, each with the open file whose lock says so.
_held: dict[Path, int] = {}
_HELD_MOST = 8


def _hold(cache: Path) -> None:
    """Keep others from deleting what is in a cache for as long as this process runs.

    Waits for one that is deleting; where there are no locks, nothing is deleted either.
    """
    if cache in _held:
        return
    with suppress(OSError):
        handle = _lock_file(cache)
        fcntl.flock(handle, fcntl.LOCK_SH)
        _held[cache] = handle
    while len(_held) > _HELD_MOST:  # one process, many users: only tests do that
        os.close(_held.pop(next(iter(_held))))


def _lock_file(cache: Path) -> int:
    return os.open(cache / ".in-use", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


@contextmanager
def alone(cache: Path) -> Iterator[None]:
    """Have a cache, which exists, for oneself. Raises ``ToolkitError`` while another process uses it."""
    own = _held.get(cache)
    handle = _lock_file(cache) if own is None else own
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise ToolkitError(
            "the cache is in use", where=str(cache), hint="wait until nothing is built, then run again"
        ) from error
    finally:
        if own is None:
            os.close(handle)
        else:
            fcntl.flock(handle, fcntl.LOCK_SH)


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
