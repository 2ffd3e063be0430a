"""A virtual machine on the user's own terminal: its serial console, or a shell over SSH."""

from __future__ import annotations

import os
import socket
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remaster import checks, started, terminal
from remaster.qmp import MachineError
from remaster.vm import Machine
from tcz import doctor
from tcz.errors import ConfigError, Problem
from tcz.store import scratch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from remaster.vm import MachineSpec
    from tcz.reporting import Reporter
    from tcz.run import Runner

SSH: Final = 22
_PORTS: Final = 65535
_LOOPBACK: Final = "127.0.0.1"
_PATIENCE: Final = 600.0
_PAUSE: Final = 0.5
_ANSWER: Final = 10.0
_OFF: Final = 120.0
_NO_KEY: Final = 255


def forwards(texts: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Return pairs of ports from options HOST:GUEST; raise ``ConfigError`` for what is none."""
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
    return tuple(pairs)


@contextmanager
def data_disk(text: str | None) -> Iterator[Path | None]:
    """Give the disk of an option SIZE or FILE: a size is an empty disk that is gone afterwards.

    Raises ``ConfigError`` for what is neither.
    """
    size = None if text is None else started.size_in(text)
    if text is None or size is None:
        path = None if text is None else Path(text)
        if path is not None and not path.is_file():
            raise ConfigError(
                f"--disk {text} is neither a size such as 8G nor a file",
                hint=f"make one: truncate -s 8G {text}",
            )
        yield path
        return
    with scratch("remaster-drive-") as folder:
        disk = folder / "disk"
        with disk.open("wb") as file:
            try:
                file.truncate(size)
            except OSError as error:
                raise ConfigError(f"--disk {text}: no file of this size can be made: {error}") from error
        yield disk


def _announce(runner: Runner, reporter: Reporter) -> bool:
    works = doctor.probe_kvm(runner).state == "works"
    reporter.note("hardware acceleration" if works else "no working KVM here: everything is emulated")
    return works


def run(spec: MachineSpec, runner: Runner, reporter: Reporter) -> None:
    """Start the machine and stay until it is off or the user leaves it, which ends it.

    Raises ``MissingToolError`` without QEMU or firmware, ``MachineError`` when QEMU fails.
    """
    works = _announce(runner, reporter)
    reporter.note("Ctrl-] ends the machine at once; sudo poweroff does so in order")
    with Machine(spec, runner, kvm_works=lambda: works, listener=terminal.printer()) as machine:
        left = terminal.attach(machine.console, lambda: machine.running)
        _warn(machine, reporter)
    reporter.note("left" if left else "the machine is off")


def shell(
    spec: MachineSpec, port: int, runner: Runner, reporter: Reporter, *, user: str, identity: Path | None
) -> int:
    """Start the machine, open a shell over SSH as soon as that answers, power off at its end.

    Returns the shell's exit status. Raises ``MachineError`` when nothing answers or nobody is let in.
    """
    works = _announce(runner, reporter)
    with Machine(spec, runner, kvm_works=lambda: works) as machine:
        with reporter.step("waiting for SSH"):
            try:
                wait_for_ssh(machine, port)
            finally:
                _warn(machine, reporter)
        status = runner.interact(_ssh(port, user, identity), env=os.environ)
        if status == _NO_KEY:
            hint = "build the image with --ssh-key ~/.ssh/id_ed25519.pub, and give the private one here"
            raise MachineError("SSH let nobody in, or the connection broke", hint=hint)
        if machine.running:
            machine.powerdown()
            machine.wait(_OFF)
    reporter.note("the machine is off")
    return status


def _warn(machine: Machine, reporter: Reporter) -> None:
    """Tell what scrolled by long ago and explains what comes later."""
    wrong = checks.explained(machine.console.transcript)
    if wrong is not None:
        reporter.warn(str(wrong))


def _ssh(port: int, user: str, identity: Path | None) -> list[str]:
    # The host key is made at boot: it was never seen before and is not seen again.
    argv = ["ssh", "-p", str(port), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    argv += ["-o", "LogLevel=ERROR", "-o", "PasswordAuthentication=no"]
    argv += [] if identity is None else ["-i", str(identity)]
    return [*argv, f"{user}@{_LOOPBACK}"]


def wait_for_ssh(machine: Machine, port: int, patience: float = _PATIENCE) -> None:
    """Return when a port of the loopback answers as SSH does.

    Raises ``MachineError`` with the console's last lines when it does not, or the machine is off.
    """
    deadline = time.monotonic() + patience
    while not _says_ssh(port):
        if not machine.running:
            raise MachineError("the machine went off", why=f"its last lines:\n{machine.console.tail()}")
        if time.monotonic() > deadline:
            raise MachineError(
                f"no SSH server answers after {patience:g} s",
                why=f"the console's last lines:\n{machine.console.tail()}",
                hint="is dropbear or openssh in the image, and sshd among its services?",
            )
        time.sleep(_PAUSE)


def _says_ssh(port: int) -> bool:
    # QEMU takes the connection whether the guest listens or not: only a greeting proves something.
    try:
        with socket.create_connection((_LOOPBACK, port), timeout=_ANSWER) as connection:
            return connection.recv(4).startswith(b"SSH-")
    except OSError:
        return False
