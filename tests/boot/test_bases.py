"""A base that others made, booted: a stand-in for CorePure64 with a container host put upon it.

Official images could not be had when this was written. The stand-in has their shape (CorePure64's medium,
two gzip members, the names and lines of its scripts that edits take hold of); what runs in it is floe's.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from remaster.survey import look
from tcz.tree import Tree, regular
from tests.boot import clouded, configured
from tests.boot.conftest import BOOT_TIMEOUT, PROMPT, media, remaster
from tests.unit import standins

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from remaster.vm import Machine
    from tcz.tree import Node

pytestmark = [pytest.mark.boot, standins.needs_tools]
MEMORY_MIB = 1536
_WAITS = """modprobe loop 2>/dev/null
if [ -n "$BC_nozswap" ]; then
	:
else
	while [ ! -e /dev/zram0 ]; do usleep 50000; done
fi
if [ -z "$BC_nortc" ]; then
	while [ ! -e /dev/rtc0 ]; do usleep 50000; done
fi
"""


def text(node: Node) -> str:
    return node.read().decode()


def like_tiny_core(root: Tree) -> Tree:
    """Give floe's root the lines of Tiny Core's scripts, and take away what edits are to bring."""
    config = text(root["etc/init.d/tc-config"])
    head, _, tail = config.partition("[ -x /opt/bootsync.sh ] && /opt/bootsync.sh\n")
    tail = tail[tail.index('if [ "$BC_pause" ]') :]
    before, start, rest = head.partition('[ "$BC_nozswap" ] || start_zram\n')
    assert start
    config = f"{before}{_WAITS}{rest}/opt/bootsync.sh\n\n{tail}"
    shutdown = text(root["etc/init.d/rc.shutdown"])
    assert "/etc/init.d/services stop\n" in shutdown
    shutdown = shutdown.replace(
        "/etc/init.d/services stop\n", 'echo "${BLUE}Syncing all filesystems."\nsync; sync\n'
    )
    nodes = dict(root.items())
    for path, data in (
        ("etc/init.d/tc-config", config.encode()),
        ("etc/init.d/rc.shutdown", shutdown.encode()),
        ("etc/inittab", standins.INITTAB),
        ("etc/os-release", standins.os_release("16.1")),
    ):
        nodes[path] = regular(data, mode=nodes[path].mode & 0o7777, mtime=standins.EPOCH)
    for name in ("services", "service-functions", "service-supervisor"):
        del nodes[f"etc/init.d/{name}"]
    return Tree(nodes)


@pytest.fixture(scope="module")
def corepure64(linux_iso: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the stand-in as an ISO image without UEFI, as CorePure64's is."""
    folder = tmp_path_factory.mktemp("corepure64")
    made = standins.medium(folder / "medium", "corepure64")
    found = look.examine(linux_iso)
    root = like_tiny_core(found.root)
    parts = [
        {path: node for path, node in root.items() if path.startswith("lib/modules/") is modules}
        for modules in (False, True)
    ]
    first, second = (standins.packed(Tree(part)) for part in parts)
    (made / "boot/corepure64.gz").write_bytes(first + bytes(-len(first) % 4) + second)
    (made / "boot/vmlinuz64").write_bytes(found.medium.files["boot/vmlinuz64"].read())
    return standins.iso(made, folder / "CorePure64.iso")


def test_a_docker_host_upon_it(
    corepure64: Path, boot: Callable[..., Machine], tmp_path: Path, ssh_key: Path
) -> None:
    image = tmp_path / "core-docker.iso"
    remaster(
        "--variant",
        str(configured.variant(tmp_path, "docker", ssh_key.with_suffix(".pub"))),
        "--base",
        str(corepure64),
        "--output",
        str(image),
        "--ssh-key",
        f"{ssh_key}.pub",
    )
    found = look.survey(image)
    assert found.manifest is not None
    assert found.manifest.edits == ("cgroup2", "kernel-waits", "network", "serial-login", "services")
    assert not found.contradictions
    disk = clouded.disk(tmp_path, ssh_key.with_suffix(".pub"))
    machine = boot(
        memory_mib=MEMORY_MIB, config_disk=disk, second_card=clouded.CARD, **media("bios-cd", image)
    )
    console = machine.console
    console.expect(PROMPT, BOOT_TIMEOUT, never="Kernel panic")

    def sh(command: str) -> str:
        ended, output = console.run(command, 240)
        assert ended == 0, output
        return output

    assert "16.1" in sh("cat /etc/os-release")
    sh("n=0; until [ -e /run/floe/services.done ]; do sleep 1; n=$((n+1)); [ $n -lt 200 ]; done")
    assert "cgroup2" in sh("mount | grep /sys/fs/cgroup")
    configured.check(sh, "docker")
    clouded.check(sh)
    clouded.pull_the_cable(machine, sh)
    sh("tar -cf - -C / bin/busybox lib lib64 | sudo docker import - box")
    told = json.loads(sh("status --json"))
    assert "16.1" in told["base"]
    assert told["kernel"]
    assert told["problems"] == []
    assert {one["state"] for one in told["services"]} <= {"running", "done"}
    assert next(one for one in told["packages"] if one["name"] == "docker-engine")["hash"].startswith(
        "sha256:"
    )
    # Only the image's keys may log in, and a console that was left is logged in again.
    assert json.loads(sh("sudo audit --json"))["findings"] == []
    assert "from a container" in sh("sudo docker run --rm box /bin/busybox echo from a container")
    console.send("sudo poweroff\n")
    console.expect("Stopping docker", BOOT_TIMEOUT)
    machine.wait(BOOT_TIMEOUT)


def test_appending_leaves_the_base_as_it_is(
    corepure64: Path, boot: Callable[..., Machine], tmp_path: Path
) -> None:
    image = tmp_path / "core-linux.iso"
    words = ("--variant", "linux", "--base", str(corepure64), "--kernel", "base", "--output", str(image))
    remaster(*words, "--initrd-mode", "append", "--initrd-compressor", "xz", "--boot-code", "nozswap")
    before, after = look.examine(corepure64), look.examine(image)
    old = before.medium.files["boot/corepure64.gz"].read()
    new = after.medium.files["boot/corepure64.gz"].read()
    assert new.startswith(old)
    assert [one.compressor for one in after.survey.initrds[0].members] == ["gzip", "gzip", "xz"]
    assert after.survey.kernel == before.survey.kernel
    machine = boot(memory_mib=256, **media("uefi-disk", image))
    machine.console.expect(PROMPT, BOOT_TIMEOUT, never="Kernel panic")
    ended, output = machine.console.run("stat -c '%a %U' /opt /tmp; cat /proc/cmdline", 60)
    assert ended == 0
    assert "2775 root" in output
    assert "console=ttyS0,115200" in output
