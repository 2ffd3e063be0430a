"""Unpacks an image as a plain user; what a plain user's files cannot hold is recorded beside them.

Below the output folder: ``medium``, ``root`` and ``packages/NAME``, each with its record ``….owners``
(``remaster.owners``). A folder that has ``root`` can be built upon and surveyed like the image itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remaster import owners, packages
from remaster.survey.look import examine
from tcz.errors import ConfigError, VerifyError
from tcz.paths import need_space

if TYPE_CHECKING:
    from pathlib import Path

    from tcz.tree import Tree

ROOT: Final = "root"
MEDIUM: Final = "medium"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What was unpacked: where to, how many entries, bytes of content, and the record of owners."""

    name: str
    folder: Path
    owners: Path
    entries: int
    size: int


def extract(path: Path, part: str | None, output: Path) -> tuple[Part, ...]:
    """Unpack a part of the image at ``path``, or its medium and its root.

    ``part`` is ``root``, ``medium`` or the name of a package. Raises ``ConfigError`` for a part that is
    not there or was unpacked before, ``VerifyError`` for a damaged image, ``NoSpaceError``.
    """
    examined = examine(path)
    if part not in (None, ROOT, MEDIUM):
        assert part is not None  # noqa: S101 - for the type checker
        name = part.removesuffix(".tcz")
        with packages.opened(packages.node(examined, name), name) as tree:
            return (_unpacked(tree, name, output / "packages" / name),)
    trees = {MEDIUM: examined.medium.files, ROOT: examined.root}
    wanted = [name for name in trees if part in (None, name) and len(trees[name]) > 1]
    if not wanted:
        why = "; ".join(examined.survey.unread) or None
        raise VerifyError(f"this image has no {part or 'files'}", where=str(path), why=why)
    for name in wanted:
        _check_free(output / name)
    return tuple(_unpacked(trees[name], name, output / name) for name in wanted)


def _check_free(folder: Path) -> None:
    for place in (folder, owners.beside(folder)):
        if place.exists() or place.is_symlink():
            raise ConfigError(f"{place} is there already", hint="remove it, or give another --output")


def _unpacked(tree: Tree, name: str, folder: Path) -> Part:
    _check_free(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    size = tree.content_size()
    need_space(folder.parent, size, f"what is unpacked of {name}")
    owners.write(tree, folder)
    return Part(name=name, folder=folder, owners=owners.beside(folder), entries=len(tree) - 1, size=size)
