"""The bytes of a mirror: files named by their sha256, linked into every state that shows them."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tcz.errors import VerifyError
from tcz.mirror.model import Blob

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Objects:
    """Content below ``root/objects``; new content is written to ``root/tmp`` first.

    Nothing here is made durable file by file: ``sync_disk`` does so once, before a state is published.
    """

    root: Path

    def path(self, sha256: str) -> Path:
        """Return where the object of this hash is or would be."""
        return self.root / "objects" / sha256[:2] / sha256[2:]

    def has(self, blob: Blob) -> bool:
        """Tell whether the object is there in its full length."""
        try:
            return self.path(blob.sha256).stat().st_size == blob.size
        except FileNotFoundError:
            return False

    def durable(self, blob: Blob) -> bool:
        """Tell whether the object is there and can be relied on: a state shows it, so it is on the disk.

        One that no state shows may be left from before a power cut, of the right length and full of zeros.
        """
        try:
            found = self.path(blob.sha256).stat()
        except FileNotFoundError:
            return False
        return found.st_size == blob.size and found.st_nlink > 1

    def add_bytes(self, data: bytes) -> Blob:
        """Keep ``data``."""
        blob = Blob(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
        if not self.durable(blob):
            with self._temporary() as new:
                new.write_bytes(data)
                self._keep(new, blob)
        return blob

    def add_file(self, file: Path, expected: Blob | None = None) -> Blob:
        """Keep a copy of ``file``, shared with it where the file system can.

        Raises ``VerifyError`` when it is not what was ``expected``; nothing is kept then.
        """
        if expected is not None and self.durable(expected):
            return expected
        with self._temporary() as new:
            blob = _copy(file, new)
            if expected is not None and blob != expected:
                raise VerifyError(
                    "not the bytes that were promised",
                    where=str(file),
                    why=f"expected {expected.size} bytes, sha256 {expected.sha256}\n"
                    f"found    {blob.size} bytes, sha256 {blob.sha256}",
                )
            if not self.durable(blob):
                self._keep(new, blob)
        return blob

    def read(self, blob: Blob) -> bytes:
        """Return an object's bytes; raises ``VerifyError`` where they are gone or not the right number."""
        try:
            data = self.path(blob.sha256).read_bytes()
        except FileNotFoundError:
            data = b""
        if len(data) != blob.size:
            raise VerifyError(
                "an object of the mirror is missing or damaged",
                where=str(self.path(blob.sha256)),
                hint="tcz mirror verify tells what else is, tcz mirror repair brings it back",
            )
        return data

    def link(self, blob: Blob, to: Path) -> None:
        """Show an object at ``to``: as a hard link, or a copy where a file has too many."""
        try:
            os.link(self.path(blob.sha256), to)
        except OSError as error:
            if error.errno not in (errno.EMLINK, errno.EPERM):
                raise
            shutil.copyfile(self.path(blob.sha256), to)

    @contextmanager
    def _temporary(self) -> Iterator[Path]:
        folder = self.root / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder)
        os.close(handle)
        new = Path(name)
        try:
            yield new
        finally:
            new.unlink(missing_ok=True)

    def _keep(self, new: Path, blob: Blob) -> None:
        target = self.path(blob.sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        new.chmod(0o644)
        new.replace(target)


def _copy(file: Path, new: Path) -> Blob:
    """Copy and hash in one pass: what is hashed is what was written, whatever ``file`` becomes meanwhile."""
    digest = hashlib.sha256()
    size = 0
    with file.open("rb") as source, new.open("wb") as target:
        while data := source.read(_BLOCK):
            digest.update(data)
            target.write(data)
            size += len(data)
    return Blob(sha256=digest.hexdigest(), size=size)


def sync_disk(folder: Path) -> None:
    """Return when all that was written to the file system of ``folder`` is on its disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(handle) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Return when the entries of ``folder`` are on its disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
