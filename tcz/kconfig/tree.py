"""Kconfig files of a source tree, read into what they say of each symbol."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tcz.errors import VerifyError
from tcz.kconfig import expression
from tcz.kconfig.expression import ALWAYS, Not, Or, both

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tcz.kconfig.expression import Expression

_ASSIGNED = re.compile(r"[A-Za-z0-9_-]+\s*(?::=|\+=|=)")
_WORD = re.compile(r"([a-z_]+)(?:\s+(.*))?\Z", re.DOTALL)
_QUOTED = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*(.*)\Z""", re.DOTALL)
_VARIABLE = re.compile(r"\$\(([A-Za-z0-9_-]+)\)")
_TYPES: Final = ("bool", "tristate", "string", "hex", "int")
#: Lines that say nothing of what a symbol depends on.
_PASSED: Final = ("range", "modules", "optional", "option", "transitional", "mainmenu", "error")
_DEEPEST: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Several symbols, one of which is chosen."""

    prompt: str
    members: list[str] = field(default_factory=list, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Default:
    """A value that a symbol has by itself, and when."""

    value: Expression
    condition: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What one place says of a symbol: ``depends`` holds what is around it too.

    ``prompt`` is ``None`` where nobody is asked; ``visible`` is when somebody is. ``selects`` and
    ``implies`` name other symbols and when.
    """

    name: str
    where: str
    type: str
    prompt: str | None
    depends: Expression
    visible: Expression
    defaults: tuple[Default, ...]
    selects: tuple[tuple[str, Expression], ...]
    implies: tuple[tuple[str, Expression], ...]
    choice: Choice | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A symbol that turns another one on, and when it does."""

    by: str
    where: str
    condition: Expression


class Tree:
    """All symbols of a source tree."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self.definitions: dict[str, list[Definition]] = {}
        self._selected: dict[str, list[Selection]] = {}

    def add(self, one: Definition) -> None:
        """Take a definition in."""
        self.definitions.setdefault(one.name, []).append(one)
        for name, condition in one.selects:
            chosen = Selection(by=one.name, where=one.where, condition=condition)
            self._selected.setdefault(name, []).append(chosen)

    def selected(self, name: str) -> tuple[Selection, ...]:
        """Return what turns a symbol on."""
        return tuple(self._selected.get(name, ()))

    def type(self, name: str) -> str:
        """Return a symbol's type; a second place may leave it out."""
        return next((one.type for one in self.definitions.get(name, ()) if one.type), "")


def read(folder: Path, variables: Mapping[str, str], start: str = "Kconfig") -> Tree:
    """Read the Kconfig files that ``start`` leads to; ``variables`` stand in paths, such as SRCARCH.

    Raises ``VerifyError`` with file and line for what cannot be read.
    """
    tree = Tree()
    _Reader(folder, variables, tree).file(start, 0)
    return tree


@dataclass(slots=True)
class _Entry:
    """A config, menu, choice, comment or if while its lines are read."""

    kind: str
    name: str = ""
    where: str = ""
    type: str = ""
    prompt: str | None = None
    asked: Expression = ALWAYS
    depends: Expression = ALWAYS
    shown: Expression = ALWAYS
    defaults: list[Default] = field(default_factory=list)
    selects: list[tuple[str, Expression]] = field(default_factory=list)
    implies: list[tuple[str, Expression]] = field(default_factory=list)
    choice: Choice | None = None


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Give the lines that say something with their numbers: joined, without comments and help texts."""
    held, first = "", 0
    help_indent: int | None = None
    in_help = False
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.expandtabs(8)
        if in_help:
            indent = len(line) - len(line.lstrip())
            if not line.strip():
                continue
            if help_indent is None and indent:
                help_indent = indent
            if help_indent is not None and indent >= help_indent:
                continue
            in_help = False
        if line.rstrip().endswith("\\"):
            first = first or number
            held += line.rstrip()[:-1] + " "
            continue
        whole = _without_comment(held + line).strip()
        if whole:
            yield first or number, whole
        in_help, help_indent = whole in ("help", "---help---"), None
        held, first = "", 0


def _without_comment(line: str) -> str:
    quote, depth = "", 0
    for place, char in enumerate(line):
        if quote:
            quote = "" if char == quote and line[place - 1] != "\\" else quote
        elif depth == 0 and char in "\"'":
            quote = char
        elif char == "(" and (depth or line[place - 1 : place] == "$"):
            depth += 1
        elif char == ")" and depth:
            depth -= 1
        elif char == "#" and not depth:
            return line[:place]
    return line


class _Reader:
    """Reads files into a tree; ``stack`` holds the menus, ifs and choices around the line at hand."""

    def __init__(self, folder: Path, variables: Mapping[str, str], tree: Tree) -> None:
        self.folder = folder
        self.variables = {"srctree": ".", **variables}
        self.tree = tree
        self.stack: list[_Entry] = []
        self.now: _Entry | None = None

    def file(self, name: str, depth: int, by: str = "") -> None:
        path = self.folder / name
        try:
            inside = path.resolve().is_relative_to(self.folder.resolve())
            text = path.read_text(errors="replace") if inside else ""
        except OSError as error:
            raise VerifyError(f"{name} cannot be read: {error.strerror}", where=by or None) from error
        if not inside or depth > _DEEPEST:
            why = "it is not in the source tree" if not inside else "files lead to each other without end"
            raise VerifyError(f"{name} is not read: {why}", where=by or None)
        level = len(self.stack)
        for number, line in logical_lines(text):
            where = f"{name}:{number}"
            try:
                self.line(line, where, depth)
            except ValueError as error:
                raise VerifyError(str(error), where=where) from error
        self.close()
        if len(self.stack) != level:
            raise VerifyError("a menu, a choice or an if is left open or closed twice", where=name)

    def line(self, line: str, where: str, depth: int) -> None:
        found = _WORD.match(line)
        if _ASSIGNED.match(line) or line.startswith("$("):
            self.close()
            return
        if found is None:
            raise ValueError(f"{line!r} cannot be read")
        word, rest = found[1], found[2] or ""
        if word == "source":
            self.close()
            self.file(self._path(rest), depth + 1, where)
        elif word in ("config", "menuconfig", "comment"):
            self.begin(_Entry(kind=word, name=rest, where=where))
        elif word in ("menu", "choice", "if"):
            self.close()
            self.open(word, rest)
        elif word in ("endmenu", "endchoice", "endif"):
            self.close()
            if not self.stack or self.stack.pop().kind != word.removeprefix("end"):
                raise ValueError(f"{word} without {word.removeprefix('end')}")
        elif word not in _PASSED and word not in ("help", "---help---"):
            self.attribute(word, rest, line)

    def _path(self, rest: str) -> str:
        quoted = _QUOTED.match(rest)
        raw = quoted[1][1:-1] if quoted else rest
        return _VARIABLE.sub(lambda match: self.variables.get(match[1], match[0]), raw)

    def open(self, word: str, rest: str) -> None:
        entry = _Entry(kind=word)
        if word == "if":
            entry.depends = expression.parse(rest)
        if word == "choice":
            entry.choice = Choice(prompt="")
        self.stack.append(entry)

    def begin(self, entry: _Entry) -> None:
        self.close()
        self.now = entry

    def attribute(self, word: str, rest: str, line: str) -> None:
        entry = self.now or (self.stack[-1] if self.stack else None)
        if entry is None:
            raise ValueError(f"{line!r} belongs to nothing")
        if word == "depends":
            entry.depends = both(entry.depends, _depends(rest.removeprefix("on").strip()))
        elif word == "visible":
            entry.shown = both(entry.shown, expression.parse(rest.removeprefix("if").strip()))
        elif word in _TYPES or word == "prompt":
            entry.type = word if word in _TYPES else entry.type
            self._prompt(entry, rest)
        elif word in ("def_bool", "def_tristate", "default"):
            entry.type = entry.type if word == "default" else word.removeprefix("def_")
            value, after = expression.parse_first(rest)
            entry.defaults.append(Default(value=value, condition=_condition(after)))
        elif word in ("select", "imply"):
            name, _, after = rest.partition(" ")
            (entry.selects if word == "select" else entry.implies).append((name, _condition(after.strip())))
        else:
            raise ValueError(f"{line!r} cannot be read")

    @staticmethod
    def _prompt(entry: _Entry, rest: str) -> None:
        if not rest:
            return
        quoted = _QUOTED.match(rest)
        if quoted is None:
            raise ValueError(f"{rest!r} is no prompt")
        entry.prompt, entry.asked = quoted[1][1:-1], _condition(quoted[2])
        if entry.choice is not None:
            entry.choice = Choice(prompt=entry.prompt, members=entry.choice.members)

    def close(self) -> None:
        """Take in the symbol whose lines are over."""
        entry, self.now = self.now, None
        if entry is None or entry.kind == "comment":
            return
        around = both(*(one.depends for one in self.stack))
        depends = both(around, entry.depends)
        visible = both(depends, entry.asked, *(one.shown for one in self.stack))
        choice = next((one.choice for one in reversed(self.stack) if one.kind == "choice"), None)
        if choice is not None:
            choice.members.append(entry.name)
        self.tree.add(
            Definition(
                name=entry.name,
                where=entry.where,
                type=entry.type,
                prompt=entry.prompt,
                depends=depends,
                visible=visible,
                defaults=tuple(entry.defaults),
                selects=tuple(entry.selects),
                implies=tuple(entry.implies),
                choice=choice,
            )
        )


def _condition(after: str) -> Expression:
    """Read ``if ...`` behind something, or nothing."""
    if not after:
        return ALWAYS
    if not after.startswith("if"):
        raise ValueError(f"{after!r} is not expected")
    return expression.parse(after.removeprefix("if").strip())


def _depends(text: str) -> Expression:
    found, after = expression.parse_first(text)
    # Where the condition does not hold, nothing is asked.
    return found if not after else Or((found, Not(_condition(after))))
