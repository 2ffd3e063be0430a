"""The formats that are no ISO image, booted: the base with extensions in every place and a self-test.

What the commands find out for themselves is left to them; the rest is asked here. Every format boots
once, and each firmware starts a disk. The machine that is started from the raw disk is also where the data
disk's troubles are tried; these tests build on each other, in the order in which they stand.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from remaster.started import Hardware, spec_for
from tcz import cpio
from tcz.compress import DEFAULT_LIMIT
from tests.boot import serial_logs
from tests.boot.conftest import BOOT_TIMEOUT, PROMPT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remaster.vm import Machine

pytestmark = pytest.mark.boot

MEMORY_MIB = 384
#: In the root with the modules that it needs, built in, and on the medium.
EXTENSIONS = ("container-host", "e2fsprogs", "dropbear", "util-linux", "xfsprogs")
VARIANT = """
schema = 1
name = "placed"
summary = "Packages in every place, and a menu of its own"
extends = "linux"
boot-codes = ["noembed"]
packages.onboot = ["container-host", "e2fsprogs", "dropbear", "util-linux", "xfsprogs"]
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
#: What a disk is as large as in the image, and what it is made as large as before it is started.
GROWN_MIB = 640
#: XFS has a least size.
EXTRA_MIB = 320
NEVER = "Kernel panic|grub rescue>|SELF-TEST FAILED"
DATA_DISK = "/usr/local/etc/init.d/data-disk"
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


@pytest.fixture(scope="module")
def images(made: Images) -> Path:
    return made.stem


def sh(machine: Machine, command: str, status: int = 0) -> str:
    ended, said = machine.console.run(command, BOOT_TIMEOUT)
    assert ended == status, f"{command}\nended with {ended}:\n{said}"
    return said


def outcomes_of(*words: object) -> tuple[int, dict[str, Any]]:
    """Run ``remaster test``; return its status and what it tells."""
    argv = [sys.executable, "-m", "remaster", "test", "--json", *(str(word) for word in words)]
    done = subprocess.run(argv, check=False, stdout=subprocess.PIPE)
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def machine(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """The raw disk, in a machine whose disk is larger than the image, with another disk that is empty."""
    folder = tmp_path_factory.mktemp("disks")
    disk, extra = folder / "disk.img", folder / "extra"
    # Holes stay holes.
    subprocess.run(["cp", "--sparse=always", images.with_suffix(".img"), disk], check=True)
    with disk.open("r+b") as file:
        file.truncate(GROWN_MIB << 20)
    with extra.open("wb") as file:
        file.truncate(EXTRA_MIB << 20)
    spec = spec_for(disk, Hardware(memory=MEMORY_MIB, data_disk=extra))
    with serial_logs.machine(spec) as machine:
        # The loader's default is the variant's own entry.
        machine.console.expect(CHECKED_PROMPT, BOOT_TIMEOUT, never=NEVER)
        yield machine


def data_disk(machine: Machine, codes: str, action: str = "restart") -> tuple[int, str]:
    """Start the data disk's service again as with other boot codes; return its status and what it said."""
    run = f"sudo env BOOT_CMDLINE=/tmp/codes {DATA_DISK} {action} 2>&1"
    status, said = machine.console.run(
        f"echo {codes} >/tmp/codes; sudo rm -f /run/floe/problems; {run}", BOOT_TIMEOUT
    )
    return status, said


def test_a_raw_disk_by_bios(machine: Machine) -> None:
    sh(machine, "test ! -d /sys/firmware/efi")
    check_places(machine)
    assert sh(machine, "cat /etc/sysconfig/cde").strip() == "/mnt/vda2/cde/optional"
    assert sh(machine, "sudo findfs LABEL=floe-data").strip() == "/dev/vda3"


def test_its_data_partition_grew_and_is_in_use(machine: Machine) -> None:
    """It is as large as the disk, which is larger than the image, although another partition is in use."""
    assert "/dev/vda3 /mnt/data ext4 rw" in sh(machine, "cat /proc/mounts")
    size = int(sh(machine, "cat /sys/class/block/vda3/size")) // 2048
    start = int(sh(machine, "cat /sys/class/block/vda3/start")) // 2048
    assert size + start >= GROWN_MIB - 2
    kib = int(sh(machine, "busybox df -Pk /mnt/data | awk 'NR == 2 { print $2 }'"))
    assert kib > 0.85 * size * 1024
    table = sh(machine, "sudo sfdisk -d /dev/vda 2>&1")
    assert 'attrs="GUID:59"' in table
    assert "corrupt" not in table
    told = json.loads(sh(machine, "status --json"))
    assert told["problems"] == []
    assert told["data-disk"] == {
        "state": "mounted",
        "device": "/dev/vda3",
        "type": "ext4",
        "label": "floe-data",
        "size": kib // 1024,
        "free": told["data-disk"]["free"],
    }


def test_a_power_cut_loses_nothing_that_was_written(machine: Machine) -> None:
    """The machine starts again at once, in the middle of writing, without a word to anybody."""
    identity = sh(machine, "cat /etc/machine-id")
    sh(machine, "echo committed | sudo tee /mnt/data/committed >/dev/null; sync")
    writer = "n=0; while :; do n=$((n+1)); mkdir /mnt/data/d$n; echo $n >/mnt/data/d$n/f; done"
    sh(machine, f"sudo sh -c '({writer}) >/dev/null 2>&1 &'; sleep 2")
    machine.console.send("sudo sh -c 'echo b >/proc/sysrq-trigger'")
    machine.console.expect("^Booting floe", BOOT_TIMEOUT)
    machine.console.expect(CHECKED_PROMPT, BOOT_TIMEOUT, never=NEVER)
    assert sh(machine, "cat /mnt/data/committed") == "committed\n"
    assert sh(machine, "cat /etc/machine-id") == identity
    assert "recovering journal" in sh(machine, "cat /run/floe/data-disk.check")
    sh(machine, "status >/dev/null && sudo rm -rf /mnt/data/d[0-9]*")


def test_a_full_disk_is_told_and_used(machine: Machine) -> None:
    # What has a log on it has it in use.
    sh(machine, "sudo /usr/local/etc/init.d/acpid stop")
    kib = int(sh(machine, "busybox df -Pk /mnt/data | awk 'NR == 2 { print $4 }'"))
    sh(machine, f"sudo fallocate -l {(kib << 10) - (8 << 20)} /mnt/data/filler")
    status, said = data_disk(machine, "quiet")
    assert status == 0, said
    assert "/dev/vda3 is full" in said
    assert "/dev/vda3 is full" in sh(machine, "status", status=1)
    # Only what runs on it can make room.
    sh(machine, "sudo rm /mnt/data/filler")
    assert data_disk(machine, "quiet")[0] == 0


def test_a_read_only_disk_is_told_and_can_be_read(machine: Machine) -> None:
    data_disk(machine, "quiet", "stop")
    sh(machine, "sudo blockdev --setro /dev/vda3")
    status, said = data_disk(machine, "quiet", "start")
    assert status == 1
    assert "/dev/vda3 is read-only" in said
    assert "in memory only" in said
    sh(machine, "cat /mnt/data/committed; ! grep ' /var/log ' /proc/mounts")
    sh(machine, f"{DATA_DISK} status", status=1)
    sh(machine, "sudo blockdev --setrw /dev/vda3")


def test_an_empty_disk_is_left_alone_until_a_boot_code_names_it(machine: Machine) -> None:
    extra = machine.spec.data_disk
    assert extra is not None
    status, said = data_disk(machine, "data=vdb", "start")
    assert status == 1
    assert "vdb has no file system; the boot code dataformat=vdb makes one if it is empty" in said
    assert extra.stat().st_blocks == 0
    status, said = data_disk(machine, "data=vdb dataformat=vdb datafs=xfs dataswap=32M", "start")
    assert status == 0, said
    assert "/dev/vdb /mnt/data xfs rw" in sh(machine, "cat /proc/mounts")
    assert "/mnt/data/swapfile" in sh(machine, "cat /proc/swaps")
    data_disk(machine, "quiet", "stop")


def test_a_damaged_disk_is_told_and_repaired_on_request(machine: Machine) -> None:
    # No boot code has a disk formatted that held something: its copies of the superblock are there.
    sh(machine, "sudo wipefs -qa /dev/vdb")
    status, said = data_disk(machine, "data=vdb dataformat=vdb", "start")
    assert status == 1
    assert "mkfs.ext4 -L" in said
    sh(machine, "sudo mkfs.ext4 -q /dev/vdb")
    # Of the inodes the first are those of the root and of the journal.
    layout = subprocess.run(
        ["dumpe2fs", str(machine.spec.data_disk)],
        capture_output=True, text=True, check=True, env={"PATH": "/usr/sbin:/sbin"},
    ).stdout  # fmt: skip
    block, table = (re.search(rf"{what}\s*(\d+)", layout) for what in ("Block size:", "Inode table at"))
    assert block is not None
    assert table is not None
    wipe = f"if=/dev/zero of=/dev/vdb bs={block[1]} seek={table[1]} count=1 conv=notrunc,fsync"
    sh(machine, f"sudo dd {wipe} 2>/dev/null")
    status, said = data_disk(machine, "data=vdb", "start")
    assert status == 1
    assert "/dev/vdb has damage" in said
    assert "datarepair" in said
    assert '"state": "damaged"' in sh(machine, "status --json", status=1)
    data_disk(machine, "quiet", "stop")
    status, said = data_disk(machine, "data=vdb datarepair", "start")
    assert status == 0, said
    assert "were repaired" in said
    data_disk(machine, "quiet", "stop")


def test_power_off_leaves_it_clean(machine: Machine) -> None:
    status, said = data_disk(machine, "data=vdb", "start")
    assert status == 0, said
    sh(machine, "echo last | sudo tee /mnt/data/last >/dev/null")
    # Somebody's shell in it does not keep it from being unmounted.
    sh(machine, "cd /mnt/data")
    sh(machine, "sudo /usr/local/etc/init.d/acpid start")
    machine.powerdown()
    machine.wait(120)
    checked = subprocess.run(
        ["e2fsck", "-n", str(machine.spec.data_disk)],
        capture_output=True, text=True, check=False, env={"PATH": "/usr/sbin:/sbin"},
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout
    assert ": clean, " in checked.stdout


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
    with serial_logs.machine(spec) as machine:
        machine.console.expect(CHECKED_PROMPT, BOOT_TIMEOUT, never=NEVER)
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


def test_an_initrd_that_is_not_unpacked_whole_is_told(made: Images, tmp_path: Path) -> None:
    """For want of memory, and because its second archive, that of the extensions, is damaged."""
    good = made.stem.with_suffix(".netboot")
    # So little that no word of the manifest, and so no other check, would be wrong.
    status, told = outcomes_of(good, "--memory", 2 * made.least_mib // 3)
    assert status == 9
    assert [outcome["name"] for outcome in told["outcomes"]] == ["boots to a prompt"]
    assert "did not unpack the whole initrd (write error)" in told["outcomes"][0]["why"]
    assert "--memory gives more" in told["outcomes"][0]["why"]
    damaged = tmp_path / "damaged.netboot"
    shutil.copytree(good, damaged)
    with (damaged / "initrd").open("r+b") as file:
        at = file.read().rindex(b"070701", 0, -(64 << 10))
        file.seek(at)
        file.write(b"garbage")
    status, told = outcomes_of(damaged, "--memory", 2 * made.least_mib)
    assert status == 9
    assert "did not unpack the whole initrd" in told["outcomes"][0]["why"]
    assert "it is damaged" in told["outcomes"][0]["why"]
