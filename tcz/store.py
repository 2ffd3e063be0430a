"""Content-addressed files: verified first, then renamed into place, never changed afterwards."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import stat
import string
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tcz.errors import VerifyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from io import BufferedReader

_BLOCK = 1 << 20
#: What the kernel says where it does not copy from one file to another.
_NOT_BY_KERNEL = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF)
#: What a temporary name has behind its beginning, as the names of ``tempfile`` do.
_LETTERS = string.ascii_lowercase + string.digits + "_"
_RANDOM = "[a-z0-9_]{8}"


def sha256_file(path: Path) -> str:
    """Return the lower-case hex sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def md5_of(file: BufferedReader) -> str:
    """Return the lower-case hex md5 of what is left of an open file; Tiny Core tells files by it."""
    return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def md5_file(path: Path) -> str:
    """Return the lower-case hex md5 of a file."""
    with path.open("rb") as file:
        return md5_of(file)


@contextmanager
def passing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``, named after it, which is removed at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _owned(path.with_name(f".{path.name}."), _new_file, _unlink) as temporary:
        yield temporary


@contextmanager
def replacing(path: Path, *, lasting: bool = False, mode: int = 0o666) -> Iterator[Path]:
    """Give a temporary path beside ``path``; on success it is renamed over ``path``, else removed.

    Others may not read it until then; ``mode``, less the umask, tells who may read the file. With ``lasting``
    the old file or the new one is there after a power cut, and the new one once this ends.
    """
    with passing(path) as temporary:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(mode & ~umask)
        if lasting:
            sync(temporary)
        temporary.replace(path)
        if lasting:
            sync(path.parent)


@contextmanager
def _owned(beginning: Path, make: Callable[[Path], int], remove: Callable[[Path], None]) -> Iterator[Path]:
    """Give something temporary that ``sweep`` leaves alone, and remove it at the end.

    It has its name before ``make`` makes it and returns it opened (-1 where it has gone since): whenever
    a signal comes, it is known what is to be removed.
    """
    handle, made = -1, list[Path]()
    try:
        while handle < 0:
            name = "".join(secrets.choice(_LETTERS) for _ in range(8))
            made[:] = [beginning.with_name(beginning.name + name)]
            try:
                handle = make(made[0])
            except FileExistsError:
                made.clear()  # not ours to remove
            else:
                handle = _held(handle)
        yield made[0]
    finally:
        try:
            _remove(made, remove)
        except KeyboardInterrupt:
            _remove(made, remove)
            raise
        if handle >= 0:
            os.close(handle)


def _remove(made: Sequence[Path], remove: Callable[[Path], None]) -> None:
    for path in made:
        remove(path)


def _held(handle: int) -> int:
    """Return what was opened, locked; -1 where somebody swept it away before."""
    if handle >= 0 and not (_lock(handle) and os.fstat(handle).st_nlink):
        os.close(handle)
        return -1
    return handle


def _new_file(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)


def _new_folder(path: Path) -> int:
    path.mkdir(mode=0o700)
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return -1


def _remove_folder(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)


def _lock(handle: int) -> bool:
    """Lock a file or folder against ``sweep``; false where another has done so."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: there nothing is swept, either
        return True
    return True


def sweep(folder: Path, *names: str) -> None:
    """Remove what killed runs left in a folder of ``replacing`` and ``passing``, for these names or any.

    Whatever a running process uses is locked, and the kernel takes the locks of a killed one away.
    """
    _sweep(folder, rf"\.(?:{'|'.join(map(re.escape, names)) or '.+'})\.{_RANDOM}")


def _sweep(folder: Path, pattern: str) -> None:
    wanted = re.compile(pattern, re.DOTALL)
    with suppress(OSError):
        for entry in os.scandir(folder):
            if wanted.fullmatch(entry.name):
                with suppress(OSError):
                    _remove_unused(Path(entry.path))


def _remove_unused(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(handle)
        if status.st_uid != os.geteuid():
            return
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if stat.S_ISDIR(status.st_mode):
            shutil.rmtree(path)
        elif stat.S_ISREG(status.st_mode):
            path.unlink()
    finally:
        os.close(handle)


@contextmanager
def scratch(prefix: str) -> Iterator[Path]:
    """Give an empty folder for temporary files, which goes at the end; those of killed runs go now."""
    place = Path(tempfile.gettempdir())
    _sweep(place, re.escape(prefix) + _RANDOM)

    with _owned(place / prefix, _new_folder, _remove_folder) as folder:
        yield folder


def copy_by_kernel(source: Path, offset: int, length: int, target: BinaryIO) -> bool:
    """Have the kernel copy a region of a file to where ``target`` is; tell whether it can.

    Raises ``VerifyError`` where the file ends before the region does.
    """
    target.flush()
    at, done = target.tell(), 0
    with source.open("rb", buffering=0) as file:
        while done < length:
            try:
                count = os.copy_file_range(
                    file.fileno(), target.fileno(), length - done, offset + done, at + done
                )
            except OSError as error:
                if error.errno not in _NOT_BY_KERNEL or done:
                    raise
                return False
            if not count:
                raise VerifyError("the file became shorter while it was copied", where=str(source))
            done += count
    target.seek(at + length)
    return True


def sync(path: Path) -> None:
    """Have the content of a file, or the names in a folder, written to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@dataclass(frozen=True, slots=True)
class Store:
    """Files by sha256 below ``root``; what fails its check is kept in ``root/rejected``."""

    root: Path

    def path(self, sha256: str) -> Path:
        """Return where the file of this hash is or would be."""
        return self.root / "sha256" / sha256[:2] / sha256

    def has(self, sha256: str) -> bool:
        """Tell whether the file is there."""
        return self.path(sha256).is_file()

    def sound(self, sha256: str) -> Path | None:
        """Return the file of this hash after hashing it again; a damaged one is removed first.

        A disk that was full or lost its power may leave a file that its name does not fit.
        """
        path = self.path(sha256)
        if not path.is_file():
            return None
        if sha256_file(path) != sha256:
            path.unlink()
            return None
        return path

    def take(self, file: Path, sha256: str | None, *, what: str) -> Path:
        """Move ``file`` in and return its new path.

        With ``sha256`` given and wrong, the file is kept aside and ``VerifyError`` tells both hashes.
        """
        actual = sha256_file(file)
        if sha256 is not None and actual != sha256:
            aside = self.root / "rejected" / f"{actual[:16]}-{Path(what).name}"
            aside.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(file, aside)
            raise VerifyError(
                f"{what}: wrong sha256",
                why=f"expected {sha256}\nfound    {actual}\nthe file is kept as {aside}; nothing was used",
                hint="if upstream re-released it, check why, then write the new hash into the recipe",
            )
        target = self.path(actual)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            with replacing(target) as temporary:
                shutil.copyfile(file, temporary)
        file.unlink()
        return target

    def add_bytes(self, data: bytes) -> Path:
        """Keep ``data`` and return its path."""
        target = self.path(hashlib.sha256(data).hexdigest())
        if not target.exists():
            with replacing(target) as temporary:
                temporary.write_bytes(data)
        return target
