"""Boot loaders by what is in their files: isolinux, GRUB, a kernel that starts itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from remaster.survey.model import Loader

if TYPE_CHECKING:
    from remaster.survey.medium import Medium
    from tcz.tree import Tree

_SYSLINUX = re.compile(rb"(ISO|SYS|EXT)LINUX (\d[\w.~+-]{0,40})")
_GRUB = re.compile(rb"GNU GRUB  version %s|GRUB version|grub_memmove|GRUB \0Geom\0")
_GRUB_VERSION = re.compile(rb"\0(2\.\d{2}[\w.~+-]{0,24})\0")
_NAMES: Final = ("isolinux.bin", "ldlinux.sys", "efiboot.img", "efi.img")
_SIZE_MAX: Final = 64 << 20


def found(medium: Medium) -> tuple[Loader, ...]:
    """Return what the firmware can start."""
    loaders = []
    if medium.iso is not None:
        for image in medium.iso.boot:
            data = b"" if image.path is None else _bytes(medium.files, image.path)
            program, version = identify(data)
            where = image.path or f"offset {image.offset}, no file"
            loaders.append(Loader(firmware=image.platform, program=program, version=version, where=where))
    if any(medium.starter[:440]):
        program, version = identify(medium.starter)
        loaders.append(
            Loader(firmware="bios", program=program, version=version, where="the disk's beginning")
        )
    known = {loader.where for loader in loaders}
    for path, node in medium.files.items():
        name = path.rpartition("/")[2].lower()
        wanted = name in ("isolinux.bin", "ldlinux.sys") or (
            name.startswith("boot") and name.endswith(".efi")
        )
        if wanted and path not in known and node.is_file:
            program, version = identify(_bytes(medium.files, path))
            firmware = "uefi" if "efi" in name else "bios"
            loaders.append(Loader(firmware=firmware, program=program, version=version, where=path))
    return tuple(loaders)


def _bytes(files: Tree, path: str) -> bytes:
    node = files[path]
    return node.read() if node.is_file and node.size <= _SIZE_MAX else b""


def identify(data: bytes) -> tuple[str, str]:
    """Return the program and the version that a boot image tells."""
    syslinux = _SYSLINUX.search(data)
    if syslinux:
        return f"{syslinux[1].decode().lower()}linux", syslinux[2].decode()
    if _GRUB.search(data):
        version = _GRUB_VERSION.search(data)
        return "grub", version[1].decode() if version else ""
    if b"HdrS" in data[:0x300]:
        return "linux", ""
    return "unknown", ""
