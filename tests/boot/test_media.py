"""The base alone, started in the ways in which the docker variant is not: disks and sticks.

Each by another entry of the menu, so that every entry boots to a prompt in one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from remaster.survey import look
from remaster.vm import MachineSpec
from tests.boot import serial_logs

if TYPE_CHECKING:
    from pathlib import Path

    from remaster.serial import Console

#: Generous: another machine may be ten times slower, and these are told apart by how they fail.
PATIENCE = 300
FATAL = r"Kernel panic|Initramfs unpacking failed|grub rescue>|Shell>|No bootable device"


DOWN = "\x1b[B"
F2 = "\x1bOQ"


def words_of(iso: Path, program: str, label: str) -> list[str]:
    """Return what a loader's menu in an image hands to the kernel."""
    found = look.examine(iso).survey
    return next(list(one.words) for one in found.entries if (one.program, one.label) == (program, label))


def choose(console: Console, firmware: str, label: str) -> None:
    """Choose an entry on the serial line; the first needs no choice."""
    if firmware == "bios":
        # At isolinux's prompt: help, and the name of an entry with a word of one's own.
        console.expect("boot: ", PATIENCE, never=FATAL)
        console.send(F2, end="")
        console.expect(r"What the entries do(?s:.*)boot: ", PATIENCE, never=FATAL)
        console.send(f"{label} host=typed")
    elif label != "floe":
        console.expect("Start with the serial line", PATIENCE, never=FATAL)
        console.send(DOWN * ("floe", "debug", "safe", "serial").index(label))


@pytest.mark.boot
@pytest.mark.parametrize(
    ("firmware", "medium", "label"),
    [
        ("bios", "disk", "serial"),
        ("bios", "usb", "debug"),
        ("uefi", "disk", "safe"),
        ("uefi", "usb", "floe"),
    ],
)
def test_it_boots_to_a_prompt_and_powers_off(linux_iso: Path, firmware: Any, medium: str, label: str) -> None:
    spec = MachineSpec(
        firmware=firmware,
        disk=linux_iso,
        usb=medium == "usb",
        memory_mib=512,
    )
    typed = ["host=typed"] if firmware == "bios" else []
    words = words_of(linux_iso, "isolinux" if firmware == "bios" else "grub", label)
    with serial_logs.machine(spec) as machine:
        console = machine.console
        choose(console, firmware, label)
        console.expect(r"tc@typed:[^\n]*[$#] " if typed else r"tc@[^\n]*[$#] ", PATIENCE, never=FATAL)
        status, _ = console.run("test -d /sys/firmware/efi")
        assert (status == 0) == (firmware == "uefi")
        told = console.run("cat /proc/cmdline")[1].split()
        assert [word for word in told if not word.startswith(("BOOT_IMAGE=", "initrd="))] == words + typed
        assert console.run("test -e /mnt/*/cde/onboot.lst")[0] == 0
        machine.powerdown()
        machine.wait(60)
