"""Menus of GRUB read: its script is followed as far as can be told without the machine.

What depends on the machine stays open: both ways of a condition are gone, a variable that either may have set
is unknown and stands as it is written, and of files on other devices nothing is said. Commands, variables and
the rules of ``default``: the GRUB manual.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from remaster.survey import grubscript
from remaster.survey.grubscript import Command, Function, If, Loop, Node, Word
from remaster.survey.menutext import Around, BootConfig, Draft

_LINUX: Final = ("linux", "linux16", "linuxefi")
_INITRD: Final = ("initrd", "initrd16", "initrdefi")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_DEVICE = re.compile(r"\(([^()]*)\)")
_STEPS_MAX: Final = 20_000
_CALLS_MAX: Final = 20
#: What an option of menuentry takes; others stand alone.
_TAKES: Final = ("--id", "--class", "--users", "--hotkey", "--source")
_SEARCHES: Final = {"search.file": "file", "search.fs_label": "label", "search.fs_uuid": "fs-uuid"}
_SHORT: Final = {"-f": "file", "-l": "label", "-u": "fs-uuid", "-s": "set", "-n": "no-floppy"}
_WORDS: Final = 3


def _open(name: str) -> str:
    """Return what stands for a variable whose value cannot be told; ``root`` is then this medium."""
    return f"${{{name}}}"


@dataclass(slots=True)
class _Item:
    """An entry of a menu, or a submenu: then ``items`` are what it has."""

    draft: Draft
    block: tuple[Node, ...]
    variables: dict[str, str] = field(default_factory=dict)
    items: list[_Item] = field(default_factory=list)
    is_menu: bool = False


@dataclass(slots=True)
class _State:
    """Where the script is: the menu that it fills, or the entry, and what its variables are."""

    where: str
    variables: dict[str, str]
    items: list[_Item]
    draft: Draft | None = None
    timeout_where: str = ""
    calls: int = 0


@dataclass(slots=True)
class _Reader:
    around: Around
    functions: dict[str, tuple[Node, ...]] = field(default_factory=dict)
    steps: int = _STEPS_MAX

    def run(self, nodes: tuple[Node, ...], state: _State) -> None:
        for node in nodes:
            self.steps -= 1
            if self.steps < 0:
                return
            if isinstance(node, Command):
                self._command(node, state)
            elif isinstance(node, If):
                self._branches(node, state)
            elif isinstance(node, Function):
                self.functions[node.name] = node.body
            else:
                self._loop(node, state)

    def finish(self, items: list[_Item], after: dict[str, str]) -> None:
        """Do what entries do when they are chosen: with the variables as they are after the whole script."""
        for item in items:
            state = _State(item.draft.where, {**after, **item.variables}, item.items)
            state.draft = None if item.is_menu else item.draft
            self.run(item.block, state)
            self.finish(item.items, state.variables)
            item.variables = state.variables

    # -- conditions and loops

    def _branches(self, node: If, state: _State) -> None:
        """Go the way that is taken, or all that may be."""
        ways, before, closed = [], dict(state.variables), False
        for condition, body in node.branches:
            state.variables = dict(before)
            holds = self._holds(condition, state) if condition else True
            if holds is not False:
                self.run(body, state)
                ways.append(state.variables)
            closed = holds is True
            if closed:
                break
        state.variables = _merged(ways if closed else [before, *ways])

    def _holds(self, condition: tuple[Node, ...], state: _State) -> bool | None:
        """Tell whether a condition holds; ``None`` where only the machine can tell."""
        self.run(condition[:-1], state)
        last = condition[-1]
        words = self._expanded(last.words, state) if isinstance(last, Command) else []
        if words[:1] == ["["] and words[-1:] == ["]"]:
            words = ["test", *words[1:-1]]
        if words[:1] == ["test"]:
            return self._tested(words[1:], state)
        if words in (["true"], ["false"]):
            return words == ["true"]
        self.run((last,), state)
        return None

    def _tested(self, words: list[str], state: _State) -> bool | None:
        if words[:1] == ["!"]:
            inner = self._tested(words[1:], state)
            return None if inner is None else not inner
        if any("$" in word for word in words) or len(words) > _WORDS:
            return None
        if len(words) == _WORDS and words[1] in ("=", "==", "!="):
            return (words[0] == words[2]) == (words[1] != "!=")
        if len(words) == 2:  # noqa: PLR2004 - an operator and what it is about
            if words[0] in ("-n", "-z"):
                return bool(words[1]) == (words[0] == "-n")
            path, elsewhere = _path(words[1], state)
            return True if not elsewhere and self.around.find(path) else None
        return bool(words and words[0]) if len(words) < 2 else None  # noqa: PLR2004

    def _loop(self, node: Loop, state: _State) -> None:
        values = self._expanded(node.words, state)
        if not node.name or any("*" in value or "$" in value for value in values):
            values = [_open(node.name)]
        for value in values:
            if node.name:
                state.variables[node.name] = value
            self.run(node.body, state)

    # -- commands

    def _command(self, node: Command, state: _State) -> None:
        first = self._text(node.words[0], state) if node.words else ""
        if first == "set" or _ASSIGNMENT.match(first):
            said = node.words[1] if first == "set" and len(node.words) > 1 else node.words[0]
            self._set(*self._text(said, state).partition("=")[::2], state)
            return
        words = self._expanded(node.words, state)
        name, rest = (words[0], words[1:]) if words else ("", [])
        if name in ("menuentry", "submenu") and node.block is not None:
            self._item(rest, node.block, state, is_menu=name == "submenu")
        elif name in _LINUX and state.draft is not None and rest:
            state.draft.kernel, state.draft.elsewhere = _path(rest[0], state)
            state.draft.words = tuple(rest[1:])
        elif name in _INITRD and state.draft is not None:
            paths = [_path(word, state) for word in rest if not word.startswith("--")]
            state.draft.initrds = tuple(path for path, _ in paths)
            state.draft.elsewhere = state.draft.elsewhere or any(elsewhere for _, elsewhere in paths)
        elif name in ("source", ".", "configfile") and rest:
            self._other(name, rest[0], node.words[-1], state)
        elif name == "search" or name in _SEARCHES:
            self._search(name, rest, state)
        elif name == "unset":
            for one in rest:
                state.variables.pop(one, None)
        elif name in self.functions and state.calls < _CALLS_MAX:
            state.calls += 1
            self.run(self.functions[name], state)
            state.calls -= 1

    @staticmethod
    def _set(name: str, value: str, state: _State) -> None:
        state.variables[name] = value
        if name == "timeout":
            state.timeout_where = state.where

    @staticmethod
    def _item(words: list[str], block: tuple[Node, ...], state: _State, *, is_menu: bool) -> None:
        label, titles, at = "", [], 0
        while at < len(words):
            option, _, value = words[at].partition("=")
            if option in _TAKES and not value and "=" not in words[at]:
                at += 1
                value = words[at] if at < len(words) else ""
            if option == "--id":
                label = value
            elif not words[at].startswith("--") and option not in _TAKES:
                titles.append(words[at])
            at += 1
        draft = Draft(label=label, where=state.where, title=titles[0] if titles else "")
        numbered = {str(number): text for number, text in enumerate(titles[1:], 2)}
        state.items.append(_Item(draft, block, numbered, is_menu=is_menu))

    def _other(self, name: str, path: str, written: Word, state: _State) -> None:
        """Go on in another file: with this menu (``source``), or with one of its own (``configfile``)."""
        real_path, elsewhere = _path(path, state)
        folder = state.where.rpartition("/")[0]
        sure = not elsewhere and "$" not in grubscript.plain(written) and "(" not in path
        if "$" in real_path:
            return
        real, text = self.around.enter(real_path, state.where, ("", folder), tell=sure)
        if not real:
            return
        before, state.where = state.where, real
        if name == "configfile":
            _clear(state)
        self.run(grubscript.parse(text), state)
        state.where = before
        self.around.leave()

    def _search(self, name: str, words: list[str], state: _State) -> None:
        """Set a variable to where something is: here, where it is here; else that cannot be told."""
        kind, target, wanted = _SEARCHES.get(name, "device"), "", []
        at = 0
        while at < len(words):
            option, _, value = words[at].partition("=")
            option = _SHORT.get(option, option.removeprefix("--") if option.startswith("--") else "")
            if option == "set":
                names = (value, words[at + 1] if at + 1 < len(words) else "")
                # "--set root X" and "--set X" are both written.
                separate = not value and names[1] in ("root", *state.variables)
                target, at = value or (names[1] if separate else "root"), at + separate
            elif option in _SEARCHES.values():
                kind = option
                wanted += [value] if value else []
            elif not option:
                wanted.append(words[at])
            at += 1
        if name in _SEARCHES and len(wanted) > 1:
            target = wanted.pop()
        if not wanted:
            return
        here = wanted[0] in self.around.labels
        if kind == "file":
            here = self.around.find(wanted[0]) is not None
        if target or name in _SEARCHES:
            target = target or "root"
            state.variables[target] = _open("root") if here else _open("somewhere")

    # -- words

    def _text(self, word: Word, state: _State) -> str:
        return "".join(_value(text, state) if "variable" in kind else text for text, kind in word)

    def _expanded(self, words: tuple[Word, ...], state: _State) -> list[str]:
        """Return words with the values of variables; what is not quoted may become several, or none."""
        out: list[str] = []
        for word in words:
            if all(kind != "variable" for _, kind in word):
                out.append(self._text(word, state))
                continue
            whole, there = "", False
            for text, kind in word:
                if kind != "variable":
                    whole, there = whole + (_value(text, state) if "variable" in kind else text), True
                    continue
                value = _value(text, state)
                parts = value.split()
                if parts and not value[0].isspace():
                    whole, there = whole + parts.pop(0), True
                for part in parts:
                    out += [whole] if there else []
                    whole, there = part, True
            out += [whole] if there else []
        return out


def _value(name: str, state: _State) -> str:
    if name.startswith("feature_"):
        return state.variables.get(name, "y")
    unset = _open(name) if name in ("root", "grub_platform", "grub_cpu", "cmdpath") else ""
    return state.variables.get(name, unset)


def _path(text: str, state: _State) -> tuple[str, bool]:
    """Return a path without its device, and whether it is elsewhere, or where cannot be told."""
    root = state.variables.get("root", _open("root"))
    device = _DEVICE.match(text)
    if device:
        text, root = text[device.end() :], device[1]
    return text, root != _open("root") or "$" in text


def _merged(ways: list[dict[str, str]]) -> dict[str, str]:
    """Return variables after ways that may have been gone; of default and timeout the last value counts."""
    merged: dict[str, str] = {}
    for name in dict.fromkeys(name for way in ways for name in way):
        values = [way.get(name, _open("root") if name == "root" else "") for way in ways]
        same = len(set(values)) == 1
        last = next((way[name] for way in reversed(ways) if way.get(name)), "")
        merged[name] = last if same or name in ("default", "timeout") else _open(name)
        if name == "root" and not same:
            merged[name] = _open("somewhere")
    return merged


def _clear(state: _State) -> None:
    """Begin a menu of its own, unless it is one of entries that were told before."""
    if state.draft is None:
        state.items.clear()
    else:
        state.draft = None
    for name in ("default", "timeout"):
        state.variables.pop(name, None)


def grub(text: str, where: str, around: Around | None = None) -> BootConfig:
    """Read grub.cfg."""
    reader = _Reader(around or Around())
    folder = where.rpartition("/")[0]
    state = _State(where, {"prefix": f"/{folder}"}, [])
    reader.run(grubscript.parse(text), state)
    reader.finish(state.items, state.variables)
    chosen = _chosen(state.items, state.variables.get("default", ""))
    entries = tuple(draft.entry("grub", default=draft is chosen) for draft in _drafts(state.items))
    timeout = state.variables.get("timeout", "")
    return BootConfig(
        entries=entries,
        timeout=float(timeout) if timeout.isascii() and timeout.isdecimal() else None,
        timeout_where=state.timeout_where or where,
    )


def _drafts(items: list[_Item]) -> list[Draft]:
    found = []
    for item in items:
        found += [item.draft] if item.draft.kernel else []
        found += _drafts(item.items)
    return found


def _chosen(items: list[_Item], default: str) -> Draft | None:
    """Return the entry that ``default`` means: a number, a title or an identifier, behind > in a submenu."""
    if not items:
        return None
    head, _, rest = default.partition(">")
    by_name = next((one for one in items if head and head in (one.draft.label, one.draft.title)), None)
    number = int(head) if head.isascii() and head.isdecimal() and len(head) < 7 else 0  # noqa: PLR2004
    item = by_name or (items[number] if number < len(items) else items[0])
    if item.items:
        return _chosen(item.items, rest or item.variables.get("default", ""))
    return item.draft
