"""Keys of a variant's file, each described once: the reader and the JSON Schema are made from it.

A module describes its keys as constants, gathers them in a ``Shape``, and reads them::

    SEARCH = Texts("search", "Where short names are looked for.", example='["registry.example.org"]')
    SHAPE = Shape((SEARCH,))
    ...
    Registries(search=SEARCH.read(table))

What ``read`` returns has its type whatever the file says; mistakes are noted in the table's document.
Schema: https://json-schema.org/draft/2020-12/schema.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tcz import toml

T_co = TypeVar("T_co", covariant=True)
#: A JSON Schema, or a part of one.
Schema: TypeAlias = "dict[str, object]"
DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a text must be: a pattern that it matches whole, and what to call it in a message.

    ``more`` complains about what the pattern cannot tell.
    """

    pattern: str
    what: str
    more: Callable[[str], str | None] | None = None

    def complaint(self, text: str) -> str | None:
        """Return what is wrong with a text, or ``None``."""
        found = self.more(text) if self.more is not None else None
        if found is not None:
            return found
        return None if re.fullmatch(self.pattern, text) else f"{text!r} is not {self.what}"

    def schema(self) -> Schema:
        """Return the part of a schema that says the same, as far as a pattern can."""
        return {"type": "string", "pattern": f"^(?:{self.pattern})$"}


@dataclass(frozen=True, slots=True)
class Key(Generic[T_co]):
    """A key: its name, what it is for, and a value as it is written in TOML."""

    name: str
    about: str
    example: str = ""

    @property
    def needed(self) -> bool:
        """Whether a table without it is wrong."""
        return False

    def read(self, table: toml.Table) -> T_co:
        """Return the value in ``table``; mistakes are noted there."""
        raise NotImplementedError

    def value_schema(self) -> Schema:
        """Return the schema of the value."""
        raise NotImplementedError

    def schema(self) -> Schema:
        """Return the schema of the value, with what the key is for."""
        return {"description": self.about, **self.value_schema()}


@dataclass(frozen=True, slots=True)
class Text(Key[str]):
    """A string. Without a default it is needed; only with ``empty`` may an empty one be written."""

    rule: Rule | None = None
    default: str | None = ""
    empty: bool = False

    @property
    def needed(self) -> bool:
        """Whether a table without it is wrong."""
        return self.default is None

    def read(self, table: toml.Table) -> str:
        """Return the string."""
        check = self.rule.complaint if self.rule else None
        return table.string(self.name, self.default, check=check, empty=self.empty)

    def value_schema(self) -> Schema:
        """Return the schema of a string."""
        if self.rule is not None:
            own = self.rule.schema()
            return {"anyOf": [own, {"const": ""}]} if self.empty else own
        return {"type": "string"} if self.empty else {"type": "string", "minLength": 1}


@dataclass(frozen=True, slots=True)
class Texts(Key[tuple[str, ...]]):
    """A list of strings, none twice."""

    rule: Rule | None = None

    def read(self, table: toml.Table) -> tuple[str, ...]:
        """Return the strings."""
        return table.strings(self.name, (), check=self.rule.complaint if self.rule else None)

    def value_schema(self) -> Schema:
        """Return the schema of a list of strings."""
        item = self.rule.schema() if self.rule else {"type": "string", "minLength": 1}
        return {"type": "array", "items": item, "uniqueItems": True}


@dataclass(frozen=True, slots=True)
class Words(Key[tuple[str, ...]]):
    """A list of strings in which any may be empty or there again, as on a command line."""

    rule: Rule | None = None

    def read(self, table: toml.Table) -> tuple[str, ...]:
        """Return the words."""
        value = table.anything(self.name)
        if value is None:
            return ()
        if not isinstance(value, list):
            table.fail(self.name, "expected a list of strings")
            return ()
        found = []
        for index, word in enumerate(value):
            if not isinstance(word, str):
                table.fail_item(self.name, index, "expected a string")
            elif word and self.rule is not None and (complaint := self.rule.complaint(word)):
                table.fail_item(self.name, index, complaint)
            else:
                found.append(word)
        return tuple(found)

    def value_schema(self) -> Schema:
        """Return the schema of such a list."""
        return {"type": "array", "items": {"type": "string"}}


@dataclass(frozen=True, slots=True)
class Number(Key[int]):
    """An integer between ``low`` and ``high``, needed without a default."""

    low: int = 0
    high: int = (1 << 63) - 1
    default: int | None = None

    @property
    def needed(self) -> bool:
        """Whether a table without it is wrong."""
        return self.default is None

    def read(self, table: toml.Table) -> int:
        """Return the number."""
        return table.integer(self.name, self.default, low=self.low, high=self.high)

    def value_schema(self) -> Schema:
        """Return the schema of an integer."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True, slots=True)
class MaybeNumber(Key["int | None"]):
    """An integer that may be absent."""

    low: int = 0
    high: int = (1 << 63) - 1

    def read(self, table: toml.Table) -> int | None:
        """Return the number, or ``None``."""
        return table.maybe_integer(self.name, low=self.low, high=self.high)

    def value_schema(self) -> Schema:
        """Return the schema of an integer."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True, slots=True)
class Flag(Key[bool]):
    """True or false."""

    default: bool = False

    def read(self, table: toml.Table) -> bool:
        """Return the value."""
        return table.boolean(self.name, self.default)

    def value_schema(self) -> Schema:
        """Return the schema of a truth value."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Choice(Key[str]):
    """One of ``choices``; empty where it is absent and has no default."""

    choices: tuple[str, ...] = ()
    default: str = ""

    def read(self, table: toml.Table) -> str:
        """Return the choice."""
        return table.choice(self.name, self.choices) if table.has(self.name) else self.default

    def value_schema(self) -> Schema:
        """Return the schema of a choice."""
        return {"enum": list(self.choices)}


@dataclass(frozen=True, slots=True)
class Pairs(Key[tuple[tuple[str, str], ...]]):
    """A table whose keys are the user's own and whose values are strings."""

    key: Rule | None = None
    value: Rule | None = None
    empty: bool = False

    def read(self, table: toml.Table) -> tuple[tuple[str, str], ...]:
        """Return the pairs as they stand."""
        inner = table.table(self.name)
        found = []
        for name in inner.names():
            complain(inner, name, self.key)
            check = self.value.complaint if self.value else None
            found.append((name, inner.string(name, check=check, empty=self.empty)))
        return tuple(found)

    def value_schema(self) -> Schema:
        """Return the schema of such a table."""
        value = self.value.schema() if self.value else {"type": "string"}
        return {"type": "object", **_names(self.key), "additionalProperties": value}


@dataclass(frozen=True, slots=True)
class Lists(Key[tuple[tuple[str, tuple[str, ...]], ...]]):
    """A table whose keys are the user's own and whose values are lists of strings."""

    key: Rule | None = None
    value: Rule | None = None

    def read(self, table: toml.Table) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Return keys and lists as they stand."""
        inner = table.table(self.name)
        found = []
        for name in inner.names():
            complain(inner, name, self.key)
            check = self.value.complaint if self.value else None
            found.append((name, inner.strings(name, check=check)))
        return tuple(found)

    def value_schema(self) -> Schema:
        """Return the schema of such a table."""
        item = self.value.schema() if self.value else {"type": "string", "minLength": 1}
        lists = {"type": "array", "items": item, "uniqueItems": True}
        return {"type": "object", **_names(self.key), "additionalProperties": lists}


def complain(table: toml.Table, name: str, rule: Rule | None) -> None:
    """Note in ``table`` that a key of the user's own is not what it must be."""
    complaint = rule.complaint(name) if rule is not None else None
    if complaint is not None:
        table.fail(name, complaint)


def _names(rule: Rule | None) -> Schema:
    return {} if rule is None else {"propertyNames": {"pattern": rule.schema()["pattern"]}}


@dataclass(frozen=True, slots=True)
class Shape:
    """The keys that a table may have."""

    keys: tuple[Key[object] | Section | Many, ...]

    def schema(self) -> Schema:
        """Return the schema of a table with these keys and no others."""
        needed = [key.name for key in self.keys if key.needed]
        return {
            "type": "object",
            "properties": {key.name: key.schema() for key in self.keys},
            **({"required": needed} if needed else {}),
            "additionalProperties": False,
        }

    def walk(self, prefix: str = "") -> Iterator[tuple[str, Key[object] | Section | Many]]:
        """Return every key with its dotted path; keys of tables and lists of tables after these."""
        for key in self.keys:
            path = f"{prefix}{key.name}"
            yield path, key
            if isinstance(key, Section | Many):
                yield from key.shape.walk(f"{path}.")


@dataclass(frozen=True, slots=True)
class _Nested:
    """A key with keys of its own; it may always be absent."""

    name: str
    about: str
    shape: Shape
    example: str = ""

    @property
    def needed(self) -> bool:
        """No key of this kind is."""
        return False


class Section(_Nested):
    """A key that holds a table."""

    __slots__ = ()

    def open(self, table: toml.Table) -> toml.Table:
        """Return the table; an absent one is like an empty one."""
        return table.table(self.name)

    def schema(self) -> Schema:
        """Return the schema of the table."""
        return {"description": self.about, **self.shape.schema()}


class Many(_Nested):
    """A key that holds a list of tables: ``[[name]]``."""

    __slots__ = ()

    def open(self, table: toml.Table) -> tuple[toml.Table, ...]:
        """Return the tables."""
        return table.tables(self.name)

    def schema(self) -> Schema:
        """Return the schema of the list."""
        return {"description": self.about, "type": "array", "items": self.shape.schema()}
