"""The variant docker-machine, driven as docker-machine drives boot2docker, and by the real client with TLS.

The steps are those of its driver and provisioner: a disk that asks to be formatted and brings a key, a daemon
that answers on port 2376 before anything is set up, then certificates and a profile of the owner's.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.boot import clients
from tests.boot.conftest import BOOT_TIMEOUT, free_port, media, remaster
from tests.unit.test_data_disk import userdata
from tests.unit.tls_made import Authority

if TYPE_CHECKING:
    from collections.abc import Callable

    from remaster.vm import Machine

pytestmark = pytest.mark.boot

PROMPT = r"^docker@[\w.-]+:~\$ "
PROFILE = """\
EXTRA_ARGS='
--label provider=generic

'
CACERT=/var/lib/boot2docker/ca.pem
DOCKER_HOST='-H tcp://0.0.0.0:2376'
DOCKER_STORAGE=aufs
DOCKER_TLS=auto
SERVERKEY=/var/lib/boot2docker/server-key.pem
SERVERCERT=/var/lib/boot2docker/server.pem
"""


@dataclass
class Guest:
    """A booted guest, with what a client of its owner has."""

    machine: Machine
    ssh_port: int
    tls_port: int
    env: dict[str, str]
    docker: Path
    folder: Path

    def ssh(self, command: str, data: str = "", *, status: int = 0) -> str:
        words: list[str | Path] = ["ssh", "-p", str(self.ssh_port), "docker@127.0.0.1", command]
        return clients.run(words, self.env, data, status=status)

    def tls(self, folder: Path, *words: str, status: int = 0) -> str:
        """Run the client with the certificates of a folder."""
        files = [f"--tls{kind}={folder / name}.pem" for kind, name in FILES.items()]
        host = f"tcp://127.0.0.1:{self.tls_port}"
        return clients.run([self.docker, "-H", host, "--tlsverify", *files, *words], self.env, status=status)


FILES = {"cacert": "ca", "cert": "cert", "key": "key"}
VERSION = ("version", "--format", "{{.Server.Version}}")


@pytest.fixture(scope="module")
def guest(boot: Callable[..., Machine], tmp_path_factory: pytest.TempPathFactory, ssh_key: Path) -> Guest:
    """A machine as docker-machine's driver makes it: the image, and a disk that brings the key."""
    folder = tmp_path_factory.mktemp("machine")
    image, disk = folder / "boot2docker.iso", folder / "disk.img"
    remaster("--variant", "docker-machine", "--output", str(image))
    with disk.open("wb") as file:
        file.write(userdata("boot2docker, please format-me", Path(f"{ssh_key}.pub").read_bytes()))
        file.truncate(512 << 20)
    ssh_port, tls_port = free_port(), free_port()
    machine = boot(
        memory_mib=640,
        cpus=2,
        forwards=((ssh_port, 22), (tls_port, 2376)),
        extra_disks=(disk,),
        **media("bios-cd", image),
    )
    machine.console.expect(PROMPT, BOOT_TIMEOUT, never="Kernel panic|SELF-TEST FAILED|did not start")
    docker = clients.unpacked("docker-cli", folder / "client") / "docker"
    env = clients.environment(folder / "home", ssh_key)
    return Guest(machine, ssh_port, tls_port, env, docker, folder)


def test_the_label_tells_the_driver_the_version(guest: Guest) -> None:
    with (guest.folder / "boot2docker.iso").open("rb") as file:
        file.seek(0x8028)
        assert file.read(32).startswith(b"b2d-v")


def test_what_the_provisioner_looks_at_first(guest: Guest) -> None:
    assert "ID=boot2docker\n" in guest.ssh("cat /etc/os-release")
    assert ":2376" in guest.ssh("netstat -tln")
    said = guest.ssh(
        'sudo /usr/bin/sethostname box1 && echo "box1" | sudo tee /var/lib/boot2docker/etc/hostname'
    )
    assert said == "box1\n"
    assert guest.ssh("hostname") == "box1\n"


def test_tls_with_the_machine_s_own_certificates(guest: Guest) -> None:
    """Fetched over SSH; nobody else's are taken, and nothing is without."""
    own = guest.folder / "own"
    own.mkdir()
    for name in FILES.values():
        (own / f"{name}.pem").write_text(guest.ssh(f"cat .docker/{name}.pem"))
    assert guest.tls(own, *VERSION).strip()
    shown = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{guest.tls_port}", "-CAfile", own / "ca.pem",
         "-verify_return_error", "-verify_ip", "10.0.2.15"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert "Verify return code: 0 (ok)" in shown.stdout
    other = Authority(guest.folder / "other", "ca")
    client = other.certificate("client").read_bytes()
    for name in ("cert", "key"):
        (guest.folder / f"other/{name}.pem").write_bytes(client)
    (guest.folder / "other/ca.pem").write_bytes((own / "ca.pem").read_bytes())
    assert "certificate" in guest.tls(guest.folder / "other", *VERSION, status=1)
    plain: list[str | Path] = [guest.docker, "-H", f"tcp://127.0.0.1:{guest.tls_port}", *VERSION]
    clients.run(plain, guest.env, status=1)


def test_a_certificate_that_ends_soon_is_told(guest: Guest) -> None:
    """By `status`, for the daemon reads it at its start only."""
    told = guest.ssh(
        "now=$(date +%s); sudo date -s @$((now + 800 * 86400)) >/dev/null; status --json; status --short;"
        " sudo date -s @$(($(date +%s) - 800 * 86400)) >/dev/null"
    )
    assert "docker: the certificate of its API on TCP ends on 20" in told
    assert "restart docker to have it renewed" in told
    assert "WRONG" in told
    assert json.loads(guest.ssh("status --json"))["problems"] == []


def test_the_audit_finds_nothing_to_look_into(guest: Guest) -> None:
    told = json.loads(guest.ssh("sudo audit --json"))
    assert told["findings"] == []
    open_ports = {(one["port"], one["judgement"]) for one in told["sockets"] if one["judgement"] != "local"}
    assert {one for one in open_ports if one[1] not in ("client", "dhcp")} == {(22, "ssh"), (2376, "tls")}
    assert {"user": "docker", "state": "locked"} in told["passwords"]
    assert {one["path"] for one in told["set-id"]} >= {"/bin/busybox.suid", "/usr/bin/sudo"}
    mounts = dict(line.split()[1::2][:2] for line in guest.ssh("cat /proc/mounts").splitlines())
    assert {",nosuid,nodev" in mounts[path] for path in ("/mnt/data", "/var/tmp", "/home/docker/.ssh")} == {
        True
    }
    assert ",nosuid" not in mounts["/var/lib/docker"]
    assert {"user": "docker", "type": "ssh-ed25519", "from": "userdata.tar"} in told["keys"]


def test_certificates_and_a_profile_of_the_owner_s(guest: Guest) -> None:
    """As the provisioner sends them: stop, files through tee, start; then the engine is the owner's."""
    made = Authority(guest.folder / "owner", "ca")
    server = made.certificate("127.0.0.1").read_text()
    client = made.certificate("client").read_text()
    for name in ("cert", "key"):
        (guest.folder / f"owner/{name}.pem").write_text(client)
    guest.ssh("sudo /etc/init.d/docker stop")
    sent = {"ca": made.file.read_text(), "server": server, "server-key": server}
    for name, text in sent.items():
        guest.ssh(f"sudo tee /var/lib/boot2docker/{name}.pem >/dev/null", text)
    guest.ssh("sudo tee /var/lib/boot2docker/profile >/dev/null", PROFILE + 'export "NO_PROXY=.lan"\n')
    guest.ssh("echo 'touch /run/bootlocal' | sudo tee /var/lib/boot2docker/bootlocal.sh >/dev/null")
    guest.ssh("sudo /etc/init.d/docker start")
    told = json.loads(guest.tls(guest.folder / "owner", "info", "--format", "{{json .}}"))
    assert told["Labels"] == ["provider=generic"]
    assert told["NoProxy"] == ".lan"
    guest.tls(guest.folder / "own", *VERSION, status=1)
    guest.ssh("sudo /usr/local/etc/init.d/bootlocal restart; sleep 1; test -e /run/bootlocal")
    assert json.loads(guest.ssh("status --json"))["problems"] == []


def test_flags_are_those_that_the_daemon_has(guest: Guest) -> None:
    """What takes the next word for its value could hide the host that follows."""
    text = (Path(__file__).parents[2] / "recipes/docker/files/options").read_text()
    lists = {
        kind: set(re.findall(r"[a-z0-9-]+", text.partition(f'\n{kind}="')[2].partition('"')[0]))
        for kind in ("SWITCHES", "VALUES")
    }
    said = guest.ssh("dockerd --help")
    flags = dict(re.findall(r"(?m)^\s+(?:-\w, )?--([a-z0-9-]+)( [a-z-]+)?(?:\s{2,}|$)", said))
    assert len(flags) > 80
    assert {name for name, value in flags.items() if value} <= lists["VALUES"]
    assert {name for name, value in flags.items() if not value} - {"help", "validate", "version"} <= lists[
        "SWITCHES"
    ]


def test_a_daemon_that_answers_to_anybody_is_stopped(guest: Guest) -> None:
    """Whatever opened it: here a program in the daemon's place."""
    wrapper = '#!/bin/sh\nexec /usr/local/bin/dockerd "$@" --tlsverify=false\n'
    guest.ssh(
        "sudo tee /usr/local/sbin/dockerd >/dev/null && sudo chmod 755 /usr/local/sbin/dockerd", wrapper
    )
    said = guest.ssh(
        "sudo /etc/init.d/docker restart 2>&1; netstat -tln; sudo /etc/init.d/docker status; true"
    )
    assert "port 2376 to clients without a certificate: who reaches that is root, so it is stopped" in said
    assert ":2376" not in said
    assert "docker: failed\n" in said
    guest.ssh("sudo rm /usr/local/sbin/dockerd && sudo /etc/init.d/docker start")
    guest.tls(guest.folder / "owner", *VERSION)
