"""Virtual machines: a description, the QEMU command line that follows from it, and a running one.

The serial console is two named pipes and QMP (QEMU's control socket) a unix socket, in a folder of their
own. Disks are used with ``snapshot=on``: nothing a machine does reaches the files it was given.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self

from remaster.qmp import ANSWER, MachineError, Qmp
from remaster.serial import Console, Pipes
from tcz.errors import ConfigError, MissingToolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tcz.run import Process, Runner

_QEMU: Final = "qemu-system-x86_64"
#: Code and variables, where distributions put them; the 4 MiB build first, where there are two.
_FIRMWARE: Final = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("/usr/share/edk2-ovmf/x64/OVMF_CODE.fd", "/usr/share/edk2-ovmf/x64/OVMF_VARS.fd"),
    ("/usr/share/qemu/edk2-x86_64-code.fd", "/usr/share/qemu/edk2-i386-vars.fd"),
)
_CONNECT_TIMEOUT: Final = 20.0
_CONNECT_PAUSE: Final = 0.02
_SOCKET_FOLDER_MAX: Final = 80
_QUIT_TIMEOUT: Final = 10.0
_LOG_LINES: Final = 20
_QCOW2: Final = b"QFI\xfb"
_CARD: Final = "card"

Accel = Literal["kvm", "tcg"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSpec:
    """A machine to be.

    It boots ``kernel`` when that is given, else over the network from the folder ``tftp`` (its boot.ipxe),
    else from ``cdrom`` or ``disk`` (with ``usb`` a USB stick, else virtio). ``extra_disks`` are further raw
    virtio disks, ``data_disk`` one that keeps what is written. Disks are raw or qcow2, found by looking.
    ``config_disk`` is one more that is only read, behind the others. ``second_card`` is the address of a
    second network card, on a network 10.9.0.0/24 of its own. ``forwards`` pairs ports of the host's loopback
    with those of the guest. With ``restrict`` the guest reaches nothing beyond those; otherwise 10.0.2.2 is
    the host's loopback. A reboot of the guest ends the machine unless ``reboot`` is true. ``words`` are added
    to QEMU's command line as they are.
    """

    memory_mib: int = 512
    cpus: int = 1
    firmware: Literal["bios", "uefi"] = "bios"
    cdrom: Path | None = None
    disk: Path | None = None
    usb: bool = False
    kernel: Path | None = None
    initrd: Path | None = None
    append: str = ""
    extra_disks: tuple[Path, ...] = ()
    data_disk: Path | None = None
    config_disk: Path | None = None
    second_card: str = ""
    tftp: Path | None = None
    forwards: tuple[tuple[int, int], ...] = ()
    restrict: bool = False
    accel: Literal["auto", "kvm", "tcg"] = "auto"
    display: str = "none"
    reboot: bool = False
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What a machine is connected to on this host.

    Without ``serial`` the console is the terminal that QEMU runs on, with QEMU's own keys behind
    Ctrl-A. ``code`` and ``variables`` are UEFI firmware, the second a copy that may be written.
    """

    accel: Accel
    qmp: Path | None = None
    serial: Path | None = None
    code: Path | None = None
    variables: Path | None = None


def find_firmware() -> tuple[Path, Path]:
    """Return UEFI code and variables of this host; ``MissingToolError`` when there are none."""
    for code, variables in _FIRMWARE:
        if Path(code).is_file() and Path(variables).is_file():
            return Path(code), Path(variables)
    raise MissingToolError("no UEFI firmware for virtual machines", hint="sudo apt-get install ovmf")


def free_port() -> int:
    """Return a TCP port of the loopback that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _option(path: Path) -> str:
    return str(path).replace(",", ",,")


def disk_format(path: Path) -> Literal["raw", "qcow2"]:
    """Return how a disk image is written, by its first bytes; what is not there yet is raw."""
    try:
        with path.open("rb") as file:
            return "qcow2" if file.read(len(_QCOW2)) == _QCOW2 else "raw"
    except OSError:
        return "raw"


def _drive(
    path: Path, number: int, *, usb: bool = False, boot: bool = False, keep: bool = False
) -> list[str]:
    name = f"disk{number}"
    device = "usb-storage" if usb else "virtio-blk-pci"
    order = ",bootindex=0" if boot else ""
    # An image never changes its format under us, and but for a data disk never its content.
    kept = "off" if keep else "on"
    kind = disk_format(path)
    out = ["-drive", f"file={_option(path)},format={kind},if=none,id={name},snapshot={kept}"]
    if usb:
        out += ["-device", "qemu-xhci"]
    return [*out, "-device", f"{device},drive={name}{order}"]


def _media(spec: MachineSpec) -> list[str]:
    argv: list[str] = []
    if spec.kernel is not None:
        argv += ["-kernel", str(spec.kernel)]
        if spec.initrd is not None:
            argv += ["-initrd", str(spec.initrd)]
        argv += ["-append", spec.append]
    if spec.cdrom is not None:
        argv += ["-drive", f"file={_option(spec.cdrom)},format=raw,if=none,id=cd,media=cdrom,readonly=on"]
        # Two devices cannot both be the first to boot from; a kernel given directly is one of them.
        first = spec.disk is None and spec.kernel is None
        argv += ["-device", "ide-cd,drive=cd" + (",bootindex=0" if first else "")]
    if spec.disk is not None:
        argv += _drive(spec.disk, 0, usb=spec.usb, boot=spec.kernel is None)
    for number, path in enumerate(spec.extra_disks, 1):
        argv += _drive(path, number)
    if spec.data_disk is not None:
        argv += _drive(spec.data_disk, len(spec.extra_disks) + 1, keep=True)
    if spec.config_disk is not None:
        argv += ["-drive", f"file={_option(spec.config_disk)},format=raw,if=none,id=config,readonly=on"]
        argv += ["-device", "virtio-blk-pci,drive=config"]
    if spec.tftp is not None:
        argv += ["-boot", "n"]
    return argv


def _network(spec: MachineSpec) -> list[str]:
    parts = ["user", f"id={_CARD}", "model=virtio-net-pci"]
    if spec.restrict:
        parts.append("restrict=on")
    if spec.tftp is not None:
        parts += [f"tftp={_option(spec.tftp)}", "bootfile=boot.ipxe"]
    parts += [f"hostfwd=tcp:127.0.0.1:{host}-:{guest}" for host, guest in spec.forwards]
    argv = ["-nic", ",".join(parts)]
    if spec.second_card:
        argv += ["-netdev", "user,id=second,restrict=on,net=10.9.0.0/24"]
        argv += ["-device", f"virtio-net-pci,netdev=second,mac={spec.second_card}"]
    return argv


def _firmware(wiring: Wiring) -> list[str]:
    if wiring.code is None or wiring.variables is None:
        return []
    return [
        *("-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={_option(wiring.code)}"),
        *("-drive", f"if=pflash,unit=1,format=raw,file={_option(wiring.variables)}"),
    ]


def qemu_argv(spec: MachineSpec, wiring: Wiring) -> list[str]:
    """Return the command line of QEMU for a machine."""
    argv = [_QEMU, "-nodefaults", "-no-user-config", "-machine", "q35"]
    if wiring.accel == "kvm":
        argv += ["-accel", "kvm", "-cpu", "host"]
    else:
        # One thread for all processors: with one each, a busy host has a guest run code that its kernel has
        # just patched ("Oops: int3", seen with QEMU 7.2), and two machines on two cores take twice as long.
        # All that TCG can do except five-level page tables, for each level costs time in every miss, and
        # except what has kernels copy by bytes, one by one under TCG: without it a sixth less time is needed.
        argv += ["-accel", "tcg,thread=single", "-cpu", "max,la57=off,erms=off"]
    argv += ["-m", str(spec.memory_mib), "-smp", str(spec.cpus)]
    # GRUB and kernels like to see an adapter, even when nobody looks at it.
    argv += ["-display", spec.display, "-vga", "std"]
    argv += ["-device", "virtio-rng-pci"]
    argv += _firmware(wiring)
    argv += _media(spec)
    argv += _network(spec)
    if wiring.serial is None:
        argv += ["-serial", "mon:stdio"]
    else:
        argv += ["-chardev", f"pipe,id=serial,path={_option(wiring.serial)}"]
        argv += ["-serial", "chardev:serial"]
    if wiring.qmp is not None:
        argv += ["-qmp", f"unix:{_option(wiring.qmp)},server=on,wait=off"]
    if not spec.reboot:
        argv += ["-no-reboot"]
    return [*argv, *spec.words]


class Machine:
    """A running machine; use it as a context manager: leaving ends it, whatever state it is in.

    ``kvm_works`` is asked when the specification leaves the choice of the accelerator open; without
    it, or when it says no, everything is emulated. ``listener`` is given what the console says.
    """

    def __init__(
        self,
        spec: MachineSpec,
        runner: Runner,
        *,
        kvm_works: Callable[[], bool] | None = None,
        listener: Callable[[str], None] | None = None,
    ) -> None:
        """Nothing is started yet."""
        _check(spec)
        self.spec = spec
        self._runner = runner
        self._kvm_works = kvm_works
        self._listener = listener
        self._stack = ExitStack()
        self._process: Process | None = None
        self._qmp: Qmp | None = None
        self._console: Console | None = None
        self._log = Path()

    @property
    def console(self) -> Console:
        """The serial console of the started machine; it can be read after the machine's end, too."""
        if self._console is None:
            raise MachineError("the machine is not started")
        return self._console

    @property
    def pid(self) -> int | None:
        """The process of the machine, ``None`` before it is started."""
        return self._process.pid if self._process else None

    def start(self) -> Self:
        """Start QEMU and connect to it.

        Raises ``MissingToolError`` without QEMU or firmware, ``MachineError`` when QEMU refuses.
        """
        # A socket's path has at most 107 bytes, whatever TMPDIR says.
        place = tempfile.gettempdir()
        place = place if len(os.fsencode(place)) < _SOCKET_FOLDER_MAX else "/tmp"  # noqa: S108
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="vm-", dir=place)))
        self._log = folder / "log"
        wiring = self._wire(folder)
        pipes = Pipes(folder / "serial")
        self._console = Console(pipes, self._listener)
        self._stack.callback(self._console.close)
        self._process = self._runner.spawn(qemu_argv(self.spec, wiring), log=self._log)
        self._stack.callback(self._process.stop)
        self._qmp = Qmp(self._connect(folder / "qmp"))
        self._stack.callback(self._qmp.close)
        if not pipes.opened():
            raise MachineError("QEMU does not open its serial console", why=self._said())
        try:
            self._qmp.greet()
        except (OSError, ValueError) as error:
            raise MachineError("QEMU does not answer", why=self._said() or str(error)) from error
        return self

    def _wire(self, folder: Path) -> Wiring:
        accel: Accel
        if self.spec.accel == "auto":
            accel = "kvm" if self._kvm_works is not None and self._kvm_works() else "tcg"
        else:
            accel = self.spec.accel
        code = variables = None
        if self.spec.firmware == "uefi":
            code, pristine = find_firmware()
            variables = folder / "variables.fd"
            shutil.copyfile(pristine, variables)
        return Wiring(
            accel=accel, qmp=folder / "qmp", serial=folder / "serial", code=code, variables=variables
        )

    def _connect(self, path: Path) -> socket.socket:
        """Connect to a socket of QEMU as soon as it listens; notice QEMU's early end."""
        deadline = time.monotonic() + _CONNECT_TIMEOUT
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.connect(str(path))
            except OSError as error:
                connection.close()
                if self._process is None or self._process.poll() is not None:
                    raise MachineError("QEMU ended at once", why=self._said()) from error
                if time.monotonic() > deadline:
                    raise MachineError("QEMU does not answer", why=self._said() or str(error)) from error
                time.sleep(_CONNECT_PAUSE)
            else:
                return connection

    def _said(self) -> str | None:
        if not self._log.is_file():
            return None
        lines = self._log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-_LOG_LINES:]) or None

    def execute(self, command: str, timeout: float = ANSWER, **arguments: object) -> object:
        """Have QEMU run a command of QMP, with ``_`` for ``-`` in names; return what it answers."""
        if self._qmp is None:
            raise MachineError("the machine is not started")
        try:
            return self._qmp.execute(command, timeout, **arguments)
        except (OSError, ValueError) as error:
            raise MachineError(f"QEMU did not take {command}", why=self._said() or str(error)) from error

    def powerdown(self) -> None:
        """Press the power button, as ACPI tells the guest; its reaction is up to the guest."""
        self.execute("system_powerdown")

    def cable(self, *, connected: bool) -> None:
        """Pull the cable of the (first) network card, or put it in again."""
        self.execute("set_link", name=_CARD, up=connected)

    def quit(self) -> None:
        """Pull the plug."""
        if self.running:
            try:
                self.execute("quit")
            except MachineError:
                if self.running:
                    raise
            self.wait(_QUIT_TIMEOUT)

    @property
    def running(self) -> bool:
        """Tell whether QEMU still runs."""
        return self._process is not None and self._process.poll() is None

    def wait(self, timeout: float) -> None:
        """Wait until the machine is off; ``MachineError`` with its last lines if it takes longer."""
        if self._process is None:
            raise MachineError("the machine is not started")
        try:
            status = self._process.wait(timeout)
        except TimeoutError as error:
            why = f"its last lines:\n{self.console.tail()}"
            raise MachineError(f"the machine is still on after {timeout:g} s", why=why) from error
        if status != 0:
            raise MachineError(f"QEMU ended with status {status}", why=self._said())

    def stop(self) -> None:
        """End the machine and remove what it used; may be called at any time, and again."""
        self._stack.close()

    def __enter__(self) -> Self:
        """Start."""
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()


def _check(spec: MachineSpec) -> None:
    if spec.kernel is None and spec.cdrom is None and spec.disk is None and spec.tftp is None:
        raise ConfigError("a machine needs a kernel, a CD or a disk to boot from")
    files = [
        spec.kernel,
        spec.initrd,
        spec.cdrom,
        spec.disk,
        spec.data_disk,
        spec.config_disk,
        *spec.extra_disks,
    ]
    for path in files:
        if path is not None and not path.is_file():
            raise ConfigError(f"no such file: {path}")
