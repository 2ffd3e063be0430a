"""``timezone`` and ``keymap``: where the machine's users are.

A zone is named as in the tz database, and its own file becomes /etc/localtime, which the C library and Go
programs read; the rule of its last line (RFC 8536, section 3.3) goes where Tiny Core's scripts look.
A keymap is one of the base's, by name, or a file as BusyBox's loadkmap reads it (``dumpkmap``,
``loadkeys -b``): "bkeymap", 256 flags, and for each that is set 128 numbers of 16 bits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remaster import zones
from remaster.variant.fields import Rule, Text
from remaster.variant.parts import Effects, FileSpec, Ground, Needed
from tcz import toml

if TYPE_CHECKING:
    from pathlib import Path

_MAGIC: Final = b"bkeymap"
_FLAGS: Final = 256
_MAP: Final = 128 * 2
#: Tiny Core's package of maps, whose scripts load one after the packages.
_MAPS: Final = "kmaps"
_STEM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def _zone_complaint(name: str) -> str | None:
    if name in zones.names():
        return None
    near = toml.guess(name, zones.names())
    return f"{name!r} is not a zone of the tz database such as Europe/Berlin{f'; {near}' if near else ''}"


TIMEZONE = Text(
    "timezone",
    "The time zone, as in the tz database.",
    rule=Rule(r"[A-Za-z0-9_+/-]+", "a time zone", more=_zone_complaint),
    example='timezone = "Europe/Berlin"\n',
)
KEYMAP = Text(
    "keymap",
    "The keyboard map: one of the base's by name, or a file beside the variant's (BusyBox's format).",
    rule=Rule(r"[A-Za-z0-9/._-]+", "a keyboard map such as qwertz/de or ./de.kmap"),
    example='keymap = "./de.kmap"\n',
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """What the two keys say. ``content`` is a keymap that came as a file."""

    timezone: str = ""
    keymap: str = ""
    content: bytes = b""
    where: str = ""
    keymap_where: str = ""


def read(table: toml.Table, path: Path) -> Clock:
    """Return what the keys say; ``path`` is the variant's file."""
    zone, keymap, content = TIMEZONE.read(table), KEYMAP.read(table), b""
    where, keymap_where = table.where(TIMEZONE.name), table.where(KEYMAP.name)
    if keymap.endswith(".kmap"):
        file = path.parent / keymap
        try:
            content = file.read_bytes()
        except OSError as error:
            table.fail(KEYMAP.name, f"{file} cannot be read: {error.strerror}")
        else:
            complaint = keymap_complaint(content)
            if complaint:
                table.fail(KEYMAP.name, f"{file}: {complaint}")
        keymap = file.stem
        if not _STEM.fullmatch(keymap):
            table.fail(KEYMAP.name, f"{keymap!r} cannot be the name of a keyboard map")
    elif keymap.startswith((".", "/")) or ".." in keymap:
        table.fail(KEYMAP.name, "a file's name ends in .kmap")
    return Clock(timezone=zone, keymap=keymap, content=content, where=where, keymap_where=keymap_where)


def keymap_complaint(content: bytes) -> str | None:
    """Return what is wrong with a keyboard map, or ``None``."""
    flags = content[len(_MAGIC) : len(_MAGIC) + _FLAGS]
    if not content.startswith(_MAGIC) or len(flags) < _FLAGS:
        return "this is no keyboard map as BusyBox's loadkmap reads it"
    if any(flag > 1 for flag in flags) or len(content) != len(_MAGIC) + _FLAGS + _MAP * sum(flags):
        return "the keyboard map is damaged"
    return None


def merged(first: Clock, then: Clock) -> Clock:
    """Return both; what ``then`` says counts."""
    keymap = then if then.keymap else first
    return Clock(
        timezone=then.timezone or first.timezone,
        keymap=keymap.keymap,
        content=keymap.content,
        where=then.where if then.timezone else first.where,
        keymap_where=keymap.keymap_where,
    )


def effects(given: Clock) -> Effects:
    """Return the files and boot codes."""
    files, codes = [], []
    if given.timezone in zones.names():
        zone = zones.data(given.timezone)
        text = f"TZ='{zones.rule_of(zone)}'\n".encode()
        files.append(FileSpec(path="etc/localtime", content=zone, where=given.where))
        files.append(FileSpec(path="etc/sysconfig/timezone", content=text, where=given.where))
    if given.keymap:
        codes.append(f"kmap={given.keymap}")
        if given.content:
            path = keymap_path(given.keymap)
            files.append(FileSpec(path=path, content=given.content, where=given.keymap_where))
    return Effects(files=tuple(files), boot_codes=tuple(codes))


def keymap_path(name: str) -> str:
    """Return where a base has a keyboard map."""
    return f"usr/share/kmap/{name}.kmap"


def needed(name: str, where: str, ground: Ground) -> Needed | None:
    """Return the keyboard map that a base must have, unless a package brings it."""
    if not ground.own and ground.has(_MAPS):
        return None
    hint = "give the file of one: keymap = './NAME.kmap', as `loadkeys -b` or dumpkmap writes it"
    message = f"the base {ground.base} has no keyboard map {name}"
    return Needed(path=keymap_path(name), where=where, message=message, hint=hint)
