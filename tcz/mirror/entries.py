"""The entries of a branch as the lines of its list, each read when it is asked for.

A line says all of its entry and says it in one way only, so that lines tell what has changed: two branches
of ten thousands of packages are compared, and one is made from the other, without reading what is the same.
The lines stay in their file (``tcz.mirror.lines``); what is changed stands beside it until it is written.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import ItemsView, Mapping, ValuesView
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from tcz.errors import ConfigError, VerifyError
from tcz.mirror.lines import ENTRY, PLAIN, Lines
from tcz.mirror.model import SUFFIXES, Blob, Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tcz.mirror.model import Catalogue

_HEX = re.compile(r"[0-9a-f]{64}\Z")
_MD5 = re.compile(r"[0-9a-f]{32}\Z")
_TEXTS: Final = ("tags", "version", "summary", "license", "origin")
_NEEDS = re.compile(rb',"needs":\["(%b(?:","%b)*)"\]' % (PLAIN, PLAIN))
_PACKAGE = re.compile(rb'"md5":"([0-9a-f]{32})","files":\{"":\["([0-9a-f]{64})",[0-9]+\]')
#: Quotes within a text have backslashes before them.
_TAGS = re.compile(rb',"tags":"((?:[^"\\]|\\.)*)"')


def entry_line(entry: Entry) -> bytes:
    """Return the line of an entry, without its end."""
    fields: dict[str, object] = {
        "name": entry.name,
        "md5": entry.md5,
        "files": {suffix: [blob.sha256, blob.size] for suffix, blob in sorted(entry.files.items())},
        "installed": entry.installed,
    }
    if entry.needs:
        fields["needs"] = list(entry.needs)
    fields |= {key: value for key in _TEXTS if (value := getattr(entry, key))}
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()


def read_entry(line: bytes) -> Entry:
    """Read the line of an entry; raises ``ValueError`` and its kin for what is malformed."""
    data: dict[str, Any] = json.loads(line)
    if not _MD5.match(data["md5"]):
        raise ValueError("an md5 is malformed")
    files = {suffix: read_blob(blob) for suffix, blob in data["files"].items()}
    if "" not in files or not set(files) <= set(SUFFIXES):
        raise ValueError("an entry's files are malformed")
    return Entry(
        name=data["name"],
        md5=data["md5"],
        files=files,
        needs=tuple(data.get("needs", ())),
        installed=read_count(data["installed"]),
        **{key: _text(data.get(key, "")) for key in _TEXTS},
    )


def read_blob(data: list[Any]) -> Blob:
    """Read a pair of hash and size; raises ``ValueError`` and its kin."""
    sha256, size = data
    if not _HEX.match(sha256):
        raise ValueError("a sha256 is malformed")
    return Blob(sha256=sha256, size=read_count(size))


def read_count(value: object) -> int:
    """Read a number that counts; raises ``ValueError``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("a count is malformed")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is malformed")
    return value


class Facts(NamedTuple):
    """What tells whether a package is another: of its entry, what is quick to read."""

    md5: str
    sha256: str
    needs: tuple[str, ...]
    tags: str


class Entries(Mapping[str, Entry]):
    """Entries by name, in the order of names; never changed.

    Whoever asks for one that is damaged gets a ``VerifyError``.
    """

    __slots__ = ("_base", "_changes", "_count")

    def __init__(self, base: Lines, changes: Mapping[str, bytes | None]) -> None:
        """Take the lines of a file, and others by name that count in their place; ``None`` for those gone."""
        self._base = base
        self._changes = changes
        self._count: int | None = None if changes else base.count

    @classmethod
    def of(cls, entries: Mapping[str, Entry]) -> Entries:
        """Return the same entries as lines."""
        if isinstance(entries, cls):
            return entries
        return cls(_NONE, {name: entry_line(entry) for name, entry in entries.items()})

    @classmethod
    def read(cls, file: BinaryIO) -> Entries:
        """Take a list, of whose lines the names alone are read; it stays open.

        Raises ``ValueError`` for what is no list.
        """
        return cls(Lines(file), {})

    def _line(self, name: str) -> bytes | None:
        return self._changes[name] if name in self._changes else self._base.find(name)

    def __getitem__(self, name: str) -> Entry:
        """Read one entry."""
        line = self._line(name)
        if line is None:
            raise KeyError(name)
        return _read(name, line)

    def __iter__(self) -> Iterator[str]:
        """Yield the names, sorted."""
        return map(ENTRY.name, self.lines())

    def __len__(self) -> int:
        """Count the entries."""
        if self._count is None:
            more = sum(
                (line is not None) - (self._base.find(name) is not None)
                for name, line in self._changes.items()
            )
            self._count = self._base.count + more
        return self._count

    def __contains__(self, name: object) -> bool:
        """Tell whether there is an entry of this name."""
        return isinstance(name, str) and self._line(name) is not None

    def __eq__(self, other: object) -> bool:
        """Tell whether all entries are the same."""
        if isinstance(other, Entries):
            return next(self.differences(other), None) is None
        return isinstance(other, Mapping) and dict(self) == dict(other)

    __hash__ = None  # type: ignore[assignment]

    def items(self) -> ItemsView[str, Entry]:
        """Return names with their entries, which are read one after the other."""
        return _Items(self)

    def values(self) -> ValuesView[Entry]:
        """Return the entries, which are read one after the other."""
        return _Values(self)

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of the list, without their ends."""
        if not self._changes:
            return iter(self._base)
        return self._merged()

    def _merged(self) -> Iterator[bytes]:
        changes = iter([(ENTRY.beginning(name), self._changes[name]) for name in sorted(self._changes)])
        wanted, new = next(changes, (None, None))
        for line in self._base:
            old = False
            while wanted is not None and wanted <= line:
                old = line.startswith(wanted)
                if new is not None:
                    yield new
                wanted, new = next(changes, (None, None))
            if not old:
                yield line
        while wanted is not None:
            if new is not None:
                yield new
            wanted, new = next(changes, (None, None))

    def blob(self) -> Blob:
        """Return what the list is as a file."""
        if not self._changes:
            return self._base.blob
        digest, size = hashlib.sha256(), 0
        for line in self.lines():
            digest.update(line + b"\n")
            size += len(line) + 1
        return Blob(sha256=digest.hexdigest(), size=size)

    def needs(self, name: str) -> tuple[str, ...] | None:
        """Return what a package needs, ``None`` for one that is not there."""
        line = self._line(name)
        return None if line is None else _needs(name, line)

    def facts(self, name: str) -> Facts | None:
        """Return some of what an entry says, ``None`` for one that is not there."""
        line = self._line(name)
        if line is None:
            return None
        package, tags = _PACKAGE.match(line, line.find(b'"md5"')), _TAGS.search(line)
        if package is None or (tags is not None and b"\\" in tags[1]):
            entry = _read(name, line)
            return Facts(entry.md5, entry.sha256, entry.needs, entry.tags)
        told = "" if tags is None else tags[1].decode()
        return Facts(package[1].decode(), package[2].decode(), _needs(name, line), told)

    def starting(self, start: str) -> Iterator[str]:
        """Yield the names that begin with ``start``."""
        more = (name for name, line in self._changes.items() if line is not None and name.startswith(start))
        yield from more
        yield from (name for name in map(ENTRY.name, self._base.starting(start)) if name not in self._changes)

    def graph(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield each name with what it needs, sorted by name."""
        for line in self.lines():
            name = ENTRY.name(line)
            yield name, _needs(name, line)

    def differences(self, other: Entries) -> Iterator[tuple[str, bytes | None, bytes | None]]:
        """Yield the names whose entries are not the same here and there, sorted, with both lines."""
        if self._base.blob == other._base.blob:
            for name in sorted({*self._changes, *other._changes}):
                mine, theirs = self._line(name), other._line(name)
                if mine != theirs:
                    yield name, mine, theirs
            return
        here, there = self.lines(), other.lines()
        mine, theirs = next(here, None), next(there, None)
        while mine is not None or theirs is not None:
            if mine == theirs:
                mine, theirs = next(here, None), next(there, None)
                continue
            ours = None if mine is None else ENTRY.name(mine)
            others = None if theirs is None else ENTRY.name(theirs)
            if others is None or (ours is not None and ours < others):
                yield str(ours), mine, None
                mine = next(here, None)
            elif ours is None or others < ours:
                yield others, None, theirs
                theirs = next(there, None)
            else:
                yield ours, mine, theirs
                mine, theirs = next(here, None), next(there, None)

    def changed(self, entries: Iterable[Entry], gone: Iterable[str] = ()) -> Entries:
        """Return these entries with some replaced or added, and without those that are ``gone``."""
        changes = {**self._changes, **{entry.name: entry_line(entry) for entry in entries}}
        return Entries(self._base, {**changes, **dict.fromkeys(gone)})


class _Items(ItemsView[str, Entry]):
    _mapping: Entries

    def __iter__(self) -> Iterator[tuple[str, Entry]]:
        for line in self._mapping.lines():
            name = ENTRY.name(line)
            yield name, _read(name, line)


class _Values(ValuesView[Entry]):
    _mapping: Entries

    def __iter__(self) -> Iterator[Entry]:
        return (entry for _, entry in self._mapping.items())


_NONE: Final = Lines(BytesIO())


def _read(name: str, line: bytes) -> Entry:
    try:
        return read_entry(line)
    except (ValueError, TypeError, AttributeError, ConfigError, RecursionError) as error:
        raise VerifyError("an entry of the catalogue is malformed", where=name, why=str(error)) from error
    except KeyError as error:
        raise VerifyError("an entry of the catalogue lacks a part", where=name, why=str(error)) from error


def _needs(name: str, line: bytes) -> tuple[str, ...]:
    told = _NEEDS.search(line)
    if told is not None:
        return tuple(told[1].decode().split('","'))
    return _read(name, line).needs if b'"needs"' in line else ()


def differing(made: Catalogue, before: Catalogue) -> Iterator[tuple[str, Blob | None]]:
    """Yield the public paths that show other content in ``made``, with what; ``None`` for those gone."""
    for branch in {**made.branches, **before.branches}:
        new, old = Entries.of(made.entries(branch)), Entries.of(before.entries(branch))
        for name, *lines in new.differences(old):
            now, was = ({} if line is None else dict(_read(name, line).names()) for line in lines)
            yield from ((f"{branch.folder}/{file}", blob) for file, blob in _different(now, was))
    yield from _different(made.extra, before.extra)
    yield from _different(made.indexes, before.indexes)


def _different(now: Mapping[str, Blob], was: Mapping[str, Blob]) -> Iterator[tuple[str, Blob | None]]:
    yield from ((path, now.get(path)) for path in {**now, **was} if now.get(path) != was.get(path))
