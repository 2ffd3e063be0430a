"""One image, every way to start it: as CD, as disk and as USB stick, by BIOS and by UEFI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from remaster.vm import Machine, MachineSpec
from tcz.run import HostRunner

if TYPE_CHECKING:
    from pathlib import Path

#: Generous: another machine may be ten times slower, and these are told apart by how they fail.
PATIENCE = 300
FATAL = r"Kernel panic|Initramfs unpacking failed|boot: *$|grub rescue>|Shell>|No bootable device"


@pytest.mark.boot
@pytest.mark.parametrize("firmware", ["bios", "uefi"])
@pytest.mark.parametrize("medium", ["cdrom", "disk", "usb"])
def test_it_boots_to_a_prompt_and_powers_off(iso: Path, firmware: Any, medium: str) -> None:
    spec = MachineSpec(
        firmware=firmware,
        cdrom=iso if medium == "cdrom" else None,
        disk=iso if medium != "cdrom" else None,
        usb=medium == "usb",
        memory_mib=512,
    )
    with Machine(spec, HostRunner()) as machine:
        console = machine.console
        console.expect(r"tc@[^\n]*[$#] ", PATIENCE, never=FATAL)
        status, _ = console.run("test -d /sys/firmware/efi")
        assert (status == 0) == (firmware == "uefi")
        assert console.run("test -s /mnt/*/cde/onboot.lst")[0] == 0
        machine.powerdown()
        machine.wait(60)
