"""The files that lie beside a ``.tcz``: written in one place, whatever the package was made from."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tcz import metadata

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tcz.tree import Tree

#: What may lie beside a package, in the order in which it is listed.
SUFFIXES: Final = (".dep", ".info", ".list", ".md5.txt")


def write(path: Path, tree: Tree, *, needs: Sequence[str], info: metadata.Info) -> None:
    """Write what lies beside the finished package ``path``; no .dep where it needs nothing.

    ``needs`` are package names without suffix. Raises ``ConfigError`` for a name outside the grammar.
    """
    dep = metadata.dep_text(needs)
    with path.open("rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    texts = {
        ".list": metadata.list_text(p for p, node in tree.items() if not node.is_dir),
        ".md5.txt": metadata.md5_text(metadata.Md5(md5=md5, name=path.name)),
        ".info": metadata.info_text(info),
    }
    if dep is not None:
        texts[".dep"] = dep
    for suffix, text in texts.items():
        path.with_name(path.name + suffix).write_text(text, encoding="utf-8", errors="surrogateescape")


def of(path: Path) -> Sequence[Path]:
    """Return the files of an extension: the .tcz itself and those that lie beside it."""
    beside = (path.with_name(path.name + suffix) for suffix in SUFFIXES)
    return (path, *(file for file in beside if file.exists()))


def day(epoch: int) -> str:
    """Return a moment as .info files write it: ``2026/01/31``."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y/%m/%d")
