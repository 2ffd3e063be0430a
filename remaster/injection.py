"""Packages put into the root of an image: unpacked, or as they are below /tmp/builtin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from remaster import folders, placement, unpacked
from tcz.squashfs import image as squashfs
from tcz.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from remaster.placement import Arrangement
    from remaster.plan import MediumFile

_MARKS = "usr/local/tce.installed/"
_BUILTIN = f"{folders.BUILTIN}/optional/"
_MEDIUM = "cde/optional/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Injected:
    """The base's root with packages in it, whose each path of them is, and what the user should know."""

    root: Tree
    owners: Mapping[str, str]
    notes: tuple[str, ...] = ()


def present(root: Tree, kept: Sequence[MediumFile]) -> placement.Present:
    """Return which packages a base has itself."""
    return placement.Present(
        medium=_names(_MEDIUM, [file.path for file in kept]),
        builtin=_names(_BUILTIN, root),
        installed=frozenset(path.removeprefix(_MARKS) for path in root if path.startswith(_MARKS)),
    )


def _names(folder: str, paths: Sequence[str] | Tree) -> frozenset[str]:
    return frozenset(
        path[len(folder) : -len(".tcz")]
        for path in paths
        if path.startswith(folder) and path.endswith(".tcz")
    )


def inject(root: Tree, arrangement: Arrangement, lists: Sequence[str], epoch: int) -> Injected:
    """Put packages into a base's root. Raises ``ConfigError`` where one cannot be unpacked into it."""
    rooted = arrangement.at("root")
    laid = unpacked.unpack(root, ((one.name, squashfs.read(one.package.path)) for one in rooted), epoch)
    tree = root.overlay(laid.nodes) if rooted else root
    nodes = folders.builtin_nodes(arrangement, tree, epoch, lists)
    nodes |= folders.ondemand_nodes(arrangement, epoch)
    root = tree.overlay(Tree(nodes)) if nodes else tree
    return Injected(root=root, owners=laid.owners, notes=laid.notes)
