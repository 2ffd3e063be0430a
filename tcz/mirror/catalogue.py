"""A catalogue as files, and back: one small signed file that pins one line of JSON a package.

``catalogue/catalogue.json`` holds the format, the serial, the other files and, for each branch, name,
sha256 and size of its list; ``catalogue/17.x-x86_64.jsonl`` is such a list, sorted by name. Whoever has
checked the first has checked everything: each list by its hash, each package by the hash in its line.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, Final

from tcz.errors import ConfigError, VerifyError
from tcz.mirror.model import SUFFIXES, Blob, Branch, Catalogue, Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

FOLDER: Final = "catalogue"
ROOT: Final = f"{FOLDER}/catalogue.json"
SIGNATURE: Final = f"{ROOT}.minisig"
_FORMAT = 1
_HEX = re.compile(r"[0-9a-f]{64}\Z")
_MD5 = re.compile(r"[0-9a-f]{32}\Z")
_TEXTS = ("tags", "version", "summary", "license", "origin")
_PATH = re.compile(r"(?!.*(?:^|/)\.{1,2}(?:/|$))[A-Za-z0-9_][A-Za-z0-9+._/-]*\Z")


def list_path(branch: Branch) -> str:
    """Return where the list of a branch is, relative to the mirror."""
    return f"{FOLDER}/{branch.release}-{branch.arch}.jsonl"


def list_bytes(entries: Iterable[Entry]) -> bytes:
    """Return the list of a branch, one line an entry, sorted by name."""
    ordered = sorted(entries, key=lambda entry: entry.name)
    return "".join(_line(entry) + "\n" for entry in ordered).encode()


def _line(entry: Entry) -> str:
    fields: dict[str, object] = {
        "name": entry.name,
        "md5": entry.md5,
        "files": {suffix: [blob.sha256, blob.size] for suffix, blob in sorted(entry.files.items())},
        "installed": entry.installed,
    }
    if entry.needs:
        fields["needs"] = list(entry.needs)
    fields |= {key: value for key in _TEXTS if (value := getattr(entry, key))}
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)


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


def parse(root: bytes, read: Callable[[str, Blob], bytes]) -> Catalogue:
    """Read a catalogue; ``read`` returns a list by its path, given the hash and size it must have.

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
        for name, data in value["branches"].items():
            branch = Branch.parse(name)
            blob = _blob([data["sha256"], data["size"]])
            branches[branch] = parse_list(_checked(read(list_path(branch), blob), blob, list_path(branch)))
        return Catalogue(
            serial=_count(value["serial"]),
            branches=branches,
            extra={_path(path): _blob(data) for path, data in value["extra"].items()},
            indexes={_path(path): _blob(data) for path, data in value["indexes"].items()},
        )
    except (ValueError, TypeError, KeyError, AttributeError, ConfigError, RecursionError) as error:
        raise VerifyError("not a catalogue of a mirror", where=ROOT, why=str(error)) from error


def _checked(data: bytes, blob: Blob, path: str) -> bytes:
    if hashlib.sha256(data).hexdigest() != blob.sha256:
        raise VerifyError("not the list that the catalogue names", where=path)
    return data


def parse_list(data: bytes) -> dict[str, Entry]:
    """Read the list of a branch; raises ``ValueError`` and its kin for what is malformed."""
    found = {}
    for line in data.splitlines():
        entry = _entry(json.loads(line))
        found[entry.name] = entry
    return found


def _entry(data: dict[str, Any]) -> Entry:
    if not _MD5.match(data["md5"]):
        raise ValueError("an md5 is malformed")
    files = {suffix: _blob(blob) for suffix, blob in data["files"].items()}
    if "" not in files or not set(files) <= set(SUFFIXES):
        raise ValueError("an entry's files are malformed")
    return Entry(
        name=data["name"],
        md5=data["md5"],
        files=files,
        needs=tuple(data.get("needs", ())),
        installed=_count(data["installed"]),
        **{key: _text(data.get(key, "")) for key in _TEXTS},
    )


def _blob(data: list[Any]) -> Blob:
    sha256, size = data
    if not _HEX.match(sha256):
        raise ValueError("a sha256 is malformed")
    return Blob(sha256=sha256, size=_count(size))


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("a count is malformed")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is malformed")
    return value


def _path(path: str) -> str:
    if not _PATH.match(path):
        raise ValueError(f"the path {path!r} is malformed")
    return path
