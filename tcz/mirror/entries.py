"""The entries of a branch as the lines of its list, each read when it is asked for.

A line says all of its entry and says it in one way only, so that lines tell what has changed: two branches
of ten thousands of packages are compared, and one is made from the other, without reading what is the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from tcz.errors import ConfigError, VerifyError
from tcz.mirror.model import SUFFIXES, Blob, Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tcz.mirror.model import Catalogue

_HEX = re.compile(r"[0-9a-f]{64}\Z")
_MD5 = re.compile(r"[0-9a-f]{32}\Z")
_TEXTS: Final = ("tags", "version", "summary", "license", "origin")
#: The grammar of ``tcz.names``. Within a text the quotes would have backslashes before them.
_PLAIN: Final = rb"[A-Za-z0-9][A-Za-z0-9+._-]*"
_NAME = re.compile(rb'\{"name":"(%b)",' % _PLAIN)
_NEEDS = re.compile(rb',"needs":\["(%b(?:","%b)*)"\]' % (_PLAIN, _PLAIN))


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


class Entries(Mapping[str, Entry]):
    """Entries by name; never changed. Whoever asks for one that is damaged gets a ``VerifyError``."""

    __slots__ = ("_lines",)

    def __init__(self, lines: Mapping[str, bytes]) -> None:
        """``lines`` by name, without their ends."""
        self._lines = lines

    @classmethod
    def of(cls, entries: Mapping[str, Entry]) -> Entries:
        """Return the same entries as lines."""
        if isinstance(entries, cls):
            return entries
        return cls({name: entry_line(entry) for name, entry in entries.items()})

    @classmethod
    def read(cls, data: bytes) -> Entries:
        """Read a list, of each line the name alone; raises ``ValueError`` for what is no list."""
        found = {}
        for line in data.splitlines():
            match = _NAME.match(line)
            if match is None:
                raise ValueError("a line without a package's name")
            found[match[1].decode()] = line
        return cls(found)

    def __getitem__(self, name: str) -> Entry:
        """Read one entry."""
        try:
            return read_entry(self._lines[name])
        except (ValueError, TypeError, AttributeError, ConfigError, RecursionError) as error:
            raise VerifyError("an entry of the catalogue is malformed", where=name, why=str(error)) from error
        except KeyError as error:
            if name not in self._lines:
                raise
            raise VerifyError("an entry of the catalogue lacks a part", where=name, why=str(error)) from error

    def __iter__(self) -> Iterator[str]:
        """Return the names."""
        return iter(self._lines)

    def __len__(self) -> int:
        """Count the entries."""
        return len(self._lines)

    def __contains__(self, name: object) -> bool:
        """Tell whether there is an entry of this name."""
        return name in self._lines

    def __eq__(self, other: object) -> bool:
        """Tell whether all entries are the same."""
        if isinstance(other, Entries):
            return self._lines == other._lines
        return isinstance(other, Mapping) and dict(self) == dict(other)

    __hash__ = None  # type: ignore[assignment]

    def needs(self, name: str) -> tuple[str, ...] | None:
        """Return what a package needs, ``None`` for one that is not there."""
        line = self._lines.get(name)
        if line is None:
            return None
        told = _NEEDS.search(line)
        if told is not None:
            return tuple(told[1].decode().split('","'))
        return self[name].needs if b'"needs"' in line else ()

    def graph(self) -> dict[str, tuple[str, ...]]:
        """Return what each package needs."""
        return {name: self.needs(name) or () for name in self._lines}

    def data(self) -> bytes:
        """Return the list: all lines, sorted by name."""
        return b"".join(self._lines[name] + b"\n" for name in sorted(self._lines))

    def differing(self, other: Entries) -> set[str]:
        """Return the names whose entries are not the same here and there."""
        return {name for name, _ in self._lines.items() ^ other._lines.items()}

    def changed(self, entries: Iterable[Entry], gone: Iterable[str] = ()) -> Entries:
        """Return these entries with some replaced or added, and without those that are ``gone``."""
        lines = {**self._lines, **{entry.name: entry_line(entry) for entry in entries}}
        for name in gone:
            lines.pop(name, None)
        return Entries(lines)


def differing(made: Catalogue, before: Catalogue) -> Iterator[tuple[str, Blob | None]]:
    """Yield the public paths that show other content in ``made``, with what; ``None`` for those gone."""
    for branch in {**made.branches, **before.branches}:
        new, old = Entries.of(made.entries(branch)), Entries.of(before.entries(branch))
        for name in sorted(new.differing(old)):
            now, was = ({} if name not in one else dict(one[name].names()) for one in (new, old))
            yield from ((f"{branch.folder}/{file}", blob) for file, blob in _different(now, was))
    yield from _different(made.extra, before.extra)
    yield from _different(made.indexes, before.indexes)


def _different(now: Mapping[str, Blob], was: Mapping[str, Blob]) -> Iterator[tuple[str, Blob | None]]:
    yield from ((path, now.get(path)) for path in {**now, **was} if now.get(path) != was.get(path))
