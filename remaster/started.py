"""What kind of image a file or folder is, found by looking, and the machine that starts it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from remaster import isofs
from remaster.disks import partitions
from remaster.disks.blocks import open_blocks
from remaster.survey import kernels
from remaster.vm import MachineSpec
from tcz.errors import ConfigError, VerifyError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Kind = Literal["iso", "disk", "qcow2", "netboot"]
How = Literal["cdrom", "disk", "usb", "kernel", "network"]

_ISO_AT: Final = 0x8001
_TAR_AT: Final = 257
_HEAD: Final = 0x8006
_NETBOOT: Final = ("vmlinuz", "initrd", "cmdline")
#: How each kind can be started, the usual way first.
_WAYS: Final[Mapping[Kind, tuple[How, ...]]] = {
    "iso": ("cdrom", "disk", "usb"),
    "disk": ("disk", "usb"),
    "qcow2": ("disk", "usb"),
    "netboot": ("kernel", "network"),
}
_SIZE: Final = re.compile(r"(\d{1,9})([KMGT])(?:i?B)?", re.IGNORECASE)
_CMDLINE_MAX: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What the machine has besides the image."""

    uefi: bool = False
    memory: int = 1024
    cpus: int = 2
    config_disk: Path | None = None
    forwards: tuple[tuple[int, int], ...] = ()
    data_disk: Path | None = None
    reboot: bool = True


def kind_of(image: Path) -> Kind:
    """Return the kind of an image.

    Raises ``ConfigError`` where nothing is there, ``VerifyError`` for what no machine can start.
    """
    if image.is_dir():
        missing = [name for name in _NETBOOT if not (image / name).is_file()]
        if missing:
            raise VerifyError(
                f"this folder is no netboot image: it has no {', '.join(missing)}", where=str(image)
            )
        return "netboot"
    if not image.is_file():
        raise ConfigError(f"there is no image {image}", hint=f"remaster --variant docker --output {image}")
    with image.open("rb") as file:
        head = file.read(_HEAD)
    if head.startswith(b"QFI\xfb"):
        return "qcow2"
    if head[_ISO_AT : _ISO_AT + 5] == b"CD001":
        return "iso"
    if head[510:512] == b"\x55\xaa":
        return "disk"
    if head[_TAR_AT : _TAR_AT + 5] == b"ustar":
        raise VerifyError(
            "this is a tar archive, which no machine starts", where=str(image), hint=f"podman import {image}"
        )
    raise VerifyError("this is no ISO image, no disk and no netboot folder", where=str(image))


def check(image: Path) -> None:
    """Raise ``VerifyError`` for an image that is cut off or damaged where a machine would only stay silent.

    What is looked at is its own description of itself: the ISO image's folders, the disk's partitions, the
    kernel's header. Raises as ``kind_of`` does.
    """
    kind = kind_of(image)
    if kind == "iso":
        isofs.read(image)
    elif kind == "netboot":
        with (image / "vmlinuz").open("rb") as file:
            if not kernels.is_kernel(file.read(kernels.HEAD)):
                raise VerifyError("this is no kernel", where=str(image / "vmlinuz"))
    else:
        blocks = open_blocks(image)
        for part in partitions.read(blocks).partitions:
            if part.offset + part.size > blocks.size:
                raise VerifyError(
                    f"the disk is cut off: partition {part.number} ends at {part.offset + part.size}, "
                    f"the disk at {blocks.size}",
                    where=str(image),
                )


def spec_for(image: Path, hardware: Hardware, how: How | None = None) -> MachineSpec:
    """Return the machine that starts an image, in the usual way where none is given.

    Raises ``ConfigError`` for a way in which this kind cannot be started, and as ``kind_of`` does.
    """
    kind = kind_of(image)
    ways = _WAYS[kind]
    way = how or ways[0]
    if way not in ways:
        raise ConfigError(
            f"{image} is of the kind {kind} and cannot be started as {way}", hint=", ".join(ways)
        )
    return MachineSpec(
        memory_mib=hardware.memory,
        cpus=hardware.cpus,
        firmware="uefi" if hardware.uefi else "bios",
        cdrom=image if way == "cdrom" else None,
        disk=image if way in ("disk", "usb") else None,
        usb=way == "usb",
        kernel=image / "vmlinuz" if way == "kernel" else None,
        initrd=image / "initrd" if way == "kernel" else None,
        append=_command_line(image / "cmdline") if way == "kernel" else "",
        tftp=image if way == "network" else None,
        data_disk=hardware.data_disk,
        config_disk=hardware.config_disk,
        forwards=hardware.forwards,
        reboot=hardware.reboot,
    )


def _command_line(file: Path) -> str:
    try:
        text = file.read_bytes()[:_CMDLINE_MAX].decode().strip()
    except UnicodeDecodeError:
        text = "\n"
    if not text.isprintable():
        raise VerifyError("the kernel's command line is not one line of text", where=str(file))
    return text


def size_in(text: str) -> int | None:
    """Return the bytes of a size such as 8G; ``None`` for what is none."""
    found = _SIZE.fullmatch(text)
    if found is None:
        return None
    return int(found[1]) << {"K": 10, "M": 20, "G": 30, "T": 40}[found[2].upper()]
