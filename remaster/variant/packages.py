"""The variant's packages: when each is loaded, and where it is kept.

::

    [packages]
    onboot = ["docker"]                # loaded at boot, with all they need
    optional = ["strace"]              # there, and loaded by hand: tce-load -i
    ondemand = ["htop"]                # there, and loaded when their command is used first
    copy2fs = ["nano"]                 # copied into the root when they are loaded, not mounted
    [packages.place]
    docker = "builtin"                 # "cde": on the medium; "builtin": in the initrd, mounted from there
    nano = "root"                      # unpacked into the initrd
    "*" = "cde"                        # all that are not named; cde is the default

What a package needs is at least as near as it is: what a package in the root needs is in the root.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, get_args

from remaster.variant.checks import PACKAGE, package_complaint
from remaster.variant.fields import Key, Schema, Section, Shape, Texts
from remaster.variant.model import Place
from tcz.errors import ConfigError
from tcz.toml import guess

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tcz import toml

PLACES: Final[tuple[Place, ...]] = get_args(Place)
ALL: Final = "*"
Places = tuple[tuple[str, Place], ...]


@dataclass(frozen=True, slots=True)
class PlaceTable(Key[Places]):
    """A table from packages, or ``*``, to where they are kept."""

    def read(self, table: toml.Table) -> Places:
        """Return the places, by name."""
        inner = table.table(self.name)
        found: list[tuple[str, Place]] = []
        for name in inner.names():
            complaint = None if name == ALL else package_complaint(name)
            if complaint:
                inner.fail(name, complaint)
            found.append((name, inner.choice(name, PLACES)))
        return tuple(sorted(found))

    def value_schema(self) -> Schema:
        """Return the schema of such a table."""
        return {"type": "object", "additionalProperties": {"enum": list(PLACES)}}


ONBOOT = Texts("onboot", "Packages that are loaded at boot, with all they need.", rule=PACKAGE)
OPTIONAL = Texts("optional", "Packages that are there, and loaded by hand.", rule=PACKAGE)
ONDEMAND = Texts("ondemand", "Packages that are loaded when their command is used first.", rule=PACKAGE)
COPY2FS = Texts("copy2fs", "Packages that are copied into the root when they are loaded.", rule=PACKAGE)
PLACE = PlaceTable("place", "Where packages are kept: cde (the medium), builtin or root (the initrd).")
KEY = Section(
    "packages",
    "Packages, by when they are loaded.",
    Shape((ONBOOT, OPTIONAL, ONDEMAND, COPY2FS, PLACE)),
    example='packages.onboot = ["htop"]\n',
)


def place_option(text: str) -> tuple[str, Place]:
    """Return name and place of an option ``NAME=WHERE``, or ``WHERE`` for all; raise ``ConfigError``."""
    name, _, where = text.rpartition("=")
    for place in PLACES:
        if where == place:
            complaint = package_complaint(name) if name else None
            if complaint:
                raise ConfigError(f"--place {text}: {complaint}")
            return name or ALL, place
    near = guess(where, PLACES) or f"places: {', '.join(PLACES)}"
    raise ConfigError(f"--place {text}: {where!r} is not a place", hint=near)


def merge_places(first: Places, then: Sequence[tuple[str, Place]]) -> Places:
    """Return both; a place of ``then`` replaces that of ``first`` for its package."""
    return tuple(sorted((dict(first) | dict(then)).items()))
