"""The docker variant, booted from a CD by BIOS and by UEFI, runs containers.

The tests of one machine build on each other, in the order in which they stand.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from tests.boot import clients, configured, power
from tests.boot.conftest import BOOT_TIMEOUT, PROMPT, free_port, media
from tests.unit.test_data_disk import userdata

if TYPE_CHECKING:
    from collections.abc import Callable

    from remaster.vm import Machine
    from tests.boot.conftest import HostServer

pytestmark = pytest.mark.boot

#: How machines are started. What the engine does is tried in the first; the others show that it is reached.
MODES = ["bios-cd", "uefi-cd"]
everywhere = pytest.mark.parametrize("host", MODES, indirect=True, scope="module")
once = pytest.mark.parametrize("host", MODES[:1], indirect=True, scope="module")

MEMORY_MIB = 512
DISK_MIB = 512
#: Generous: other machines may run beside this one. That nothing was killed is checked for itself.
LIMIT_KILLED = 137


@dataclass
class Host:
    """A booted docker host, and where its ports are on this machine."""

    machine: Machine
    mode: str
    ssh_port: int
    web_port: int

    def sh(self, command: str, timeout: float = BOOT_TIMEOUT) -> str:
        """Run a command on the serial console; it must succeed."""
        status, output = self.machine.console.run(command, timeout)
        assert status == 0, f"{command}\nended with {status}:\n{output}"
        return output


@pytest.fixture(scope="session")
def empty_disk(tmp_path_factory: pytest.TempPathFactory, other_key: Path) -> Path:
    """A disk as docker-machine makes it: it asks to be formatted, and brings a key."""
    disk = tmp_path_factory.mktemp("disk") / "data.img"
    with disk.open("wb") as file:
        file.write(userdata("boot2docker, please format-me", Path(f"{other_key}.pub").read_bytes()))
        file.truncate(DISK_MIB << 20)
    return disk


@pytest.fixture(scope="session")
def other_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = tmp_path_factory.mktemp("ssh") / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "other", "-f", key], check=True)
    return key


@pytest.fixture(scope="module")
def host(
    request: pytest.FixtureRequest, docker_iso: Path, boot: Callable[..., Machine], empty_disk: Path
) -> Host:
    """The first one with a data disk, the others without."""
    mode = str(request.param)
    ssh_port, web_port = free_port(), free_port()
    machine = boot(
        memory_mib=MEMORY_MIB,
        cpus=2,
        forwards=((ssh_port, 22), (web_port, 8080)),
        extra_disks=(empty_disk,) if mode == MODES[0] else (),
        **media(mode, docker_iso),
    )
    machine.console.expect(PROMPT, BOOT_TIMEOUT, never="Kernel panic|SELF-TEST FAILED")
    return Host(machine=machine, mode=mode, ssh_port=ssh_port, web_port=web_port)


@pytest.fixture(scope="module")
def image(host: Host) -> str:
    """An image made on the spot out of the base's static busybox, imported from a local file."""
    host.sh("mkdir -p /tmp/img/bin /tmp/img/tmp && cp /bin/busybox /tmp/img/bin/")
    host.sh("for a in sh wget httpd dd sleep cat echo mkdir; do ln -s busybox /tmp/img/bin/$a; done")
    host.sh(
        "tar -C /tmp/img -cf /tmp/img.tar . && docker import /tmp/img.tar tiny && rm -r /tmp/img /tmp/img.tar"
    )
    return "tiny"


@everywhere
def test_root_is_not_rootfs_and_the_self_test_says_so(host: Host) -> None:
    assert host.sh("awk '$2 == \"/\" { t = $3 } END { print t }' /proc/mounts").strip() == "tmpfs"
    assert "FAIL" not in host.sh("cat /run/floe/self-test")


@once
def test_what_the_variant_says_has_come_about(host: Host) -> None:
    """An image that was preloaded as an OCI layout is what a container runs since the first boot."""
    configured.check(host.sh, "docker")
    told = host.sh("docker info --format '{{json .RegistryConfig.Mirrors}}'")
    assert "http://lan.example.org:5000/" in told


@once
def test_docker_uses_cgroup_v2_and_overlay(host: Host) -> None:
    info = host.sh("docker info --format '{{.CgroupVersion}} {{.Driver}}'").split()
    assert info[0] == "2"
    assert info[1] in {"overlay2", "overlayfs"}


@once
def test_the_service_tells_its_status(host: Host) -> None:
    host.sh("sudo /usr/local/etc/init.d/docker status")
    host.sh("id -nG | grep -qw docker")
    assert "max-size" in host.sh("cat /etc/docker/daemon.json")


@everywhere
def test_the_machine_tells_how_it_is(host: Host) -> None:
    """All services run, nothing went wrong, every package of the image is known by its hash."""
    told = json.loads(host.sh("status --json"))
    states = {one["name"]: one["state"] for one in told["services"]}
    running = dict.fromkeys(("acpid", "sshd", "containerd", "docker", "ntpd", "crond"), "running")
    assert states.items() >= {"data-disk": "done", **running}.items()
    assert set(states.values()) == {"running", "done"}
    assert told["problems"] == []
    assert told["variant"] == "docker"
    found = {one["name"]: one for one in told["packages"]}
    assert found["docker-engine"]["state"] == "loaded"
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", found["docker-engine"]["hash"])
    assert told["data-disk"]["state"] == ("mounted" if host.mode == MODES[0] else "none")
    assert "docker running" in host.sh("status | tr -s ' '")


@once
def test_a_disk_that_asked_for_it_keeps_what_is_docker_s(host: Host) -> None:
    mounts = host.sh("cat /proc/mounts")
    for path in ("/var/lib/docker", "/var/lib/containerd", "/var/lib/boot2docker", "/var/log"):
        assert f"/dev/vda {path} ext4 rw" in mounts
    # The image's own settings show through, and changes go to the disk.
    assert "overlay /etc/docker overlay" in mounts
    host.sh("sudo touch /etc/docker/mine && sudo ls /mnt/data/etc/docker | grep -qx mine")
    host.sh("sudo test -s /var/lib/boot2docker/userdata.tar -a -s /mnt/data/etc/machine-id")


@once
def test_a_daemon_that_was_killed_is_started_again(host: Host) -> None:
    host.sh("sudo sh -c 'kill -9 $(cat /var/run/docker.pid)'")
    host.sh("n=60; until [ -s /run/floe/services/docker/state ] && docker version >/dev/null 2>&1; do "
            "n=$((n-1)); [ $n -gt 0 ] || break; sleep 1; done; docker version >/dev/null")  # fmt: skip
    (docker,) = [one for one in json.loads(host.sh("sudo services status --json")) if one["name"] == "docker"]
    assert docker["restarts"] == 1
    assert docker["note"].startswith("signal 9 after ")


@everywhere
def test_a_container_reaches_the_host_over_its_own_network(
    host: Host, image: str, host_server: HostServer
) -> None:
    path = f"/{host.mode}/hello"
    said = host.sh(f"docker run --rm {image} wget -qO- {host_server.url}{path}")
    assert "hello from the host" in said
    assert host_server.asked_for(path)


@once
def test_an_image_saved_to_a_file_is_loaded_again(host: Host, image: str) -> None:
    host.sh(f"docker save -o /tmp/saved.tar {image} && docker rmi {image}")
    host.sh("docker load -i /tmp/saved.tar && rm /tmp/saved.tar")
    assert image in host.sh("docker images --format '{{.Repository}}'")


@once
def test_what_was_just_made_outlives_a_power_cut(host: Host, empty_disk: Path, tmp_path: Path) -> None:
    """The files of an image imported this moment, the server's keys, the userdata of the first boot."""
    host.sh("mkdir /tmp/cut && head -c 300000 /dev/urandom >/tmp/cut/pulled")
    host.sh("tar -C /tmp/cut -cf - pulled | docker import - cut")
    sums = power.sums(host.sh, "-path '*/fs/pulled' -o -name 'dropbear_*_host_key'")
    disk = power.plug_pulled(host.machine, "disk1", tmp_path / "disk.img")
    names = [path.rpartition("/")[2] for path in sums]
    assert sorted(names) == ["dropbear_ecdsa_host_key", "dropbear_ed25519_host_key", "pulled"]
    assert power.sums_on(disk, sums) == sums
    kept = power.content_on(disk, "/var/lib/boot2docker/userdata.tar")
    assert empty_disk.read_bytes().startswith(kept.rstrip(b"\0"))
    assert len(kept) > 1024


@once
def test_docker_build_runs_a_two_line_dockerfile(host: Host, image: str) -> None:
    host.sh(f"mkdir -p /tmp/b && printf 'FROM {image}\\nRUN echo built > /made\\n' > /tmp/b/Dockerfile")
    host.sh("docker build -q -t made /tmp/b")
    assert host.sh("docker run --rm made cat /made").strip() == "built"


@once
def test_a_memory_limit_kills_what_exceeds_it(host: Host, image: str) -> None:
    status, said = host.machine.console.run(
        f"docker run --name eater -m 16m {image} dd if=/dev/zero of=/dev/null bs=64M count=1", 240
    )
    assert status == LIMIT_KILLED, said
    assert host.sh("docker inspect -f '{{.State.OOMKilled}}' eater").strip() == "true"
    host.sh("docker rm eater")


@once
def test_a_published_port_is_reached_from_the_host(host: Host, image: str) -> None:
    serve = "mkdir /w && echo published > /w/index.html && exec httpd -f -p 80 -h /w"
    host.sh(
        f"docker run -d --name web -p 8080:80 {image} sh -c '{serve}'".replace("mkdir", "/bin/busybox mkdir")
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            answer = requests.get(f"http://127.0.0.1:{host.web_port}/", timeout=20)
            break
        except requests.ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(1)
    assert answer.text == "published\n"
    host.sh("docker rm -f web")


@once
def test_ssh_takes_the_keys_and_nothing_else(host: Host, ssh_key: Path, other_key: Path) -> None:
    """The image's key, and the one that came with the data disk."""
    base = [
        "ssh",
        "-p",
        str(host.ssh_port),
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
    ]
    base += ["-o", "ConnectTimeout=60", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
    good = subprocess.run(
        [*base, "-i", str(ssh_key), "tc@127.0.0.1", "docker version --format '{{.Server.Version}}'"],
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert good.returncode == 0, good.stderr
    assert good.stdout.strip()
    brought = subprocess.run(
        [*base, "-i", str(other_key), "tc@127.0.0.1", "true"], check=False, timeout=240
    )  # fmt: skip
    assert brought.returncode == 0
    bad = subprocess.run(
        [*base, "-o", "PubkeyAuthentication=no", "-v", "tc@127.0.0.1", "true"],
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert bad.returncode != 0
    assert "Permission denied (publickey)" in bad.stderr


@once
def test_the_engine_over_ssh(host: Host, ssh_key: Path, tmp_path: Path) -> None:
    """The client of our recipe on this machine, told by an option and by the environment."""
    docker = clients.unpacked("docker-cli", tmp_path / "client") / "docker"
    env = clients.environment(tmp_path / "home", ssh_key)
    url = f"ssh://tc@127.0.0.1:{host.ssh_port}"
    said = clients.run([docker, "-H", url, "images", "--format", "{{.Repository}}"], env)
    assert "tiny" in said.split()
    ran: list[str | Path] = [docker, "run", "--rm", "tiny", "echo", "from afar"]
    assert clients.run(ran, {**env, "DOCKER_HOST": url}) == "from afar\n"


@once
def test_containers_are_confined(host: Host, image: str) -> None:
    """By the default seccomp profile: mode 2 is a filter."""
    assert "Seccomp:\t2" in host.sh(f"docker run --rm {image} cat /proc/self/status")


@everywhere
def test_power_off_stops_the_container_first(host: Host, image: str, host_server: HostServer) -> None:
    path = f"/{host.mode}/stopped"
    trap = f'trap "wget -qO- {host_server.url}{path}; exit 0" TERM; while :; do sleep 1; done'
    host.sh(f"docker run -d --name long {image} sh -c '{trap}'")
    host.sh("sleep 3; docker inspect -f '{{.State.Running}}' long | grep true")
    pressed = time.monotonic()
    host.machine.powerdown()
    host.machine.wait(BOOT_TIMEOUT)
    stopped = host_server.asked_for(path)
    assert stopped is not None, host.machine.console.tail()
    assert pressed < stopped < time.monotonic()
    assert "still in use" not in host.machine.console.transcript
