"""Tables whose keys belong to another program, as values: read from TOML, written as JSON or TOML.

TOML: https://toml.io/en/v1.0.0; JSON: RFC 8259.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from remaster.variant import secrets
from remaster.variant.fields import Key, Schema
from tcz import toml

if TYPE_CHECKING:
    from collections.abc import Sequence

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_DEEPEST: Final = 32


@dataclass(frozen=True, slots=True)
class Free:
    """A table: its keys with their values, in the order in which they stand."""

    items: tuple[tuple[str, Value], ...] = ()

    def get(self, key: str) -> Value | None:
        """Return a value, ``None`` where there is none."""
        return next((value for name, value in self.items if name == key), None)

    def merged(self, other: Free) -> Free:
        """Return both: tables are merged, lists joined, single values of ``other`` win."""
        found = dict(self.items)
        for key, value in other.items:
            old = found.get(key)
            if isinstance(old, Free) and isinstance(value, Free):
                found[key] = old.merged(value)
            elif isinstance(old, tuple) and isinstance(value, tuple):
                found[key] = (*old, *(item for item in value if item not in old))
            else:
                found[key] = value
        return Free(tuple(found.items()))


Value: TypeAlias = "str | int | float | bool | tuple[Value, ...] | Free"


@dataclass(frozen=True, slots=True)
class FreeTable(Key[Free]):
    """A key that holds such a table. ``known`` are the keys that its tables may have, all where it is empty.

    It has paths of tables, dots between names, and the keys of each; ``*`` is any name, and a list of tables
    is like one. Keys are compared as Go reads JSON, which does not heed case. ``refused`` are keys that the
    table itself may not have, with the reason.
    """

    known: tuple[tuple[str, str], ...] = ()
    refused: tuple[tuple[str, str], ...] = ()

    def read(self, table: toml.Table) -> Free:
        """Return the table; dates, secrets and keys that are not known are mistakes."""
        value = table.anything(self.name)
        if value is None:
            return Free()
        if not isinstance(value, dict):
            table.fail(self.name, "expected a table")
            return Free()
        inner = table.table(self.name)
        for key in inner.names():
            if key in dict(self.refused):
                inner.fail(key, dict(self.refused)[key])
        self._check(inner, "")
        return free(inner, value)

    def _check(self, table: toml.Table, path: str) -> None:
        names = self._names(path)
        folded = {name.casefold() for name in names}
        for key in table.names():
            below = f"{path}.{key}".removeprefix(".")
            if names and key.casefold() not in folded:
                if path or key not in dict(self.refused):
                    place = ".".join(filter(None, (self.name, path)))
                    table.fail(key, f"unknown key in [{place}]", toml.guess(key, names))
                continue
            value, nested = table.anything(key), self._names(below)
            if isinstance(value, dict) and self._reaches(below):
                self._check(table.table(key), below)
            elif isinstance(value, list) and nested:
                for inner in table.tables(key):
                    self._check(inner, below)
            elif nested and not isinstance(value, dict):
                table.fail(key, "expected a table")

    def _names(self, path: str) -> tuple[str, ...]:
        found = dict(self.known)
        text = found.get(path) or (found.get(f"{path.rpartition('.')[0]}.*") if path else None)
        return tuple((text or "").split())

    def _reaches(self, path: str) -> bool:
        """Tell whether the keys of a table, or of one below it, are known."""
        return bool(self._names(path)) or any(other.startswith(f"{path}.") for other, _ in self.known)

    def value_schema(self) -> Schema:
        """Return the schema of such a table."""
        return self._schema("")

    def _schema(self, path: str) -> Schema:
        names = self._names(path)
        # Another case is right, too, and only the reader knows.
        table: Schema = {"type": "object"}
        if names and not any(char.isupper() for name in names for char in name):
            table["propertyNames"] = {"enum": list(names)}
        below = [f"{path}.{name}".removeprefix(".") for name in names]
        nested = {one.rpartition(".")[2]: self._schema(one) for one in below if self._reaches(one)}
        if nested:
            table["properties"] = {
                name: {"anyOf": [schema, {"type": "array", "items": schema}]}
                for name, schema in nested.items()
            }
        if dict(self.known).get(f"{path}.*"):
            table["additionalProperties"] = {"type": "object"}
        return table


def free(table: toml.Table, values: dict[str, object]) -> Free:
    """Return what ``table`` holds as a value; what cannot be written as JSON is noted as a mistake."""
    items = []
    for key, value in values.items():
        problem = _problem(key, value, 0)
        if problem is not None:
            table.fail(key, problem, secrets.HINT if "secret" in problem or "KEY" in problem else None)
        else:
            items.append((key, _value(value)))
    return Free(tuple(items))


def _problem(key: str, value: object, depth: int) -> str | None:  # noqa: PLR0911 - a table of cases
    """Return the first thing that is wrong with a value or with what is in it."""
    if depth > _DEEPEST:
        return "nested too deeply"
    if isinstance(value, dict):
        found = (_problem(name, inner, depth + 1) for name, inner in value.items())
        return next((problem for problem in found if problem), None)
    if isinstance(value, list):
        found = (_problem(key, inner, depth + 1) for inner in value)
        return next((problem for problem in found if problem), None)
    if isinstance(value, str):
        return secrets.in_setting(key, value)
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value} has no form in JSON"
    if not isinstance(value, bool | int | float):
        return "a date or time has no form in JSON; write it as a string"
    return None


def _value(value: object) -> Value:
    if isinstance(value, dict):
        return Free(tuple((key, _value(inner)) for key, inner in value.items()))
    if isinstance(value, list):
        return tuple(_value(inner) for inner in value)
    if isinstance(value, str | int | float):
        return value
    raise TypeError(value)  # _problem lets nothing else through


def json_text(value: Value) -> str:
    """Return a value as JSON, two spaces a level, keys in their order, with a newline at the end."""
    return json.dumps(_plain(value), indent=2, ensure_ascii=False) + "\n"


def _plain(value: Value) -> object:
    if isinstance(value, Free):
        return {key: _plain(inner) for key, inner in value.items}
    return [_plain(inner) for inner in value] if isinstance(value, tuple) else value


def toml_text(table: Free) -> str:
    """Return a table as TOML: values first, then the tables in it, each under a header of its own."""
    return "\n".join(_section(table, ())) + "\n"


def _section(table: Free, path: Sequence[str]) -> list[str]:
    lines = [f"{_key(key)} = {_inline(value)}" for key, value in table.items if not isinstance(value, Free)]
    for key, value in table.items:
        if isinstance(value, Free):
            inner = (*path, key)
            if lines:
                lines.append("")
            if not value.items or any(not isinstance(one, Free) for _, one in value.items):
                lines.append(f"[{'.'.join(map(_key, inner))}]")
            lines += _section(value, inner)
    return lines


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else quoted(key)


def quoted(text: str) -> str:
    """Return a text as a basic string of TOML, which is one of JSON too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _inline(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(_inline, value))}]"
    if isinstance(value, Free):
        inner = ", ".join(f"{_key(key)} = {_inline(one)}" for key, one in value.items)
        return f"{{ {inner} }}" if inner else "{}"
    return repr(value)
