"""One catalogue out of several mirrors: the first that has a package is the one it comes from."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Protocol

from tcz import resolve
from tcz.metadata import decode, parse_info
from tcz.mirror import official
from tcz.mirror.entries import Entries
from tcz.mirror.model import listed
from tcz.mirror.table import Table
from tcz.names import file_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import BinaryIO

    from tcz.mirror.model import Blob, Branch, Catalogue, Entry
    from tcz.mirror.place import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What a mirror tells of a package; empty or ``None`` where it does not tell.

    ``size`` and ``installed`` are in bytes, ``tags`` as they stand in its .info.
    """

    name: str
    mirror: str
    needs: tuple[str, ...] = ()
    size: int | None = None
    installed: int | None = None
    md5: str = ""
    sha256: str = ""
    tags: str = ""
    version: str = ""
    summary: str = ""
    license: str = ""
    origin: str = ""


class Source(Protocol):
    """One branch of one mirror."""

    @property
    def title(self) -> str:
        """How messages call it."""
        ...

    def names(self) -> Iterable[str]:
        """Return all packages it has, sorted."""
        ...

    def graph(self) -> Iterator[tuple[str, Sequence[str]]]:
        """Yield all packages with what each needs, sorted by name."""
        ...

    def needs(self, name: str) -> Sequence[str] | None:
        """Return what a package needs, ``None`` for one that it does not have."""
        ...

    def item(self, name: str) -> Item | None:
        """Return what it tells of a package."""
        ...

    def paths(self) -> Iterator[tuple[str, Sequence[str]]]:
        """Yield each package with the paths in it."""
        ...

    def info(self, name: str) -> str | None:
        """Return a package's .info."""
        ...


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


class Indexed:
    """A mirror with the official layout, by its index files, each read when it is asked for.

    Where there is no dep.db the .dep files are read, where there is no list of packages the folder is.
    """

    def __init__(self, place: Place) -> None:
        """``place`` is the folder of the packages (``17.x/x86_64/tcz``)."""
        self.place = place
        self.title = place.where
        self._deps: dict[str, tuple[str, ...]] = {}

    def index(self, name: str) -> str | None:
        """Return an index file's text, packed or not; ``None`` where it is not there."""
        for file in (f"{name}.gz", name):
            data = self.place.read(file)
            if data is not None:
                return official.text(data, f"{self.title}/{file}")
        return None

    def _where(self, name: str) -> str:
        return f"{self.title}/{name}"

    @cached_property
    def md5s(self) -> Table[str]:
        """The md5 of each package, by name."""
        text = self.index("md5.db")
        return Table(() if text is None else official.md5s(text, self._where("md5.db")), str)

    @cached_property
    def sizes(self) -> Table[int]:
        """The size of each package, by name."""
        text = self.index("sizelist")
        return Table(() if text is None else official.sizes(text, self._where("sizelist")), int)

    @cached_property
    def tags(self) -> Table[str]:
        """The tags of each package, by name."""
        text = self.index("tags.db")
        return Table(() if text is None else official.tags(text, self._where("tags.db")), str)

    @cached_property
    def dep_db(self) -> Table[tuple[str, ...]] | None:
        """What each package needs that needs something; ``None`` where there is no dep.db."""
        text = self.index("dep.db")
        if text is None:
            return None
        found = ((name, " ".join(needs)) for name, needs in official.needs(text, self._where("dep.db")))
        return Table(found, _words, lambda texts: " ".join(official.fullest([*map(_words, texts)])))

    @cached_property
    def _names(self) -> Table[str]:
        text = self.index("info.lst")
        if text is not None:
            names: Iterable[str] = official.names(text, self._where("info.lst"))
        elif self.md5s:
            names = self.md5s
        elif (files := self.place.files(".tcz")) is None:
            names = self.sizes or self.tags or self.dep_db or ()
        else:
            names = (official.name_in(file, self.title) for file in files)
        return Table(((name, "") for name in names), str)

    def names(self) -> Table[str]:
        """See ``Source``; sorted, and looked up."""
        return self._names

    def graph(self) -> Iterator[tuple[str, Sequence[str]]]:
        """See ``Source``."""
        if self.dep_db is None:
            yield from ((name, self.needs(name) or ()) for name in self._names)
            return
        told = self.dep_db.pairs()
        name, needs = next(told, ("", ()))
        for one in self._names:
            while name and name < one:
                name, needs = next(told, ("", ()))
            yield one, needs if name == one else ()

    def needs(self, name: str) -> Sequence[str] | None:
        """See ``Source``."""
        if name not in self._names:
            return None
        if self.dep_db is not None:
            return self.dep_db.get(name, ())
        if name not in self._deps:
            self._deps[name] = self._dep(name)
        return self._deps[name]

    def _dep(self, name: str) -> tuple[str, ...]:
        file = f"{file_name(name)}.dep"
        data = self.place.read(file)
        where = self._where(file)
        return () if data is None else official.dep(official.text(data, where), where)

    def item(self, name: str) -> Item | None:
        """See ``Source``; a version and the like stand in the .info alone."""
        needs = self.needs(name)
        if needs is None:
            return None
        return Item(
            name=name,
            mirror=self.title,
            needs=tuple(needs),
            size=self.sizes.get(name),
            md5=self.md5s.get(name, ""),
            tags=self.tags.get(name, "").strip(),
        )

    def paths(self) -> Iterator[tuple[str, Sequence[str]]]:
        """See ``Source``."""
        for name in ("provides.db.gz", "provides.db"):
            file = self.place.open(name)
            if file is not None:
                with file:
                    yield from official.paths(official.unpacked(file, self._where(name)), self._where(name))
                return

    def info(self, name: str) -> str | None:
        """See ``Source``."""
        data = self.place.read(f"{file_name(name)}.info")
        return None if data is None or official.is_page(data) else decode(data)


class Catalogued:
    """A branch of a mirror that this toolkit keeps, by its catalogue."""

    def __init__(
        self, title: str, catalogue: Catalogue, branch: Branch, opened: Callable[[str, Blob], BinaryIO]
    ) -> None:
        """Take what opens a file that the catalogue names by its path, with those bytes only."""
        self.title = f"{title} {branch}"
        self._opened = opened
        self._catalogue = catalogue
        self._branch = branch
        self._entries = Entries.of(self._catalogue.entries(branch))

    def names(self) -> Iterable[str]:
        """See ``Source``."""
        return self._entries

    def graph(self) -> Iterator[tuple[str, Sequence[str]]]:
        """See ``Source``."""
        return self._entries.graph()

    def needs(self, name: str) -> Sequence[str] | None:
        """See ``Source``."""
        return self._entries.needs(name)

    def item(self, name: str) -> Item | None:
        """See ``Source``."""
        entry = self._entries.get(name)
        return None if entry is None else _item(entry, self.title)

    def paths(self) -> Iterator[tuple[str, Sequence[str]]]:
        """See ``Source``."""
        for suffix in ("provides.db.gz", "provides.db"):
            path = f"{self._branch.folder}/{suffix}"
            blob = self._catalogue.indexes.get(path)
            if blob is not None:
                with self._opened(path, blob) as file:
                    yield from official.paths(official.unpacked(file, path), path)
                return

    def info(self, name: str) -> str | None:
        """See ``Source``."""
        entry = self._entries.get(name)
        blob = None if entry is None else entry.files.get(".info")
        path = f"{self._branch.folder}/{file_name(name)}.info"
        if blob is None:
            return None
        with self._opened(path, blob) as file:
            return decode(file.read())


def _item(entry: Entry, title: str) -> Item:
    return Item(
        name=entry.name,
        mirror=title,
        needs=entry.needs,
        size=entry.size,
        installed=entry.installed,
        md5=entry.md5,
        sha256=entry.sha256,
        tags=entry.tags.strip(),
        version=entry.version,
        summary=entry.summary,
        license=entry.license,
        origin=entry.origin,
    )


@dataclass(frozen=True, slots=True)
class Shelf:
    """Sources in the order of their priority."""

    sources: tuple[Source, ...]

    def names(self) -> list[str]:
        """Return all packages, sorted without regard to case."""
        return listed({name for source in self.sources for name in source.names()})

    def needs(self, name: str) -> Sequence[str] | None:
        """Return what a package needs as the first source that has it says; ``None`` for an unknown one."""
        for source in self.sources:
            found = source.needs(name)
            if found is not None:
                return found
        return None

    def item(self, name: str) -> Item | None:
        """Return what the first source that has it tells of a package."""
        return next((found for source in self.sources if (found := source.item(name)) is not None), None)

    def info(self, name: str) -> str | None:
        """Return the .info of a package, from the source that it comes from."""
        return next((source.info(name) for source in self.sources if source.needs(name) is not None), None)

    def described(self, item: Item) -> Item:
        """Return an item with what its .info says where the index files say nothing."""
        text = None if item.version and item.summary else self.info(item.name)
        if text is None:
            return item
        info = parse_info(text)
        return replace(
            item,
            version=item.version or info.version,
            summary=item.summary or info.description,
            license=item.license or info.copying_policy,
        )

    def graph(self) -> Iterator[tuple[str, Sequence[str]]]:
        """Yield all packages with what each needs, as the first source that has it says, sorted by name."""
        # Of equals the first source's comes first.
        merged = heapq.merge(*(source.graph() for source in self.sources), key=itemgetter(0))
        for _, some in groupby(merged, itemgetter(0)):
            yield next(some)

    def closure(self, wanted: Sequence[str], kernel: str | None = None) -> resolve.Resolution:
        """Return all that ``wanted`` needs, in load order."""
        return resolve.closure(wanted, self.needs, kernel)

    def found(self, matches: Callable[[Item], bool]) -> Iterator[Item]:
        """Yield the items that match, sorted by name."""
        items = (self.item(name) for name in self.names())
        return (item for item in items if item is not None and matches(item))

    def providing(self, matches: Callable[[str], bool]) -> dict[str, tuple[str, ...]]:
        """Return for each package the paths in it that match, where there is one."""
        found: dict[str, tuple[str, ...]] = {}
        seen: set[str] = set()
        for source in self.sources:
            here = set()
            for name, paths in source.paths():
                here.add(name)
                if name not in seen and (hits := tuple(path for path in paths if matches(path))):
                    found[name] = hits
            seen |= here | set(source.names())
        return {name: found[name] for name in listed(found)}
