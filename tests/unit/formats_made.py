"""Stand-ins for GRUB's files: what the places look like that are checked and filled in."""

from __future__ import annotations

import struct


def boot_img() -> bytes:
    image = bytearray(b"\xeb\x63\x90".ljust(510, b"\x11") + b"\x55\xaa")
    image[0x5C:0x64] = (1).to_bytes(8, "little")
    image[0x64] = 0xFF
    image[0x66:0x68] = b"\xeb\x05"
    return bytes(image)


def core_img(size: int = 40_000) -> bytes:
    first = bytes(500) + struct.pack("<QHH", 2, 99, 0x820)
    return first + b"\x22" * (size - len(first))
