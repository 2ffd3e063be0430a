"""From a catalogue to all files of a state: the index files of each branch, made where something changed."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import deflate

from tcz.mirror import catalogue as catalogues
from tcz.mirror import indexes
from tcz.mirror.edits import Change, Edits, StaleError, grouped, pieces
from tcz.mirror.entries import Entries
from tcz.mirror.model import listing_key
from tcz.mirror.page import NAME as PAGE
from tcz.mirror.page import TAIL, head, row
from tcz.mirror.provided import LEVEL, provides, record
from tcz.mirror.trees import with_trees
from tcz.names import SUFFIX, file_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tcz.mirror.model import Blob, Branch, Catalogue, Entry
    from tcz.mirror.objects import Addition, Objects

_DEP: Final = "dep.db"
_ALL: Final = {
    PAGE,
    f"{indexes.PROVIDES}.zsync",
    *(name + end for name in indexes.NAMES for end in ("", ".gz")),
}
_ROWS: Final[Mapping[str, Callable[[Entry], str]]] = {**indexes.LINES, PAGE: row}
_END: Final = b"\n\n"


def compose(new: Catalogue, old: Catalogue, objects: Objects) -> Catalogue:
    """Return ``new`` with its .tree and index files, kept as objects; what holds of ``old`` stays."""
    found: dict[str, Blob] = {}
    branches = {}
    for branch, given in new.branches.items():
        before = Entries.of(old.entries(branch))
        entries = branches[branch] = with_trees(given, before, objects)
        start = f"{branch.folder}/"
        files = {path.removeprefix(start): one for path, one in old.indexes.items() if path.startswith(start)}
        if not files or entries != before:
            files = _indexes(branch, entries, before, files, objects)
        found |= {start + name: blob for name, blob in files.items()}
    return replace(new, branches=branches, indexes=found)


def _indexes(
    branch: Branch, entries: Entries, before: Entries, files: Mapping[str, Blob], objects: Objects
) -> dict[str, Blob]:
    made = _Made(branch, entries, files, objects)
    if files.keys() >= _ALL:
        try:
            return made.edited(before)
        except StaleError:
            pass
    return made.anew()


class _Made:
    """The index files of a branch while they are made; ``files`` are those of before."""

    def __init__(self, branch: Branch, entries: Entries, files: Mapping[str, Blob], objects: Objects) -> None:
        self._head = head(branch).encode()
        self._entries = entries
        self._files = files
        self._objects = objects

    def anew(self) -> dict[str, Blob]:
        """Make all of them from the entries."""
        found: dict[str, Blob] = {}
        with ExitStack() as stack:
            outs = {name: stack.enter_context(self._writing(name, found)) for name in (*_ROWS, _DEP)}
            found |= provides(self._rows(outs), None, self._objects)
        return found

    def _rows(self, outs: Mapping[str, Addition]) -> Iterator[tuple[bytes, bool]]:
        """Write what stands in the other files of each package; yield its record in provides.db."""
        outs[PAGE].write(self._head)
        for key in sorted(map(listing_key, self._entries)):
            entry = self._entries[key.rpartition(b"\0")[2].decode()]
            for name in _ROWS:
                outs[name].write(_row(name, entry))
            outs[_DEP].write(_needs(entry.name, entry.needs))
            yield record(entry, self._objects), True
        outs[PAGE].write(TAIL.encode())

    def edited(self, before: Entries) -> dict[str, Blob]:
        """Make all of them from those of before; raises ``StaleError`` where one of these is damaged."""
        changed = [
            Change(name, was is not None, now is not None)
            for name, now, was in self._entries.differences(before)
        ]
        if len(changed) > len(before):
            raise StaleError
        names = pieces(self._objects, self._files["info.lst"], b"\n")
        edits = Edits((line.decode(errors="replace").removesuffix(f"{SUFFIX}\n") for line in names), changed)
        if edits.count != len(before):
            raise StaleError
        found: dict[str, Blob] = {}
        for name in _ROWS:
            with self._writing(name, found) as out:
                for data in self._lines(name, edits):
                    out.write(data)
        with_paths = pieces(self._objects, self._files[indexes.PROVIDES], _END)
        paths = edits.done(with_paths, lambda name: record(self._entries[name], self._objects))
        found |= provides(_ended(paths, with_paths), self._files, self._objects)
        needs = [
            Change(one.name, bool(was), bool(now))
            for one, was, now in ((c, before.needs(c.name), self._entries.needs(c.name)) for c in changed)
            if (was or ()) != (now or ())
        ]
        return found | (self._needs(needs) if needs else self._same(_DEP))

    def _lines(self, name: str, edits: Edits) -> Iterator[bytes]:
        """Yield a file of one line a package."""
        old = pieces(self._objects, self._files[name], b"\n")
        if name == PAGE:
            for line in self._head.splitlines(keepends=True):
                if next(old, None) != line:
                    raise StaleError
                yield line
        yield from grouped(edits.done(old, lambda package: _row(name, self._entries[package])))
        rest = b"".join(old)  # to its end: then its hash is known
        if rest != (TAIL.encode() if name == PAGE else b""):
            raise StaleError
        yield rest

    def _needs(self, changed: Iterable[Change]) -> dict[str, Blob]:
        """Make dep.db, where only some packages have a record."""
        names = (
            one.partition(b"\n")[0].decode(errors="replace").removesuffix(SUFFIX)
            for one in pieces(self._objects, self._files[_DEP], _END)
        )
        edits = Edits(names, changed)
        old = pieces(self._objects, self._files[_DEP], _END)
        found: dict[str, Blob] = {}
        with self._writing(_DEP, found) as out:
            done = edits.done(old, lambda name: _needs(name, self._entries.needs(name) or ()))
            for data in grouped(_ended(done, old)):
                out.write(data)
        return found

    def _same(self, name: str) -> dict[str, Blob]:
        return {one: self._files[one] for one in (name, f"{name}.gz")}

    @contextmanager
    def _writing(self, name: str, found: dict[str, Blob]) -> Iterator[Addition]:
        """Give a file to write; when it ends well it is in ``found``, and its .gz."""
        with self._objects.adding() as out:
            yield out
            if name != PAGE:
                same = out.blob == self._files.get(name) and f"{name}.gz" in self._files
                found[f"{name}.gz"] = self._files[f"{name}.gz"] if same else self._packed(out)
        found[name] = out.blob

    def _packed(self, out: Addition) -> Blob:
        out.flush()
        return self._objects.add_bytes(packed(out.path.read_bytes()))


def _row(name: str, entry: Entry) -> bytes:
    return _ROWS[name](entry).encode(errors="surrogateescape")


def _needs(name: str, needs: Iterable[str]) -> bytes:
    """Return a record of dep.db; nothing for a package that needs nothing."""
    lines = [file_name(need) for need in needs]
    return indexes.record(name, lines).encode() if lines else b""


def _ended(records: Iterator[tuple[bytes, bool]], old: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield records; raises ``StaleError`` where there are more in the file, or it is damaged."""
    yield from records
    if next(old, None) is not None:
        raise StaleError


def packed(data: bytes) -> bytes:
    """Return ``data`` as gzip with neither name nor time: the same bytes at any time."""
    return bytes(deflate.gzip_compress(data, LEVEL))


def own_files(catalogue: Catalogue, objects: Objects) -> dict[str, Blob]:
    """Return the files of a composed catalogue itself."""
    lists = {branch: _list(Entries.of(found), objects) for branch, found in catalogue.branches.items()}
    files = {catalogues.list_path(branch): blob for branch, blob in lists.items()}
    files[catalogues.ROOT] = objects.add_bytes(catalogues.root_bytes(catalogue, lists))
    return files


def _list(entries: Entries, objects: Objects) -> Blob:
    """Keep the list of a branch, one line an entry, sorted by name."""
    with objects.adding() as out:
        for line in entries.lines():
            out.write(line + b"\n")
    return out.blob


def state_files(catalogue: Catalogue, objects: Objects) -> dict[str, Blob]:
    """Return every public file of a composed catalogue, its own files last."""
    return {**dict(catalogue.files()), **own_files(catalogue, objects)}
