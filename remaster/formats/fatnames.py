"""Names in FAT folders: the short one of eight and three characters, and the long one before it.

Format: Microsoft's "FAT32 File System Specification" 1.03, "FAT Long Directory Entries".
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from tcz.errors import ToolkitError

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHORT: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789$%'-_@~`!(){}^#&")
_FORBIDDEN: Final = frozenset('"*/:<>?\\|')
_LONG: Final = 0x0F
_LAST: Final = 0x40
_UNITS: Final = 13
_MAX_UNITS: Final = 255
_BASE: Final = 8
_SUFFIX: Final = 3
_CONTROL: Final = " "


def folded(name: str) -> str:
    """Return what FAT takes for the same name."""
    return name.upper()


def entries_for(names: Sequence[str]) -> dict[str, bytes]:
    """Return, for each name of a folder in order, its long entries and a short one of which only the
    first 11 bytes are filled in.

    Raises ``ToolkitError`` for a name that FAT cannot hold.
    """  # noqa: D205 - one sentence
    plain = {name: short for name in names if (short := _plain(name)) is not None}
    used = set(plain.values())
    entries: dict[str, bytes] = {}
    for name in sorted(names):
        short = plain.get(name)
        if short is not None:
            entries[name] = short.ljust(32, b"\0")
            continue
        units = _units(name)
        short = _alias(name, used)
        used.add(short)
        entries[name] = _long(units, short) + short.ljust(32, b"\0")
    return entries


def _plain(name: str) -> bytes | None:
    """Return the short form of a name that needs no long one."""
    base, dot, suffix = name.partition(".")
    if not 0 < len(base) <= _BASE or len(suffix) > _SUFFIX or (dot and not suffix):
        return None
    if not set(base + suffix) <= _SHORT:
        return None
    return f"{base:<8}{suffix:<3}".encode()


def _units(name: str) -> list[int]:
    bad = any(char in _FORBIDDEN or char < _CONTROL for char in name)
    try:
        raw = name.encode("utf-16-le")
    except UnicodeEncodeError:
        raw = b""
    if bad or not raw or len(raw) > 2 * _MAX_UNITS or name[-1] in ". " or name[0] == " ":
        raise ToolkitError(f"FAT cannot hold a file of the name {name!r}")
    return list(struct.unpack(f"<{len(raw) // 2}H", raw))


def _alias(name: str, used: set[bytes]) -> bytes:
    base, dot, suffix = name.upper().rpartition(".")
    if not dot or not base.strip("."):
        base, suffix = name.upper(), ""
    base = "".join(char if char in _SHORT else "_" for char in base if char not in ". ")
    suffix = "".join(char if char in _SHORT else "_" for char in suffix if char != " ")[:_SUFFIX]
    number = 1
    while True:
        tail = f"~{number}"
        short = f"{base[: _BASE - len(tail)] + tail:<8}{suffix:<3}".encode()
        if short not in used:
            return short
        number += 1


def _long(units: list[int], short: bytes) -> bytes:
    check = 0
    for byte in short:
        check = ((check >> 1) | (check & 1) << 7) + byte & 0xFF
    count = -(-len(units) // _UNITS)
    if len(units) % _UNITS:
        units = [*units, 0]
    units = units + [0xFFFF] * (count * _UNITS - len(units))
    data = b""
    for number in range(count, 0, -1):
        part = units[(number - 1) * _UNITS : number * _UNITS]
        order = number | (_LAST if number == count else 0)
        data += struct.pack("<B5HBBB6HH2H", order, *part[:5], _LONG, 0, check, *part[5:11], 0, *part[11:])
    return data
