"""Entries of cpio archives: newc (070701), newc with checksums (070702) and the old portable form (070707).

Layouts: the kernel's buffer-format.rst for the first two, POSIX.1-1988 ("odc" to GNU cpio) for the third,
which no kernel unpacks, though images out of other hands have it.
"""

from __future__ import annotations

import re
import stat
import struct
from binascii import Error as HexError
from binascii import unhexlify
from typing import Final, Literal

from tcz.rootfs import Entry, bad

Format = Literal["newc", "crc", "odc"]

TRAILER: Final = "TRAILER!!!"
PATH_MAX: Final = 4096
FIELD_MAX: Final = 0xFFFFFFFF
#: Archive formats by their first six bytes.
FORMATS: Final[dict[bytes, Format]] = {b"070701": "newc", b"070702": "crc", b"070707": "odc"}
#: How long a header of newc is, and of newc with checksums.
NEWC_HEADER: Final = 110
_ODC: Final = 76
_OCTAL = re.compile(rb"[0-7]+")
_ODC_FIELDS: Final = (6, 6, 6, 6, 6, 6, 6, 11, 6, 11)
_TYPES: Final = frozenset(
    {stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK}
)


def padded(offset: int) -> int:
    """Return the next multiple of 4."""
    return (offset + 3) & ~3


def _cut(data: bytes, start: int, size: int, what: str, header: int) -> bytes:
    part = data[start : start + size]
    if len(part) != size:
        raise bad(header, f"{what} is truncated: {size} bytes announced, {len(part)} there")
    return part


def parse(data: bytes, offset: int) -> tuple[Entry, int, Format]:
    """Return the entry at ``offset``, the offset of the next one, and the format.

    Raises ``VerifyError`` with the offset for whatever is cut off, inconsistent or not of a known type.
    """
    magic = data[offset : offset + 6]
    form = FORMATS.get(magic)
    if form == "odc":
        return _odc(data, offset)
    header = _cut(data, offset, NEWC_HEADER, "the header", offset)
    if form is None:
        raise bad(offset, f"no newc header: {magic!r}")
    try:
        values = struct.unpack(">13I", unhexlify(header[6:]))
    except HexError as error:
        raise bad(offset, "a header field is not hexadecimal") from error
    ino, mode, uid, gid, nlink, mtime, size, major, minor, rmajor, rminor, namesize, check = values
    name = _name(data, offset, offset + NEWC_HEADER, namesize)
    start = padded(offset + NEWC_HEADER + namesize)
    body = _cut(data, start, size, f"the content of {name!r}", offset)
    if form == "crc" and body and stat.S_ISREG(mode) and sum(body) & FIELD_MAX != check:
        raise bad(offset, f"wrong checksum for {name!r}")
    if name != TRAILER:
        body = _checked_body(offset, name, mode, body)
    device = (rmajor, rminor)
    entry = Entry(offset, name, (major, minor, ino), mode & 0xFFFF, uid, gid, nlink, mtime, device, body)
    return entry, padded(start + size), form


def _name(data: bytes, offset: int, start: int, namesize: int) -> str:
    """Return a name, which ends with a NUL; several align what follows (iucode_tool's microcode archives)."""
    if not 1 < namesize <= PATH_MAX:
        raise bad(offset, f"a name of {namesize} bytes")
    raw = _cut(data, start, namesize, "the name", offset)
    name = raw.rstrip(b"\0")
    if not name or name == raw or 0 in name:
        raise bad(offset, f"the name does not end where it should: {raw[:80]!r}")
    return name.decode(errors="surrogateescape")


def _odc(data: bytes, offset: int) -> tuple[Entry, int, Format]:
    header = _cut(data, offset, _ODC, "the header", offset)
    values, at = [], 6
    for width in _ODC_FIELDS:
        field = header[at : at + width]
        if not _OCTAL.fullmatch(field):
            raise bad(offset, "a header field is not octal")
        values.append(int(field, 8))
        at += width
    dev, ino, mode, uid, gid, nlink, rdev, mtime, namesize, size = values
    if mtime > FIELD_MAX:
        raise bad(offset, f"a time that no kernel's archive can hold: {mtime}")
    name = _name(data, offset, offset + _ODC, namesize)
    start = offset + _ODC + namesize
    body = _cut(data, start, size, f"the content of {name!r}", offset)
    if name != TRAILER:
        body = _checked_body(offset, name, mode, body)
    # Six octal digits hold device numbers of 16 bits, eight for each half.
    device = (rdev >> 8, rdev & 0xFF) if stat.S_IFMT(mode) in (stat.S_IFCHR, stat.S_IFBLK) else (0, 0)
    entry = Entry(offset, name, (0, dev, ino), mode & 0xFFFF, uid, gid, nlink, mtime, device, body)
    return entry, start + size, "odc"


def _checked_body(offset: int, name: str, mode: int, body: bytes) -> bytes:
    kind = stat.S_IFMT(mode)
    if kind not in _TYPES:
        raise bad(offset, f"{name!r} has no known file type: mode {mode:o}")
    if kind == stat.S_IFLNK:
        target = body.partition(b"\0")[0]
        if not target or len(body) > PATH_MAX:
            raise bad(offset, f"the symbolic link {name!r} has a target of {len(body)} bytes")
        return target
    if body and kind != stat.S_IFREG:
        raise bad(offset, f"{name!r} has content and is no file")
    return body
