"""Why a symbol did not get the value that a fragment asks for."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tcz.kconfig import expression
from tcz.kconfig.expression import TRISTATE, Constant, Macro, Symbol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tcz.kconfig.dotconfig import Setting
    from tcz.kconfig.expression import Expression
    from tcz.kconfig.tree import Definition, Tree

_DEEPEST: Final = 6
_MOST_NAMED: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A setting and the fragment that asks for it."""

    setting: Setting
    fragment: str

    @property
    def where(self) -> str:
        """File and line."""
        return f"{self.fragment}:{self.setting.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A setting that did not stick: what it became, and the reasons, those of a reason indented below it."""

    wanted: Wanted
    value: str
    reasons: tuple[str, ...]

    def lines(self) -> tuple[str, ...]:
        """Return all of it as text."""
        asked = self.wanted.setting
        head = f"{self.wanted.where}: CONFIG_{asked.symbol}={asked.value} is wanted and it is {self.value}"
        return (head, *(f"  {reason}" for reason in self.reasons))


def conflicts(wanted: Iterable[Wanted]) -> tuple[str, ...]:
    """Return what fragments say against each other, one line each."""
    seen: dict[str, Wanted] = {}
    told = []
    for one in wanted:
        before = seen.setdefault(one.setting.symbol, one)
        if before.setting.value != one.setting.value:
            told.append(
                f"{one.where}: CONFIG_{one.setting.symbol} is to be {one.setting.value} here "
                f"and {before.setting.value} at {before.where}"
            )
    return tuple(told)


def lost(tree: Tree, values: Mapping[str, str], wanted: Iterable[Wanted]) -> tuple[Lost, ...]:
    """Return all that did not stick. What is asked for as a module may have become built in."""
    found = []
    for one in wanted:
        name, asked = one.setting.symbol, one.setting.value
        value = values.get(name, "n")
        if value == asked or (asked == "m" and value == "y") or (not value.strip('"') and asked == "n"):
            continue
        reasons = tuple(_Explainer(tree, values).why(name, asked))
        found.append(Lost(wanted=one, value=value, reasons=reasons))
    return tuple(found)


class _Explainer:
    """Follows dependencies; each symbol is explained once."""

    def __init__(self, tree: Tree, values: Mapping[str, str]) -> None:
        self.tree = tree
        self.values = values
        self.told: set[str] = set()

    def why(self, name: str, wanted: str, depth: int = 0) -> Iterator[str]:
        """Give the reasons, indented by depth."""
        self.told.add(name)
        definitions = self.tree.definitions.get(name, [])
        if not definitions:
            near = difflib.get_close_matches(name, self.tree.definitions, n=3, cutoff=0.75)
            yield f"this kernel has no symbol {name}" + (f"; near: {', '.join(near)}" if near else "")
            return
        kind = self.tree.type(name)
        if wanted == "n":
            yield from self._held_on(name)
        elif kind in ("string", "int", "hex"):
            yield from self._undemanded(name, definitions, "y", depth)
        elif wanted not in TRISTATE:
            yield f"it is of type {kind}, for which {wanted} is no value"
        elif wanted == "m" and kind == "bool":
            yield f"it cannot be a module ({definitions[0].where}): ask for y"
        else:
            yield from self._undemanded(name, definitions, wanted, depth)

    def _held_on(self, name: str) -> Iterator[str]:
        for one in self.tree.selected(name):
            by, when = self.values.get(one.by, "n"), expression.value(one.condition, self.values)
            if by in ("m", "y") and when != "n":
                condition = "" if one.condition == Constant("y") else f" if {expression.text(one.condition)}"
                yield f"{one.by}={by} turns it on{condition} ({one.where})"
        if not any(one.prompt is not None for one in self.tree.definitions[name]):
            yield "nobody is asked: its value follows from others"

    def _undemanded(
        self, name: str, definitions: Iterable[Definition], wanted: str, depth: int
    ) -> Iterator[str]:
        asked = [one for one in definitions if one.prompt is not None]
        if not asked:
            yield from self._by_others(name)
            return
        free = [one for one in asked if self._reaches(one.visible, wanted)]
        if free:
            yield from self._in_choice(free[0], name)
            return
        for one in asked:
            yield f"defined at {one.where}"
            for term in expression.unmet(one.visible, self.values, wanted):
                yield from self._term(term, wanted, depth)

    def _reaches(self, term: Expression, wanted: str) -> bool:
        return TRISTATE.index(expression.value(term, self.values)) >= TRISTATE.index(wanted)

    def _by_others(self, name: str) -> Iterator[str]:
        others = [one.by for one in self.tree.selected(name)]
        if others:
            more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
            named = ", ".join(dict.fromkeys(others[:_MOST_NAMED]))
            yield f"nobody is asked for {name}: it is turned on by {named}{more}"
        for one in self.tree.definitions[name]:
            for default in one.defaults:
                condition = expression.both(one.depends, default.condition)
                when = "" if condition == Constant("y") else f" if {expression.text(condition)}"
                yield f"{name} is {expression.text(default.value)} by itself{when} ({one.where})"

    def _in_choice(self, one: Definition, name: str) -> Iterator[str]:
        if one.choice is not None:
            chosen = [m for m in one.choice.members if m != name and self.values.get(m) == "y"]
            rest = f": {chosen[0]} was chosen instead" if chosen else ""
            yield f"it is one of the choice {one.choice.prompt!r} ({one.where}){rest}"
            return
        macros = [term for term in _terms(one.visible) if isinstance(term, Macro)]
        if macros:
            yield f"it depends on {macros[0].text} ({one.where}), which the compiler answers"
            return
        yield f"nothing it depends on is missing ({one.where}): another value was written later"

    def _term(self, term: Expression, wanted: str, depth: int) -> Iterator[str]:
        if isinstance(term, Symbol):
            yield f"depends on {term.name}, which is {self.values.get(term.name, 'n')}"
            if term.name not in self.told and depth < _DEEPEST:
                yield from (f"  {line}" for line in self._unfold(term.name, wanted, depth + 1))
            return
        held = ", ".join(f"{name}={self.values.get(name, 'n')}" for name in expression.symbols(term))
        yield f"depends on {expression.text(term)}" + (f", with {held}" if held else "")

    def _unfold(self, name: str, wanted: str, depth: int) -> Iterator[str]:
        definitions = self.tree.definitions.get(name, [])
        wanted = "y" if self.tree.type(name) == "bool" else wanted
        open_to_all = any(
            one.prompt is not None and one.choice is None and self._reaches(one.visible, wanted)
            for one in definitions
        )
        if open_to_all:
            self.told.add(name)
            yield f"nothing keeps it from being {wanted}: ask for CONFIG_{name}={wanted} too"
            return
        yield from self.why(name, wanted, depth)


def _terms(term: Expression) -> tuple[Expression, ...]:
    return term.of if isinstance(term, expression.And) else (term,)
