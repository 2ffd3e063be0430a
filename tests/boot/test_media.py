"""The base alone, started in the ways in which the docker variant is not: disks and sticks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from remaster.vm import Machine, MachineSpec
from tcz.run import HostRunner

if TYPE_CHECKING:
    from pathlib import Path

#: Generous: another machine may be ten times slower, and these are told apart by how they fail.
PATIENCE = 300
FATAL = r"Kernel panic|Initramfs unpacking failed|grub rescue>|Shell>|No bootable device"


@pytest.mark.boot
@pytest.mark.parametrize(
    ("firmware", "medium"), [("bios", "disk"), ("bios", "usb"), ("uefi", "disk"), ("uefi", "usb")]
)
def test_it_boots_to_a_prompt_and_powers_off(linux_iso: Path, firmware: Any, medium: str) -> None:
    spec = MachineSpec(
        firmware=firmware,
        disk=linux_iso,
        usb=medium == "usb",
        memory_mib=512,
    )
    typed = (firmware, medium) == ("bios", "usb")
    with Machine(spec, HostRunner()) as machine:
        console = machine.console
        if typed:
            # At isolinux's prompt, on the serial line: help, and another entry than the default.
            console.expect("boot: ", PATIENCE, never=FATAL)
            console.send("\x1bOQ", end="")  # F2
            console.expect(r"What the entries do(?s:.*)boot: ", PATIENCE, never=FATAL)
            console.send("debug host=typed")
        console.expect(r"tc@typed:[^\n]*[$#] " if typed else r"tc@[^\n]*[$#] ", PATIENCE, never=FATAL)
        status, _ = console.run("test -d /sys/firmware/efi")
        assert (status == 0) == (firmware == "uefi")
        if typed:
            assert {"loglevel=7", "host=typed"} <= set(console.run("cat /proc/cmdline")[1].split())
        assert console.run("test -e /mnt/*/cde/onboot.lst")[0] == 0
        machine.powerdown()
        machine.wait(60)
