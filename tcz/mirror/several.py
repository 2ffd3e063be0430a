"""Several upstreams as one: a package comes, with what lies beside it, from the first that has it."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Final

from tcz.metadata import dep_text
from tcz.mirror.model import Entry
from tcz.mirror.shelf import Indexed
from tcz.mirror.table import Table
from tcz.names import file_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from tcz.mirror.place import Place
    from tcz.mirror.upstream import Upstream
    from tcz.reporting import Step

_DEP: Final = ".dep"


class Several:
    """Upstreams in the order of their priority. All must answer: what one lacks might be in any."""

    def __init__(self, upstreams: Sequence[Upstream]) -> None:
        """Take one upstream or more; see ``Upstream`` for what they do together."""
        self.where = ", ".join(one.where for one in upstreams)
        self._upstreams = tuple(upstreams)
        self._sources: tuple[Indexed, ...] = ()
        self._owner: Table[int] = Table((), int)

    def refresh(self) -> Place:
        """See ``Upstream``: the index files that they would have together."""
        self._sources = tuple(Indexed(one.refresh()) for one in self._upstreams)
        having = ((name, str(n)) for n, source in enumerate(self._sources) for name in source.names())
        self._owner = Table(having, int, lambda numbers: numbers[0])
        return _Together(self.where, self._sources, self._owner)

    def prepare(self, files: Sequence[str]) -> None:
        """See ``Upstream``: each learns of those that it is asked for."""
        for number, one in enumerate(self._upstreams):
            mine = [file for file in files if self._owner.get(_package(file)) == number]
            if mine:
                one.prepare(mine)

    def bring(self, file: str, to: Path, step: Step, limit: int) -> bool:
        """See ``Upstream``."""
        return self.whose(_package(file)).bring(file, to, step, limit)

    def promised(self) -> Mapping[str, Entry]:
        """See ``Upstream``."""
        return _Promised(self._owner, [one.promised() or {} for one in self._upstreams])

    #: There is none: each has its own.
    base: Place | None = None

    def moved(self) -> bool:
        """See ``Upstream``: any of them."""
        return any(one.moved() for one in self._upstreams)

    @property
    def signed(self) -> bool:
        """See ``Upstream``: all of them. Of each package, its own upstream tells."""
        return all(one.signed for one in self._upstreams)

    def whose(self, name: str) -> Upstream:
        """Return the upstream that a package comes from."""
        return self._upstreams[self._owner.get(name, 0)]


class _Promised(Mapping[str, Entry]):
    """What several promise together: of each package, what the one says that it comes from."""

    def __init__(self, owner: Table[int], told: Sequence[Mapping[str, Entry]]) -> None:
        self._owner = owner
        self._told = told

    def __getitem__(self, name: str) -> Entry:
        return self._told[self._owner[name]][name]

    def __iter__(self) -> Iterator[str]:
        return (name for name, number in self._owner.pairs() if name in self._told[number])

    def __len__(self) -> int:
        return sum(1 for _ in self)


def whose(upstream: Upstream, name: str) -> Upstream:
    """Return the one upstream that a package comes from."""
    return upstream.whose(name) if isinstance(upstream, Several) else upstream


def _package(file: str) -> str:
    return file.partition(".tcz")[0]


class _Together:
    """The index files of several upstreams as those of one, by the packages that each gives."""

    def __init__(self, where: str, sources: Sequence[Indexed], owner: Table[int]) -> None:
        self.where = where
        self._sources = sources
        self._owner = owner
        self._indexes: Mapping[str, Callable[[], Iterable[str]]] = {
            "info.lst": lambda: map(file_name, owner),
            "md5.db": lambda: (f"{md5}  {file_name(name)}" for name, md5 in self._told("md5s")),
            "sizelist": lambda: (f"{file_name(name)} {size}" for name, size in self._told("sizes")),
            "tags.db": lambda: (f"{file_name(name)}\t{tags}" for name, tags in self._told("tags")),
        }

    def prepare(self, paths: Sequence[str]) -> None:
        """See ``Place``: what is read of a package lies with its own upstream."""

    def below(self, path: str) -> Place:  # noqa: ARG002 - the protocol's
        """See ``Place``: there is one folder."""
        return self

    def files(self, suffix: str) -> Iterable[str] | None:  # noqa: ARG002 - the protocol's
        """See ``Place``: info.lst tells."""
        return None

    def read(self, path: str) -> bytes | None:
        """See ``Place``."""
        make = self._indexes.get(path)
        if make is not None:
            return "".join(f"{line}\n" for line in make()).encode(errors="surrogateescape")
        name = _package(path)
        if name not in self._owner or not path.startswith(file_name(name)):
            return None  # others, and packed ones: nobody needs them
        source = self._sources[self._owner[name]]
        if path.endswith(_DEP):
            text = dep_text(source.needs(name) or ())
            return None if text is None else text.encode()
        return source.place.read(path)

    def open(self, path: str) -> BinaryIO | None:
        """See ``Place``."""
        data = self.read(path)
        return None if data is None else BytesIO(data)

    def _told(self, what: str) -> Iterable[tuple[str, object]]:
        tables = [getattr(source, what) for source in self._sources]
        for name, number in self._owner.pairs():
            if name in tables[number]:
                yield name, tables[number][name]
