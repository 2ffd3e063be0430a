"""Entries of the menu: those that every image has, and those of a variant.

========== ==========================================================================================
normal     the variant's boot codes; its label is the base's (floe, or what a base of others has)
debug      every kernel message
safe       no extension and no backup from disks, no graphics mode
serial     the serial line is the only console; left out where that is what normal does
========== ==========================================================================================
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remaster.menu.model import Entry
from tcz.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What stands for the first entry wherever its label, which is the base's, is not known.
NORMAL: Final = "normal"
#: Entries that every image has; a variant's of the same name takes the place of one.
STANDARD: Final = ("debug", "safe", "serial")
_TAKEN: Final = ("help", "menu")
_LABEL: Final = re.compile(r"[a-z][a-z0-9_-]{0,15}")
_SERIAL: Final = "console=ttyS"
_USUAL_SERIAL: Final = "console=ttyS0,115200"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrySpec:
    """An entry of a variant: the normal one's words without ``remove``, and ``add``.

    What is in ``remove`` is a whole word, or the name of a code whatever its value.
    """

    name: str
    title: str
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    where: str = ""


def label_complaint(name: str) -> str | None:
    """Return what is wrong with the name of an entry, or ``None``."""
    if name == NORMAL:
        return f"{NORMAL!r} stands for the first entry, which the variant's boot codes make"
    if name in _TAKEN:
        return f"the menu has {name!r} of its own"
    return None if _LABEL.fullmatch(name) else f"{name!r} is not a lower-case name of 1 to 16 characters"


def serial_line(words: Sequence[str]) -> tuple[int, int] | None:
    """Return port and speed of the serial line that the last ``console=ttyS`` word names."""
    serial = None
    for word in words:
        if word.startswith(_SERIAL):
            port, _, speed = word.removeprefix(_SERIAL).partition(",")
            digits = "".join(char for char in speed.partition("n")[0] if char.isdecimal())
            serial = (int(port or "0"), int(digits or "9600"))
    return serial


def _key(word: str) -> str:
    return word.partition("=")[0]


def changed(words: Sequence[str], add: Sequence[str], remove: Sequence[str]) -> tuple[str, ...]:
    """Return a command line without ``remove``, and with ``add`` in place of words of the same name.

    ``console=`` may be there several times: it is added to, unless ``remove`` names it.
    """
    keys = {_key(word) for word in add} - {"console"}
    kept = [word for word in words if word not in (*remove, *add) and _key(word) not in (*remove, *keys)]
    return (*kept, *dict.fromkeys(add))


def _standard(words: tuple[str, ...]) -> tuple[EntrySpec, ...]:
    serials = tuple(word for word in words if word.startswith(_SERIAL)) or (_USUAL_SERIAL,)
    return (
        EntrySpec(
            name="debug",
            title="Start with every kernel message",
            remove=("quiet", "loglevel", "debug", "ignore_loglevel"),
            add=("loglevel=7",),
        ),
        EntrySpec(
            name="safe",
            title="Start without extensions and backup from disks",
            remove=("tce", "restore", "protect"),
            add=tuple(word for word in ("base", "norestore", "nomodeset") if word not in words),
        ),
        EntrySpec(
            name="serial",
            title="Start with the serial line as the only console",
            remove=("console",),
            add=serials[-1:],
        ),
    )


def entries_for(
    words: tuple[str, ...],
    label: str = "floe",
    own: Sequence[EntrySpec] = (),
    *,
    serial: bool = True,
) -> tuple[Entry, ...]:
    """Return every entry of an image: the normal one, ``label``, with ``words``; the usual ones; ``own``.

    Without ``serial`` the base has no login for a serial line, and no entry for it. Raises ``ConfigError``
    where one of ``own`` is called as the normal one is.
    """
    specs = {spec.name: spec for spec in _standard(words)}
    consoles = [word for word in words if _key(word) == "console"]
    if not serial or (len(consoles) == 1 and consoles[0].startswith(_SERIAL)):
        del specs["serial"]
    for spec in own:
        if spec.name == label:
            problem = Problem(where=spec.where, message=f"the base's own entry is called {label!r}, too")
            raise ConfigError("the boot menu cannot be made", [problem])
        specs[spec.name] = spec
    normal = Entry(label=label, title="Start", words=words)
    made = (
        Entry(label=spec.name, title=spec.title, words=changed(words, spec.add, spec.remove))
        for spec in specs.values()
    )
    return (normal, *made)
