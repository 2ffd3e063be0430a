"""What the writers of all formats are given: an image decided in all its parts, nothing laid out yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from remaster.formats.model import Source
    from remaster.iso import IsoPlan
    from remaster.menu import Menu
    from tcz.run import Runner
    from tcz.tree import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskParts:
    """What only disks need: GRUB's files, and the partition for data."""

    boot: Path
    core: Path
    efi: Path
    data_label: str
    data_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageContent:
    """An image's parts.

    ``iso`` is the plan of the ISO image; its files are those of every medium. ``menu`` says where
    kernel and initrd are among them. ``root`` gives the root file system's tree when it is asked for,
    ``whole`` the same with all extensions in it that are loaded at boot. ``identity`` tells this image
    from others.
    """

    iso: IsoPlan
    menu: Menu
    root: Callable[[], Tree]
    whole: Callable[[], Tree]
    identity: bytes
    epoch: int
    runner: Runner
    disk: DiskParts | None = None

    def file(self, path: str) -> Source:
        """Return the content of a file of the medium; ``KeyError`` where there is none."""
        return dict(self.iso.files)[path.lstrip("/")]
