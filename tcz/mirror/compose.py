"""From a catalogue to all files of a state: the index files of each branch, made where something changed."""

from __future__ import annotations

import gzip
from dataclasses import replace
from typing import TYPE_CHECKING

import deflate

from tcz import zsync
from tcz.metadata import decode, parse_list
from tcz.mirror import catalogue as catalogues
from tcz.mirror import indexes
from tcz.mirror.page import NAME as PAGE
from tcz.mirror.page import page
from tcz.mirror.trees import with_trees

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tcz.mirror.model import Blob, Branch, Catalogue, Entry
    from tcz.mirror.objects import Objects

_LEVEL = 6
_END = "\n\n"


def compose(new: Catalogue, old: Catalogue, objects: Objects) -> Catalogue:
    """Return ``new`` with its .tree and index files, kept as objects; what holds of ``old`` stays."""
    found: dict[str, Blob] = {}
    branches = {}
    for branch, given in new.branches.items():
        entries = (
            given if given == old.branches.get(branch) else with_trees(given, old.entries(branch), objects)
        )
        branches[branch] = entries
        kept = {path: blob for path, blob in old.indexes.items() if path.startswith(f"{branch.folder}/")}
        if kept and entries == old.entries(branch):
            found |= kept
        else:
            found |= _indexes(branch, entries, old, objects)
    return replace(new, branches=branches, indexes=found)


def _indexes(
    branch: Branch, entries: Mapping[str, Entry], old: Catalogue, objects: Objects
) -> dict[str, Blob]:
    paths = _paths_of(objects, branch, old)
    texts = {
        "info.lst": indexes.info_lst(entries),
        "tags.db": indexes.tags_db(entries),
        "md5.db": indexes.md5_db(entries),
        "sizelist": indexes.sizelist(entries),
        "dep.db": indexes.dep_db(entries),
        "provides.db": "".join(indexes.provides_db(entries, paths)),
    }
    found = {}
    for name, text in texts.items():
        data = text.encode(errors="surrogateescape")
        found[f"{branch.folder}/{name}"] = objects.add_bytes(data)
        found[f"{branch.folder}/{name}.gz"] = objects.add_bytes(packed(data))
        if name in indexes.ZSYNCED:
            control = zsync.control_of(data, name, epoch=0)
            found[f"{branch.folder}/{name}{zsync.SUFFIX}"] = objects.add_bytes(control)
    found[f"{branch.folder}/{PAGE}"] = objects.add_bytes(page(branch, entries).encode())
    return found


def packed(data: bytes) -> bytes:
    """Return ``data`` as gzip with neither name nor time: the same bytes at any time."""
    return bytes(deflate.gzip_compress(data, _LEVEL))


def _paths_of(objects: Objects, branch: Branch, old: Catalogue) -> Callable[[Entry], Sequence[str]]:
    """Return what tells the paths of an entry: the last provides.db where its .list is the same as then."""
    before = old.entries(branch)
    known = _records(objects, old.indexes.get(f"{branch.folder}/provides.db.gz"))

    def paths(entry: Entry) -> Sequence[str]:
        blob = entry.files.get(".list")
        if blob is None:
            return ()
        was = before.get(entry.name)
        if was is not None and was.files.get(".list") == blob and entry.name in known:
            return known[entry.name].split("\n")[1:]
        return parse_list(decode(objects.read(blob)))

    return paths


def _records(objects: Objects, blob: Blob | None) -> dict[str, str]:
    if blob is None:
        return {}
    text = gzip.decompress(objects.read(blob)).decode(errors="surrogateescape")
    records = text.removesuffix(_END).split(_END)
    return {record.split("\n", 1)[0].removesuffix(".tcz"): record for record in records}


def state_files(catalogue: Catalogue, objects: Objects) -> dict[str, Blob]:
    """Return every public file of a composed catalogue, its own files last."""
    lists = {
        branch: catalogues.list_bytes(entries.values()) for branch, entries in catalogue.branches.items()
    }
    files = dict(catalogue.files())
    files |= {catalogues.list_path(branch): objects.add_bytes(data) for branch, data in lists.items()}
    files[catalogues.ROOT] = objects.add_bytes(catalogues.root_bytes(catalogue, lists))
    return files
