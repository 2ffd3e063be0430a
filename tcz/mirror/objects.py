"""The bytes of a mirror: files named by their sha256, linked into every state that shows them."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tcz.errors import VerifyError
from tcz.mirror.model import Blob

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

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
            return os.stat(self._at(blob.sha256)).st_size == blob.size  # noqa: PTH116 - see _at
        except FileNotFoundError:
            return False

    def durable(self, blob: Blob) -> bool:
        """Tell whether the object is there and can be relied on: a state shows it, so it is on the disk.

        One that no state shows may be left from before a power cut, of the right length and full of zeros.
        """
        try:
            found = os.stat(self._at(blob.sha256))  # noqa: PTH116 - see _at
        except FileNotFoundError:
            return False
        return found.st_size == blob.size and found.st_nlink > 1

    def inode(self, blob: Blob) -> int | None:
        """Return which file an object is; ``None`` where it is gone."""
        try:
            return os.stat(self._at(blob.sha256)).st_ino  # noqa: PTH116 - see _at
        except FileNotFoundError:
            return None

    def add_bytes(self, data: bytes) -> Blob:
        """Keep ``data``."""
        blob = Blob(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
        if not self.durable(blob):
            with self._temporary() as new:
                with open(new, "wb", buffering=0) as file:  # noqa: PTH123 - see _at
                    file.write(data)
                self._keep(new, blob)
        return blob

    def add_file(self, file: Path, expected: Blob | None = None) -> Blob:
        """Keep a copy of ``file``, shared with it where the file system can.

        Raises ``VerifyError`` when it is not what was ``expected``; nothing is kept then.
        """
        if expected is not None and self.durable(expected):
            return expected
        with self._temporary() as new:
            blob = _copy(file, Path(new))
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
            with open(self._at(blob.sha256), "rb", buffering=0) as file:  # noqa: PTH123 - see _at
                data = file.readall()
        except FileNotFoundError:
            data = b""
        if len(data) != blob.size:
            raise self._lost(blob)
        return data

    def open(self, blob: Blob) -> BinaryIO:
        """Open an object; raises ``VerifyError`` as ``read`` does."""
        if not self.has(blob):
            raise self._lost(blob)
        return self.path(blob.sha256).open("rb")

    def _lost(self, blob: Blob) -> VerifyError:
        return VerifyError(
            "an object of the mirror is missing or damaged",
            where=str(self.path(blob.sha256)),
            hint="tcz mirror verify tells what else is, tcz mirror repair brings it back",
        )

    def sound(self, blob: Blob) -> bytes | None:
        """Return an object's bytes if they are those of its name; ``None`` where it is gone or damaged."""
        try:
            data = self.path(blob.sha256).read_bytes()
        except FileNotFoundError:
            return None
        return data if hashlib.sha256(data).hexdigest() == blob.sha256 else None

    def link(self, blob: Blob, to: Path | str) -> None:
        """Show an object at ``to``: as a hard link, or a copy where a file has too many."""
        try:
            os.link(self._at(blob.sha256), to)
        except OSError as error:
            if error.errno not in (errno.EMLINK, errno.EPERM):
                raise
            shutil.copyfile(self.path(blob.sha256), to)

    @contextmanager
    def adding(self) -> Iterator[Addition]:
        """Give a file to write that is kept when the block ends well; its ``blob`` is known then."""
        with self._temporary() as new, Addition(new) as addition:
            yield addition
            if not self.durable(addition.close()):
                self._keep(new, addition.blob)

    @contextmanager
    def _temporary(self) -> Iterator[str]:
        """Give the name of an empty file of our own, which is removed unless it was kept."""
        folder = self.root / "tmp"
        try:
            handle, name = tempfile.mkstemp(dir=folder)
        except FileNotFoundError:
            folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=folder)
        os.close(handle)
        try:
            yield name
        finally:
            with suppress(FileNotFoundError):
                os.unlink(name)  # noqa: PTH108 - see _at

    def _keep(self, new: str, blob: Blob) -> None:
        target = self._at(blob.sha256)
        os.chmod(new, 0o644)  # noqa: PTH101 - see _at
        try:
            os.rename(new, target)  # noqa: PTH104
        except FileNotFoundError:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            os.rename(new, target)  # noqa: PTH104

    def _at(self, sha256: str) -> str:
        # As a string: making a Path takes longer than most of what is done with it a hundred thousand times.
        return f"{self.root}/objects/{sha256[:2]}/{sha256[2:]}"


class Addition:
    """A file that is hashed while it is written."""

    def __init__(self, path: str) -> None:
        """Write the file at ``path``."""
        self.path = Path(path)
        self._file = self.path.open("wb")
        self._digest = hashlib.sha256()
        self._size = 0

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    def write(self, data: bytes) -> None:
        """Append."""
        self._file.write(data)
        self._digest.update(data)
        self._size += len(data)

    def flush(self) -> None:
        """Let whoever opens the path see all that was written."""
        self._file.flush()

    def close(self) -> Blob:
        """End the file and say what it is."""
        self._file.close()
        return self.blob

    @property
    def blob(self) -> Blob:
        """What was written so far."""
        return Blob(sha256=self._digest.hexdigest(), size=self._size)


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
