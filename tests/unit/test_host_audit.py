"""The command audit of container-host under BusyBox, with files for a machine's facts."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

AUDIT = Path(__file__).parents[2] / "recipes/container-host/files/usr/local/sbin/audit"
BUSYBOX = shutil.which("busybox")
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LISTENS, TALKS = "0A", "01"
ANY = "0.0.0.0"  # noqa: S104 - what is told of a socket
NOBODY4, NOBODY6 = "00000000:0000", "0" * 32 + ":0000"

pytestmark = pytest.mark.skipif(BUSYBOX is None, reason="needs busybox (package busybox-static)")


class Machine:
    """A root folder, processes and sockets."""

    def __init__(self, root: Path) -> None:
        self.root = root / "root"
        self.proc = root / "proc"
        for folder in (
            "etc/docker",
            "home/tc/.ssh",
            "tmp/tcloop",
            "usr/local/tce.installed",
            "usr/bin",
            "run",
        ):
            (self.root / folder).mkdir(parents=True)
        (self.root / "tmp").chmod(0o1777)
        (self.proc / "net").mkdir(parents=True)
        (root / "sys").mkdir()
        self.top = root
        self.tables = dict.fromkeys(("tcp", "tcp6", "udp", "udp6"), HEAD)
        self.entries: list[dict[str, str]] = []
        (self.root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\ntc:x:1001:50::/home/tc:/bin/sh\n")
        (self.root / "etc/shadow").write_text("root:*:1:\ntc:!:1:\n")
        (self.root / "etc/group").write_text("docker:x:101:tc\n")

    def socket(self, proto: str, address: str, pid: int, *, state: str = LISTENS) -> None:
        inode = 1000 + len("".join(self.tables.values()).splitlines())
        remote = NOBODY6 if proto.endswith("6") else NOBODY4
        if proto.startswith("udp") and state == TALKS:
            remote = remote[:-4] + "0035"
            remote = "1" + remote[1:]
        self.tables[proto] += f"   0: {address} {remote} {state} 0:0 00:0 0     0        0 {inode} 1 0\n"
        if pid:
            (self.proc / str(pid) / "fd" / str(inode)).symlink_to(f"socket:[{inode}]")

    def process(self, pid: int, name: str, command: str, service: str = "") -> int:
        folder = self.proc / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "comm").write_text(f"{name}\n")
        (folder / "cmdline").write_bytes(command.replace(" ", "\0").encode() + b"\0")
        (folder / "cgroup").write_text(f"0::/service.{service}\n" if service else "0::/\n")
        return pid

    def extension(self, name: str, sha256: str = "") -> Path:
        """Load a package; the manifest says it has the given hash, its own without one, `-`: is not in it."""
        image = self.top / f"{name}.tcz"
        image.write_bytes(name.encode())
        number = len(list((self.top / "sys").iterdir()))
        loop = self.top / f"sys/loop{number}/loop"
        loop.mkdir(parents=True)
        (loop / "backing_file").write_text(f"{image}\n")
        (self.root / "usr/local/tce.installed" / name).touch()
        (self.root / "tmp/tcloop" / name).mkdir()
        if sha256 != "-":
            digest = sha256 or hashlib.sha256(name.encode()).hexdigest()
            self.entries.append({"name": name, "sha256": digest})
        return self.root / "tmp/tcloop" / name

    def run(self, *words: str, status: int = 0) -> str:
        for name, text in self.tables.items():
            (self.proc / "net" / name).write_text(text)
        manifest = {"schema": 1, "packages": self.entries, "recipes": []}
        (self.top / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
        done = subprocess.run(
            [str(BUSYBOX), "sh", str(AUDIT), *words],
            env={
                "AUDIT_PATH": os.environ["PATH"],
                "AUDIT_ROOT": str(self.root),
                "AUDIT_PROC": str(self.proc),
                "AUDIT_SYS": str(self.top / "sys"),
                "AUDIT_MANIFEST": str(self.top / "manifest.json"),
            },
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        assert done.stderr == "" or status > 1
        return done.stdout

    def told(self, *, status: int = 0) -> Any:
        return json.loads(self.run("--json", status=status))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_machine_as_it_ships_has_nothing_to_look_into(machine: Machine) -> None:
    machine.process(10, "dropbear", "dropbear -F -E -s -g -w -p 22", "sshd")
    machine.process(11, "dockerd", "dockerd --tlsverify -H tcp://[::]:2376", "docker")
    machine.process(12, "containerd", "containerd", "containerd")
    machine.process(13, "ntpd", "ntpd -n", "ntpd")
    machine.socket("tcp", "00000000:0016", 10)
    machine.socket("tcp6", "0" * 32 + ":0948", 11)
    machine.socket("tcp", "0100007F:ABCD", 12)
    machine.socket("tcp", "0F02000A:0016", 10, state=TALKS)
    machine.socket("udp", "00000000:D431", 13, state="07")
    machine.socket("udp", "0F02000A:D432", 13, state=TALKS)
    machine.extension("docker")
    (machine.root / "home/tc/.ssh/authorized_keys").write_text(
        "#floe: boot code sshkey=\nssh-ed25519 AAAAC3Nz x\n# mine\n"
        "no-pty sk-ssh-ed25519@openssh.com AAAAGnNr y\n"
    )
    told = machine.told()
    assert [tuple(one.values()) for one in told["sockets"]] == [
        ("tcp", ANY, 22, 10, "dropbear", "sshd", "ssh"),
        ("tcp", "127.0.0.1", 43981, 12, "containerd", "containerd", "local"),
        ("tcp6", "::", 2376, 11, "dockerd", "docker", "tls"),
        ("udp", ANY, 54321, 13, "ntpd", "ntpd", "client"),
    ]
    assert told["packages"] == [
        {"name": "docker", "judgement": "image", "file": str(machine.top / "docker.tcz")}
    ]
    assert told["passwords"] == [{"user": "root", "state": "locked"}, {"user": "tc", "state": "locked"}]
    assert told["keys"] == [
        {"user": "tc", "type": "ssh-ed25519", "from": "boot code sshkey="},
        {"user": "tc", "type": "sk-ssh-ed25519@openssh.com", "from": "the user"},
    ]
    assert told["findings"] == []
    assert machine.run().endswith("Nothing to look into\n")


@pytest.mark.parametrize(
    ("name", "command", "address", "finding"),
    [
        ("dockerd", "dockerd -H tcp://0.0.0.0:2375", "00000000:0947", "the engine's API without TLS"),
        ("podman", "podman system service tcp:0.0.0.0:1", "00000000:0001", "the engine's API on TCP"),
        ("nc", "nc -l -p 7", "0F02000A:0007", "tcp 10.0.2.15 port 7, nc of web: it is open to the network"),
    ],
)
def test_open_ports_are_told(machine: Machine, name: str, command: str, address: str, finding: str) -> None:
    machine.process(10, name, command, "web")
    machine.socket("tcp", address, 10)
    (found,) = machine.told(status=1)["findings"]
    assert finding in found
    assert found in machine.run(status=1)


def test_a_socket_of_no_process(machine: Machine) -> None:
    machine.socket("udp6", "000080FE000000000000000001000000:0045", 0, state="07")
    (one,) = machine.told(status=1)["sockets"]
    assert (one["address"], one["port"], one["pid"]) == ("fe80:0:0:0:0:0:0:1", 69, None)


def test_files_that_give_power(machine: Machine) -> None:
    loaded = machine.extension("tools")
    for path, mode in (
        (loaded / "sudo", 0o4111),
        (loaded / "odd name", 0o6755),
        (machine.root / "usr/bin/sudo", 0o4755),
        (machine.root / "home/tc/sudo", 0o4755),
        (machine.root / "var/lib/docker/su", 0o4755),
        (machine.root / "usr/bin/plain", 0o755),
        (machine.root / "etc/open", 0o666),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        path.chmod(mode)
    (machine.root / "usr/bin").chmod(0o777)
    told = machine.told(status=1)
    owner = pwd.getpwuid(os.getuid()).pw_name
    assert [tuple(one.values()) for one in told["set-id"]] == [
        ("4755", owner, "base", "look", "/home/tc/sudo"),
        ("6755", owner, "tools", "look", "/tmp/tcloop/tools/odd name"),
        ("4111", owner, "tools", "known", "/tmp/tcloop/tools/sudo"),
        ("4755", owner, "base", "known", "/usr/bin/sudo"),
    ]
    assert told["writable"] == ["/etc/open", "/usr/bin"]
    assert len(told["findings"]) == 4


def test_packages_nobody_vouches_for(machine: Machine) -> None:
    machine.extension("good")
    machine.extension("other", "0" * 64)
    machine.extension("mine", "-")
    machine.entries.append({"name": "copied", "sha256": "1" * 64})
    for name in ("copied", "byhand"):
        (machine.root / "usr/local/tce.installed" / name).touch()
    told = machine.told(status=1)
    assert {one["name"]: one["judgement"] for one in told["packages"]} == {
        "good": "image",
        "other": "changed",
        "mine": "unsigned",
        "copied": "image",
        "byhand": "unsigned",
    }
    assert len(told["findings"]) == 3


def test_passwords_and_servers_that_take_them(machine: Machine) -> None:
    (machine.root / "etc/shadow").write_text("root:$6$x$y:1:\ntc::1:\n")
    machine.process(10, "dropbear", "dropbear -F -p 22")
    found = machine.told(status=1)["findings"]
    assert found == [
        "password: root has one",
        "password: tc needs none",
        "SSH: dropbear takes passwords",
        "SSH: dropbear takes root",
    ]


def test_wrong_words(machine: Machine) -> None:
    machine.run("--xml", status=2)
