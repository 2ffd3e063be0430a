"""The variant's part of the boot menu: entries of its own, and which one starts by itself.

::

    [menu]
    default = "serial"                 # normal, debug, safe, serial, or an entry's name
    [[entry]]
    name = "rescue"                    # typed at isolinux's prompt; debug, safe or serial replaces that one
    title = "Start without a network"
    add = ["nodhcp"]                   # takes the place of a boot code of the same name
    remove = ["noembed"]               # names of boot codes, or whole words

The codes of an entry are checked together with those of the variant, for that is what the kernel gets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remaster.menu import NORMAL, STANDARD, EntrySpec, entries_for, label_complaint
from tcz.errors import ConfigError, Problem
from tcz.toml import guess

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remaster.bootcode import BootCodes
    from remaster.variant.model import Variant
    from tcz import toml


def read_entries(table: toml.Table, codes: BootCodes, base: str) -> tuple[EntrySpec, ...]:
    """Return the entries of a file; mistakes are noted in the document."""
    found: dict[str, EntrySpec] = {}
    for entry in table.tables("entry"):
        name = entry.string("name", check=label_complaint)
        if name in found:
            entry.fail("name", f"{name} is there twice")
        remove = entry.strings("remove", ())
        for index, text in enumerate(remove):
            try:
                codes.get(text)
            except ConfigError as error:
                entry.fail_item("remove", index, str(error), error.hint)
        found[name] = EntrySpec(
            name=name,
            title=entry.string("title", check=_title_complaint),
            add=read_codes(entry, "add", codes, base),
            remove=remove,
            where=entry.where("name"),
        )
    return tuple(found.values())


def read_codes(table: toml.Table, key: str, codes: BootCodes, base: str) -> tuple[str, ...]:
    """Return a list of boot codes, each looked at by itself; mistakes are noted in the document."""
    # Not Table.strings' own check: what is wrong has a hint.
    texts = table.strings(key, ())
    for index, text in enumerate(texts):
        try:
            codes.parse(text, base=base)
        except ConfigError as error:
            for problem in error.problems:
                table.fail_item(key, index, f"{text}: {problem.message}", problem.hint)
    return texts


def _title_complaint(text: str) -> str | None:
    return None if text.isprintable() else "must be one line of printable characters"


def merge_entries(first: Iterable[EntrySpec], then: Iterable[EntrySpec]) -> tuple[EntrySpec, ...]:
    """Return both; an entry of ``then`` replaces one of its name in its place."""
    return tuple(({one.name: one for one in first} | {one.name: one for one in then}).values())


def check_menu(variant: Variant, codes: BootCodes, base: str) -> None:
    """Raise ``ConfigError`` for codes of an entry that clash, and for a default that is no entry."""
    problems: list[Problem] = []
    names = (NORMAL, *STANDARD, *(spec.name for spec in variant.entries))
    if variant.default_entry and variant.default_entry not in names:
        hint = guess(variant.default_entry, names) or f"entries: {', '.join(dict.fromkeys(names))}"
        where = f"{variant.origin}: [menu] default"
        message = f"there is no entry {variant.default_entry!r}"
        problems.append(Problem(where=where, message=message, hint=hint))
    own = {spec.name: spec for spec in variant.entries}
    for entry in entries_for(variant.boot_codes, NORMAL, variant.entries)[1:]:
        place = own[entry.label].where if entry.label in own else str(variant.origin)
        try:
            codes.parse(" ".join(entry.words), where=f"{place}: entry {entry.label}", base=base)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError("the boot menu cannot be made", problems)
