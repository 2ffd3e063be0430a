"""What every kind of source gives once it is fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tcz.errors import ConfigError
from tcz.tree import safe_path
from tcz.unpack import make_folder

if TYPE_CHECKING:
    from pathlib import Path

    from tcz.model import ResolvedSource


class Part(Protocol):
    """A source whose bytes are at hand and checked."""

    @property
    def resolved(self) -> ResolvedSource:
        """What it turned out to be."""
        ...

    def unpack(self, into: Path) -> None:
        """Put it below the source folder ``into``, at the place its recipe says."""
        ...


def place(into: Path, dest: str) -> Path:
    """Return the folder ``dest`` below ``into``, made if need be; it may not lead out of it."""
    if dest.startswith("/"):
        raise ConfigError(f"dest must be relative: {dest!r}")
    folder = into / safe_path(dest)
    make_folder(folder)
    if not folder.resolve().is_relative_to(into.resolve()):
        raise ConfigError(f"dest leads out of the source folder: {dest!r}")
    return folder
