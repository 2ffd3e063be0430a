"""Disk images that start by BIOS and by UEFI: a GPT with three partitions.

1. ``bios-boot``: GRUB's core image, for BIOS.
2. ``floe-system``: an EFI system partition (FAT32) with everything that is on other media as well:
   kernel, initrd, grub.cfg and /cde, which the base looks for on every file system.
3. ``floe-data``: an empty ext4. It is the last one, so that it can grow with the disk, and has the
   attribute that says it shall (``gpt.GROW``).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from remaster.formats import ext4, fat, gpt, grubdisk
from remaster.formats.model import MIB, SECTOR, Layout, Piece, layout, size_of
from remaster.menu import grub_cfg
from tcz.errors import ToolkitError
from tcz.store import scratch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remaster.formats.content import DiskParts, ImageContent
    from remaster.formats.model import Source

SYSTEM_NAME: Final = "floe-system"
DATA_NAME: Final = "floe-data"
_SYSTEM_LABEL: Final = "FLOE_SYSTEM"
_CORE_AT: Final = MIB
_SYSTEM_AT: Final = 2 * MIB
#: Free on the system partition, so that a newer kernel or one more extension finds room.
_SPARE: Final = 64 * MIB
_TAIL: Final = MIB
#: Files of the ISO image that serve its own boot loaders.
_ISO_ONLY: Final = ("boot/isolinux/", "EFI/", "boot/grub/")


def system_files(content: ImageContent, parts: DiskParts) -> tuple[tuple[str, Source], ...]:
    """Return path and content of every file of the system partition."""
    kept = [(path, source) for path, source in content.iso.files if not path.startswith(_ISO_ONLY)]
    own: list[tuple[str, Source]] = [
        ("boot/grub/grub.cfg", grub_cfg(content.menu).encode()),
        ("EFI/BOOT/BOOTX64.EFI", parts.efi),
    ]
    return tuple(sorted([*kept, *own], key=lambda file: file[0]))


def _parts(content: ImageContent) -> DiskParts:
    if content.disk is None:
        raise ToolkitError("a disk needs GRUB's files, which were not given")
    return content.disk


def _system_size(files: tuple[tuple[str, Source], ...]) -> int:
    return gpt.aligned(fat.room(files) + _SPARE)


@contextmanager
def opened(content: ImageContent) -> Iterator[Layout]:
    """Give the layout of the disk; the file system for data exists only as long as this is open."""
    parts = _parts(content)
    with scratch("remaster-disk-") as folder:
        data = folder / "data"
        ext4.make(
            data,
            parts.data_size,
            label=parts.data_label,
            guid=gpt.derived(content.identity, "data file system"),
            seed=gpt.derived(content.identity, "data hash seed"),
            epoch=content.epoch,
            runner=content.runner,
        )
        yield _layout(content, parts, data)


def _layout(content: ImageContent, parts: DiskParts, data: Path) -> Layout:
    identity = content.identity
    files = system_files(content, parts)
    system_size = _system_size(files)
    data_at = _SYSTEM_AT + system_size
    size = data_at + parts.data_size + _TAIL
    core = grubdisk.core_image(parts.core.read_bytes(), _CORE_AT // SECTOR)
    if len(core) > _SYSTEM_AT - _CORE_AT:
        raise ToolkitError(f"GRUB's core image is too large: {len(core)} bytes")
    system = fat.build(
        fat.FatPlan(
            size=system_size,
            files=files,
            label=_SYSTEM_LABEL,
            serial=gpt.derived(identity, "system file system").int & 0xFFFFFFFF,
            epoch=content.epoch,
            hidden=_SYSTEM_AT // SECTOR,
        )
    )

    def partition(role: str, *, offset: int, size: int, attributes: int = 0) -> gpt.Partition:
        kind = {SYSTEM_NAME: gpt.EFI_SYSTEM, DATA_NAME: gpt.LINUX_DATA}.get(role, gpt.BIOS_BOOT)
        guid = gpt.derived(identity, role)
        return gpt.Partition(kind=kind, guid=guid, offset=offset, size=size, name=role, attributes=attributes)

    tables = gpt.tables(
        size,
        gpt.derived(identity, "disk"),
        (
            partition("bios-boot", offset=_CORE_AT, size=_SYSTEM_AT - _CORE_AT),
            partition(SYSTEM_NAME, offset=_SYSTEM_AT, size=system_size),
            partition(DATA_NAME, offset=data_at, size=size_of(data), attributes=gpt.GROW),
        ),
        code=grubdisk.boot_code(parts.boot.read_bytes(), _CORE_AT // SECTOR),
    )
    own = (Piece(offset=_CORE_AT, source=core), Piece(offset=data_at, source=data))
    return layout(size, tables, own, system.shifted(_SYSTEM_AT))
