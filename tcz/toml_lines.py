"""The line of each key of a TOML text, which ``tomllib`` does not tell.

The scanner reads only text that ``tomllib`` has accepted, so it needs to find where things end, not
whether they are right. Format: https://toml.io/en/v1.0.0.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left

#: Keys and list indices from the root: ``("package", 0, "needs", 2)``.
Place = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*'""")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\]|\\.)*"'
    r"|'[^']*'",
    re.DOTALL,
)
_BARE = re.compile(r"[^,\]}#\n]*")


def line_of_each_key(text: str) -> dict[Place, int]:
    """Return the line (from 1) of every key, table and list item; the root is ``()`` at line 1."""
    return _Scanner(text.replace("\r\n", "\n")).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.newlines = [match.start() for match in re.finditer("\n", text)]
        self.lines: dict[Place, int] = {(): 1}
        self.implied: set[Place] = set()
        self.counts: dict[Place, int] = {}

    def scan(self) -> dict[Place, int]:
        table: Place = ()
        self._skip(_BLANK)
        while self.at < len(self.text):
            if self.text.startswith("[", self.at):
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)
        return self.lines

    def _header(self) -> Place:
        start = self.at
        many = self.text.startswith("[[", start)
        self.at += 2 if many else 1
        keys = self._key()
        self.at += 2 if many else 1
        place: Place = ()
        for key in keys[:-1]:
            place = (*place, key)
            self._note(place, start, implied=True)
            if place in self.counts:
                place = (*place, self.counts[place] - 1)
        place = (*place, keys[-1])
        if many:
            index = self.counts.get(place, 0)
            self.counts[place] = index + 1
            self._note(place, start)
            place = (*place, index)
        self._note(place, start)
        return place

    def _pair(self, table: Place) -> None:
        start = self.at
        keys = self._key()
        for length in range(1, len(keys) + 1):
            self._note((*table, *keys[:length]), start)
        self.at += 1
        self._skip(_SPACE)
        self._value((*table, *keys))

    def _value(self, place: Place) -> None:
        self._note(place, self.at)
        opening = self.text[self.at]
        if opening in "\"'":
            self._skip(_STRING)
        elif opening in "[{":
            self.at += 1
            index = 0
            self._skip(_BLANK)
            while self.text[self.at] not in "]}":
                if opening == "[":
                    self._value((*place, index))
                else:
                    self._pair(place)
                index += 1
                self._skip(_BLANK)
                if self.text[self.at] == ",":
                    self.at += 1
                    self._skip(_BLANK)
            self.at += 1
        else:
            self._skip(_BARE)

    def _key(self) -> tuple[str, ...]:
        parts = []
        while True:
            self._skip(_SPACE)
            raw = self._skip(_KEY)
            parts.append(str(tomllib.loads(f"k = {raw}")["k"]) if raw[0] in "\"'" else raw)
            self._skip(_SPACE)
            if not self.text.startswith(".", self.at):
                return tuple(parts)
            self.at += 1

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        if match is None:  # tomllib accepted the text, so a pattern above is wrong
            raise AssertionError(f"line scanner lost at {self.text[self.at : self.at + 40]!r}")
        self.at = match.end()
        return match[0]

    def _note(self, place: Place, position: int, *, implied: bool = False) -> None:
        """Keep the first line that names a place; its own header goes before one that implies it."""
        if place not in self.lines or (place in self.implied and not implied):
            self.lines[place] = bisect_left(self.newlines, position) + 1
            self.implied.discard(place)
            if implied:
                self.implied.add(place)
