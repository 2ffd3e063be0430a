"""The master boot record that makes an ISO image start from a USB stick or disk as well.

Layout as syslinux's ``isohybrid`` and xorriso make it: 432 bytes of code (isohdpfx.bin), where the
code finds isolinux.bin (8 bytes, in sectors of 512), the disk id, and partitions. Only an MBR is
written. UEFI firmware finds the EFI partition in it; a GPT would have to lie about the same blocks
a second time, and its backup would be misplaced on any medium larger than the image.

Partition 1 covers the whole image from sector 0, so that the file system can be mounted from it as
well as from the disk. Its type is 0x17 (hidden, no system offers to format it), but 0x00 when an
EFI partition lies within: UEFI's reference MBR reader (edk2, PartitionDxe/Mbr.c) refuses partitions
that overlap, and looks only at those with a type. Linux goes by the size and uses it all the same.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from tcz.errors import VerifyError

#: Images are padded to whole "cylinders" of 64 heads and 32 sectors: BIOSes guess the geometry from
#: where the first partition ends.
CYLINDER: Final = 1 << 20

_SECTOR: Final = 512
_ISO_SECTORS: Final = 4
_HEADS: Final = 64
_TRACK: Final = 32
_CODE_SIZE: Final = 432
_SIGNATURE_AT: Final = 0x40
_SIGNATURE: Final = b"\xfb\xc0\x78\x70"
_ACTIVE: Final = 0x80
_HIDDEN: Final = 0x17
_EMPTY: Final = 0x00
_EFI: Final = 0xEF
_MAX_SECTORS: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """A run of 2048-byte blocks in an ISO image; ``size`` is in bytes."""

    block: int
    size: int


def padding(size: int) -> int:
    """Return how many NUL bytes must follow an image of ``size`` bytes."""
    return -size % CYLINDER


def check_isolinux(image: bytes) -> None:
    """Raise ``VerifyError`` unless isolinux.bin can be started by a hybrid MBR."""
    if image[_SIGNATURE_AT : _SIGNATURE_AT + 4] != _SIGNATURE:
        raise VerifyError(
            "isolinux.bin cannot be started from a disk",
            why="the signature fb c0 78 70 at offset 64 is missing",
            hint="take isolinux.bin of syslinux 4.04 or newer, and isohdpfx.bin of the same release",
        )


def _chs(sector: int) -> bytes:
    cylinder, rest = divmod(sector, _HEADS * _TRACK)
    head, offset = divmod(rest, _TRACK)
    if cylinder > 1023:  # noqa: PLR2004 - ten bits
        return b"\xfe\xff\xff"
    return bytes((head, (offset + 1) | (cylinder >> 8 << 6), cylinder & 0xFF))


def _partition(kind: int, start: int, sectors: int, *, active: bool = False) -> bytes:
    if start + sectors > _MAX_SECTORS:
        raise VerifyError(f"an MBR cannot describe {sectors} sectors from {start}")
    first, last = _chs(start), _chs(start + sectors - 1)
    return struct.pack("<B3sB3sII", _ACTIVE if active else 0, first, kind, last, start, sectors)


def mbr(code: bytes, *, size: int, isolinux: int, disk_id: int, efi: Extent | None = None) -> bytes:
    """Return the first 512 bytes for an image of ``size`` bytes, its padding counted.

    ``code`` is isohdpfx.bin, ``isolinux`` the 2048-byte block where isolinux.bin begins. ``disk_id``
    must not be 0. Raises ``VerifyError`` for code that is no hybrid MBR and for what an MBR cannot hold.
    """
    head = code[:_CODE_SIZE]
    if len(head) < _CODE_SIZE or len(code) > _SECTOR or not any(head):
        raise VerifyError(f"isohdpfx.bin has {len(code)} bytes of code", hint="it should be 432 bytes long")
    if size % CYLINDER or size <= 0:
        raise VerifyError(f"the image is not padded: {size} bytes")
    kind = _HIDDEN if efi is None else _EMPTY
    table = _partition(kind, 0, size // _SECTOR, active=True)
    if efi is not None:
        if not efi.size or efi.block * _ISO_SECTORS * _SECTOR + efi.size > size:
            raise VerifyError(f"the EFI image does not lie within the image: {efi}")
        table += _partition(_EFI, efi.block * _ISO_SECTORS, -(-efi.size // _SECTOR))
    place = struct.pack("<QIH", isolinux * _ISO_SECTORS, disk_id, 0)
    return head + place + table.ljust(64, b"\0") + b"\x55\xaa"
