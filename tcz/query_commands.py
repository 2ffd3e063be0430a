"""What the commands that ask do: dependencies, search, what is in what, what has changed."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcz import clikit, quick, resolve, split
from tcz.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tcz.mirror.shelf import Item, Shelf, Source
    from tcz.recipe import Recipes


# -- dependencies ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """A package that nobody has, the chain that leads to it, and names that may have been meant."""

    name: str
    chain: tuple[str, ...]
    near: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Bytes of a package; ``installed`` is ``None`` where no mirror tells."""

    name: str
    mirror: str
    download: int | None
    installed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What ``tcz deps --json`` writes; ``why`` and ``sizes`` are empty when they were not asked for."""

    wanted: tuple[str, ...]
    order: tuple[str, ...]
    missing: tuple[Missed, ...]
    cycles: tuple[tuple[str, ...], ...]
    why: tuple[str, ...]
    sizes: tuple[Size, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """A package and its load order, in which it is the last."""

    name: str
    order: tuple[str, ...]


class Everything:
    """The closures of many packages, one after the other; ``warnings`` are complete after the last."""

    def __init__(self, graph: Mapping[str, Sequence[str]], kernel: str | None) -> None:
        """``graph`` tells what each package needs."""
        self._names = sorted(graph)
        self._orders = resolve.Orders(graph.get, kernel)

    def __iter__(self) -> Iterator[Closure]:
        """Find them."""
        return (Closure(name=name, order=self._orders.order(name)) for name in self._names)

    def warnings(self) -> Iterator[str]:
        """Tell what goes round, and what is missing."""
        for cycle in self._orders.cycles.values():
            yield f"goes round: {' -> '.join(cycle)}"
        for name, by in sorted(self._orders.missing.items()):
            yield f"not to be had: {by} -> {name}"


def missed(found: resolve.Resolution, known: Iterable[str]) -> tuple[Missed, ...]:
    """Return what is missing, with what may have been meant."""
    known = tuple(known) if found.missing else ()
    return tuple(
        Missed(name=one.name, chain=one.chain, near=resolve.near(one.name, known)) for one in found.missing
    )


def told(found: resolve.Resolution, why: str | None, gone: Sequence[Missed], sizes: Sequence[Size]) -> Told:
    """Return the parts of a closure that a program may want."""
    return Told(
        wanted=found.wanted,
        order=found.order,
        missing=tuple(gone),
        cycles=found.cycles,
        why=found.why(why.removesuffix(".tcz")) if why else (),
        sizes=tuple(sizes),
    )


def chain_text(found: resolve.Resolution, package: str) -> str:
    """Return the shortest chain to ``package``. Raises ``ConfigError`` when nothing needs it."""
    chain = found.why(package.removesuffix(".tcz"))
    if not chain:
        near = resolve.near(package, found.order)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else None
        raise ConfigError(f"{', '.join(found.wanted)} does not need {package!r}", hint=hint)
    return " -> ".join(chain)


def tree(found: resolve.Resolution) -> tuple[str, ...]:
    """Return the drawings of all that was wanted."""
    return tuple(line for name in found.wanted for line in resolve.tree_lines(found, name))


def sizes(shelf: Shelf, found: resolve.Resolution) -> tuple[Size, ...]:
    """Return the sizes of all packages of a closure, in load order."""
    items = (shelf.item(name) for name in found.order)
    return tuple(
        Size(name=item.name, mirror=item.mirror, download=item.size, installed=item.installed)
        for item in items
        if item is not None
    )


def size_lines(told: Sequence[Size]) -> tuple[str, ...]:
    """Return a table of sizes that ends with their sums."""
    rows = [("package", "download", "installed")]
    rows += [(one.name, _size(one.download), _size(one.installed)) for one in told]
    download = _sum([one.download for one in told])
    rows.append((f"{len(told)} packages", download, _sum([one.installed for one in told])))
    return clikit.columns(rows)


def _size(size: int | None) -> str:
    return "-" if size is None else clikit.size_text(size)


def _sum(values: Sequence[int | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    return ("at least " if len(known) < len(values) else "") + clikit.size_text(sum(known))


def refuse_missing(gone: Sequence[Missed], who: str) -> None:
    """Raise ``ConfigError`` that tells of each missing package, how it is needed and what was meant.

    ``who`` should have it: ``recipe makes`` or ``mirror has``.
    """
    if gone:
        problems = [
            Problem(
                where=" -> ".join(one.chain),
                message=f"no {who} {one.name!r}",
                hint=f"near: {', '.join(one.near)}" if one.near else None,
            )
            for one in gone
        ]
        follows = any(one.name.endswith("-KERNEL") for one in gone)
        hint = "name the kernel with --kernel, as uname -r has it" if follows else None
        raise ConfigError("something that is needed is not to be had", problems, hint=hint)


def remember(mirrors: Sequence[str], branch: str, shelf: Shelf, before: str | None) -> None:
    """Keep what a folder says of dependencies, for the next time; ``before`` is its signature then."""
    if len(mirrors) == 1 and before is not None:
        quick.keep(mirrors[0], branch, before, shelf.graph())


def dependants(
    graph: Mapping[str, Sequence[str]], names: Sequence[str], kernel: str | None, *, deep: bool
) -> tuple[str, ...]:
    """Return who needs ``names``: directly, or through others as well (``deep``), sorted."""
    by_need = resolve.reverse(graph, kernel)
    found: set[str] = set()
    queue = deque(resolve.plain_name(name, kernel) for name in names)
    while queue:
        for one in by_need.get(queue.popleft(), ()):
            if one not in found:
                found.add(one)
                if deep:
                    queue.append(one)
    return tuple(sorted(found))


def refuse_unknown(names: Sequence[str], known: Iterable[str], kernel: str | None = None) -> None:
    """Raise ``ConfigError`` for names that nobody knows."""
    known = set(known)
    plain = {name: resolve.plain_name(name, kernel) for name in names}
    problems = [
        Problem(where=name, message="no such package", hint=", ".join(resolve.near(one, known)) or None)
        for name, one in plain.items()
        if one not in known
    ]
    if problems:
        raise ConfigError("unknown packages", problems)


def recipes_graph(recipes: Recipes) -> dict[str, Sequence[str]]:
    """Return what each package of the recipes needs."""
    everything, _ = recipes.readable()
    return {spec.name: spec.needs for recipe in everything for spec in split.products(recipe)}


# -- looking for something ------------------------------------------------------------------------


def search(shelf: Shelf, words: Sequence[str], *, tags: bool) -> Iterator[Item]:
    """Yield the packages whose name, or with ``tags`` whose line in tags.db, holds every word.

    Words are regular expressions without regard to case, as in Tiny Core's search.sh.
    """
    tests = [_pattern(word) for word in words]

    def matches(item: Item) -> bool:
        text = f"{item.name}.tcz\t{item.tags}" if tags else item.name
        return all(test.search(text) for test in tests)

    return shelf.found(matches)


def _pattern(word: str) -> re.Pattern[str]:
    try:
        return re.compile(word, re.IGNORECASE)
    except re.error as error:
        raise ConfigError(
            f"{word!r} is no pattern: {error}", hint="put a backslash before . + ( [ *"
        ) from error


def providing(shelf: Shelf, path: str) -> dict[str, tuple[str, ...]]:
    """Return which packages have a path that holds ``path``, with these paths.

    A leading ``/`` stands for the start of a path, a ``$`` at the end for its end.
    """
    start, end = path.startswith("/"), path.endswith("$")
    text = path.removesuffix("$").lstrip("/")
    if not text:
        raise ConfigError("no path is named", hint="for example: tcz provides bin/grep$")

    def matches(one: str) -> bool:
        if start and end:
            return one == text
        if start:
            return one.startswith(text)
        return one.endswith(text) if end else text in one

    return shelf.providing(matches)


# -- what has changed -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A package that is not what it was: ``kind`` is ``added``, ``removed`` or ``changed``."""

    name: str
    kind: str
    old: Item | None
    new: Item | None


def changes(old: Source, new: Source) -> tuple[Change, ...]:
    """Return every package that differs, sorted by name."""
    names = sorted({*old.names(), *new.names()})
    found = []
    for name in names:
        was, now = old.item(name), new.item(name)
        if was is None or now is None:
            kind = "added" if was is None else "removed"
        elif (was.sha256 == now.sha256 if was.sha256 and now.sha256 else was.md5 == now.md5) and (
            was.needs == now.needs
        ):
            continue
        else:
            kind = "changed"
        found.append(Change(name=name, kind=kind, old=was, new=now))
    return tuple(found)


def change_lines(found: Sequence[Change]) -> tuple[str, ...]:
    """Return a line for each change: ``+``, ``-`` or ``~``, the name, and what is different."""
    return tuple(_change_line(one) for one in found)


def _change_line(one: Change) -> str:
    if one.old is None or one.new is None:
        return f"{'+' if one.old is None else '-'} {one.name}"
    parts = []
    if one.old.version != one.new.version:
        parts.append(f"{one.old.version or '?'} -> {one.new.version or '?'}")
    elif one.old.md5 != one.new.md5 or one.old.sha256 != one.new.sha256:
        parts.append("other bytes")
    gained = [need for need in one.new.needs if need not in one.old.needs]
    lost = [need for need in one.old.needs if need not in one.new.needs]
    parts += [f"needs {need}" for need in gained] + [f"needs {need} no more" for need in lost]
    return f"~ {one.name}: {', '.join(parts) or 'needs in another order'}"


# -- telling --------------------------------------------------------------------------------------


def item_named(shelf: Shelf, name: str) -> Item:
    """Return all that is known of a package; raises ``ConfigError`` for one that no mirror has."""
    plain = name.removesuffix(".tcz")
    item = shelf.item(plain)
    if item is None:
        refuse_unknown([plain], shelf.names())
        raise ConfigError(f"no mirror has {plain!r}")
    return shelf.described(item)


def item_lines(item: Item) -> tuple[str, ...]:
    """Return what is known of a package, a line each; what is not known is left out."""
    rows = (
        ("name", item.name),
        ("version", item.version),
        ("summary", item.summary),
        ("license", item.license),
        ("tags", item.tags),
        ("download", "" if item.size is None else f"{clikit.size_text(item.size)} ({item.size} bytes)"),
        ("installed", "" if item.installed is None else clikit.size_text(item.installed)),
        ("needs", " ".join(item.needs)),
        ("md5", item.md5),
        ("sha256", item.sha256),
        ("origin", item.origin),
        ("mirror", item.mirror),
    )
    return clikit.columns([row for row in rows if row[1]])


def long_lines(items: Iterable[Item]) -> tuple[str, ...]:
    """Return a table of packages."""
    return clikit.columns([(item.name, item.version or "-", _size(item.size), item.mirror) for item in items])
