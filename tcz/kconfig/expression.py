"""Kconfig's expressions: read, worked out with the values of a .config, and the terms that hold them down.

Values are ``n``, ``m`` and ``y``, in this order: ``&&`` is the lesser, ``||`` the greater, ``!`` the rest to
``y``. A macro that is still in an expression (``$(...)``) is asked of a compiler; nobody asks here, and it
counts as ``y``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

TRISTATE: Final = "nmy"
_TOKEN = re.compile(
    r"""\s*(?:(?P<op>\|\||&&|!=|<=|>=|[=<>!()])
    |"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'
    |(?P<word>[A-Za-z0-9_./-]+)
    |(?P<macro>\$))""",
    re.VERBOSE,
)
_COMPARE: Final = ("=", "!=", "<", ">", "<=", ">=")
_DEEPEST: Final = 200


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol by its name, without ``CONFIG_``."""

    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A text, or one of ``n``, ``m``, ``y``."""

    text: str


@dataclass(frozen=True, slots=True)
class Macro:
    """What a compiler or another program is asked, as it is written."""

    text: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two operands and what is between them."""

    left: Operand
    sign: str
    right: Operand


@dataclass(frozen=True, slots=True)
class Not:
    """The rest to ``y``."""

    of: Expression


@dataclass(frozen=True, slots=True)
class And:
    """All of several."""

    of: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of several."""

    of: tuple[Expression, ...]


Operand = Symbol | Constant | Macro
Expression = Operand | Comparison | Not | And | Or

ALWAYS: Final = Constant("y")


def parse(text: str) -> Expression:
    """Read an expression; raises ``ValueError`` where it is none."""
    reader = _Reader(text)
    found = reader.any_of(0)
    if reader.here[0]:
        raise ValueError(f"{reader.here[1]!r} is not expected in {text!r}")
    return found


def parse_first(text: str) -> tuple[Expression, str]:
    """Read an expression at the start of a text; return it and what follows."""
    reader = _Reader(text)
    found = reader.any_of(0)
    return found, text[reader.begin :].strip()


class _Reader:
    """Goes through the tokens of a text; ``here`` is the kind and the text of the one at hand."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.begin = self.end = 0
        self.here = ("", "")
        self.step()

    def step(self) -> None:
        self.begin = self.end
        rest = self.text[self.end :]
        found = _TOKEN.match(rest)
        if found is None:
            if rest.strip():
                raise ValueError(f"{rest.strip()!r} cannot be read in {self.text!r}")
            self.here = ("", "")
            return
        kind = found.lastgroup or ""
        self.here = (kind, found[kind])
        self.end += found.end()
        if kind == "macro":
            start = self.end - 1
            self.end = start + macro_end(self.text[start:])
            self.here = ("macro", self.text[start : self.end])

    def any_of(self, depth: int) -> Expression:
        terms = [self.all_of(depth)]
        while self.here == ("op", "||"):
            self.step()
            terms.append(self.all_of(depth))
        return terms[0] if len(terms) == 1 else Or(tuple(terms))

    def all_of(self, depth: int) -> Expression:
        terms = [self.term(depth)]
        while self.here == ("op", "&&"):
            self.step()
            terms.append(self.term(depth))
        return terms[0] if len(terms) == 1 else And(tuple(terms))

    def term(self, depth: int) -> Expression:
        if depth > _DEEPEST:
            raise ValueError("an expression is nested too deeply")
        if self.here == ("op", "!"):
            self.step()
            return Not(self.term(depth + 1))
        if self.here == ("op", "("):
            self.step()
            found = self.any_of(depth + 1)
            if self.here != ("op", ")"):
                raise ValueError(f"a parenthesis is left open in {self.text!r}")
            self.step()
            return found
        left = self.operand()
        if self.here[0] == "op" and self.here[1] in _COMPARE:
            sign = self.here[1]
            self.step()
            return Comparison(left, sign, self.operand())
        return left

    def operand(self) -> Operand:
        kind, text = self.here
        if kind in ("", "op"):
            raise ValueError(f"a symbol is missing in {self.text!r}")
        self.step()
        if kind == "macro":
            return Macro(text)
        if kind in ("double", "single"):
            return Macro(text) if "$(" in text else Constant(re.sub(r"\\(.)", r"\1", text))
        plain = text in TRISTATE and len(text) == 1
        return Constant(text) if plain or _is_number(text) else Symbol(text)


def macro_end(text: str) -> int:
    """Return where a macro that a text begins with ends; raises ``ValueError`` where it does not."""
    if not text.startswith("$("):
        raise ValueError(f"{text[:20]!r} is no macro")
    depth = 0
    for place, char in enumerate(text):
        if char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if not depth:
                return place + 1
    raise ValueError(f"the macro {text[:40]!r} does not end")


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+|0[xX][0-9a-fA-F]+", text) is not None


def value(  # noqa: PLR0911 - one for each kind
    expression: Expression, values: Mapping[str, str]
) -> str:
    """Work an expression out: ``n``, ``m`` or ``y``."""
    match expression:
        case Symbol():
            held = values.get(expression.name, "n")
            return held if held in ("m", "y") else "n"
        case Constant():
            return expression.text if expression.text in ("m", "y") else "n"
        case Macro():
            return "y"
        case Not():
            return TRISTATE[2 - TRISTATE.index(value(expression.of, values))]
        case And():
            return TRISTATE[min(TRISTATE.index(value(one, values)) for one in expression.of)]
        case Or():
            return TRISTATE[max(TRISTATE.index(value(one, values)) for one in expression.of)]
        case Comparison():
            return _compared(expression, values)


def _compared(comparison: Comparison, values: Mapping[str, str]) -> str:
    if isinstance(comparison.left, Macro) or isinstance(comparison.right, Macro):
        return "y"
    left, right = (_text(one, values) for one in (comparison.left, comparison.right))
    order: int
    if _is_number(left) and _is_number(right):
        order = (int(left, 0) > int(right, 0)) - (int(left, 0) < int(right, 0))
    elif len(left) == len(right) == 1 and left in TRISTATE and right in TRISTATE:
        order = TRISTATE.index(left) - TRISTATE.index(right)
    else:
        order = (left > right) - (left < right)
    true = {
        "=": order == 0,
        "!=": order != 0,
        "<": order < 0,
        ">": order > 0,
        "<=": order <= 0,
        ">=": order >= 0,
    }
    return "y" if true[comparison.sign] else "n"


def _text(operand: Operand, values: Mapping[str, str]) -> str:
    if isinstance(operand, Symbol):
        return values.get(operand.name, "n").strip('"')
    return operand.text


def text(expression: Expression) -> str:  # noqa: PLR0911 - one for each kind
    """Write an expression as Kconfig files do."""
    match expression:
        case Symbol():
            return expression.name
        case Macro():
            return expression.text
        case Constant():
            plain = expression.text in ("n", "m", "y") or _is_number(expression.text)
            return expression.text if plain else f'"{expression.text}"'
        case Comparison():
            return f"{text(expression.left)}{expression.sign}{text(expression.right)}"
        case Not():
            inner = text(expression.of)
            return f"!{inner}" if isinstance(expression.of, Symbol | Constant | Macro) else f"!({inner})"
        case And():
            return " && ".join(f"({text(t)})" if isinstance(t, Or) else text(t) for t in expression.of)
        case Or():
            return " || ".join(text(one) for one in expression.of)


def both(*expressions: Expression) -> Expression:
    """Return what all of several must fulfil; ``y`` alone asks for nothing."""
    terms: list[Expression] = []
    for one in expressions:
        terms += one.of if isinstance(one, And) else (one,)
    kept = tuple(dict.fromkeys(one for one in terms if one != ALWAYS))
    if len(kept) == 1:
        return kept[0]
    return And(kept) if kept else ALWAYS


def unmet(expression: Expression, values: Mapping[str, str], wanted: str) -> tuple[Expression, ...]:
    """Return the terms, all of which must change for an expression to be ``wanted`` (``m`` or ``y``)."""
    if TRISTATE.index(value(expression, values)) >= TRISTATE.index(wanted):
        return ()
    if isinstance(expression, And):
        return tuple(term for one in expression.of for term in unmet(one, values, wanted))
    return (expression,)


def symbols(expression: Expression) -> tuple[str, ...]:
    """Return the names of all symbols in an expression, each once."""
    match expression:
        case Symbol():
            return (expression.name,)
        case Not():
            return symbols(expression.of)
        case And() | Or():
            return tuple(dict.fromkeys(name for one in expression.of for name in symbols(one)))
        case Comparison():
            operands = (expression.left, expression.right)
            return tuple(one.name for one in operands if isinstance(one, Symbol))
        case _:
            return ()
