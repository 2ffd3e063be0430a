"""A catalogue as files, and back: one small signed file that pins one line of JSON a package.

``catalogue/catalogue.json`` holds the format, the serial, the other files and, for each branch, name,
sha256 and size of its list; ``catalogue/17.x-x86_64.jsonl`` is such a list, sorted by name. Whoever has
checked the first has checked everything: each list by its hash, each package by the hash in its line.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from tcz.errors import ConfigError, VerifyError
from tcz.mirror.entries import Entries, read_blob, read_count
from tcz.mirror.model import Branch, Catalogue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

    from tcz.mirror.model import Blob
    from tcz.mirror.place import Place

FOLDER: Final = "catalogue"
ROOT: Final = f"{FOLDER}/catalogue.json"
SIGNATURE: Final = f"{ROOT}.minisig"
_FORMAT = 1
_PATH = re.compile(r"(?!.*(?:^|/)\.{1,2}(?:/|$))[A-Za-z0-9_][A-Za-z0-9+._/-]*\Z")


def list_path(branch: Branch) -> str:
    """Return where the list of a branch is, relative to the mirror."""
    return f"{FOLDER}/{branch.release}-{branch.arch}.jsonl"


def root_bytes(catalogue: Catalogue, lists: Mapping[Branch, Blob]) -> bytes:
    """Return ``catalogue.json``; ``lists`` are the branches' lists: ``Entries.lines``, each with its end."""
    value = {
        "format": _FORMAT,
        "serial": catalogue.serial,
        "branches": {
            str(branch): {
                "list": list_path(branch),
                "sha256": blob.sha256,
                "size": blob.size,
                "packages": len(catalogue.entries(branch)),
            }
            for branch, blob in sorted(lists.items())
        },
        "extra": _pinned(catalogue.extra),
        "indexes": _pinned(catalogue.indexes),
    }
    return (json.dumps(value, indent=1) + "\n").encode()


def _pinned(files: Mapping[str, Blob]) -> dict[str, list[object]]:
    return {path: [blob.sha256, blob.size] for path, blob in sorted(files.items())}


def parse(root: bytes, opened: Callable[[str], BinaryIO]) -> Catalogue:
    """Read a catalogue; ``opened`` opens a list by its path. A list must be what ``root`` says it is.

    Each entry is read, and found to be sound, when it is asked for: see ``Entries``.

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
        for name, told in value["branches"].items():
            branch = Branch.parse(name)
            blob = read_blob([told["sha256"], told["size"]])
            branches[branch] = _entries(opened(list_path(branch)), blob, list_path(branch))
        return Catalogue(
            serial=read_count(value["serial"]),
            branches=branches,
            extra={_path(path): read_blob(data) for path, data in value["extra"].items()},
            indexes={_path(path): read_blob(data) for path, data in value["indexes"].items()},
        )
    except (ValueError, TypeError, KeyError, AttributeError, ConfigError, RecursionError) as error:
        raise VerifyError("not a catalogue of a mirror", where=ROOT, why=str(error)) from error


def list_at(place: Place, path: str) -> BinaryIO:
    """Open a list elsewhere; raises ``VerifyError`` where it is not there."""
    file = place.open(path)
    if file is None:
        raise VerifyError("a list that the catalogue names is missing", where=f"{place.where}/{path}")
    return file


def _entries(file: BinaryIO, told: Blob, path: str) -> Entries:
    why = None
    with file:
        try:
            found = Entries.read(file)
            if found.blob() == told:
                return found
        except ValueError as error:
            why = str(error)
    raise VerifyError("not the list that the catalogue names", where=path, why=why)


def _path(path: str) -> str:
    if not _PATH.match(path):
        raise ValueError(f"the path {path!r} is malformed")
    return path
