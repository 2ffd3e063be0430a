"""The screens of help: what the entries do, and which boot codes can be typed."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from remaster.menu.model import COLUMNS, ROWS, Page

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from remaster.bootcode import BootCode
    from remaster.menu.model import Entry

_MARKS: Final = {"none": "", "optional": "[=...]", "required": "=..."}
_INDENT: Final = 16
#: F2 to F9: as many keys as have a digit of their own and are not the menu's.
_PAGES_MAX: Final = 8


def pages_for(entries: Sequence[Entry], codes: Iterable[BootCode]) -> tuple[Page, ...]:
    """Return a screen about the entries, and those about the codes, in order."""
    about = _screens("What the entries do", [_block(one.label, _told(one)) for one in entries])
    listed = [_block(f"{code.name}{_MARKS[code.value]}", code.effect) for code in codes]
    return (about + _screens("Boot codes that can be added to an entry", listed))[:_PAGES_MAX]


def _told(entry: Entry) -> str:
    return f"{entry.title}: {' '.join(entry.words) or 'no boot codes'}"


def _block(head: str, text: str) -> list[str]:
    clean = text.encode("ascii", "replace").decode()
    first = f"{head:<{_INDENT - 1}} "
    # A long head has a line of its own.
    own = [] if len(first) == _INDENT else [head]
    return own + textwrap.wrap(
        clean,
        COLUMNS,
        initial_indent=" " * _INDENT if own else first,
        subsequent_indent=" " * _INDENT,
        break_on_hyphens=False,
    )


def _screens(title: str, blocks: Iterable[list[str]]) -> tuple[Page, ...]:
    screens: list[list[str]] = [[]]
    for block in blocks:
        if screens[-1] and len(screens[-1]) + len(block) > ROWS:
            screens.append([])
        screens[-1] += block[:ROWS]
    many = len(screens) > 1
    return tuple(
        Page(title=f"{title} ({number} of {len(screens)})" if many else title, lines=tuple(lines))
        for number, lines in enumerate(screens, 1)
        if lines
    )
