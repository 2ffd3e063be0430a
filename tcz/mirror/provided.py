"""``provides.db`` of a branch with its .gz and its .zsync: the largest of the index files, never held whole.

It is written anew in one pass; only records of packages whose entries differ are made from their .list. The
.gz has members of some hundred packages each, of which every reader of gzip sees the content of all; where
one ends, the names decide, so that the same packages give the same bytes.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

import deflate

from tcz import zsync
from tcz.metadata import decode, parse_list
from tcz.mirror import indexes
from tcz.mirror.edits import StaleError
from tcz.names import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from tcz.mirror.model import Blob, Entry
    from tcz.mirror.objects import Addition, Objects

LEVEL: Final = 6
PACKED: Final = f"{indexes.PROVIDES}.gz"
CONTROL: Final = f"{indexes.PROVIDES}{zsync.SUFFIX}"
#: How a member of this level begins: no flags, no time, an unknown system (RFC 1952, 2.3).
_HEAD: Final = bytes(deflate.gzip_compress(b"", LEVEL)[:10])
#: Of the names' sums: one package in so many is the last of its member.
_MEMBER: Final = 256


def record(entry: Entry, objects: Objects) -> bytes:
    """Return the record of a package; raises ``VerifyError`` where its .list is gone."""
    blob = entry.files.get(".list")
    paths = () if blob is None else parse_list(decode(objects.read(blob)))
    return indexes.record(entry.name, paths).encode(errors="surrogateescape")


def provides(
    records: Iterable[tuple[bytes, bool]], kept: Mapping[str, Blob] | None, objects: Objects
) -> dict[str, Blob]:
    """Make the files of records in the order of ``info.lst``; return them by name.

    With each record stands whether it is new. ``kept`` are the files of before, out of which the others came.
    """
    with objects.adding() as plain, objects.adding() as packed:
        _write(records, _Members(kept, objects), plain, packed)
        plain.flush()
        control = zsync.control(plain.path, name=indexes.PROVIDES, epoch=0, before=_before(kept, objects))
    return {
        indexes.PROVIDES: plain.blob,
        PACKED: packed.blob,
        CONTROL: objects.add_bytes(control),
    }


def _write(
    records: Iterable[tuple[bytes, bool]], members: _Members, plain: Addition, packed: Addition
) -> None:
    """Write records, and members: those of before that hold the same, and new ones."""
    waiting: list[bytes] = []
    fresh = False
    for data, new in records:
        waiting.append(data)
        fresh |= new
        if zlib.crc32(data[: data.index(b"\n") - len(SUFFIX)]) % _MEMBER == 0:
            _end(waiting, None if fresh else members, plain, packed)
            waiting.clear()
            fresh = False
    if waiting or not packed.blob.size:
        _end(waiting, None if fresh else members, plain, packed)


def _end(records: Sequence[bytes], members: _Members | None, plain: Addition, packed: Addition) -> None:
    data = b"".join(records)
    plain.write(data)
    known = None if members is None else members.holding(data)
    packed.write(known or bytes(deflate.gzip_compress(data, LEVEL)))


class _Place(NamedTuple):
    start: int
    size: int


class _Members:
    """The members of the .gz before, by how they end; none of a file that is gone or damaged."""

    def __init__(self, kept: Mapping[str, Blob] | None, objects: Objects) -> None:
        self._found: dict[bytes, _Place] = {}
        if kept is None:
            return
        self._path: Path = objects.path(kept[PACKED].sha256)
        try:
            self._read(kept[PACKED])
        except (StaleError, FileNotFoundError):
            self._found.clear()

    def _read(self, blob: Blob) -> None:
        digest = hashlib.sha256()
        at, member = 0, b""
        # Neither chance nor a path, which has no NUL, puts the ten bytes of a head anywhere else.
        with self._path.open("rb") as file:
            while data := file.read(1 << 18):
                digest.update(data)
                *whole, member = (member + data).split(_HEAD)
                for one in whole:
                    self._note(at, one)
                    at += len(one) + len(_HEAD)
        self._note(at, member)
        if digest.hexdigest() != blob.sha256:
            raise StaleError

    def _note(self, at: int, rest: bytes) -> None:
        """Note what follows a head that ends ``at``."""
        if at:
            self._found[rest[-8:]] = _Place(at - len(_HEAD), len(_HEAD) + len(rest))

    def holding(self, data: bytes) -> bytes | None:
        """Return the member that holds ``data`` (RFC 1952, 2.3.1, on how it ends)."""
        end = struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)
        place = self._found.get(end)
        if place is None:
            return None
        with self._path.open("rb") as file:
            file.seek(place.start)
            return file.read(place.size)


def _before(kept: Mapping[str, Blob] | None, objects: Objects) -> zsync.Before | None:
    if kept is None:
        return None
    control = objects.sound(kept[CONTROL])
    path: Path = objects.path(kept[indexes.PROVIDES].sha256)
    return None if control is None else zsync.Before(path=path, control=control)
