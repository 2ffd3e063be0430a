"""From a catalogue to all files of a state: the index files of each branch, made where something changed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import deflate

from tcz.mirror import catalogue as catalogues
from tcz.mirror import indexes
from tcz.mirror.entries import Entries
from tcz.mirror.model import listed
from tcz.mirror.page import NAME as PAGE
from tcz.mirror.page import TAIL, head, row
from tcz.mirror.provided import LEVEL, Kept, provides
from tcz.mirror.trees import with_trees

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tcz.mirror.model import Blob, Branch, Catalogue, Entry
    from tcz.mirror.objects import Objects

_ALL: Final = {
    PAGE,
    f"{indexes.PROVIDES}.zsync",
    *(name + end for name in indexes.NAMES for end in ("", ".gz")),
}
_ROWS: Final[Mapping[str, Callable[[Entry], str]]] = {**indexes.LINES, PAGE: row}


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
    order = listed(entries)
    kept = None
    if before and files.keys() >= _ALL:
        was = order if before.keys() == entries.keys() else listed(before)
        kept = Kept(files=files, order=was, changed=frozenset(entries.differing(before)))
    texts = _texts(branch, entries, order, kept, objects)
    found: dict[str, Blob] = {PAGE: objects.add_bytes(texts.pop(PAGE))}
    found |= provides(entries, order, kept, objects)
    if kept is not None and all(entries.needs(name) == before.needs(name) for name in kept.changed):
        found |= {name: files[name] for name in ("dep.db", "dep.db.gz")}
    else:
        texts["dep.db"] = indexes.dep_db((name, entries.needs(name) or ()) for name in order).encode()
    for name, text in texts.items():
        found[name] = objects.add_bytes(text)
        same = found[name] == files.get(name) and f"{name}.gz" in files
        found[f"{name}.gz"] = files[f"{name}.gz"] if same else objects.add_bytes(packed(text))
    return found


def _texts(
    branch: Branch, entries: Entries, order: Sequence[str], kept: Kept | None, objects: Objects
) -> dict[str, bytes]:
    """Return the files of one line a package: an entry is read only where its lines may differ."""
    starts = {name: head(branch).encode() if name == PAGE else b"" for name in _ROWS}
    ends = {name: TAIL.encode() if name == PAGE else b"" for name in _ROWS}
    lines: dict[str, dict[str, bytes]] = {name: {} for name in _ROWS}
    changed: Iterable[str] = order
    if kept is not None:
        for name in _ROWS:
            data = objects.sound(kept.files[name]) or b""
            found = data.removeprefix(starts[name]).removesuffix(ends[name]).split(b"\n")[:-1]
            if len(found) == len(kept.order):
                lines[name] = dict(zip(kept.order, found, strict=True))
        if all(len(found) == len(kept.order) for found in lines.values()):
            changed = kept.changed & entries.keys()
    for package in changed:
        entry = entries[package]
        for name, line in _ROWS.items():
            lines[name][package] = line(entry).encode(errors="surrogateescape").removesuffix(b"\n")
    return {
        name: starts[name] + b"".join([lines[name][package] + b"\n" for package in order]) + ends[name]
        for name in _ROWS
    }


def packed(data: bytes) -> bytes:
    """Return ``data`` as gzip with neither name nor time: the same bytes at any time."""
    return bytes(deflate.gzip_compress(data, LEVEL))


def own_files(catalogue: Catalogue, objects: Objects) -> dict[str, Blob]:
    """Return the files of a composed catalogue itself."""
    lists = {branch: catalogues.list_bytes(entries) for branch, entries in catalogue.branches.items()}
    files = {catalogues.list_path(branch): objects.add_bytes(data) for branch, data in lists.items()}
    files[catalogues.ROOT] = objects.add_bytes(catalogues.root_bytes(catalogue, lists))
    return files


def state_files(catalogue: Catalogue, objects: Objects) -> dict[str, Blob]:
    """Return every public file of a composed catalogue, its own files last."""
    return {**dict(catalogue.files()), **own_files(catalogue, objects)}
