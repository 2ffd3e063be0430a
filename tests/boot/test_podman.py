"""The podman variant: containers with and without privileges, pods, builds, the API, a reboot.

One machine, booted by BIOS with a data disk, does everything; the tests build on each other, in the order
in which they stand.
"""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.boot import clients, configured, power
from tests.boot.conftest import BOOT_TIMEOUT, PROMPT, free_port, media, remaster
from tests.unit.test_data_disk import userdata

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from remaster.vm import Machine
    from tests.boot.conftest import HostServer

pytestmark = pytest.mark.boot

MEMORY_MIB = 768
NEVER = "Kernel panic|SELF-TEST FAILED|did not start"
#: Files of the base that make an image: a static program and what it is called by.
APPLETS = "sh wget httpd sleep cat echo mkdir nslookup id"

MANIFEST = """\
apiVersion: v1
kind: Pod
metadata:
  name: played
spec:
  containers:
  - name: server
    image: localhost/tiny:latest
    command: [sh, -c, "mkdir /w; echo played >/w/index.html; exec httpd -f -p 80 -h /w"]
  - name: client
    image: localhost/tiny:latest
    command: [sh, -c, "until wget -qO /answer http://127.0.0.1/; do sleep 1; done; exec sleep 1000"]
  terminationGracePeriodSeconds: 1
"""


@dataclass
class Host:
    """A booted podman host."""

    machine: Machine
    ssh_port: int

    def sh(self, command: str, timeout: float = BOOT_TIMEOUT) -> str:
        """Run a command on the serial console, as user tc; it must succeed."""
        status, output = self.machine.console.run(command, timeout)
        assert status == 0, f"{command}\nended with {status}:\n{output}"
        return output

    def wait_for(self, command: str, seconds: int = 120) -> str:
        """Run a command each second until it succeeds."""
        return self.sh(
            f"n={seconds}; until {command}; do n=$((n-1)); [ $n -gt 0 ] || break; sleep 1; done; {command}"
        )


@pytest.fixture(scope="module")
def other_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key that a boot code tells of."""
    key = tmp_path_factory.mktemp("other") / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    return key


@pytest.fixture(scope="module")
def podman_iso(tmp_path_factory: pytest.TempPathFactory, ssh_key: Path, other_key: Path) -> Path:
    """The variant for podman-machine, which has more than podman and nothing less, configured."""
    iso = tmp_path_factory.mktemp("podman") / "floe-podman.iso"
    blob = other_key.with_suffix(".pub").read_text().split()[1]
    head = f'boot-codes = ["sshkey={blob}"]\n'
    variant = configured.variant(iso.parent, "podman", ssh_key.with_suffix(".pub"), "podman-machine", head)
    remaster("--variant", str(variant), "--output", str(iso), "--ssh-key", f"{ssh_key}.pub")
    return iso


@pytest.fixture(scope="module")
def host(
    podman_iso: Path, boot: Callable[..., Machine], tmp_path_factory: pytest.TempPathFactory, ssh_key: Path
) -> Host:
    """A machine as podman-machine's driver makes it: the image, and a disk that asks to be formatted."""
    disk = tmp_path_factory.mktemp("disk") / "data.img"
    with disk.open("wb") as file:
        file.write(userdata("boot2podman, please format-me", ssh_key.with_suffix(".pub").read_bytes()))
        file.truncate(512 << 20)
    port = free_port()
    machine = boot(
        memory_mib=MEMORY_MIB,
        cpus=2,
        forwards=((port, 22),),
        extra_disks=(disk,),
        reboot=True,
        **media("bios-cd", podman_iso),
    )
    machine.console.expect(PROMPT, BOOT_TIMEOUT, never=NEVER)
    made = Host(machine=machine, ssh_port=port)
    make_image(made)
    return made


def make_image(host: Host) -> None:
    """Import an image made on the spot, for root and for the user."""
    host.sh("mkdir -p /tmp/img/bin /tmp/img/tmp && cp /bin/busybox /tmp/img/bin/")
    host.sh(f"for a in {APPLETS}; do ln -s busybox /tmp/img/bin/$a; done")
    host.sh("tar -C /tmp/img -cf /tmp/img.tar . && rm -r /tmp/img")
    host.sh("sudo podman import -q /tmp/img.tar tiny && podman import -q /tmp/img.tar tiny")


def test_the_host_is_what_podman_wants(host: Host) -> None:
    assert host.sh("cat /run/floe/self-test").strip() == "ok"
    wanted = "{{.Host.CgroupsVersion}} {{.Host.CgroupManager}} {{.Host.OCIRuntime.Name}}"
    driver = "{{.Store.GraphDriverName}}"
    for sudo in ("sudo ", ""):
        said = host.sh(f"{sudo}podman info --format '{wanted} {driver} {{{{.Host.NetworkBackend}}}}'")
        assert said.split() == ["v2", "cgroupfs", "crun", "overlay", "netavark"]
    assert "/dev/vd" in host.sh("df /var/lib/containers | tail -1")
    host.sh("sudo /usr/local/etc/init.d/podman status")


def test_what_podman_machine_looks_at(podman_iso: Path, host: Host) -> None:
    """The label tells its driver the version; name, place of the host's name and socket are boot2podman's."""
    with podman_iso.open("rb") as file:
        file.seek(0x8028)
        assert file.read(32).startswith(b"Boot2Podman-v")
    assert "ID=boot2podman" in host.sh("cat /etc/os-release").split()
    assert " boot2podman-data" in host.sh("grep ^label /run/floe/data-disk")
    host.sh("test -x /etc/init.d/podman -a -d /var/lib/boot2podman/etc")
    assert "box" in host.sh("echo box | sudo tee /var/lib/boot2podman/etc/hostname")


def test_who_has_the_key_of_a_boot_code_logs_in(host: Host, other_key: Path, tmp_path: Path) -> None:
    env = clients.environment(tmp_path, other_key)
    assert clients.run(["ssh", "-p", str(host.ssh_port), "tc@127.0.0.1", "id -un"], env) == "tc\n"
    told = json.loads(host.sh("sudo audit --json"))["keys"]
    assert {"user": "tc", "type": "ssh-ed25519", "from": "boot code sshkey="} in told


def test_what_the_variant_says_has_come_about(host: Host, ssh_key: Path) -> None:
    """And podman itself reads the files as they were meant."""
    configured.check(host.sh, "podman")
    # A domain of the settings, and the servers of the lease; routers are listened to.
    resolver = host.sh("cat /etc/resolv.conf").split("\n")
    assert resolver[0].strip() == "search lab.example"
    assert "nameserver 10.0.2.3" in [line.strip() for line in resolver]
    assert host.sh("route -n | awk '$1 == \"0.0.0.0\" { print $5 }'").strip() == "77"
    host.sh("pidof router-servers && test -e /run/floe/net/eth0/dns.routers")
    read = json.loads(host.sh("sudo podman info --format '{{json .Registries}}'"))
    assert read["blocked.example.org"]["Blocked"] is True
    assert read["docker.io"]["Mirrors"][0]["Location"] == "mirror.example.org/hub"
    assert host.sh("sudo podman inspect greeter --format '{{.HostConfig.PidsLimit}}'").strip() == "1999"
    status, said = host.machine.console.run("sudo podman pull -q blocked.example.org/x", 120)
    assert status != 0
    assert "is blocked" in said
    login = ["ssh", "-p", str(host.ssh_port), "-i", str(ssh_key), "-o", "BatchMode=yes"]
    login += [
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
        "anna@127.0.0.1",
        "id -un",
    ]
    assert subprocess.run(login, capture_output=True, text=True, check=True).stdout == "anna\n"


def test_root_runs_a_container_on_a_bridge(host: Host, host_server: HostServer) -> None:
    said = host.sh(f"sudo podman run --rm tiny wget -qO- {host_server.url}/root")
    assert "hello from the host" in said
    assert host_server.asked_for("/root")


def test_what_was_just_made_outlives_a_power_cut(host: Host, tmp_path: Path) -> None:
    """A container, root's and the user's: an image's files, and what the engine needs to mount its layers."""
    for sudo in ("sudo ", ""):
        host.sh(f"{sudo}podman create --name cut tiny sh")
    files = "-path '*/overlay/*/diff/bin/busybox' -o -path '*/overlay/*/lower' -o -path '*/overlay/*/link'"
    sums = power.sums(host.sh, files)
    disk = power.plug_pulled(host.machine, "disk1", tmp_path / "disk.img")
    assert {path.rpartition("/")[2] for path in sums} == {"busybox", "lower", "link"}
    assert power.sums_on(disk, sums) == sums
    for sudo in ("sudo ", ""):
        host.sh(f"{sudo}podman rm cut")


def test_a_user_runs_a_container_without_privileges(host: Host, host_server: HostServer) -> None:
    assert "100000" in host.sh("podman unshare cat /proc/self/uid_map")
    said = host.sh(f"podman run --rm tiny sh -c 'id -u; wget -qO- {host_server.url}/user'")
    assert "hello from the host" in said
    assert host_server.asked_for("/user")
    assert host.sh("id -u").strip() != "0"


def test_containers_of_a_pod_talk_by_name(host: Host) -> None:
    """Within the pod, and over aardvark-dns with a container beside it on the same network."""
    host.sh("sudo podman network create talk && sudo podman pod create --name pair --network talk")
    serve = "mkdir /w; echo said by $0 >/w/index.html; exec httpd -f -p 80 -h /w"
    host.sh(f"sudo podman run -d -q --pod pair --name first tiny sh -c '{serve}' first")
    host.sh("sudo podman run -d -q --pod pair --name second tiny sleep 1000")
    host.sh(f"sudo podman run -d -q --network talk --name third tiny sh -c '{serve}' third")
    assert "said by first" in host.wait_for("sudo podman exec second wget -qO- http://first/")
    assert "said by third" in host.wait_for("sudo podman exec second wget -qO- http://third/")
    assert "said by first" in host.sh("sudo podman exec third wget -qO- http://pair/")
    assert "10.89." in host.sh("sudo podman exec second nslookup third.dns.podman")
    host.sh("sudo podman pod rm -f -t 1 pair && sudo podman rm -f -t 1 third && sudo podman network rm talk")


def test_podman_build(host: Host) -> None:
    host.sh("mkdir -p /tmp/b && printf 'FROM localhost/tiny\\nRUN echo built > /made\\n' > /tmp/b/Dockerfile")
    host.sh("podman build -q -t made /tmp/b")
    assert host.sh("podman run --rm made cat /made").strip() == "built"


def test_buildah_from_scratch(host: Host) -> None:
    host.sh("c=$(buildah from scratch) && buildah add -q $c /tmp/img.tar / && buildah run $c -- mkdir /own")
    host.sh("buildah config --cmd 'sh -c \"cat /proc/1/comm; test -d /own\"' working-container")
    host.sh("buildah commit -q working-container scratched && buildah rm working-container")
    assert "sh" in host.sh("podman run --rm scratched")


def test_skopeo_copies_from_a_layout_to_a_folder(host: Host) -> None:
    host.sh("podman save -q --format oci-dir -o /tmp/layout made")
    host.sh("skopeo copy -q oci:/tmp/layout dir:/tmp/folder && test -s /tmp/folder/manifest.json")
    assert host.sh("skopeo inspect --format '{{.Os}}' dir:/tmp/folder").strip() == "linux"


def test_kube_play_of_two_containers(host: Host) -> None:
    host.sh(f"cat >/tmp/played.yaml <<'END'\n{MANIFEST}END")
    host.sh("podman kube play /tmp/played.yaml")
    assert host.wait_for("podman exec played-client cat /answer 2>/dev/null").strip().endswith("played")
    host.sh("podman kube down /tmp/played.yaml")


def test_the_api_over_ssh(host: Host, ssh_key: Path, tmp_path: Path) -> None:
    """The clients of our recipes, on this machine, ask for root's containers through the SSH server."""
    url = f"ssh://tc@127.0.0.1:{host.ssh_port}/run/podman/io.podman"
    env = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    remote = clients.unpacked("podman-remote", tmp_path / "remote") / "podman-remote"
    whole = clients.unpacked("podman-engine", tmp_path / "whole") / "podman"
    listed = ["--identity", str(ssh_key), "images", "--format", "{{.Repository}}"]
    # Either asks whether the host's key is the right one, once.
    said = clients.run([remote, "--url", url, *listed], env, "yes\n")
    assert "localhost/tiny" in said.split()
    assert clients.run([whole, "--remote", "--url", url, *listed], env, "yes\n").split() == said.split()
    environment = {**env, "CONTAINER_HOST": url, "CONTAINER_SSHKEY": str(ssh_key)}
    ran: list[str | Path] = [whole, "--remote", "run", "--rm", "tiny", "cat", "/proc/self/status"]
    # And the default seccomp profile is in force: mode 2 is a filter.
    assert "Seccomp:\t2" in clients.run(ran, environment)


def test_the_audit_finds_nothing_to_look_into(host: Host) -> None:
    told = json.loads(host.sh("sudo audit --json"))
    assert told["findings"] == []
    assert ("dropbear", 22, "ssh") in [
        (one["process"], one["port"], one["judgement"]) for one in told["sockets"]
    ]
    assert {one["judgement"] for one in told["packages"]} == {"image"}


def test_containers_are_back_after_a_reboot(host: Host) -> None:
    for sudo in ("sudo ", ""):
        host.sh(f"{sudo}podman run -d -q --init --restart=always --name kept tiny sleep 100000")
        host.sh(f"{sudo}podman run -d -q --init --name gone tiny sleep 100000")
    host.sh("sudo touch /etc/containers/mine")
    marks = "sudo sh -c 'cat /etc/machine-id; md5sum /usr/local/etc/dropbear/*'"
    before = host.sh(marks)
    console = host.machine.console
    console.send("sudo reboot")
    # Whatever needs something is stopped before it.
    console.expect("podman: stopped(?s:.*)sshd: stopped(?s:.*)Stopping data-disk", BOOT_TIMEOUT)
    console.expect("^Booting floe", BOOT_TIMEOUT)
    console.expect(PROMPT, BOOT_TIMEOUT, never=NEVER)
    assert host.sh(marks) == before
    assert "dropbear" in before
    host.sh("sudo test -e /etc/containers/mine")
    # It was unmounted: there was nothing to recover.
    assert ": clean, " in host.sh("cat /run/floe/data-disk.check")
    for sudo, there in (("sudo ", {"kept", "greeter"}), ("", {"kept"})):
        assert set(host.sh(f"{sudo}podman ps --format '{{{{.Names}}}}'").split()) == there


def test_power_off_stops_containers(host: Host, host_server: HostServer) -> None:
    trap = f'trap "wget -qO- {host_server.url}/stopped; exit 0" TERM; while :; do sleep 1; done'
    host.sh(f"sudo podman run -d -q tiny sh -c '{trap}'")
    pressed = time.monotonic()
    host.machine.powerdown()
    host.machine.wait(BOOT_TIMEOUT)
    stopped = host_server.asked_for("/stopped")
    assert stopped is not None, host.machine.console.tail()
    assert pressed < stopped
    # With the power button's handler still there.
    assert "still in use" not in host.machine.console.transcript
