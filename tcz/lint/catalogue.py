"""The other packages: what they hold and need, from folders of packages, a mirror or its databases."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tcz import resolve

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

_LIBRARY = re.compile(r"(.+)/([^/]+\.so(?:\.[^/]*)?)\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Another package. ``files`` are its files and links; ``needs`` is ``None`` where it is not known.

    ``md5`` and ``info`` are those of its companions, where there are any.
    """

    name: str
    files: tuple[str, ...] = ()
    needs: tuple[str, ...] | None = None
    md5: str = ""
    info: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Packages by name. ``complete``: a package that is not here does not exist."""

    packages: tuple[Known, ...] = ()
    complete: bool = False

    @cached_property
    def _by_name(self) -> dict[str, Known]:
        return {known.name: known for known in self.packages}

    @cached_property
    def _owners(self) -> dict[str, tuple[str, ...]]:
        owners: dict[str, tuple[str, ...]] = {}
        for known in self.packages:
            for path in known.files:
                owners[path] = (*owners.get(path, ()), known.name)
        return owners

    @cached_property
    def _libraries(self) -> dict[str, tuple[tuple[str, str], ...]]:
        found: dict[str, tuple[tuple[str, str], ...]] = {}
        for known in self.packages:
            for path in known.files:
                if match := _LIBRARY.match(path):
                    found[match[2]] = (*found.get(match[2], ()), (match[1], known.name))
        return found

    def get(self, name: str) -> Known | None:
        """Return a package, or ``None``."""
        return self._by_name.get(name)

    def names(self) -> tuple[str, ...]:
        """Return the names of all packages."""
        return tuple(self._by_name)

    def owners(self, path: str) -> tuple[str, ...]:
        """Return the packages that hold a file."""
        return self._owners.get(path, ())

    def with_library(self, soname: str, folders: Collection[str]) -> tuple[str, ...]:
        """Return the packages that bring a shared library in one of the folders where the loader looks."""
        return tuple(name for folder, name in self._libraries.get(soname, ()) if folder in folders)

    def merged(self, packages: Iterable[Known], *, complete: bool = False) -> Catalogue:
        """Return the catalogue with more packages; later ones replace earlier ones of the same name."""
        found = self._by_name | {known.name: known for known in packages}
        return Catalogue(packages=tuple(found.values()), complete=self.complete or complete)

    def closure(self, wanted: Sequence[str], kernel: str | None) -> resolve.Resolution:
        """Return all that ``wanted`` needs; what is unknown, or whose needs are, is missing in it."""
        return resolve.closure(wanted, self._needs, kernel)

    def _needs(self, name: str) -> tuple[str, ...] | None:
        known = self._by_name.get(name)
        return None if known is None else known.needs


def parse_provides(text: str) -> tuple[Known, ...]:
    """Read a mirror's provides.db: records apart by an empty line, a package's file name, then paths."""
    return tuple(
        Known(name=record[0].removesuffix(".tcz"), files=tuple(_bare(line) for line in record[1:]))
        for record in _records(text)
    )


def parse_dep_db(text: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Read a mirror's dep.db: like provides.db, with the lines of each package's .dep; name and needs."""
    return tuple(
        (
            record[0].removesuffix(".tcz"),
            tuple("".join(line.split()).removesuffix(".tcz") for line in record[1:]),
        )
        for record in _records(text)
    )


def _bare(line: str) -> str:
    while line.startswith(("/", "./")):
        line = line.removeprefix(".").lstrip("/")
    return line


def _records(text: str) -> Iterable[list[str]]:
    record: list[str] = []
    for line in [*text.replace("\r\n", "\n").split("\n"), ""]:
        stripped = line.strip()
        if stripped:
            record.append(stripped)
        elif record:
            yield record
            record = []
