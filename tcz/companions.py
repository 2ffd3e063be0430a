"""The files that lie beside a .tcz: what a mirror serves and Tiny Core's scripts read.

``.dep``, ``.info``, ``.list`` and ``.md5.txt`` are written with the package, whatever it was made from.
``.tree`` tells of other packages and ``.zsync`` takes time, so both are written when they are asked for, and
so is ``.build.json``: by what build, from what sources, in what root.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tcz import metadata, zsync
from tcz.store import md5_file, replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tcz.model import Built, BuiltPackage
    from tcz.tree import Tree

PROVENANCE: Final = ".build.json"
#: What may lie beside a package, in the order in which it is listed.
SUFFIXES: Final = (".dep", ".info", ".list", ".md5.txt", ".tree", zsync.SUFFIX, PROVENANCE)


def write(path: Path, tree: Tree, *, needs: Sequence[str], info: metadata.Info) -> None:
    """Write what lies beside the finished package ``path``; no .dep where it needs nothing.

    ``needs`` are package names without suffix. Raises ``ConfigError`` for a name outside the grammar.
    """
    dep = metadata.dep_text(needs)
    texts = {
        ".list": metadata.list_text(p for p, node in tree.items() if not node.is_dir),
        ".md5.txt": metadata.md5_text(metadata.Md5(md5=md5_file(path), name=path.name)),
        ".info": metadata.info_text(info),
    }
    if dep is not None:
        texts[".dep"] = dep
    for suffix, text in texts.items():
        beside(path, suffix).write_text(text, encoding="utf-8", errors="surrogateescape")


def write_tree(package: BuiltPackage, needs: Callable[[str], Sequence[str] | None]) -> None:
    """Write the .tree of an extension that needs something; ``needs`` is as ``metadata.tree_text`` has it."""
    if package.form == "extension" and package.needs:
        _replace(beside(package.path, ".tree"), metadata.tree_text(package.name, needs).encode())


def write_zsync(package: BuiltPackage, *, epoch: int) -> None:
    """Write the .zsync of an extension, unless it has one: packages that are built do not change."""
    if package.form == "extension" and not beside(package.path, zsync.SUFFIX).exists():
        _replace(beside(package.path, zsync.SUFFIX), zsync.control(package.path, epoch=epoch))


def write_provenance(built: Built, package: BuiltPackage) -> None:
    """Write the .build.json of an extension: where it comes from, one JSON object with sorted keys.

    Nothing of it is in the package: it would take room on every machine that loads it.
    """
    file = beside(package.path, PROVENANCE)
    if package.form == "extension" and not file.exists():
        fields = {
            "format": 1,
            "package": package.name,
            "sha256": package.sha256,
            "recipe": built.recipe,
            "version": built.version,
            "build_id": built.build_id,
            "content_id": built.content_id,
            "sources": [asdict(one) for one in built.sources],
            "root": [asdict(one) for one in built.root],
        }
        text = json.dumps(fields, indent=1, sort_keys=True) + "\n"
        _replace(file, text.encode())


def _replace(path: Path, data: bytes) -> None:
    if not path.exists() or path.read_bytes() != data:
        with replacing(path) as temporary:
            temporary.write_bytes(data)


def beside(path: Path, suffix: str) -> Path:
    """Return where a companion of a .tcz is."""
    return path.with_name(path.name + suffix)


def of(path: Path) -> Sequence[Path]:
    """Return the files of an extension: the .tcz itself and those that lie beside it."""
    found = (beside(path, suffix) for suffix in SUFFIXES)
    return (path, *(file for file in found if file.exists()))


def day(epoch: int) -> str:
    """Return a moment as .info files write it: ``2026/01/31``."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y/%m/%d")
