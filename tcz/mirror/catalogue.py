"""A catalogue as files, and back: one small signed file that pins one line of JSON a package.

``catalogue/catalogue.json`` holds the format, the serial, the other files and, for each branch, name,
sha256 and size of its list; ``catalogue/17.x-x86_64.jsonl`` is such a list, sorted by name. Whoever has
checked the first has checked everything: each list by its hash, each package by the hash in its line.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Final

from tcz.errors import ConfigError, VerifyError
from tcz.mirror.entries import Entries, read_blob, read_count, read_entry
from tcz.mirror.model import Branch, Catalogue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tcz.mirror.model import Blob, Entry

FOLDER: Final = "catalogue"
ROOT: Final = f"{FOLDER}/catalogue.json"
SIGNATURE: Final = f"{ROOT}.minisig"
_FORMAT = 1
_PATH = re.compile(r"(?!.*(?:^|/)\.{1,2}(?:/|$))[A-Za-z0-9_][A-Za-z0-9+._/-]*\Z")


def list_path(branch: Branch) -> str:
    """Return where the list of a branch is, relative to the mirror."""
    return f"{FOLDER}/{branch.release}-{branch.arch}.jsonl"


def list_bytes(entries: Mapping[str, Entry]) -> bytes:
    """Return the list of a branch, one line an entry, sorted by name."""
    return Entries.of(entries).data()


def root_bytes(catalogue: Catalogue, lists: Mapping[Branch, bytes]) -> bytes:
    """Return ``catalogue.json``; ``lists`` are the branches' lists as ``list_bytes`` returns them."""
    value = {
        "format": _FORMAT,
        "serial": catalogue.serial,
        "branches": {
            str(branch): {
                "list": list_path(branch),
                "sha256": hashlib.sha256(data).hexdigest(),
                "size": len(data),
                "packages": len(catalogue.entries(branch)),
            }
            for branch, data in sorted(lists.items())
        },
        "extra": _pinned(catalogue.extra),
        "indexes": _pinned(catalogue.indexes),
    }
    return (json.dumps(value, indent=1) + "\n").encode()


def _pinned(files: Mapping[str, Blob]) -> dict[str, list[object]]:
    return {path: [blob.sha256, blob.size] for path, blob in sorted(files.items())}


def parse(
    root: bytes,
    read: Callable[[str, Blob], bytes],
    entries: Callable[[bytes], Mapping[str, Entry]] | None = None,
) -> Catalogue:
    """Read a catalogue; ``read`` returns a list by its path, given the hash and size it must have.

    ``entries`` reads a list: ``Entries.read`` reads each entry when it is asked for, all are read at once
    (and so all found to be sound) if it is not given.

    Raises ``VerifyError`` for anything that this toolkit would not have written, hostile names included.
    """
    try:
        value = json.loads(root)
        if value["format"] != _FORMAT:
            raise VerifyError(
                f"the catalogue has format {value['format']!r}; this version reads {_FORMAT}",
                hint="use a newer version of this toolkit",
            )
        branches = {}
        entries = entries or parse_list
        for name, told in value["branches"].items():
            branch = Branch.parse(name)
            blob = read_blob([told["sha256"], told["size"]])
            data = _checked(read(list_path(branch), blob), blob, list_path(branch))
            branches[branch] = entries(data)
        return Catalogue(
            serial=read_count(value["serial"]),
            branches=branches,
            extra={_path(path): read_blob(data) for path, data in value["extra"].items()},
            indexes={_path(path): read_blob(data) for path, data in value["indexes"].items()},
        )
    except (ValueError, TypeError, KeyError, AttributeError, ConfigError, RecursionError) as error:
        raise VerifyError("not a catalogue of a mirror", where=ROOT, why=str(error)) from error


def _checked(data: bytes, blob: Blob, path: str) -> bytes:
    if hashlib.sha256(data).hexdigest() != blob.sha256:
        raise VerifyError("not the list that the catalogue names", where=path)
    return data


def parse_list(data: bytes) -> dict[str, Entry]:
    """Read the list of a branch; raises ``ValueError`` and its kin for what is malformed."""
    entries = map(read_entry, data.splitlines())
    return {entry.name: entry for entry in entries}


def _path(path: str) -> str:
    if not _PATH.match(path):
        raise ValueError(f"the path {path!r} is malformed")
    return path
