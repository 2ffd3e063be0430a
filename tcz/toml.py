"""Strict tables: TOML read so that every mistake of a file is told at once, each with its line.

Format: https://toml.io/en/v1.0.0. A caller asks a ``Table`` for its keys by type and gets a value of
that type in any case; what is wrong is noted in the ``Document``, whose ``finish`` raises a single
``ConfigError`` with all of it, unknown keys included:

    document = toml.read(path)
    name = document.root.string("name")
    document.finish("recipe runc")
"""

from __future__ import annotations

import difflib
import re
import tomllib
from typing import TYPE_CHECKING, TypeVar

from tcz.errors import ConfigError, Problem
from tcz.toml_lines import line_of_each_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from tcz.toml_lines import Place

    #: Looks at a value and returns what is wrong with it, or ``None``.
    Check = Callable[[str], str | None]

_Choice = TypeVar("_Choice", bound=str)
#: Low enough for two swapped letters ("lisence"), high enough to keep strangers apart.
_NEAR = 0.55
_ERROR_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def read(path: Path) -> Document:
    """Read a file. Raises ``ConfigError`` when it cannot be read or is not TOML."""
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path}: cannot be read: {reason}") from error
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path} is not TOML", [Problem(where=f"{path}:{line}", message="not UTF-8")]
        ) from error
    return parse(text, str(path))


def parse(text: str, where: str) -> Document:
    """Read ``text``; ``where`` names the file in messages. Raises ``ConfigError`` for bad syntax."""
    try:
        data = tomllib.loads(text)
        lines = line_of_each_key(text)
    except RecursionError as error:
        raise ConfigError(f"{where} is not TOML that can be read: nested too deeply") from error
    except ValueError as error:
        raise ConfigError(f"{where} is not TOML", [_syntax_problem(error, text, where)]) from error
    return Document(where, data, lines)


def _syntax_problem(error: ValueError, text: str, where: str) -> Problem:
    message = str(error)
    match = _ERROR_PLACE.search(message)
    if match is None:
        return Problem(where=where, message=message)
    message = message[: match.start()]
    if message == _TWICE:
        last = int(match[1]) if match[1] else text.rstrip().count("\n") + 1
        found = _twice(text, last, where)
        if found is not None:
            return found
    if match[1] is None:
        return Problem(where=f"{where}:{text.rstrip().count(chr(10)) + 1}", message=f"{message} at the end")
    return Problem(where=f"{where}:{match[1]}", message=f"{message} (column {match[2]})")


#: What tomllib says of a key that is there twice, without naming it.
_TWICE = "Cannot overwrite a value"
_NAME = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_KEY = re.compile(rf"\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*=")


def _twice(text: str, last: int, where: str) -> Problem | None:
    """Return the problem of a key that is there twice; ``last`` is where its value ends."""
    lines = text.split("\n")
    for number in range(min(last, len(lines)), 0, -1):
        line = lines[number - 1]
        found = _KEY.match(line)
        if number == last and line.lstrip().startswith("["):
            return Problem(where=f"{where}:{number}", message=f"{line.strip()} is there already")
        # Not a line of a text: what is before it is whole.
        if found is None or not _is_toml(lines[: number - 1]):
            continue
        first = ""
        for earlier in range(number - 1, 0, -1):
            before = _KEY.match(lines[earlier - 1])
            if before is not None and before[1] == found[1] and _is_toml(lines[: earlier - 1]):
                first = f", first in line {earlier}"
                break
            if lines[earlier - 1].lstrip().startswith("["):
                break
        return Problem(where=f"{where}:{number}", message=f"the key {found[1]!r} is there twice{first}")
    return None


def _is_toml(lines: Sequence[str]) -> bool:
    try:
        tomllib.loads("\n".join(lines))
    except (ValueError, RecursionError):
        return False
    return True


def guess(name: str, known: Iterable[str]) -> str | None:
    """Return ``did you mean 'x'?`` for the nearest of ``known``, or ``None`` when none is near."""
    by_folded = {word.casefold(): word for word in known}
    near = difflib.get_close_matches(name.casefold(), list(by_folded), n=3, cutoff=_NEAR)
    if not near:
        return None
    return "did you mean " + " or ".join(repr(by_folded[word]) for word in near) + "?"


class Document:
    """A parsed file: its root table, and the mistakes found so far."""

    def __init__(self, where: str, data: dict[str, object], lines: dict[Place, int]) -> None:
        """Made by ``read`` and ``parse``.

        Without ``lines`` (a format whose lines are not known) messages name keys in full instead.
        """
        self.where = where
        self._lines = lines
        self._problems: list[tuple[int, Problem]] = []
        self._tables: list[Table] = []
        self.root = self.open_table(data, (), "")

    def open_table(self, data: dict[str, object], place: Place, title: str) -> Table:
        """Make the ``Table`` of a part of the file; its keys are checked by ``finish``."""
        table = Table(self, data, place, title)
        self._tables.append(table)
        return table

    def line(self, place: Place) -> int:
        """Return the line of a key, or of the nearest table around it; 0 when none is known."""
        while place and place not in self._lines:
            place = place[:-1]
        return self._lines.get(place, 0)

    def at(self, place: Place) -> str:
        """Return a key's place as messages tell it: ``file:line``, or ``file: a.b[0]`` without lines."""
        line = self.line(place)
        if line:
            return f"{self.where}:{line}"
        dotted = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place)
        return f"{self.where}: {dotted.removeprefix('.')}" if place else self.where

    def fail(self, place: Place, message: str, hint: str | None = None) -> None:
        """Note a mistake at a key."""
        problem = Problem(where=self.at(place), message=message, hint=hint)
        self._problems.append((self.line(place), problem))

    def fail_elsewhere(self, where: str, message: str, hint: str | None = None) -> None:
        """Note a mistake that is in another file, told after those of this one."""
        self._problems.append((1 << 62, Problem(where=where, message=message, hint=hint)))

    @property
    def failed(self) -> bool:
        """Tell whether a mistake was noted already."""
        return bool(self._problems)

    def finish(self, what: str) -> None:
        """Report unknown keys of all tables; raise ``ConfigError`` when anything was wrong.

        ``what`` names the file's subject: ``recipe runc`` gives ``recipe runc has 2 mistakes``.
        """
        for table in self._tables:
            table.report_unknown()
        if self._problems:
            self._problems.sort(key=lambda numbered: numbered[0])
            count = len(self._problems)
            mistakes = "a mistake" if count == 1 else f"{count} mistakes"
            raise ConfigError(f"{what} has {mistakes}", [problem for _, problem in self._problems])


def _describe(value: object) -> str:  # noqa: PLR0911 - a table of cases
    """Say what a value is, as a person would."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value) if abs(value) < 1e15 else "a large number"  # noqa: PLR2004 - keeps lines short
        case str():
            return f"the string {_short(value)}"
        case list():
            return "a list" if value else "an empty list"
        case dict():
            return "a table"
        case None:
            return "nothing"
        case _:
            return "a date or time"


def _short(text: str, limit: int = 40) -> str:
    return repr(text if len(text) <= limit else text[: limit - 3] + "...")


class Table:
    """One table of a file, asked for its keys by type.

    Each method returns a value of its type even when the file is wrong: the default, or an empty
    placeholder. A key that is asked for without a default is needed, and its absence a mistake.
    """

    def __init__(self, document: Document, data: dict[str, object], place: Place, title: str) -> None:
        """Made by ``Document.open_table``."""
        self.document = document
        self.title = title
        self._data = data
        self._place = place
        self._asked: dict[str, None] = {}
        self._ignore_rest = False

    # -- what a caller asks

    def has(self, key: str) -> bool:
        """Tell whether the key is there; this counts as asking for it."""
        self._asked[key] = None
        return key in self._data

    def is_null(self, key: str) -> bool:
        """Tell whether the key is there without a value, as JSON can write it."""
        self._asked[key] = None
        return key in self._data and self._data[key] is None

    def names(self) -> tuple[str, ...]:
        """Return the names of all keys, for tables whose keys are the user's own; asks for all."""
        for key in self._data:
            self._asked[key] = None
        return tuple(self._data)

    def anything(self, key: str) -> object:
        """Return a value as it is, whose meaning is another program's; ``None`` where there is none."""
        self._asked[key] = None
        return self._data.get(key)

    def string(
        self, key: str, default: str | None = None, *, check: Check | None = None, empty: bool = False
    ) -> str:
        """Return a string; an empty one is a mistake unless ``empty``. ``check`` complains about others."""
        value = self._get(key, needed=default is None)
        if value is None:
            return default or ""
        return self._checked_string(value, (key,), check, empty=empty)

    def maybe_string(self, key: str, *, check: Check | None = None) -> str | None:
        """Return a string, or ``None`` when the key is absent."""
        return self.string(key, check=check) if self.has(key) else None

    def integer(
        self, key: str, default: int | None = None, *, low: int = 0, high: int = (1 << 63) - 1
    ) -> int:
        """Return an integer between ``low`` and ``high``."""
        value = self._get(key, needed=default is None)
        if value is None:
            return low if default is None else default
        if not isinstance(value, int) or isinstance(value, bool):
            self.fail(key, f"expected an integer, found {_describe(value)}")
            return low
        if not low <= value <= high:
            self.fail(key, f"{_describe(value)} is not between {low} and {high}")
            return low
        return value

    def maybe_integer(self, key: str, *, low: int = 0, high: int = (1 << 63) - 1) -> int | None:
        """Return an integer, or ``None`` when the key is absent."""
        return self.integer(key, low=low, high=high) if self.has(key) else None

    def boolean(self, key: str, default: bool | None = None) -> bool:  # noqa: FBT001 - as its siblings
        """Return true or false."""
        value = self._get(key, needed=default is None)
        if value is None:
            return bool(default)
        if not isinstance(value, bool):
            self.fail(key, f"expected true or false, found {_describe(value)}")
            return bool(default)
        return value

    def choice(self, key: str, choices: Sequence[_Choice], default: _Choice | None = None) -> _Choice:
        """Return one of ``choices``."""
        value = self._get(key, needed=default is None)
        if value is None:
            return choices[0] if default is None else default
        text = self._checked_string(value, (key,), None, empty=True)
        for choice in choices:
            if choice == text:
                return choice
        if isinstance(value, str):
            allowed = ", ".join(repr(choice) for choice in choices)
            self.fail(key, f"{_short(text)} is not one of {allowed}", guess(text, choices))
        return choices[0]

    def strings(
        self, key: str, default: tuple[str, ...] | None = None, *, check: Check | None = None
    ) -> tuple[str, ...]:
        """Return a list of strings, none of them empty or twice there."""
        value = self._get(key, needed=default is None)
        if value is None:
            return default or ()
        if not isinstance(value, list):
            self.fail(key, f"expected a list of strings, found {_describe(value)}")
            return ()
        texts = [self._checked_string(item, (key, n), check, empty=False) for n, item in enumerate(value)]
        for n, text in enumerate(texts):
            if text and text in texts[:n]:
                self._fail_at((key, n), f"{_short(text)} is there twice")
        return tuple(texts)

    def table(self, key: str) -> Table:
        """Return a table; an absent one is like an empty one."""
        value = self._get(key, needed=False)
        if not isinstance(value, dict):
            if value is not None:
                self.fail(key, f"expected a table, found {_describe(value)}")
            value = {}
        title = f"{self.title[1:-1]}.{key}" if self.title else key
        return self.document.open_table(value, (*self._place, key), f"[{title}]")

    def tables(self, key: str) -> tuple[Table, ...]:
        """Return a list of tables; an absent one is like an empty one."""
        value = self._get(key, needed=False)
        items = value if isinstance(value, list) else []
        if value is not None and not isinstance(value, list):
            self.fail(key, f"expected a list of tables, found {_describe(value)}", f"write [[{key}]]")
        found = []
        for n, item in enumerate(items):
            if isinstance(item, dict):
                found.append(self.document.open_table(item, (*self._place, key, n), f"[[{key}]]"))
            else:
                self._fail_at((key, n), f"expected a table, found {_describe(item)}")
        return tuple(found)

    # -- mistakes

    def where(self, key: str | None = None, index: int | None = None) -> str:
        """Return ``file:line`` of a key, of one item of its list, or of the table itself."""
        keys = tuple(one for one in (key, index) if one is not None)
        return self.document.at((*self._place, *keys))

    def fail(self, key: str | None, message: str, hint: str | None = None) -> None:
        """Note a mistake at a key of this table, or (``None``) at the table itself."""
        if key is None:
            self.document.fail(self._place, f"{self.title}: {message}" if self.title else message, hint)
        else:
            self._fail_at((key,), message, hint)

    def fail_item(self, key: str, index: int, message: str, hint: str | None = None) -> None:
        """Note a mistake at one item of a list."""
        self._fail_at((key, index), message, hint)

    def ignore_rest(self) -> None:
        """Do not report unknown keys: what they would mean cannot be told."""
        self._ignore_rest = True

    def report_unknown(self) -> None:
        """Note every key that nobody asked for; called by ``Document.finish``."""
        if self._ignore_rest:
            return
        for key in self._data:
            if key not in self._asked:
                absent = [known for known in self._asked if known not in self._data]
                hint = guess(key, absent) or guess(key, self._asked)
                place = f" in {self.title}" if self.title else ""
                self._fail_at((key,), f"unknown key{place}", hint)
                self._asked[key] = None

    def _fail_at(self, keys: tuple[str | int, ...], message: str, hint: str | None = None) -> None:
        name = "".join(f"[{key}]" if isinstance(key, int) else key for key in keys)
        self.document.fail((*self._place, *keys), f"{name}: {message}", hint)

    def _get(self, key: str, *, needed: bool) -> object:
        self._asked[key] = None
        value = self._data.get(key)
        if value is None and key in self._data:
            self.fail(key, "expected a value, found nothing")
        elif value is None and needed:
            near = [k for k in self._data if k not in self._asked and guess(k, [key])]
            self.fail(
                None, f"the key '{key}' is missing", f"is '{near[0]}' meant to be it?" if near else None
            )
        return value

    def _checked_string(
        self, value: object, keys: tuple[str | int, ...], check: Check | None, *, empty: bool
    ) -> str:
        if not isinstance(value, str):
            self._fail_at(keys, f"expected a string, found {_describe(value)}")
            return ""
        complaint = None
        if not value:
            complaint = None if empty else "is empty"
        elif check is not None:
            complaint = check(value)
        if complaint is not None:
            self._fail_at(keys, complaint)
        return value
