from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest

from remaster.qmp import MachineError
from remaster.vm import Machine, MachineSpec, Wiring, find_firmware, free_port, qemu_argv
from tcz.errors import ConfigError, MissingToolError
from tcz.run import HostRunner

TCG = Wiring(accel="tcg", serial=Path("/run/s"), qmp=Path("/run/q"))

#: 16-bit code that says hello on the first serial port and then returns every character it gets.
HELLO = bytes.fromhex(
    "fc 31c0 8ed8"  # cld; ds = 0
    "baf803 be227c"  # dx = the port, si = the text
    "ac 08c0 7403 ee ebf8"  # all characters of the text
    "bafd03 ec a801 74f8"  # wait for one that comes in
    "baf803 ec ee ebf1"  # and send it back
).ljust(0x22, b"\x90")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "a disk, with a comma.img"
    path.write_bytes((HELLO + b"hello\r\n\0").ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
    return path


def options(argv: list[str], name: str) -> list[str]:
    return [value for option, value in itertools.pairwise(argv) if option == name]


# -- the command line -----------------------------------------------------------------------------


def test_a_cd_and_forwarded_ports() -> None:
    spec = MachineSpec(cdrom=Path("/x,y.iso"), forwards=((2222, 22), (8080, 80)), memory_mib=300, cpus=2)
    argv = qemu_argv(spec, TCG)
    assert argv[0] == "qemu-system-x86_64"
    assert options(argv, "-m") == ["300"]
    assert options(argv, "-smp") == ["2"]
    assert options(argv, "-accel") == ["tcg,thread=single"]
    assert options(argv, "-drive") == ["file=/x,,y.iso,format=raw,if=none,id=cd,media=cdrom,readonly=on"]
    assert options(argv, "-nic") == [
        "user,id=card,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=tcp:127.0.0.1:8080-:80"
    ]
    assert "-no-reboot" in argv


def test_disks_are_never_written() -> None:
    spec = MachineSpec(disk=Path("/a"), usb=True, extra_disks=(Path("/b"), Path("/c")), restrict=True)
    argv = qemu_argv(spec, TCG)
    assert all("snapshot=on" in drive for drive in options(argv, "-drive"))
    assert "usb-storage,drive=disk0,bootindex=0" in options(argv, "-device")
    assert {"virtio-blk-pci,drive=disk1", "virtio-blk-pci,drive=disk2"} <= set(options(argv, "-device"))
    assert options(argv, "-nic") == ["user,id=card,model=virtio-net-pci,restrict=on"]


def test_a_kernel_of_its_own_firmware_and_kvm() -> None:
    spec = MachineSpec(kernel=Path("/k"), initrd=Path("/i"), append="quiet a=b", reboot=True)
    wiring = Wiring(accel="kvm", code=Path("/code"), variables=Path("/vars"))
    argv = qemu_argv(spec, wiring)
    assert (options(argv, "-kernel"), options(argv, "-initrd")) == (["/k"], ["/i"])
    assert options(argv, "-append") == ["quiet a=b"]
    assert options(argv, "-cpu") == ["host"]
    assert options(argv, "-serial") == ["mon:stdio"]
    assert options(argv, "-drive") == [
        "if=pflash,unit=0,format=raw,readonly=on,file=/code",
        "if=pflash,unit=1,format=raw,file=/vars",
    ]
    assert "-no-reboot" not in argv


def test_a_machine_needs_something_to_boot_from(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="to boot from"):
        Machine(MachineSpec(), HostRunner())
    with pytest.raises(ConfigError, match="no such file"):
        Machine(MachineSpec(cdrom=tmp_path / "none.iso"), HostRunner())


def test_nothing_is_there_before_the_start(disk: Path) -> None:
    machine = Machine(MachineSpec(disk=disk), HostRunner())
    assert machine.pid is None
    assert not machine.running
    for action in (machine.powerdown, lambda: machine.wait(1), lambda: machine.console):
        with pytest.raises(MachineError, match="not started"):
            action()
    machine.stop()


def test_free_ports_are_free() -> None:
    assert 1024 <= free_port() <= 65535


# -- real machines, each with a boot sector for a system ------------------------------------------


@pytest.fixture
def runner() -> HostRunner:
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("qemu-system-x86_64 is not installed")
    return HostRunner()


@pytest.mark.parametrize("usb", [False, True])
def test_a_machine_talks_and_is_ended(disk: Path, runner: HostRunner, *, usb: bool) -> None:
    before = disk.read_bytes()
    spec = MachineSpec(disk=disk, usb=usb, memory_mib=64, accel="auto")
    heard: list[str] = []
    with Machine(spec, runner, kvm_works=lambda: False, listener=heard.append) as machine:
        machine.console.expect("hello", 60)
        machine.console.send("are you there?")
        machine.console.expect("are you there", 10)
        machine.powerdown()
        with pytest.raises(MachineError, match="still on after") as caught:
            machine.wait(0.5)
        assert "are you there" in (caught.value.why or "")
        assert machine.running
        machine.quit()
        assert not machine.running
        machine.quit()
    assert "hello" in "".join(heard)
    assert disk.read_bytes() == before


def test_an_interrupt_ends_the_machine_and_removes_its_folder(disk: Path, runner: HostRunner) -> None:
    machine = Machine(MachineSpec(disk=disk, memory_mib=64), runner)

    def interrupted() -> None:
        with machine:
            assert machine._log.parent.is_dir()
            assert machine.running
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not machine.running
    assert not machine._log.parent.exists()
    machine.stop()


def test_what_qemu_says_is_shown(disk: Path, runner: HostRunner) -> None:
    machine = Machine(MachineSpec(disk=disk, display="no-such-display"), runner)
    with pytest.raises(MachineError, match="QEMU ended at once") as caught:
        machine.__enter__()
    assert "no-such-display" in (caught.value.why or "")
    assert not machine._log.parent.exists()


@pytest.mark.boot
def test_uefi_firmware_starts(disk: Path, runner: HostRunner) -> None:
    try:
        code, _ = find_firmware()
    except MissingToolError as error:
        pytest.skip(error.what)
    before = code.stat().st_mtime
    with Machine(MachineSpec(disk=disk, firmware="uefi", memory_mib=256), runner) as machine:
        machine.console.expect("BdsDxe", 120)
    assert code.stat().st_mtime == before
