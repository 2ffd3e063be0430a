"""The indexes of a folder of modules, as depmod of kmod writes them (depmod(8), modules.dep(5)).

modules.order decides the order; what it does not name follows by path, where depmod takes what the file
system gives first. Unlike depmod, nothing reads configuration (depmod.d) and links are not followed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tcz.errors import VerifyError
from tcz.kmod import trie
from tcz.kmod.modinfo import name_of, plain_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tcz.kmod.modinfo import Module

_DEVICE = re.compile(r"(char|block)-major-(\d+)-(\d+)")
_DEVNAME: Final = "devname:"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexFile:
    """A file beside the modules."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """A module, and all that is loaded before it, the first one last, as modules.dep has them."""

    module: Module
    needs: tuple[Module, ...]


def link(modules: Iterable[Module], order: str = "") -> tuple[Linked, ...]:
    """Find what each module needs; ``order`` is the text of modules.order.

    Of two modules of one name the last by path is taken. Raises ``VerifyError`` for modules that need each
    other.
    """
    ranks = {line.strip(): number for number, line in reversed([*enumerate(order.splitlines())])}
    named = {one.name: one for one in sorted(modules, key=lambda one: one.path)}
    ordered = sorted(named.values(), key=lambda one: (ranks.get(plain_path(one.path), len(ranks)), one.path))
    owners = {symbol: place for place, one in enumerate(ordered) for symbol in one.exports}
    direct = [
        tuple(dict.fromkeys(owners[symbol] for symbol in one.wants if symbol in owners)) for one in ordered
    ]
    places = _sorted(ordered, direct)
    return tuple(
        Linked(
            module=one,
            needs=tuple(ordered[place] for place in sorted(_all_of(number, direct), key=places.__getitem__)),
        )
        for number, one in enumerate(ordered)
    )


def _sorted(ordered: Sequence[Module], direct: Sequence[tuple[int, ...]]) -> list[int]:
    """Return each module's place in an order where whatever is needed comes after what needs it."""
    users = [0] * len(ordered)
    for needs in direct:
        for need in needs:
            users[need] += 1
    free = [number for number, count in enumerate(users) if not count]
    places = [-1] * len(ordered)
    taken = 0
    while free:
        number = free.pop()
        places[number] = taken
        taken += 1
        for need in direct[number]:
            users[need] -= 1
            if not users[need]:
                free.append(need)
    if taken < len(ordered):
        names = ", ".join(ordered[number].name for number, place in enumerate(places) if place < 0)
        raise VerifyError(f"modules need each other: {names}")
    return places


def _all_of(number: int, direct: Sequence[tuple[int, ...]]) -> set[int]:
    found: set[int] = set()
    waiting = list(direct[number])
    while waiting:
        need = waiting.pop()
        if need not in found:
            found.add(need)
            waiting += direct[need]
    return found


def indexes(
    linked: Sequence[Linked], *, builtin: str = "", builtin_info: bytes = b"", binary: bool = True
) -> tuple[IndexFile, ...]:
    """Return all index files; ``builtin`` and ``builtin_info`` are modules.builtin and its .modinfo.

    BusyBox reads texts only, so ``binary`` indexes may be left out. Lines of modules.symbols are sorted.
    """
    texts = {
        "modules.dep": (f"{_line(one)}\n" for one in linked),
        "modules.alias": (
            "# Aliases extracted from modules themselves.\n",
            *(f"alias {alias} {one.module.name}\n" for one in linked for alias in one.module.aliases),
        ),
        "modules.softdep": (
            "# Soft dependencies extracted from modules themselves.\n",
            *(f"softdep {one.module.name} {text}\n" for one in linked for text in one.module.softdeps),
        ),
        "modules.weakdep": (
            "# Weak dependencies extracted from modules themselves.\n",
            *(f"weakdep {one.module.name} {text}\n" for one in linked for text in one.module.weakdeps),
        ),
        "modules.symbols": (
            "# Aliases for symbols, used by symbol_request().\n",
            *(f"alias symbol:{symbol} {name}\n" for symbol, name, _ in _owned(linked)),
        ),
        "modules.devname": _devnames(linked),
    }
    files = [IndexFile(name=name, data="".join(lines).encode()) for name, lines in texts.items()]
    return (*files, *(_binary(linked, builtin, builtin_info) if binary else ()))


def _line(one: Linked) -> str:
    return f"{one.module.path}:" + "".join(f" {need.path}" for need in one.needs)


def _owned(linked: Sequence[Linked]) -> list[tuple[str, str, int]]:
    """Return each exported symbol, the module that has it, and that one's place."""
    owners = {
        symbol: (one.module.name, place) for place, one in enumerate(linked) for symbol in one.module.exports
    }
    return [(symbol, name, place) for symbol, (name, place) in sorted(owners.items())]


def _devnames(linked: Sequence[Linked]) -> Iterator[str]:
    heading = "# Device nodes to trigger on-demand module loading.\n"
    for one in linked:
        device = node = ""
        for alias in one.module.aliases:
            found = _DEVICE.match(alias)
            if alias.startswith(_DEVNAME):
                device = alias.removeprefix(_DEVNAME)
            elif found:
                node = f"{found[1][0]}{int(found[2])}:{int(found[3])}"
            if device and node:
                yield f"{heading}{one.module.name} {device} {node}\n"
                heading = ""
                break


def _binary(linked: Sequence[Linked], builtin: str, builtin_info: bytes) -> Iterator[IndexFile]:
    entry = trie.Entry
    yield _index(
        "dep",
        (entry(key=one.module.name, value=_line(one), priority=place) for place, one in enumerate(linked)),
    )
    yield _index(
        "alias",
        (
            entry(key=normal, value=one.module.name, priority=place)
            for place, one in enumerate(linked)
            for normal in map(normalized, one.module.aliases)
            if normal is not None
        ),
    )
    yield _index(
        "symbols",
        (entry(key=f"symbol:{symbol}", value=name, priority=place) for symbol, name, place in _owned(linked)),
    )
    names = (name_of(line.strip()) for line in builtin.splitlines() if line[:1].isalpha())
    yield _index("builtin", (entry(key=name, value="") for name in names))
    yield _index("builtin.alias", _builtin_aliases(builtin_info))


def _index(name: str, entries: Iterable[trie.Entry]) -> IndexFile:
    return IndexFile(name=f"modules.{name}.bin", data=trie.write(entries))


def _builtin_aliases(info: bytes) -> Iterator[trie.Entry]:
    for text in info.decode(errors="replace").split("\0"):
        name, _, rest = text.partition(".")
        key, _, value = rest.partition("=")
        normal = normalized(value) if key == "alias" and name else None
        if normal:
            yield trie.Entry(key=normal, value=name)


def normalized(alias: str) -> str | None:
    """Return an alias as it is looked up: ``_`` for ``-`` but in brackets, ``None`` if one is open."""
    parts = re.split(r"(\[[^\]]*\])", alias)
    if any("[" in part or "]" in part for part in parts[::2]):
        return None
    return "".join(part if number % 2 else part.replace("-", "_") for number, part in enumerate(parts))
