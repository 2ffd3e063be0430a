"""Packages inside an image: their trees, read from the medium or from the root."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from tcz.errors import ConfigError
from tcz.squashfs import image as squashfs
from tcz.store import scratch
from tcz.toml import guess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

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


class Opened(Protocol):
    """What gives the tree of a package by name; ``None`` for one that is not at hand."""

    def __call__(self, name: str) -> AbstractContextManager[Tree | None]:
        """Open it while the context lasts."""
        ...


def opener(examined: Examined) -> Opened:
    """Return what opens the packages of an image."""
    found = nodes(examined)

    @contextmanager
    def by_name(name: str) -> Iterator[Tree | None]:
        if name not in found:
            yield None
            return
        with opened(found[name], name) as tree:
            yield tree

    return by_name


def opener_of_files(places: Mapping[str, Path]) -> Opened:
    """Return what opens packages that lie at ``places``, by name."""

    @contextmanager
    def by_name(name: str) -> Iterator[Tree | None]:
        yield squashfs.read(places[name]) if name in places else None

    return by_name


@contextmanager
def opened(package: Node, name: str) -> Iterator[Tree]:
    """Give the tree of a package while the context lasts. Raises ``VerifyError`` for a damaged one."""
    with scratch("remaster-package-") as folder:
        file = folder / f"{name}.tcz"
        with file.open("wb") as out:
            for piece in package.pieces():
                out.write(piece)
        yield squashfs.read(file)
