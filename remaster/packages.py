"""Packages inside an image: their trees, read from the medium or from the root."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tcz.errors import ConfigError
from tcz.squashfs import image as squashfs
from tcz.store import scratch
from tcz.toml import guess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remaster.survey.look import Examined
    from tcz.tree import Node, Tree


def nodes(examined: Examined) -> dict[str, Node]:
    """Return the packages of an image by name; those of the medium win over those of the root."""
    found: dict[str, Node] = {}
    for extension in examined.survey.extensions:
        path = f"{extension.where}/{extension.name}.tcz"
        node = examined.medium.files.get(path) or examined.root.get(path)
        if node is not None and node.is_file:
            found.setdefault(extension.name, node)
    return found


def node(examined: Examined, name: str) -> Node:
    """Return one package. Raises ``ConfigError`` with a guess where there is none of that name."""
    found = nodes(examined)
    wanted = name.removesuffix(".tcz")
    if wanted not in found:
        raise ConfigError(
            f"{examined.survey.path} has no package {wanted!r}",
            hint=guess(wanted, tuple(found)) or f"packages: {', '.join(found) or 'none'}",
        )
    return found[wanted]


@contextmanager
def opened(package: Node, name: str) -> Iterator[Tree]:
    """Give the tree of a package while the context lasts. Raises ``VerifyError`` for a damaged one."""
    with scratch("remaster-package-") as folder:
        file = folder / f"{name}.tcz"
        with file.open("wb") as out:
            for piece in package.pieces():
                out.write(piece)
        yield squashfs.read(file)
