"""The index files of a branch, byte for byte what Tiny Core's scripts parse. Pure.

Formats: those of the public repository, as search.sh, provides.sh, depends-on.sh, tce-size, tce-update and
update-everything read them. Every record is in the order of ``info.lst``: without regard to case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tcz.mirror.model import listed
from tcz.names import file_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from tcz.mirror.model import Entry

    Entries = Mapping[str, Entry]

#: The index files, and whether a .gz lies beside each (a .zsync lies beside provides.db alone).
NAMES: Final = ("info.lst", "tags.db", "md5.db", "sizelist", "provides.db", "dep.db")
ZSYNCED: Final = ("provides.db",)


def info_lst(entries: Entries) -> str:
    """Return one file name a line."""
    return "".join(f"{file_name(name)}\n" for name in listed(entries))


def tags_db(entries: Entries) -> str:
    """Return file name, a tab and the tags as they stand in the .info."""
    return "".join(f"{file_name(name)}\t{entries[name].tags}\n" for name in listed(entries))


def md5_db(entries: Entries) -> str:
    """Return the lines of all .md5.txt files: tce-update compares them as text."""
    return "".join(f"{entries[name].md5}  {file_name(name)}\n" for name in listed(entries))


def sizelist(entries: Entries) -> str:
    """Return file name and bytes, one blank between."""
    return "".join(f"{file_name(name)} {entries[name].size}\n" for name in listed(entries))


def dep_db(entries: Entries) -> str:
    """Return a record for each package that needs something: its name, then its .dep, then an empty line."""
    return "".join(
        record(name, map(file_name, entries[name].needs)) for name in listed(entries) if entries[name].needs
    )


def provides_db(entries: Entries, paths: Callable[[Entry], Sequence[str]]) -> Iterator[str]:
    """Yield the record of each package: its name, its paths without a leading slash, an empty line."""
    for name in listed(entries):
        yield record(name, paths(entries[name]))


def record(name: str, lines: Iterable[str]) -> str:
    """Return one record of ``dep.db`` or ``provides.db``."""
    return "\n".join((file_name(name), *lines, "", ""))
