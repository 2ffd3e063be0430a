"""A base that others made, booted: a stand-in for CorePure64 with a container host put upon it.

``corelike`` makes the stand-in, and tells what it has of Tiny Core and what not.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from remaster import checks
from remaster.started import Hardware, spec_for
from remaster.survey import look
from tests.boot import clouded, configured, corelike, keys, power, serial_logs, test_formats
from tests.boot.conftest import BOOT_TIMEOUT, PROMPT, media, remaster
from tests.unit import standins
from tests.unit.test_data_disk import userdata

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from remaster.vm import Machine

pytestmark = [pytest.mark.boot, standins.needs_tools]
MEMORY_MIB = 1536
DISK_MIB = 512
#: Added to the variants: packages in every place, an entry of the menu, time to choose it.
PLACED = """
[packages]
ondemand = ["socat"]
[packages.place]
container-host = "root"
e2fsprogs = "builtin"
[[entry]]
name = "chosen"
title = "Chosen by somebody at the keyboard"
add = ["dataswap=16M"]
[image]
timeout = 120
"""
#: The machine's BusyBox as an image; Tiny Core's wants a library.
BOX = "tar -cf - -C / bin/busybox lib lib64 $(cd / && ls -d usr/lib/libcrypt.so* 2>/dev/null)"
ALL_EDITS = ("cgroup2", "kernel-waits", "network", "serial-login", "services")


@pytest.fixture(scope="module")
def corepure64(linux_iso: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the stand-in as an ISO image without UEFI, as CorePure64's is."""
    return corelike.medium(linux_iso, tmp_path_factory.mktemp("corepure64"))


@dataclass
class Host:
    """A container host upon the stand-in, at its boot menu, with a disk that asks to be formatted."""

    engine: str
    image: Path
    disk: Path
    machine: Machine

    def sh(self, command: str) -> str:
        ended, output = self.machine.console.run(command, BOOT_TIMEOUT)
        assert ended == 0, f"{command}\nended with {ended}:\n{output}"
        return output


@pytest.fixture
def start(
    corepure64: Path, boot: Callable[..., Machine], tmp_path: Path, ssh_key: Path
) -> Callable[..., Host]:
    def made(engine: str, mode: str, *options: str) -> Host:
        image, disk = tmp_path / f"core-{engine}.iso", tmp_path / "data.img"
        variant = configured.variant(tmp_path, engine, ssh_key.with_suffix(".pub"))
        variant.write_text(variant.read_text() + PLACED)
        words = ("--variant", str(variant), "--base", str(corepure64), "--output", str(image))
        remaster(*words, "--ssh-key", f"{ssh_key}.pub", *options)
        with disk.open("wb") as file:
            file.write(userdata(f"boot2{engine}, please format-me", ssh_key.with_suffix(".pub").read_bytes()))
            file.truncate(DISK_MIB << 20)
        more: dict[str, Any] = {}
        if engine == "docker":
            key = ssh_key.with_suffix(".pub")
            more = {"config_disk": clouded.disk(tmp_path, key), "second_card": clouded.CARD}
        machine = boot(memory_mib=MEMORY_MIB, cpus=2, data_disk=disk, **media(mode, image), **more)
        return Host(engine=engine, image=image, disk=disk, machine=machine)

    return made


def told_by(*words: object) -> str:
    """Return what the command says of an image."""
    argv = [sys.executable, "-m", "remaster", *(str(word) for word in words)]
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout


def check_commands(host: Host, base: Path, tmp_path: Path) -> None:
    """What looks into images finds in this one what was put where."""
    found = look.examine(host.image)
    assert found.survey.manifest is not None
    assert found.survey.manifest.edits == ALL_EDITS
    assert not found.survey.contradictions
    assert {"container-host.tcz", "e2fsprogs.tcz"}.isdisjoint(
        path.rpartition("/")[2] for path in found.medium.files if path.startswith("cde/optional/")
    )
    inspected = json.loads(told_by("inspect", "--json", host.image))
    assert "chosen" in {entry["label"] for entry in inspected["entries"]}
    explained = ("explain", "--image", host.image)
    assert "1. container-host:" in told_by(*explained, "/usr/local/bin/status")
    assert "services: an edit to the base" in told_by(*explained, "/etc/init.d/image-services")
    assert '"e2fsprogs"' in told_by("sbom", host.image)
    differs = subprocess.run(
        [sys.executable, "-m", "remaster", "diff", str(base), str(host.image)],
        check=False, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert "etc/init.d/tc-config" in differs.stdout
    told_by("extract", host.image, "--output", tmp_path / "out")


def check_machine(host: Host) -> None:
    """The layer of the host: services, data disk, places, and nothing that went wrong."""
    sh, engine = host.sh, host.engine
    assert corelike.RELEASE in sh("cat /etc/os-release")
    # Here the prompt does not wait for services at all.
    sh("n=0; until [ -e /run/floe/services.done ] || [ $n -gt 400 ]; do sleep 1; n=$((n+1)); done")
    configured.check(sh, engine)
    assert "cgroup2 /sys/fs/cgroup cgroup2" in sh("cat /proc/mounts")
    told = json.loads(sh("status --json"))
    assert told["problems"] == []
    assert corelike.RELEASE in told["base"]
    assert told["kernel"]
    # Only the image's keys may log in, and a console that was left is logged in again.
    findings = json.loads(sh("sudo audit --json || true"))["findings"]
    assert set(findings) == corelike.FINDINGS
    states = {one["name"]: one["state"] for one in told["services"]}
    assert states.items() >= dict.fromkeys(("acpid", "sshd", "ntpd", "crond", engine), "running").items()
    assert set(states.values()) == {"running", "done"}
    assert told["data-disk"]["state"] == "mounted"
    assert f"/dev/{'vda' if engine == 'docker' else 'vdb'} /var/log ext4 rw" in sh("cat /proc/mounts")
    packages = {one["name"]: one for one in told["packages"]}
    assert packages["e2fsprogs"]["memory"] > 0
    assert packages["dropbear"]["memory"] == 0
    # In the root, built in, on the medium, and when its command is used.
    sh("test ! -L /usr/local/bin/status -a ! -e /usr/local/tce.installed/socat")
    mounts = sh("cat /proc/mounts")
    assert "/tmp/tcloop/container-host " not in mounts
    assert "/tmp/tcloop/e2fsprogs " in mounts
    assert sh("cat /tmp/builtin/onboot.lst").split() == ["e2fsprogs.tcz"]
    assert "socat by " in sh("socat -V && test -e /usr/local/tce.installed/socat")
    # Routers are listened to, too, which Tiny Core does not do.
    sh("pidof router-servers && test -e /run/floe/net/eth0/dns.routers")
    assert re.search(r"eth0 10\.\d+\.", sh("status --short"))
    assert "/mnt/data/swapfile" in sh("cat /proc/swaps")
    assert "dataswap=16M" in sh("cat /proc/cmdline")


def check_end(host: Host, *stopped: str) -> None:
    """Services stop in the reverse of their order, the data disk last; then its file system is clean."""
    last = "(?s:.*)".join(f"Stopping {name}" for name in (*stopped, "data-disk"))
    host.machine.console.expect(f"{last}(?s:.*)Syncing all filesystems", BOOT_TIMEOUT, never="still in use")
    host.machine.wait(BOOT_TIMEOUT)
    checked = subprocess.run(
        ["e2fsck", "-n", str(host.disk)],
        capture_output=True, text=True, check=False, env={"PATH": "/usr/sbin:/sbin"},
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout
    assert ": clean, " in checked.stdout


#: A container that has more to do at its end than the two seconds that Tiny Core's own way down leaves.
BYE = "trap 'sleep 4; echo bye >/kept/bye; exit 0' TERM; while :; do sleep 1; done"


def check_bye(disk: Path) -> None:
    """What the container wrote at its end is on the disk."""
    assert power.content_on(disk, "/kept/bye") == b"bye\n"


def test_a_docker_host_upon_it(start: Callable[..., Host], corepure64: Path, tmp_path: Path) -> None:
    """Started by isolinux with an entry that is typed, ended by the power button."""
    host = start("docker", "bios-cd")
    machine = host.machine
    shown = keys.wait_for(machine, r"^boot: *$", BOOT_TIMEOUT)
    assert "Chosen by somebody at the keyboard" in shown
    keys.press(machine, "f2")
    assert "What the entries do" in keys.wait_for(machine, "dataswap=16M", BOOT_TIMEOUT)
    keys.press(machine, "f3")
    keys.wait_for(machine, "Boot codes that can be added", BOOT_TIMEOUT)
    keys.type_text(machine, "chosen\n")
    check_commands(host, corepure64, tmp_path)
    machine.console.expect(PROMPT, BOOT_TIMEOUT, never="Kernel panic")
    check_machine(host)
    clouded.check(host.sh)
    clouded.pull_the_cable(machine, host.sh)
    host.sh(f"{BOX} | sudo docker import - box")
    assert "from a container" in host.sh("sudo docker run --rm box /bin/busybox echo from a container")
    host.sh(f'sudo docker run -d -v /mnt/data/kept:/kept box /bin/busybox sh -c "{BYE}"')
    machine.powerdown()
    check_end(host, "docker", "containerd")
    check_bye(host.disk)


def test_a_podman_host_that_leaves_the_base_as_it_is(start: Callable[..., Host], corepure64: Path) -> None:
    """Started by GRUB with an entry that is chosen from its menu."""
    host = start("podman", "uefi-disk", "--initrd-mode", "append")
    console = host.machine.console
    console.expect("Chosen by somebody at the keyboard", BOOT_TIMEOUT)
    # The last entry but the help, which comes behind all others.
    keys.press(host.machine, "end", "ret")
    console.expect("What the entries do", BOOT_TIMEOUT)
    keys.press(host.machine, "ret")
    console.expect("dataswap=16M", BOOT_TIMEOUT)
    keys.press(host.machine, "esc", "esc", "end", "up", "ret")
    before, after = look.examine(corepure64), look.examine(host.image)
    old = before.medium.files["boot/corepure64.gz"].read()
    assert after.medium.files["boot/corepure64.gz"].read().startswith(old)
    assert [one.compressor for one in after.survey.initrds[0].members][:2] == ["gzip", "gzip"]
    console.expect(PROMPT, BOOT_TIMEOUT, never="Kernel panic")
    assert host.sh("ls -ld /opt").split()[:3] == ["drwxrwsr-x", "2", "root"]
    check_machine(host)
    host.sh(f"{BOX} | sudo podman import - box")
    assert "from a container" in host.sh("sudo podman run --rm box /bin/busybox echo from a container")
    console.send("sudo poweroff")
    check_end(host, "podman")


#: Next to nothing upon the base, with our kernel: what is tried is how it starts.
LIGHT = """
schema = 1
name = "light"
summary = "A base of others with a package"
extends = "linux"
boot-codes = ["host=light", "noembed"]
packages.onboot = ["dropbear"]
"""
LIGHT_PROMPT = PROMPT.replace("[\\w.-]+", "light")


@dataclass
class Light:
    """An image in every format but ISO, and the least memory that was told when it was made."""

    stem: Path
    least_mib: int


@pytest.fixture(scope="module")
def light(corepure64: Path, tmp_path_factory: pytest.TempPathFactory) -> Light:
    folder = tmp_path_factory.mktemp("light")
    (folder / "light.toml").write_text(LIGHT)
    words = ["--json", "--variant", folder / "light.toml", "--base", corepure64, "--kernel", "kernel"]
    told = json.loads(told_by(*words, "--format", "disk,qcow2,netboot,tar", "--output", folder / "core"))
    return Light(stem=folder / "core", least_mib=told["least_memory"] >> 20)


def test_its_raw_disk(light: Light, boot: Callable[..., Machine]) -> None:
    """By GRUB, which is ours: such a base has none for disks."""
    machine = boot(disk=light.stem.with_suffix(".img"), memory_mib=512)
    machine.console.expect(LIGHT_PROMPT, BOOT_TIMEOUT, never="Kernel panic")
    sh = partial(test_formats.sh, machine)
    assert corelike.RELEASE in sh("cat /etc/os-release")
    mounts = sh("cat /proc/mounts; readlink /etc/sysconfig/tcedir")
    assert "/tmp/tcloop/dropbear " in mounts
    assert "/mnt/vda2" in mounts
    assert 'LABEL="floe-data"' in sh("sudo blkid /dev/vda3")


def test_its_other_formats_have_the_same_in_them(light: Light) -> None:
    raw, qcow2 = light.stem.with_suffix(".img"), light.stem.with_suffix(".qcow2")
    subprocess.run(["qemu-img", "compare", "-q", raw, qcow2], check=True)
    with tarfile.open(light.stem.with_suffix(".tar")) as archive:
        members = {member.name.removeprefix("./"): member for member in archive}
    root = look.examine(light.stem.with_suffix(".netboot")).root
    for path in ("etc/os-release", "bin/busybox", "etc/init.d/tc-config", "etc/shadow"):
        assert members[path].mode == root[path].mode & 0o7777, path
        assert members[path].size == root[path].size, path
    assert "usr/local/sbin/dropbear" in members
    assert "usr/local/tce.installed/dropbear" in members


def test_over_the_network_in_the_least_memory(light: Light, tmp_path: Path) -> None:
    """All files of the root are whole with the memory that was told, and with less the lack is told."""
    folder = light.stem.with_suffix(".netboot")
    lines = test_formats.sums_of(folder / "initrd", tmp_path / "sums")
    spec = spec_for(folder, Hardware(memory=light.least_mib, data_disk=tmp_path / "sums"), "network")
    with serial_logs.machine(spec) as machine:
        machine.console.expect(LIGHT_PROMPT, BOOT_TIMEOUT, never=checks.FATAL)
        sh = partial(test_formats.sh, machine)
        sh(f"cd / && sudo head -n {lines} /dev/vda >/tmp/sums; sudo md5sum -c /tmp/sums >/tmp/told")
        assert sh("grep -c OK /tmp/told").strip() == str(lines)
        assert lines > 50
        assert "/tmp/tcloop/dropbear " in sh("cat /proc/mounts")
    status, told = test_formats.outcomes_of(folder, "--memory", 2 * light.least_mib // 3)
    assert status == 9
    assert "memory" in told["outcomes"][0]["why"].splitlines()[0]
