"""Boot codes: what the words of a kernel command line mean to Tiny Core, to floe and to the kernel.

They are data, a file each below boot-codes/; kernel.words.toml lists words of the kernel's own.
Splitting follows the kernel (lib/cmdline.c, next_arg): words end at white space outside double
quotes.

Tiny Core's tc-config takes ``key=value`` words by the beginning of their key, so ``isolcpus=2``
works as ``iso=2`` there; other scripts look for a name anywhere in the line, so ``host=safebackup``
works as ``safebackup``, too. Such words are refused, whatever the base, so that a variant means the
same everywhere. gone.words.toml lists words that old documents name and no script reads any more.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, get_args

from remaster.bootvalues import CHECKS
from tcz import toml
from tcz.errors import ConfigError, Problem
from tcz.paths import shipped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Value = Literal["none", "optional", "required"]
_VALUES: Final[tuple[Value, ...]] = get_args(Value)
#: How Tiny Core's scripts find a code that no ``case`` looks for: anywhere, or as a whole word (grep -w).
Search = Literal["", "text", "word"]
_SEARCHES: Final[tuple[Search, ...]] = get_args(Search)
_WORDS_FILE: Final = "kernel.words.toml"
_GONE_FILE: Final = "gone.words.toml"
_MODULE_WORD: Final = re.compile(r"[a-z0-9_-]+\.[A-Za-z0-9_.-]+")
_SPACE: Final = " \t\n\r\v\f"


@dataclass(frozen=True, slots=True, kw_only=True)
class BootCode:
    """One boot code. ``syntax`` is a regular expression for the whole value.

    ``check`` names a check of ``remaster.bootvalues`` that the value must pass besides, unless it is one of
    ``words``. Of a code that may be there several times, ``once`` matches the part of the value that may not.

    ``prefix``: Tiny Core also takes words whose key merely begins with the name. ``floe``: the floe
    base acts on it. ``kernel``: the kernel itself does. ``search``: Tiny Core finds the name within other
    words as well. ``gone``: no script acts on it any more, whatever old documents say.
    """

    name: str
    value: Value
    effect: str
    handler: str
    syntax: str = ""
    check: str = ""
    words: tuple[str, ...] = ()
    once: str = ""
    example: str = ""
    since: str = ""
    floe: bool = False
    kernel: bool = False
    prefix: bool = False
    repeatable: bool = False
    clashes: tuple[str, ...] = ()
    search: Search = ""
    gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One word of a command line; ``value`` is ``None`` without ``=``."""

    key: str
    value: str | None = None

    def __str__(self) -> str:
        """Return the word as it is written."""
        text = self.key if self.value is None else f"{self.key}={self.value}"
        return f'"{text}"' if any(char in _SPACE for char in text) else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Clash:
    """A word that cannot stand where it does, for another is before it."""

    word: Word
    message: str
    hint: str | None = None

    def problem(self, where: str) -> Problem:
        """Return the mistake, at a place."""
        return Problem(where=where, message=self.message, hint=self.hint)


def split(line: str) -> tuple[Word, ...]:
    """Return the words of a command line, double quotes taken off.

    Raises ``ConfigError`` for a quote that is not closed, a word without a key, other characters than ASCII.
    """
    problems: list[Problem] = []
    if any(not (char.isascii() and char.isprintable()) and char not in _SPACE for char in line):
        problems.append(Problem(where=repr(line), message="a command line is of printable ASCII characters"))
    if line.count('"') % 2:
        problems.append(Problem(where=repr(line), message="a double quote is not closed"))
    words = []
    for raw in _raw_words(line):
        key, equals, value = raw.replace('"', "").partition("=")
        if not key:
            problems.append(Problem(where=repr(raw), message="a word needs a name before its ="))
        words.append(Word(key=key, value=value if equals else None))
    if problems:
        raise ConfigError("the boot codes cannot be read", problems)
    return tuple(words)


def _raw_words(line: str) -> list[str]:
    words, word, quoted = [], "", False
    for char in line:
        if char == '"':
            quoted = not quoted
        if char in _SPACE and not quoted:
            if word:
                words.append(word)
            word = ""
        else:
            word += char
    return [*words, word] if word else words


def join(words: Iterable[Word]) -> str:
    """Return the command line of ``words``; ``split`` gives them back."""
    return " ".join(str(word) for word in words)


class BootCodes:
    """All boot codes that are known, by name."""

    def __init__(self, codes: Iterable[BootCode]) -> None:
        """Keep ``codes``, sorted by name, Tiny Core's before the kernel's own."""
        ordered = sorted(codes, key=lambda code: (code.kernel, code.name))
        self._codes = {code.name: code for code in reversed(ordered)}

    @classmethod
    def load(cls, folder: Path | None = None) -> BootCodes:
        """Read every file of ``folder`` (the shipped one, once, when ``None``); raises ``ConfigError``."""
        return cls._shipped() if folder is None else cls._read(folder)

    @classmethod
    @functools.cache
    def _shipped(cls) -> BootCodes:
        return cls._read(shipped(Path(__file__).parent, "boot-codes"))

    @classmethod
    def _read(cls, place: Path) -> BootCodes:
        codes: list[BootCode] = []
        for file in sorted(place.glob("*.toml")):
            several = file.name in (_WORDS_FILE, _GONE_FILE)
            codes += _read_words(file) if several else [_read_code(file)]
        if not codes:
            raise ConfigError(f"{place}: no boot codes there", hint="the installation is not whole")
        return cls(codes)

    def names(self, *, kernel: bool = False) -> tuple[str, ...]:
        """Return the names of boot codes, or of the kernel's own words, sorted."""
        return tuple(sorted(one.name for one in self.all() if one.kernel == kernel))

    def all(self) -> tuple[BootCode, ...]:
        """Return everything that works, sorted by name, the kernel's words last."""
        found = (code for code in self._codes.values() if not code.gone)
        return tuple(sorted(found, key=lambda code: (code.kernel, code.name)))

    def get(self, name: str) -> BootCode:
        """Return a boot code; raise ``ConfigError`` with a guess when there is none of this name."""
        code = self._codes.get(name.partition("=")[0])
        if code is None:
            raise ConfigError(f"there is no boot code {name!r}", hint=self._guess(name))
        return code

    def _guess(self, name: str) -> str:
        return toml.guess(name, self.names() + self.names(kernel=True)) or "`remaster boot-codes` lists them"

    def check(self, words: Sequence[Word], *, where: str = "boot-codes", base: str = "floe") -> None:
        """Raise ``ConfigError`` with all that is wrong: unknown words, bad values, traps, clashes."""
        problems: list[Problem] = []
        for word in words:
            problems += self._check_word(word, where, base)
        problems += (clash.problem(f"{where}: {clash.word}") for clash in self.clashes(words))
        if problems:
            raise ConfigError("these boot codes cannot be used", problems)

    def parse(self, line: str, *, where: str = "boot-codes", base: str = "floe") -> tuple[Word, ...]:
        """``split`` and ``check``."""
        words = split(line)
        self.check(words, where=where, base=base)
        return words

    def captured_by(self, word: Word) -> BootCode | None:
        """Return the boot code that Tiny Core's tc-config would take ``word`` for, if another."""
        if word.value is None:
            return None
        own = self._codes.get(word.key)
        if own is not None and not own.kernel:
            return None
        near = (code for code in self._codes.values() if code.prefix and word.key.startswith(code.name))
        return max((code for code in near if code.name != word.key), key=lambda c: len(c.name), default=None)

    def found_in(self, word: Word) -> BootCode | None:
        """Return the boot code that Tiny Core's scripts would find within ``word``, if another."""
        text = str(word)
        for code in self._codes.values():
            if word.key == code.name or not code.search or code.name not in text:
                continue
            if code.search == "text" or re.search(rf"\b{code.name}\b", text):
                return code
        return None

    def _check_word(self, word: Word, where: str, base: str) -> list[Problem]:
        complaint = self._complaint(word, base)
        if complaint is None:
            return []
        return [Problem(where=f"{where}: {word}", message=complaint[0], hint=complaint[1])]

    def _complaint(self, word: Word, base: str) -> tuple[str, str] | None:
        """Return what is wrong with a word and what helps, or ``None``."""
        captor = self.captured_by(word)
        if captor is not None:
            taken = f"Tiny Core takes every word that begins with {captor.name} as {captor.name}="
            return f"{taken}, so this would work as {captor.name}={word.value}", captor.effect
        within = self.found_in(word)
        if within is not None:
            how = "anywhere in the line" if within.search == "text" else "as a word of the line"
            what = f"Tiny Core looks for {within.name} {how}, so it would find it in this one"
            return what, f"{within.name}: {within.effect}"
        code = self._codes.get(word.key)
        if code is not None and code.gone:
            return "no script acts on this one", code.effect
        if code is None:
            # module.parameter=value: the kernel hands it to the module.
            for_module = word.value is not None and _MODULE_WORD.fullmatch(word.key)
            return None if for_module else ("no such boot code", self._guess(word.key))
        if base == "floe" and not (code.floe or code.kernel):
            return "the floe base does not know this one", f"what it does in Tiny Core: {code.effect}"
        return _value_complaint(code, word.value)

    def clashes(self, words: Sequence[Word]) -> tuple[Clash, ...]:
        """Return what cannot stand together in a command line."""
        found: list[Clash] = []
        seen: list[Word] = []
        for word in words:
            code = self._codes.get(word.key)
            if code is None:
                continue
            if any(self._same(code, word, other) for other in seen):
                part = re.match(code.once, word.value or "") if code.once else None
                name = f"{word.key}={part[0]}" if part else str(word) if code.repeatable else word.key
                message = f"{name} is there twice; only one can work"
                found.append(Clash(word=word, message=message))
            for other in dict.fromkeys(one.key for one in seen if one.key in code.clashes):
                message = f"it clashes with {other}"
                found.append(Clash(word=word, message=message, hint=self._codes[other].effect))
            seen.append(word)
        return tuple(found)

    @staticmethod
    def _same(code: BootCode, word: Word, other: Word) -> bool:
        """Tell whether two words cannot both work."""
        if word.key != other.key or not code.repeatable:
            return word.key == other.key
        if not code.once:
            return word == other
        parts = [re.match(code.once, one.value or "") for one in (word, other)]
        return parts[0] is not None and parts[1] is not None and parts[0][0] == parts[1][0]


def _value_complaint(code: BootCode, value: str | None) -> tuple[str, str] | None:
    if value is None:
        return ("a value is missing", f"such as {code.example}") if code.value == "required" else None
    if code.value == "none":
        return "it takes no value", f"write {code.name}"
    if not re.fullmatch(code.syntax, value):
        return f"{value!r} is not a value it takes", f"such as {code.example}"
    if code.check and value not in code.words:
        complaint = CHECKS[code.check](value)
        return None if complaint is None else (complaint, f"such as {code.example}")
    return None


def explain(code: BootCode) -> str:
    """Return the text that explains a boot code to a person."""
    value = {"none": "", "optional": "[=VALUE]", "required": "=VALUE"}[code.value]
    lines = [f"{code.name}{value}", f"  {code.effect}"]
    if code.example:
        lines.append(f"  example: {code.example}")
    if code.gone:
        return "\n".join((*lines, "  handled by: nothing; images with it are refused")) + "\n"
    lines.append(f"  handled by: {code.handler}")
    if not code.kernel:
        lines.append(f"  in floe: {'yes' if code.floe else 'no'}")
    if code.since:
        lines.append(f"  since: {code.since}")
    if code.clashes:
        lines.append(f"  not together with: {', '.join(code.clashes)}")
    if code.prefix:
        lines.append(f"  beware: Tiny Core takes any word that begins with {code.name} and has a = for it")
    if code.search:
        how = "within other words" if code.search == "text" else "as a word, also in the values of others"
        lines.append(f"  beware: Tiny Core finds {code.name} {how}")
    if code.repeatable:
        lines.append("  may be given more than once")
    return "\n".join(lines) + "\n"


def _pattern(text: str) -> str | None:
    try:
        re.compile(text)
    except re.error as error:
        return f"not a regular expression: {error}"
    return None


def _check(name: str) -> str | None:
    return None if name in CHECKS else f"{name!r} is no check; there are {', '.join(CHECKS)}"


def _read_code(file: Path) -> BootCode:
    document = toml.read(file)
    table = document.root
    table.integer("schema", low=1, high=1)
    handler = table.string("handler")
    code = _code(table, handler, kernel=False)
    if code.name != file.stem:
        table.fail("name", f"the file of {code.name!r} must be named {code.name}.toml")
    document.finish(f"boot code {file.stem}")
    return code


def _read_words(file: Path) -> list[BootCode]:
    document = toml.read(file)
    document.root.integer("schema", low=1, high=1)
    gone = file.name == _GONE_FILE
    handler = "" if gone else "the kernel"
    codes = [_code(table, handler, kernel=not gone) for table in document.root.tables("word")]
    document.finish("words that mean nothing" if gone else "the kernel's words")
    return [replace(code, gone=gone) for code in codes]


def _code(table: toml.Table, handler: str, *, kernel: bool) -> BootCode:
    name = table.string("name")
    value = table.choice("value", _VALUES)
    syntax = example = text = ""
    if value != "none":
        syntax = table.string("syntax", check=_pattern)
        example = table.string("example")
        text = example.removeprefix(name).removeprefix("=")
        if syntax and _pattern(syntax) is None and not re.fullmatch(syntax, text):
            table.fail("example", f"{example!r} does not match the syntax")
    check, words = table.string("check", "", check=_check), table.strings("words", ())
    if example and check in CHECKS and text not in words and CHECKS[check](text) is not None:
        table.fail("example", f"{example!r} does not pass the check {check}")
    return BootCode(
        name=name,
        value=value,
        syntax=syntax,
        check=check,
        words=words,
        once=table.string("once", "", check=_pattern),
        example=example,
        handler=handler,
        effect=table.string("effect"),
        since=table.string("since", ""),
        floe=table.boolean("floe", default=False),
        kernel=kernel,
        prefix=table.boolean("prefix", default=False),
        repeatable=table.boolean("repeatable", default=False),
        clashes=table.strings("clashes", ()),
        search=table.choice("search", _SEARCHES, ""),
    )
