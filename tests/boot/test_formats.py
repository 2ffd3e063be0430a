"""The formats that are no ISO image, booted: the base with extensions in every place and a self-test.

What the commands find out for themselves is left to them; the rest is asked here. Every format boots
once, and each firmware starts a disk.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from remaster.started import Hardware, spec_for
from remaster.vm import Machine
from tcz import cpio
from tcz.compress import DEFAULT_LIMIT
from tcz.run import HostRunner
from tests.boot.conftest import BOOT_TIMEOUT, PROMPT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.boot

MEMORY_MIB = 256
#: In the root with the modules that it needs, built in, and on the medium.
EXTENSIONS = ("container-host", "e2fsprogs", "dropbear")
VARIANT = """
schema = 1
name = "placed"
summary = "Packages in every place, and a menu of its own"
extends = "linux"
boot-codes = ["noembed"]
packages.onboot = ["container-host", "e2fsprogs", "dropbear"]
packages.ondemand = ["iptables"]
[packages.place]
container-host = "root"
e2fsprogs = "builtin"
[menu]
default = "checked"
[[entry]]
name = "checked"
title = "Start with a name of its own"
add = ["host=checked"]
"""
CHECKED_PROMPT = PROMPT.replace("[\\w.-]+", "checked")
#: Folders of the root of which nothing is changed by booting.
STEADY = ("bin/", "sbin/", "lib/", "usr/", "opt/", "tmp/builtin/")
#: Written anew where a package brought modules.
REWRITTEN = re.compile(r"lib/modules/[^/]+/modules\.")


@dataclass(frozen=True)
class Images:
    """The stem of an image in three formats, and the least memory that was told when it was made."""

    stem: Path
    least_mib: int


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Images:
    folder = tmp_path_factory.mktemp("formats")
    (folder / "placed.toml").write_text(VARIANT)
    argv = [*(sys.executable, "-m", "remaster", "--json", "--variant", str(folder / "placed.toml"))]
    argv += ["--format", "disk,qcow2,netboot", "--output", str(folder / "floe")]
    told = json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout)
    return Images(stem=folder / "floe", least_mib=told["least_memory"] >> 20)


@pytest.fixture
def images(made: Images) -> Path:
    return made.stem


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
        never = "Kernel panic|grub rescue>|SELF-TEST FAILED"
        # The loader's default is the variant's own entry.
        machine.console.expect(CHECKED_PROMPT, BOOT_TIMEOUT, never=never)
        sh(machine, "test ! -d /sys/firmware/efi")
        check_places(machine)
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


def test_over_the_network_in_the_least_memory(made: Images, tmp_path: Path) -> None:
    """By the firmware's DHCP and TFTP and the iPXE script's menu; all packages come with the initrd.

    With less memory an initrd is unpacked in part, and what is missing is missed later: all is there.
    """
    folder = made.stem.with_suffix(".netboot")
    lines = sums_of(folder / "initrd", tmp_path / "sums")
    spec = spec_for(folder, Hardware(memory=made.least_mib, data_disk=tmp_path / "sums"), "network")
    with Machine(spec, HostRunner()) as machine:
        machine.console.expect(CHECKED_PROMPT, BOOT_TIMEOUT, never="Kernel panic|SELF-TEST FAILED")
        assert "initrd=initrd" in sh(machine, "cat /proc/cmdline")
        sh(machine, f"cd / && sudo head -n {lines} /dev/vda >/tmp/sums; sudo md5sum -c /tmp/sums >/tmp/told")
        assert sh(machine, "grep -c OK /tmp/told").strip() == str(lines)
        assert lines > 300
        for name in EXTENSIONS:
            sh(machine, f"test -e /usr/local/tce.installed/{name}")
        assert "/tmp/tcloop/dropbear " in sh(machine, "cat /proc/mounts")
        assert sh(machine, "stat -c '%a %g' /tmp/builtin /tmp").split() == ["775", "50", "1777", "50"]
        assert sh(machine, "cat /run/floe/self-test").strip() == "ok"


def check_places(machine: Machine) -> None:
    """What was unpacked is a file and its script ran; what was built in is mounted; the rest waits."""
    assert sh(machine, "cat /run/floe/self-test").strip() == "ok"
    mounts = sh(machine, "cat /proc/mounts")
    assert "/tmp/tcloop/container-host " not in mounts
    assert sh(machine, "cat /tmp/builtin/onboot.lst").split() == ["e2fsprogs.tcz"]
    for name in ("e2fsprogs", "dropbear"):
        assert f"/tmp/tcloop/{name} " in mounts
    sh(machine, "test -f /usr/local/tce.installed/container-host -a ! -e /usr/local/tce.installed/iptables")
    sh(machine, "test ! -L /usr/local/tce.installed/container-host")
    assert "iptables v" in sh(machine, "iptables --version")
    assert "iptables v" in sh(machine, "iptables --version && test -e /usr/local/tce.installed/iptables")
    # Modules that came unpacked are known like those of the base.
    sh(machine, "sudo modprobe dummy")


def sums_of(initrd: Path, target: Path) -> int:
    """Write the md5 of every file that stays as it is, padded to sectors; return how many lines."""
    tree = cpio.read(initrd.read_bytes(), limit=DEFAULT_LIMIT)
    lines = [
        f"{hashlib.md5(node.read(), usedforsecurity=False).hexdigest()}  {path}\n"
        for path, node in tree.items()
        if node.is_file and node.link is None and path.startswith(STEADY) and not REWRITTEN.match(path)
    ]
    data = "".join(lines).encode()
    target.write_bytes(data.ljust(-(-len(data) // 512) * 512, b"\n"))
    return len(lines)


def test_what_does_not_boot_fails_the_test(tmp_path: Path) -> None:
    """A boot sector that only halts."""
    image = tmp_path / "halt.img"
    image.write_bytes(b"\xfa\xf4\xeb\xfd".ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
    status, told = outcomes_of(image, "--timeout", 3, "--junit", tmp_path / "x.xml")
    assert status == 9
    assert [outcome["name"] for outcome in told["outcomes"]] == ["boots to a prompt"]
    assert "within 3 s" in told["outcomes"][0]["why"]
    assert ET.parse(tmp_path / "x.xml").find("testsuite/testcase/failure") is not None  # noqa: S314
