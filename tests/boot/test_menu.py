"""Every entry of the menu in every loader: the kernel is told the words that the menu's file has.

A machine goes no further than its kernel's first messages, in which the command line is, and is reset for
the next entry. That each boots to a prompt is tried where whole machines are (``test_media``).
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from remaster.vm import Machine, MachineSpec
from tests import loopback
from tests.boot import keys, serial_logs
from tests.boot.conftest import BOOT_TIMEOUT, remaster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.boot
ENTRIES = ("floe", "debug", "safe", "serial")
#: A kernel tells its command line at a level that is not shown otherwise.
VARIANT = """
schema = 1
name = "menu"
summary = "The base, with a menu that waits"
extends = "linux"
boot-codes = ["loglevel=6"]
[image]
timeout = 600
"""
TOLD = r"Kernel command line: ([^\n]*)\n"
FATAL = "Kernel panic|grub rescue>|No bootable device"


@dataclass(frozen=True)
class Menus:
    """An image with a menu, as an ISO image and for the network."""

    iso: Path
    netboot: Path

    def words(self, program: str) -> dict[str, list[str]]:
        """Return what a loader's file says of each entry, by its label."""
        image = self.netboot if program == "ipxe" else self.iso
        argv = [sys.executable, "-m", "remaster", "inspect", "--json", str(image)]
        told: dict[str, Any] = json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout)
        return {one["label"]: one["words"] for one in told["entries"] if one["program"] == program}


@pytest.fixture(scope="module")
def menus(tmp_path_factory: pytest.TempPathFactory) -> Menus:
    folder = tmp_path_factory.mktemp("menu")
    (folder / "menu.toml").write_text(VARIANT)
    argv = ("--variant", str(folder / "menu.toml"), "--format", "iso,netboot", "--output", str(folder / "x"))
    remaster(*argv)
    return Menus(iso=folder / "x.iso", netboot=folder / "x.netboot")


def check(machine: Machine, label: str, words: list[str]) -> None:
    """The kernel was given the words of the entry, in their order, and besides them only the loader's."""
    told = machine.console.expect(TOLD, BOOT_TIMEOUT, never=FATAL)[1].split()
    own = ("BOOT_IMAGE=", "initrd=")
    assert [word for word in told if not word.startswith(own)] == words, label


def check_meaning(words: dict[str, list[str]], consoles: list[str]) -> None:
    """What sets the entries apart."""
    assert tuple(words) == ENTRIES
    assert "loglevel=6" in words["floe"]
    assert "loglevel=7" in words["debug"]
    assert {"base", "norestore", "nomodeset"} <= set(words["safe"]) - set(words["floe"])
    assert [word for word in words["serial"] if word.startswith("console=")] == ["console=ttyS0,115200"]
    assert [word for word in words["floe"] if word.startswith("console=")] == consoles


CONSOLES = ["console=tty0", "console=ttyS0,115200"]


def test_isolinux_by_bios(menus: Menus) -> None:
    """The name of each is typed on the serial line; nothing typed is the first."""
    words = menus.words("isolinux")
    check_meaning(words, CONSOLES)
    with serial_logs.machine(MachineSpec(cdrom=menus.iso, memory_mib=512, reboot=True)) as machine:
        for number, (label, its) in enumerate(words.items()):
            if number:
                machine.execute("system_reset")
            machine.console.expect("boot: ", BOOT_TIMEOUT, never=FATAL)
            machine.console.send(label if number else "")
            check(machine, label, its)


def test_grub_by_uefi(menus: Menus) -> None:
    """Each is chosen with the arrow keys; the first boots elsewhere, and UEFI takes its time."""
    words = menus.words("grub")
    check_meaning(words, CONSOLES)
    with serial_logs.machine(
        MachineSpec(cdrom=menus.iso, memory_mib=512, reboot=True, firmware="uefi")
    ) as machine:
        for number, label in enumerate(ENTRIES[1:], 1):
            if number > 1:
                machine.execute("system_reset")
            machine.console.expect("Start with the serial line", BOOT_TIMEOUT, never=FATAL)
            keys.press(machine, "home", *["down"] * number, "ret")
            check(machine, label, words[label])


class Noting(loopback.Files):
    def __init__(self, asked: list[str], *parts: Any, **options: Any) -> None:
        self.asked = asked
        super().__init__(*parts, **options)

    def log_request(self, *_: object) -> None:
        self.asked.append(self.path)


@pytest.fixture
def served(menus: Menus) -> Iterator[tuple[int, list[str]]]:
    """Serve the netboot folder on the loopback; give the port, and what was asked for."""
    asked: list[str] = []
    with loopback.serving(partial(Noting, asked, directory=str(menus.netboot))) as port:
        yield port, asked


def test_ipxe_over_http(menus: Menus, served: tuple[int, list[str]], tmp_path: Path) -> None:
    """QEMU's network card has iPXE in its ROM; a script over TFTP leads it to the one that is written."""
    port, asked = served
    words = menus.words("ipxe")
    check_meaning(words, CONSOLES)
    (tmp_path / "boot.ipxe").write_text(f"#!ipxe\nchain http://10.0.2.2:{port}/boot.ipxe\n")
    with serial_logs.machine(MachineSpec(tftp=tmp_path, memory_mib=512, reboot=True)) as machine:
        for number, (label, its) in enumerate(words.items()):
            if number:
                machine.execute("system_reset")
            keys.wait_for(machine, "Start with the serial line", BOOT_TIMEOUT)
            keys.press(machine, *["down"] * number, "ret")
            check(machine, label, its)
    assert asked == ["/boot.ipxe", "/vmlinuz", "/initrd"] * len(words)
