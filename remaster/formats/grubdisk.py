"""GRUB for BIOS on a disk with a GPT: the boot sector and the core image told where the core lies.

This is what GRUB's own grub-bios-setup does to a disk, done to bytes. The places are those of GRUB's
sources: include/grub/i386/pc/boot.h (GRUB_BOOT_MACHINE_KERNEL_SECTOR 0x5c, _BOOT_DRIVE 0x64, _DRIVE_CHECK
0x66, _LIST_SIZE 12, _KERNEL_SEG 0x800), grub-core/boot/i386/pc/{boot,diskboot}.S and
util/setup.c; they have been the same since GRUB 1.99.
"""

from __future__ import annotations

import struct
from typing import Final

from remaster.formats.model import SECTOR
from tcz.errors import VerifyError

_KERNEL_SECTOR: Final = 0x5C
_BOOT_DRIVE: Final = 0x64
_DRIVE_CHECK: Final = 0x66
_CODE_END: Final = 440
_SIGNATURE: Final = b"\x55\xaa"
_JUMP: Final = 0xEB
_NOPS: Final = b"\x90\x90"
_FROM_BIOS: Final = 0xFF
#: A run of sectors: first, how many, and the segment they are loaded to. The list grows downwards from
#: the end of the core's first sector; a run of none ends it.
_RUN: Final = struct.Struct("<QHH")
_RUN_AT: Final = SECTOR - _RUN.size
_LOAD_SEGMENT: Final = 0x800 + (SECTOR >> 4)
#: What lies between the load address 0x8200 and the video memory.
_CORE_MAX: Final = 0x78000


def boot_code(boot: bytes, core_sector: int) -> bytes:
    """Return the first 440 bytes of the disk from GRUB's boot.img, for a core at a sector of the disk.

    Raises ``VerifyError`` for what is no boot.img.
    """
    if (
        len(boot) != SECTOR
        or boot[-2:] != _SIGNATURE
        or boot[_BOOT_DRIVE] != _FROM_BIOS
        or boot[_DRIVE_CHECK] not in (_JUMP, _NOPS[0])
    ):
        raise VerifyError(
            "this is not the boot.img of GRUB for BIOS", hint="it comes from the recipe grub-bios"
        )
    code = bytearray(boot[:_CODE_END])
    struct.pack_into("<Q", code, _KERNEL_SECTOR, core_sector)
    # As grub-bios-setup does on hard disks: some BIOSes tell a wrong drive, which this then corrects.
    code[_DRIVE_CHECK : _DRIVE_CHECK + 2] = _NOPS
    return bytes(code)


def core_image(core: bytes, core_sector: int) -> bytes:
    """Return GRUB's core.img as it lies at a sector of the disk, whole sectors long.

    Raises ``VerifyError`` for what is no core.img.
    """
    if not 2 * SECTOR < len(core) <= _CORE_MAX:
        raise VerifyError(f"this is not a core.img of GRUB for BIOS: it has {len(core)} bytes")
    _, _, segment = _RUN.unpack_from(core, _RUN_AT)
    if segment != _LOAD_SEGMENT or any(core[_RUN_AT - _RUN.size : _RUN_AT]):
        raise VerifyError("this is not a core.img of GRUB for BIOS: its first sector has no list of sectors")
    image = bytearray(core.ljust(-(-len(core) // SECTOR) * SECTOR, b"\0"))
    _RUN.pack_into(image, _RUN_AT, core_sector + 1, len(image) // SECTOR - 1, _LOAD_SEGMENT)
    return bytes(image)
