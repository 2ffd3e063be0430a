"""Content-addressed files: verified first, then renamed into place, never changed afterwards."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tcz.errors import VerifyError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 1 << 20


def sha256_file(path: Path) -> str:
    """Return the lower-case hex sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def replacing(path: Path, *, lasting: bool = False, mode: int = 0o666) -> Iterator[Path]:
    """Give a temporary path beside ``path``; on success it is renamed over ``path``, else removed.

    Others may not read it until then; ``mode``, less the umask, tells who may read the file. With ``lasting``
    the old file or the new one is there after a power cut, and the new one once this ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(mode & ~umask)
        if lasting:
            sync(temporary)
        temporary.replace(path)
        if lasting:
            sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


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
