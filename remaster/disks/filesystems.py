"""What a partition holds, by the magic numbers of file systems: kind and label, and files where we can.

Places of the magic numbers: the kernel's Documentation/filesystems, and what blkid of util-linux looks for.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remaster.disks import extfs, fatfs
from tcz.errors import VerifyError

if TYPE_CHECKING:
    from remaster.disks.blocks import Blocks
    from tcz.tree import Tree

_MAGICS: Final = (
    (0, b"hsqs", "squashfs"),
    (0, b"LUKS\xba\xbe", "LUKS"),
    (0, b"XFSB", "xfs"),
    (3, b"NTFS    ", "ntfs"),
    (3, b"EXFAT   ", "exfat"),
    (4086, b"SWAPSPACE2", "swap"),
    (0x8001, b"CD001", "iso9660"),
    (0x10040, b"_BHRfS_M", "btrfs"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A file system: ``kind`` is empty where it is not known, ``tree`` is ``None`` where it cannot be read.

    ``fault`` says why a file system that should be read could not.
    """

    kind: str
    label: str = ""
    uuid: str = ""
    tree: Tree | None = None
    fault: str = ""


def look(blocks: Blocks, offset: int, size: int) -> Held:
    """Return what is in ``size`` bytes at ``offset``; a damaged file system is told, not raised."""
    size = min(size, blocks.size - offset)
    if size < 512:  # noqa: PLR2004 - a sector
        return Held(kind="", fault="it lies beyond the end of the disk")
    head = blocks.read(offset, 512)
    for at, magic, kind in _MAGICS:
        if at + len(magic) <= size and blocks.read(offset + at, len(magic)) == magic:
            return Held(kind=kind)
    try:
        if extfs.is_ext(blocks, offset, size):
            ext = extfs.read(blocks, offset, size)
            return Held(kind=ext.kind, label=ext.label, uuid=ext.uuid, tree=ext.tree)
        if fatfs.is_fat(head):
            fat = fatfs.read(blocks, offset, size)
            return Held(kind=f"fat{fat.bits}", label=fat.label, uuid=fat.serial, tree=fat.tree)
    except (VerifyError, struct.error) as error:
        kind = "fat" if fatfs.is_fat(head) else "ext"
        return Held(kind=kind, fault=error.what if isinstance(error, VerifyError) else str(error))
    return Held(kind="")
