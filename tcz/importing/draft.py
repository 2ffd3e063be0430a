"""What every kind of import leads to: a tree with what is known about it, not yet written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tcz.names import PackageName
    from tcz.tree import Tree

#: ``done``: an effect that Debian leaves to a script, translated. ``changed``: something is not where
#: or what it was. ``left-out``: not in the extension. ``by-hand``: what someone has to look at.
Verdict = Literal["done", "changed", "left-out", "by-hand"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something to know about an import: ``where`` is a path or a script of the package."""

    verdict: Verdict
    where: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Exactly what was imported: the file's name and its sha256 (of a manifest, for an image)."""

    kind: Literal["Debian package", "archive", "OCI image"]
    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An extension to be. ``epoch`` is the time of its newest file; ``needs`` are names without suffix.

    ``startup`` are lines of shell that root runs after loading; ``tree`` does not hold that script.
    """

    name: PackageName
    version: str
    tree: Tree
    origins: tuple[Origin, ...]
    epoch: int
    summary: str = ""
    license: str = ""
    homepage: str = ""
    author: str = ""
    tags: tuple[str, ...] = ()
    needs: tuple[PackageName, ...] = ()
    startup: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
