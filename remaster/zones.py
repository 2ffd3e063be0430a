"""The tz database: names of zones, their files, and the rule that each ends with."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def names() -> tuple[str, ...]:
    """Return the names of all zones."""
    return tuple((resources.files("tzdata") / "zones").read_text().split())


def data(name: str) -> bytes:
    """Return the file of a zone that is among ``names``."""
    return resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()


def rule_of(zone: bytes) -> str:
    """Return the POSIX rule in the last line of a zone's file (RFC 8536)."""
    return zone.rstrip(b"\n").rpartition(b"\n")[2].decode()
