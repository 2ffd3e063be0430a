"""GRUB's script as a tree of commands: words with variables in them, blocks, conditions, loops, functions.

Grammar: the GRUB manual, "Writing full configuration files directly". Patient: whatever a text is, it is some
script; a quote that is never closed is a letter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

#: Plain, within quotes, a variable, a variable within double quotes.
Piece: TypeAlias = "tuple[str, Literal['plain', 'quoted', 'variable', 'quoted variable']]"
Word: TypeAlias = "tuple[Piece, ...]"
Node: TypeAlias = "Command | If | Loop | Function"

_DEPTH_MAX: Final = 40
_VARIABLE = re.compile(r"\$(?:\{(\w+|[@*#?])\}|([A-Za-z_]\w*|\d|[@*#?]))")
_ENDS: Final = frozenset("\n;&|")
_CLOSERS: Final = frozenset({"fi", "else", "elif", "then", "do", "done", "}"})


@dataclass(frozen=True, slots=True)
class Command:
    """A command; ``block`` is what stands in braces behind its words."""

    words: tuple[Word, ...]
    block: tuple[Node, ...] | None = None


@dataclass(frozen=True, slots=True)
class If:
    """Conditions with what they lead to, in order; the last may have none."""

    branches: tuple[tuple[tuple[Node, ...], tuple[Node, ...]], ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """``for`` with a name and words; ``while`` and ``until`` without."""

    name: str
    words: tuple[Word, ...]
    body: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """What a name stands for from now on."""

    name: str
    body: tuple[Node, ...]


def plain(word: Word) -> str:
    """Return a word as it is written, without quotes."""
    return "".join(text if "variable" not in kind else f"${{{text}}}" for text, kind in word)


def parse(text: str) -> tuple[Node, ...]:
    """Read a script."""
    parser = _Parser(_tokens(text.replace("\r\n", "\n").replace("\\\n", " ")))
    nodes: list[Node] = []
    while parser.more:
        nodes += parser.commands(0)
        parser.skip()  # what closes nothing
    return tuple(nodes)


# -- words ----------------------------------------------------------------------------------------


def _tokens(text: str) -> list[Word | str]:
    """Return words, and ends of commands as text."""
    out: list[Word | str] = []
    at, size = 0, len(text)
    while at < size:
        char = text[at]
        if char in _ENDS:
            out.append(";")
            at += 1
        elif char.isspace():
            at += 1
        elif char == "#":
            end = text.find("\n", at)
            at = size if end < 0 else end
        else:
            word, at = _word(text, at)
            out.append(word)
    return out


def _word(text: str, at: int) -> tuple[Word, int]:
    pieces: list[Piece] = []
    while at < len(text) and not text[at].isspace() and text[at] not in _ENDS:
        char = text[at]
        found = _VARIABLE.match(text, at) if char == "$" else None
        if found:
            pieces.append((found[1] or found[2], "variable"))
            at = found.end()
        elif char == "\\" and at + 1 < len(text):
            pieces.append((text[at + 1], "quoted"))
            at += 2
        elif char in "'\"" and (end := _closing(text, at)) > 0:
            pieces += [(text[at + 1 : end], "quoted")] if char == "'" else _quoted(text[at + 1 : end])
            at = end + 1
        else:
            pieces.append((char, "plain"))
            at += 1
    return tuple(_joined(pieces)), at


def _closing(text: str, at: int) -> int:
    if text[at] == "'":
        return text.find("'", at + 1)
    end = at + 1
    while end < len(text) and text[end] != '"':
        end += 2 if text[end] == "\\" else 1
    return end if end < len(text) else -1


def _quoted(text: str) -> list[Piece]:
    pieces: list[Piece] = [("", "quoted")]
    at = 0
    while at < len(text):
        found = _VARIABLE.match(text, at)
        if found:
            pieces.append((found[1] or found[2], "quoted variable"))
            at = found.end()
            continue
        at += text[at] == "\\" and text[at + 1 : at + 2] in ('"', "\\", "$")
        pieces.append((text[at : at + 1], "quoted"))
        at += 1
    return pieces


def _joined(pieces: list[Piece]) -> list[Piece]:
    out: list[Piece] = []
    run: list[str] = []
    for number, (text, kind) in enumerate(pieces):
        if "variable" in kind:
            out.append((text, kind))
            continue
        run.append(text)
        if number + 1 == len(pieces) or pieces[number + 1][1] != kind:
            out.append(("".join(run), kind))
            run = []
    return out


# -- commands -------------------------------------------------------------------------------------


class _Parser:
    def __init__(self, tokens: list[Word | str]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def more(self) -> bool:
        return self._at < len(self._tokens)

    def skip(self) -> None:
        self._at += 1

    def _keyword(self) -> str:
        """Return the word that is next where it is written plainly, else nothing."""
        token = self._tokens[self._at] if self.more else ""
        return token[0][0] if isinstance(token, tuple) and len(token) == 1 and token[0][1] == "plain" else ""

    def _is_end(self) -> bool:
        return not self.more or self._tokens[self._at] == ";"

    def _past(self, keyword: str) -> bool:
        while self.more and self._tokens[self._at] == ";":
            self._at += 1
        if self._keyword() != keyword:
            return False
        self._at += 1
        return True

    def commands(self, depth: int) -> tuple[Node, ...]:
        """Read until something closes what is open, or the end."""
        nodes: list[Node] = []
        while self.more and self._keyword() not in _CLOSERS:
            if self._is_end():
                self._at += 1
                continue
            if depth > _DEPTH_MAX:
                self._at = len(self._tokens)
                break
            nodes.append(self._node(depth + 1))
        return tuple(nodes)

    def _node(self, depth: int) -> Node:
        keyword = self._keyword()
        if keyword == "if":
            self._at += 1
            return self._if(depth)
        if keyword in ("for", "while", "until"):
            self._at += 1
            return self._loop(keyword, depth)
        if keyword == "function":
            self._at += 1
            said = self._words()
            return Function(plain(said[0]) if said else "", self._block(depth) or ())
        words = self._words()
        return Command(words, self._block(depth))

    def _words(self) -> tuple[Word, ...]:
        words: list[Word] = []
        while not self._is_end() and self._keyword() != "{":
            # A brace closes a block where a command begins; on the same line as well, as people write it.
            if words and self._keyword() == "}":
                break
            token = self._tokens[self._at]
            words.append(token if isinstance(token, tuple) else ())
            self._at += 1
        return tuple(words)

    def _block(self, depth: int) -> tuple[Node, ...] | None:
        here = self._at
        if not self._past("{"):
            self._at = here
            return None
        nodes = self.commands(depth)
        self._past("}")
        return nodes

    def _if(self, depth: int) -> If:
        branches = []
        while True:
            condition = self.commands(depth)
            self._past("then")
            branches.append((condition, self.commands(depth)))
            if not self._past("elif"):
                break
        if self._past("else"):
            branches.append(((), self.commands(depth)))
        self._past("fi")
        return If(tuple(branches))

    def _loop(self, keyword: str, depth: int) -> Loop:
        name = ""
        words: tuple[Word, ...] = ()
        if keyword == "for":
            said = self._words()
            name, words = (plain(said[0]) if said else ""), said[2:]
        else:
            self.commands(depth)
        self._past("do")
        body = self.commands(depth)
        self._past("done")
        return Loop(name, words, body)
