"""``provides.db`` of a branch with its .gz and its .zsync: the largest of the index files, never held whole.

It is read from the state before and written anew in one pass; only records of packages whose entries differ
are made from their .list. The .gz has members of some hundred packages each, of which every reader of gzip
sees the content of all; where one ends, the names decide, so that the same packages give the same bytes.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import deflate

from tcz import zsync
from tcz.metadata import decode, parse_list
from tcz.mirror import indexes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tcz.mirror.entries import Entries
    from tcz.mirror.model import Blob, Entry
    from tcz.mirror.objects import Addition, Objects

LEVEL: Final = 6
_END: Final = b"\n\n"
_BLOCK: Final = 1 << 18
#: How a member of this level begins: no flags, no time, an unknown system (RFC 1952, 2.3).
_HEAD: Final = bytes(deflate.gzip_compress(b"", LEVEL)[:10])
#: Of the names' sums: one package in so many is the last of its member.
_MEMBER: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The files of the state before: those of ``order``, of which the entries in ``changed`` differ now."""

    files: Mapping[str, Blob]
    order: Sequence[str]
    changed: frozenset[str]


class _StaleError(Exception):
    """What was kept is gone or damaged."""


def provides(entries: Entries, order: Sequence[str], kept: Kept | None, objects: Objects) -> dict[str, Blob]:
    """Make the files for entries in the order of ``info.lst``; return them by name.

    Raises ``VerifyError`` where a .list is gone.
    """
    if kept is not None:
        try:
            return _made(entries, order, kept, objects)
        except _StaleError:
            pass
    return _made(entries, order, None, objects)


def _made(entries: Entries, order: Sequence[str], kept: Kept | None, objects: Objects) -> dict[str, Blob]:
    with objects.adding() as plain, objects.adding() as packed:
        _write(_records(entries, order, kept, objects), _members(kept, objects), plain, packed)
        plain.flush()
        control = zsync.control(plain.path, name=indexes.PROVIDES, epoch=0, before=_before(kept, objects))
    return {
        indexes.PROVIDES: plain.blob,
        f"{indexes.PROVIDES}.gz": packed.blob,
        f"{indexes.PROVIDES}{zsync.SUFFIX}": objects.add_bytes(control),
    }


class _Record(NamedTuple):
    name: str
    data: bytes
    fresh: bool


def _write(
    records: Iterator[_Record], members: Mapping[bytes, bytes], plain: Addition, packed: Addition
) -> None:
    """Write records, and members: those of before that hold the same, and new ones."""
    waiting: list[_Record] = []
    for record in records:
        waiting.append(record)
        if zlib.crc32(record.name.encode()) % _MEMBER == 0:
            _end(waiting, members, plain, packed)
            waiting.clear()
    if waiting or not packed.blob.size:
        _end(waiting, members, plain, packed)


def _end(
    records: Sequence[_Record], members: Mapping[bytes, bytes], plain: Addition, packed: Addition
) -> None:
    data = b"".join([record.data for record in records])
    plain.write(data)
    known = None if any(record.fresh for record in records) else members.get(_trailer(data))
    packed.write(known or bytes(deflate.gzip_compress(data, LEVEL)))


def _trailer(data: bytes) -> bytes:
    """Return how a member that holds ``data`` ends (RFC 1952, 2.3.1)."""
    return struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


def _members(kept: Kept | None, objects: Objects) -> dict[bytes, bytes]:
    """Return the members of the .gz before by their ends."""
    packed = None if kept is None else objects.sound(kept.files[f"{indexes.PROVIDES}.gz"])
    # Neither chance nor a path, which has no NUL, puts the ten bytes of a head anywhere else.
    found = (_HEAD + rest for rest in (packed or b"").split(_HEAD)[1:])
    return {member[-8:]: member for member in found}


def _records(
    entries: Entries, order: Sequence[str], kept: Kept | None, objects: Objects
) -> Iterator[_Record]:
    """Yield records in order; those that are kept stand in the same order in the file."""
    old = iter(()) if kept is None else _old(kept, objects)
    known = frozenset(() if kept is None else kept.order) - (frozenset() if kept is None else kept.changed)
    for name in order:
        if name in known:
            found = next((one for one in old if one.name == name), None)
            if found is None:
                raise _StaleError
            yield found
        else:
            paths = _paths(entries[name], objects)
            yield _Record(name, indexes.record(name, paths).encode(errors="surrogateescape"), fresh=True)
    for _ in old:  # to its end: then its hash is known
        pass


def _old(kept: Kept, objects: Objects) -> Iterator[_Record]:
    """Yield the records of the file before; raises ``_StaleError`` in the end if it was damaged."""
    blob = kept.files[indexes.PROVIDES]
    digest = hashlib.sha256()
    names = iter(kept.order)
    left = b""
    try:
        with objects.path(blob.sha256).open("rb") as file:
            while data := file.read(_BLOCK):
                digest.update(data)
                *whole, left = (left + data).split(_END)
                for record in whole:
                    yield _Record(next(names), record + _END, fresh=False)
    except (FileNotFoundError, StopIteration) as error:
        raise _StaleError from error
    if digest.hexdigest() != blob.sha256:
        raise _StaleError


def _paths(entry: Entry, objects: Objects) -> Sequence[str]:
    blob = entry.files.get(".list")
    return () if blob is None else parse_list(decode(objects.read(blob)))


def _before(kept: Kept | None, objects: Objects) -> zsync.Before | None:
    if kept is None:
        return None
    control = objects.sound(kept.files[f"{indexes.PROVIDES}{zsync.SUFFIX}"])
    path: Path = objects.path(kept.files[indexes.PROVIDES].sha256)
    return None if control is None else zsync.Before(path=path, control=control)
