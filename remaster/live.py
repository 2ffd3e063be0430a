"""A virtual machine on the user's own terminal: its serial console is the keyboard and the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from remaster import terminal
from remaster.vm import Machine, MachineSpec
from tcz import doctor
from tcz.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tcz.reporting import Reporter
    from tcz.run import Runner

How = Literal["cdrom", "disk", "usb"]
_PORTS = 65535
_SSH = 22


def spec_for(
    iso: Path,
    *,
    how: How = "cdrom",
    uefi: bool = False,
    memory: int = 1024,
    cpus: int = 2,
    ssh_port: int | None = None,
    forwards: Sequence[str] = (),
) -> MachineSpec:
    """Return the machine that starts an image. Raises ``ConfigError`` for what makes no sense."""
    if not iso.is_file():
        raise ConfigError(f"there is no image {iso}", hint=f"remaster --variant docker --output {iso}")
    pairs = [*((ssh_port, _SSH) for _ in range(ssh_port is not None)), *_forwards(forwards)]
    return MachineSpec(
        memory_mib=memory,
        cpus=cpus,
        firmware="uefi" if uefi else "bios",
        cdrom=iso if how == "cdrom" else None,
        disk=None if how == "cdrom" else iso,
        usb=how == "usb",
        forwards=tuple((host, guest) for host, guest in pairs if host is not None),
        reboot=True,
    )


def _forwards(texts: Sequence[str]) -> list[tuple[int, int]]:
    pairs, problems = [], []
    for text in texts:
        host, colon, guest = text.partition(":")
        numbers = [int(part) for part in (host, guest) if part.isdecimal() and 0 < int(part) <= _PORTS]
        if colon and len(numbers) == len((host, guest)):
            pairs.append((numbers[0], numbers[1]))
        else:
            problems.append(Problem(where=f"--forward {text}", message="not HOST:GUEST, two ports"))
    if problems:
        raise ConfigError("a port cannot be forwarded", problems, hint="--forward 8080:80")
    return pairs


def run(spec: MachineSpec, runner: Runner, reporter: Reporter) -> None:
    """Start the machine and stay until it is off or the user leaves it, which ends it.

    Raises ``MissingToolError`` without QEMU or firmware, ``MachineError`` when QEMU fails.
    """
    works = doctor.probe_kvm(runner).state == "works"
    reporter.note("hardware acceleration" if works else "no working KVM here: everything is emulated")
    reporter.note("Ctrl-] ends the machine at once; sudo poweroff does so in order")
    with Machine(spec, runner, kvm_works=lambda: works, listener=terminal.printer()) as machine:
        left = terminal.attach(machine.console, lambda: machine.running)
    reporter.note("left" if left else "the machine is off")
