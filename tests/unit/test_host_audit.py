"""The command audit of container-host under BusyBox, with files for a machine's facts."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import shutil
import socketserver
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

AUDIT = Path(__file__).parents[2] / "recipes/container-host/files/usr/local/sbin/audit"
LISTENING = AUDIT.parents[1] / "lib/container-host/listening"
BUSYBOX = shutil.which("busybox")
#: What a port says to who asks without TLS, and docker to who has it and no certificate.
_TLS = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
ANSWERS = {
    "plain": b"HTTP/1.0 200 OK\r\nApi-Version: 1.56\r\n\r\nOK",
    "plugin": b'HTTP/1.0 403 Forbidden\r\n\r\n{"message":"authorization denied by plugin x"}',
    "certificate": _TLS,
    "anybody": _TLS,
    "broken": _TLS,
    "web": b"HTTP/1.0 404 Not Found\r\nServer: nginx\r\n\r\n",
    "other": b"",
}
TOLD = {
    "certificate": "remote error: tls: certificate required",
    "anybody": "Server:\n Engine:\n  Version: 29",
    "broken": "timed out",
}
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
        self.mounts = f"none {self.root} tmpfs rw 0 0\n"
        self.set_id: list[dict[str, str]] = []
        self.tools = root / "tools"
        self.tools.mkdir()
        self.servers: list[socketserver.TCPServer] = []

    def socket(self, proto: str, address: str, pid: int, *, state: str = LISTENS) -> None:
        inode = 1000 + len("".join(self.tables.values()).splitlines())
        remote = NOBODY6 if proto.endswith("6") else NOBODY4
        if proto.startswith("udp") and state == TALKS:
            remote = remote[:-4] + "0035"
            remote = "1" + remote[1:]
        self.tables[proto] += f"   0: {address} {remote} {state} 0:0 00:0 0     0        0 {inode} 1 0\n"
        if pid:
            (self.proc / str(pid) / "fd" / str(inode)).symlink_to(f"socket:[{inode}]")

    def answers(self, word: str) -> str:
        """Have a port answer so; return its number as the kernel writes it."""
        (self.tools / "docker").write_text(f"#!/bin/sh\necho '{TOLD.get(word, '')}'\n")
        (self.tools / "docker").chmod(0o755)

        class Server(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.rfile.readline()
                self.wfile.write(ANSWERS[word])

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        self.servers.append(server)
        return f"{server.server_address[1]:04X}"

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

    def run(self, *words: str, status: int = 0, sums: str = "") -> str:
        for name, text in self.tables.items():
            (self.proc / "net" / name).write_text(text)
        (self.top / "mounts").write_text(self.mounts)
        manifest = {"schema": 1, "packages": self.entries, "recipes": [], "set-id": self.set_id}
        (self.top / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
        done = subprocess.run(
            [str(BUSYBOX), "sh", str(AUDIT), *words],
            env={
                "AUDIT_PATH": f"{self.tools}:{os.environ['PATH']}",
                "AUDIT_SUM": sums,
                "AUDIT_LIB": str(LISTENING.parent),
                "AUDIT_MOUNTS": str(self.top / "mounts"),
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
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    for server in made.servers:
        server.shutdown()
        server.server_close()


def test_a_machine_as_it_ships_has_nothing_to_look_into(machine: Machine) -> None:
    machine.process(10, "dropbear", "dropbear -F -E -s -g -w -p 22", "sshd")
    machine.process(11, "dockerd", "dockerd --tlsverify -H tcp://[::]:2376", "docker")
    machine.process(12, "containerd", "containerd", "containerd")
    machine.process(13, "ntpd", "ntpd -n", "ntpd")
    machine.socket("tcp", "00000000:0016", 10)
    port = machine.answers("certificate")
    machine.socket("tcp6", f"{'0' * 32}:{port}", 11)
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
        ("tcp6", "::", int(port, 16), 11, "dockerd", "docker", "tls"),
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
    ("name", "answer", "address", "finding"),
    [
        ("dockerd", "plain", "00000000:PORT", "the engine's API without TLS"),
        ("dockerd", "plugin", "00000000:PORT", "the engine's API without TLS"),
        ("dockerd", "anybody", "00000000:PORT", "the engine's API, for clients without a certificate"),
        ("dockerd", "broken", "00000000:PORT", "the engine listens: it is open"),
        ("dockerd", "web", "00000000:PORT", "the engine listens: it is open"),
        ("podman", "plain", "00000000:0001", "the engine's API on TCP"),
        ("nc", "other", "0F02000A:0007", "tcp 10.0.2.15 port 7, nc of web: it is open to the network"),
    ],
)
def test_open_ports_are_told(machine: Machine, name: str, answer: str, address: str, finding: str) -> None:
    """An engine's are asked: what it was started with says little."""
    port = machine.answers(answer)
    machine.process(10, name, f"{name} --tlsverify", "web")
    machine.socket("tcp", address.replace("PORT", port), 10)
    (found,) = machine.told(status=1)["findings"]
    assert finding in found
    assert found in machine.run(status=1)


def test_a_socket_of_no_process(machine: Machine) -> None:
    machine.socket("udp6", "000080FE000000000000000001000000:0045", 0, state="07")
    (one,) = machine.told(status=1)["sockets"]
    assert (one["address"], one["port"], one["pid"]) == ("fe80:0:0:0:0:0:0:1", 69, None)


def test_files_that_give_power(machine: Machine) -> None:
    """What the image has so is known, by its content; a name tells nothing."""
    loaded, foreign = machine.extension("tools"), machine.extension("mine", "-")
    modes = {
        "usr/bin/sudo": 0o4755,
        "usr/bin/su": 0o4755,
        "usr/bin/ping": 0o4755,
        "usr/local/bin/mount": 0o2755,
        "home/tc/sudo": 0o4755,
        "var/lib/docker/x/su": 0o4755,
        "mnt/data/var/lib/docker/su": 0o4755,
        "mnt/data/srv/rootsh": 0o4755,
        "var/tmp/rootsh": 0o4755,
        "mnt/usb/rootsh": 0o4755,
        "usr/bin/plain": 0o755,
        "etc/open": 0o666,
    }
    for path, mode in {
        **{machine.root / path: mode for path, mode in modes.items()},
        loaded / "odd name": 0o6755,
        foreign / "sudo": 0o4111,
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
        path.chmod(mode)
    for name, content, digits in (
        ("sudo", "sudo", "4755"),
        ("su", "other", "4755"),
        ("ping", "ping", "4711"),
    ):
        data = content.encode()
        machine.set_id.append(
            {
                "path": f"usr/bin/{name}",
                "mode": digits,
                "sha256": hashlib.sha256(data).hexdigest(),
                "md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
            }
        )
    (machine.root / "usr/bin").chmod(0o777)
    lines = ("/mnt/data ext4 rw,nosuid,nodev", "/var/tmp ext4 rw,nosuid", "/mnt/usb vfat rw", "/proc proc rw")
    machine.mounts += "".join(f"/dev/vda {machine.root}{line} 0 0\n" for line in lines)
    told = machine.told(status=1)
    owner = pwd.getpwuid(os.getuid()).pw_name
    # These folders are no mounts here, and so are met in the root, too.
    found = {(one["path"], one["judgement"]) for one in told["set-id"]}
    assert found == {
        ("/home/tc/sudo", "look"),
        ("/tmp/tcloop/mine/sudo", "look"),
        ("/tmp/tcloop/tools/odd name", "image"),
        ("/usr/bin/sudo", "image"),
        ("/usr/bin/su", "look"),
        ("/usr/bin/ping", "look"),
        ("/usr/local/bin/mount", "look"),
        ("/var/tmp/rootsh", "look"),
        ("/var/tmp/rootsh", "nosuid"),
        ("/mnt/data/srv/rootsh", "look"),
        ("/mnt/data/srv/rootsh", "nosuid"),
        ("/mnt/usb/rootsh", "look"),
    }
    odd = next(one for one in told["set-id"] if "odd" in one["path"])
    assert (odd["mode"], odd["owner"], odd["package"]) == ("6755", owner, "tools")
    assert told["writable"] == ["/etc/open", "/usr/bin"]


def test_a_machine_without_a_program_for_sha256(machine: Machine) -> None:
    machine.extension("good")
    machine.extension("other")
    for entry, data in zip(machine.entries, (b"good", b"changed"), strict=True):
        entry["md5"] = hashlib.md5(data, usedforsecurity=False).hexdigest()
    told = json.loads(machine.run("--json", status=1, sums="md5"))
    assert {one["name"]: one["judgement"] for one in told["packages"]} == {
        "good": "image",
        "other": "changed",
    }


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
