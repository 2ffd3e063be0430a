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

from remaster.bootcode import split
from remaster.menu import NORMAL, STANDARD, EntrySpec, entries_for, label_complaint
from remaster.variant import secrets
from remaster.variant.fields import Many, Rule, Section, Shape, Text, Texts
from tcz.errors import ConfigError, Problem
from tcz.toml import guess

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remaster.bootcode import BootCodes, Word
    from remaster.variant.model import Variant
    from tcz import toml


def _title_complaint(text: str) -> str | None:
    return None if text.isprintable() else "must be one line of printable characters"


_NAME = Text(
    "name",
    "What is typed at the prompt; debug, safe or serial replaces that entry.",
    rule=Rule(r"[a-z][a-z0-9-]{0,15}", "the name of an entry", more=label_complaint),
    default=None,
)
_TITLE = Text(
    "title", "What the menu shows.", rule=Rule(r".+", "a title", more=_title_complaint), default=None
)
_ADD = Texts("add", "Boot codes that it has besides; each takes the place of one of its name.")
_REMOVE = Texts("remove", "Boot codes that it does without: names, or whole words.")
DEFAULT = Text("default", "The entry that starts by itself: normal, debug, safe, serial, or one by name.")
ENTRY = Many(
    "entry",
    "Entries of the boot menu.",
    Shape((_NAME, _TITLE, _ADD, _REMOVE)),
    example="""\
[[entry]]
name = "rescue"
title = "Start without a network"
add = ["nodhcp"]
""",
)
MENU = Section("menu", "The boot menu.", Shape((DEFAULT,)), example='[menu]\ndefault = "serial"\n')


def read_default(table: toml.Table) -> str:
    """Return the entry that starts by itself, empty where nothing is said."""
    return DEFAULT.read(MENU.open(table))


def read_entries(table: toml.Table, codes: BootCodes, base: str) -> tuple[EntrySpec, ...]:
    """Return the entries of a file; mistakes are noted in the document."""
    found: dict[str, EntrySpec] = {}
    for entry in ENTRY.open(table):
        name = _NAME.read(entry)
        if name in found:
            entry.fail(_NAME.name, f"{name} is there twice")
        remove = _REMOVE.read(entry)
        for index, text in enumerate(remove):
            try:
                codes.get(text)
            except ConfigError as error:
                entry.fail_item(_REMOVE.name, index, str(error), error.hint)
        spec = EntrySpec(
            name=name,
            title=_TITLE.read(entry),
            add=read_codes(entry, _ADD.name, codes, base),
            remove=remove,
            where=entry.where(_NAME.name),
        )
        if label_complaint(name) is None:
            found[name] = spec
    return tuple(found.values())


def read_codes(table: toml.Table, key: str, codes: BootCodes, base: str) -> tuple[str, ...]:
    """Return the boot codes of a list that are right, each by itself; mistakes are noted in the document."""
    # Not Table.strings' own check: what is wrong has a hint.
    good = []
    for index, text in enumerate(table.strings(key, ())):
        try:
            codes.parse(text, base=base)
        except ConfigError as error:
            for problem in error.problems:
                table.fail_item(key, index, f"{text}: {problem.message}", problem.hint)
        else:
            secret = secrets.in_text(text)
            if secret is None:
                good.append(text)
            else:
                table.fail_item(key, index, secret, secrets.HINT)
    return tuple(good)


def merge_entries(first: Iterable[EntrySpec], then: Iterable[EntrySpec]) -> tuple[EntrySpec, ...]:
    """Return both; an entry of ``then`` replaces one of its name in its place."""
    return tuple(({one.name: one for one in first} | {one.name: one for one in then}).values())


def said_at(variant: Variant, word: Word) -> str:
    """Return where a variant says a boot code, and the code."""
    return f"{variant.where('boot-codes', str(word)).removesuffix(': boot-codes')}: {word}"


def check_menu(variant: Variant, codes: BootCodes) -> None:
    """Raise ``ConfigError`` for codes of an entry that clash, and for a default that is no entry."""
    problems = menu_problems(variant, codes)
    if problems:
        raise ConfigError("the boot menu cannot be made", problems)


def menu_problems(variant: Variant, codes: BootCodes) -> tuple[Problem, ...]:
    """Return what is wrong with the entries of a variant and with the one that starts by itself."""
    problems: list[Problem] = []
    names = (NORMAL, *STANDARD, *(spec.name for spec in variant.entries))
    if variant.default_entry and variant.default_entry not in names:
        hint = guess(variant.default_entry, names) or f"entries: {', '.join(dict.fromkeys(names))}"
        message = f"[menu] default: there is no entry {variant.default_entry!r}"
        problems.append(Problem(where=variant.where(DEFAULT.name), message=message, hint=hint))
    own = {spec.name: spec for spec in variant.entries}
    # What clashes in the variant's own line is told there.
    known = {*codes.clashes(_words(variant.boot_codes))}
    for entry in entries_for(variant.boot_codes, NORMAL, variant.entries)[1:]:
        place = own[entry.label].where if entry.label in own else str(variant.origin)
        problems += (
            clash.problem(f"{place}: entry {entry.label}: {clash.word}")
            for clash in codes.clashes(_words(entry.words))
            if clash not in known
        )
    return tuple(problems)


def _words(texts: Iterable[str]) -> tuple[Word, ...]:
    return split(" ".join(texts))
