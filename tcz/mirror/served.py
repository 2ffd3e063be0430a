"""The files that a server shows: found below one state of a mirror, small ones kept in memory."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tcz.mirror.http import date

if TYPE_CHECKING:
    from pathlib import Path

    from tcz.mirror.repository import Mirror

#: Files up to this are kept in memory, and all of them up to that.
SMALL: Final = 32 << 10
_KEPT: Final = 64 << 20
#: What an item weighs beside its bytes, roughly.
_OVERHEAD: Final = 1024

_KINDS: Final = {
    "txt": b"text/plain; charset=utf-8",
    "dep": b"text/plain; charset=utf-8",
    "tree": b"text/plain; charset=utf-8",
    "info": b"text/plain; charset=utf-8",
    "list": b"text/plain; charset=utf-8",
    "lst": b"text/plain; charset=utf-8",
    "db": b"text/plain; charset=utf-8",
    "html": b"text/html; charset=utf-8",
    "json": b"application/json",
    "gz": b"application/gzip",
    "iso": b"application/x-iso9660-image",
    "zsync": b"application/x-zsync",
}
_OTHER = b"application/octet-stream"
_PLAIN = ("sizelist",)
#: No file is there, as far as anybody outside may know.
_ABSENT = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO))


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A file of a state. ``fields`` are header lines that say all but its length; ``data`` if it is small."""

    identity: tuple[int, int, int]
    etag: bytes
    modified: int
    size: int
    fields: bytes
    data: bytes | None


class Absent(Exception):  # noqa: N818 - an answer
    """There is no such file."""


class Served:
    """The shown state of a mirror, or one snapshot of it; which state that is is asked with every request.

    A state never changes, so that a file once opened is whole whatever is published meanwhile.
    """

    def __init__(self, mirror: Mirror, snapshot: Path | None = None) -> None:
        """``snapshot`` is the folder of a state to stay with."""
        self._root = os.path.realpath(mirror.root)
        self._public = f"{self._root}/public"
        self._fixed = None if snapshot is None else os.path.relpath(snapshot, mirror.root)
        self._caching = b"no-cache" if snapshot is None else b"public, max-age=31536000, immutable"
        self._state = ""
        self._items: dict[str, Item] = {}
        self._weight = 0

    def state(self) -> str:
        """Return the folder of the state that is shown now; raises ``Absent`` where there is none."""
        if self._fixed is not None:
            return f"{self._root}/{self._fixed}"
        try:
            return f"{self._root}/{os.readlink(self._public)}"  # noqa: PTH115 - asked with every request
        except OSError as error:
            raise Absent from error

    def find(self, path: str) -> tuple[Item, int | None]:
        """Return a file, and a handle to read it from unless its bytes are in memory.

        ``path`` is free of ``..`` and NUL. Raises ``Absent`` where there is no such regular file below the
        state, ``OSError`` for faults of the machine.
        """
        for last in (False, True):
            state = self.state()
            try:
                return self._find(state, path)
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                # A state may be pruned between the two looks: then another one is shown by now.
                if last or self.state() == state:
                    raise Absent from error
        raise Absent

    def _find(self, state: str, path: str) -> tuple[Item, int | None]:
        if state != self._state:
            self._state, self._items, self._weight = state, {}, 0
        file = f"{state}/{path}"
        item = self._items.get(path)
        if item is not None and item.identity == _identity(os.lstat(file)):
            return item, None
        if os.path.realpath(file) != file:  # a link, or a path in another spelling
            raise Absent
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            item = self._item(path, handle)
        except BaseException:
            os.close(handle)
            raise
        if item.data is None:
            return item, handle
        os.close(handle)
        self._keep(path, item)
        return item, None

    def _item(self, path: str, handle: int) -> Item:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise Absent
        identity = _identity(status)
        # Objects are never written twice, so that inode and time name the bytes.
        etag = f'"{identity[0]:x}-{identity[1]:x}-{identity[2]:x}"'.encode()
        data = None
        if status.st_size <= SMALL:
            data = os.read(handle, SMALL + 1)
            if len(data) != status.st_size:
                raise OSError(errno.EIO, "the file changed while it was read")
        modified = int(status.st_mtime)
        return Item(
            identity=identity,
            etag=etag,
            modified=modified,
            size=status.st_size,
            fields=b"Content-Type: %b\r\nETag: %b\r\nLast-Modified: %b\r\nAccept-Ranges: bytes\r\n"
            b"Cache-Control: %b\r\nX-Content-Type-Options: nosniff\r\n"
            % (kind(path), etag, date(modified), self._caching),
            data=data,
        )

    def _keep(self, path: str, item: Item) -> None:
        self._weight += item.size + _OVERHEAD
        if self._weight > _KEPT:
            self._items, self._weight = {}, item.size + _OVERHEAD
        self._items[path] = item


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_mtime_ns, status.st_size


def kind(path: str) -> bytes:
    """Return the media type of a file of a mirror."""
    name = path.rpartition("/")[2]
    if name in _PLAIN or name.startswith("latest-"):
        return _KINDS["txt"]
    return _KINDS.get(name.rpartition(".")[2], _OTHER)
