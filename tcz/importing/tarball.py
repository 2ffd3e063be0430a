"""A tar or zip file as a draft: its files as they are, or below another folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcz.errors import ConfigError, VerifyError
from tcz.importing import archive, placing
from tcz.importing.draft import Draft, Origin
from tcz.names import is_package_name, package_name
from tcz.store import sha256_file
from tcz.tree import safe_path

if TYPE_CHECKING:
    from pathlib import Path

    from tcz.bases import Base
    from tcz.importing.archive import Spool
    from tcz.tree import Tree

_SUFFIX = re.compile(r"\.(?:tar(?:\.(?:gz|bz2|xz|zst|lzma))?|tgz|tbz2?|txz|tzst|zip)\Z", re.IGNORECASE)
_VERSIONED = re.compile(r"(?P<name>.+?)[-_]v?(?P<version>\d[\w.+~]*)(?:[-_].*)?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class TarOptions:
    """How an archive is laid out. ``folder`` is where its files go; ``strip`` drops leading path parts."""

    base: Base
    name: str | None = None
    version: str | None = None
    folder: str = ""
    strip: int = 0


def is_archive(path: Path) -> bool:
    """Tell the name of a tar or zip file."""
    return _SUFFIX.search(path.name) is not None


def name_and_version(path: Path) -> tuple[str, str]:
    """Return what a file's name says: ``foo-1.2-linux-amd64.tar.gz`` is ``foo`` and ``1.2``."""
    stem = _SUFFIX.sub("", path.name)
    found = _VERSIONED.match(stem)
    return (found["name"], found["version"]) if found else (stem, "")


def folder_of(prefix: str) -> str:
    """Return the folder that ``keep``, ``usr-local`` or a path stands for. Raises ``ConfigError``."""
    if prefix in ("keep", "usr-local"):
        return "" if prefix == "keep" else "usr/local"
    try:
        return safe_path(prefix)
    except VerifyError as error:
        raise ConfigError(f"{prefix!r} is no folder to put files in") from error


def read(path: Path, spool: Spool, options: TarOptions) -> Draft:
    """Read an archive. Raises ``VerifyError`` for a damaged or hostile one, ``ConfigError``."""
    contents = archive.read(path, spool, archive.Owners.of(options.base), strip=options.strip)
    if len(contents.tree) == 1:
        hint = "--strip drops too many leading path parts" if options.strip else None
        raise VerifyError("there is no file in it", where=str(path), hint=hint)
    guessed, version = name_and_version(path)
    name = options.name or guessed
    if not is_package_name(name):
        raise ConfigError(f"{name!r} is not a package name", hint="name it with --name")
    tree = placing.on_base(below(contents.tree, options.folder), options.base)
    return Draft(
        name=package_name(name),
        version=options.version or version or "unknown",
        tree=tree,
        origins=(Origin(kind="archive", name=path.name, sha256=sha256_file(path)),),
        epoch=max((node.mtime for _, node in tree.items() if not node.is_dir), default=0),
        notes=contents.notes,
    )


def below(tree: Tree, folder: str) -> Tree:
    """Return the tree with everything below a folder; absolute links to its own files follow."""
    if not folder:
        return tree
    return placing.move(tree, lambda path: f"{folder}/{path}" if path in tree else path)
