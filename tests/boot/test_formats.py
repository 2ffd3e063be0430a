"""The formats that are no ISO image, booted: the base with one extension and a self-test in it.

What the commands find out for themselves is left to them; the rest is asked here. Every format boots
once, and each firmware starts a disk.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from remaster.started import Hardware, spec_for
from remaster.vm import Machine
from tcz.run import HostRunner
from tests.boot.conftest import BOOT_TIMEOUT, PROMPT, remaster

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.boot

MEMORY_MIB = 256
EXTENSION = "container-host"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stem of an image in three formats."""
    stem = tmp_path_factory.mktemp("formats") / "floe"
    remaster(
        *("--variant", "linux", "--package", EXTENSION, "--boot-code", "noembed"),
        *("--format", "disk,qcow2,netboot", "--output", str(stem)),
    )
    return stem


def sh(machine: Machine, command: str) -> str:
    status, said = machine.console.run(command, 120)
    assert status == 0, f"{command}\nended with {status}:\n{said}"
    return said


def outcomes_of(*words: object) -> tuple[int, dict[str, Any]]:
    """Run ``remaster test``; return its status and what it tells."""
    argv = [sys.executable, "-m", "remaster", "test", "--json", *(str(word) for word in words)]
    done = subprocess.run(argv, check=False, stdout=subprocess.PIPE)
    return done.returncode, json.loads(done.stdout)


def test_a_raw_disk_by_bios(images: Path, tmp_path: Path) -> None:
    """Its data partition is found by label, and a disk that was added keeps what is written."""
    extra = tmp_path / "extra"
    with extra.open("wb") as file:
        file.truncate(8 << 20)
    disk = images.with_suffix(".img")
    with Machine(spec_for(disk, Hardware(memory=MEMORY_MIB, data_disk=extra)), HostRunner()) as machine:
        machine.console.expect(PROMPT, BOOT_TIMEOUT, never="Kernel panic|grub rescue>|SELF-TEST FAILED")
        sh(machine, "test ! -d /sys/firmware/efi")
        assert sh(machine, "cat /etc/sysconfig/cde").strip() == "/mnt/vda2/cde/optional"
        assert sh(machine, "sudo findfs LABEL=floe-data").strip() == "/dev/vda3"
        sh(machine, "sudo mkdir -p /mnt/data && sudo mount /dev/vda3 /mnt/data && sudo touch /mnt/data/f")
        sh(machine, "sudo umount /mnt/data; echo written | sudo dd of=/dev/vdb conv=fsync 2>/dev/null")
        machine.powerdown()
        machine.wait(120)
    assert extra.read_bytes()[:8] == b"written\n"


def test_a_qcow2_disk_by_uefi(images: Path, tmp_path: Path) -> None:
    junit = tmp_path / "results.xml"
    qcow2 = images.with_suffix(".qcow2")
    before = qcow2.stat().st_mtime_ns
    status, told = outcomes_of(qcow2, "--uefi", "--memory", MEMORY_MIB, "--junit", junit)
    assert status == 0, told
    assert told["passed"]
    assert told["firmware"] == "uefi"
    names = [outcome["name"] for outcome in told["outcomes"]]
    assert names == [
        *("boots to a prompt", "manifest", "root file system", "extensions", "self-test", "powers off")
    ]
    suite = ET.parse(junit).getroot()[0]  # noqa: S314 - our own
    assert [case.attrib["name"] for case in suite.findall("testcase")] == names
    assert "floe" in str(suite.findtext("system-out"))
    assert qcow2.stat().st_mtime_ns == before


def test_over_the_network(images: Path) -> None:
    """By the firmware's DHCP and TFTP and the iPXE script; the extension comes with the initrd."""
    folder = images.with_suffix(".netboot")
    spec = spec_for(folder, Hardware(memory=MEMORY_MIB), "network")
    with Machine(spec, HostRunner()) as machine:
        machine.console.expect(PROMPT, BOOT_TIMEOUT, never="Kernel panic|SELF-TEST FAILED")
        assert "initrd=initrd" in sh(machine, "cat /proc/cmdline")
        sh(machine, f"test -e /usr/local/tce.installed/{EXTENSION}")
        assert f"/tmp/tcloop/{EXTENSION} " in sh(machine, "cat /proc/mounts")
        assert sh(machine, "stat -c '%a %g' /tmp/builtin /tmp").split() == ["775", "50", "1777", "50"]
        assert sh(machine, "cat /run/floe/self-test").strip() == "ok"


def test_what_does_not_boot_fails_the_test(tmp_path: Path) -> None:
    """A boot sector that only halts."""
    image = tmp_path / "halt.img"
    image.write_bytes(b"\xfa\xf4\xeb\xfd".ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
    status, told = outcomes_of(image, "--timeout", 3, "--junit", tmp_path / "x.xml")
    assert status == 9
    assert [outcome["name"] for outcome in told["outcomes"]] == ["boots to a prompt"]
    assert "within 3 s" in told["outcomes"][0]["why"]
    assert ET.parse(tmp_path / "x.xml").find("testsuite/testcase/failure") is not None  # noqa: S314
