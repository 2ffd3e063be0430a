"""The index files of a branch, byte for byte what Tiny Core's scripts parse. Pure.

Formats: those of the public repository, as search.sh, provides.sh, depends-on.sh, tce-size, tce-update and
update-everything read them. Every record is in the order of ``info.lst``: without regard to case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tcz.names import file_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tcz.mirror.model import Entry

#: The index files with a .gz beside each (and beside provides.db, the largest, a .zsync).
NAMES: Final = ("info.lst", "tags.db", "md5.db", "sizelist", "provides.db", "dep.db")
PROVIDES: Final = "provides.db"


def _info_lst(entry: Entry) -> str:
    """Return its file name."""
    return f"{file_name(entry.name)}\n"


def _tags_db(entry: Entry) -> str:
    """Return file name, a tab and the tags as they stand in the .info."""
    return f"{file_name(entry.name)}\t{entry.tags}\n"


def _md5_db(entry: Entry) -> str:
    """Repeat its .md5.txt: tce-update compares them as text."""
    return f"{entry.md5}  {file_name(entry.name)}\n"


def _sizelist(entry: Entry) -> str:
    """Return file name and bytes, one blank between."""
    return f"{file_name(entry.name)} {entry.size}\n"


#: Index files of one line a package.
LINES: Final[Mapping[str, Callable[[Entry], str]]] = {
    "info.lst": _info_lst,
    "tags.db": _tags_db,
    "md5.db": _md5_db,
    "sizelist": _sizelist,
}


def record(name: str, lines: Iterable[str]) -> str:
    """Return one record of ``dep.db`` or ``provides.db`` (whose paths have no leading slash)."""
    return "\n".join((file_name(name), *lines, "", ""))
