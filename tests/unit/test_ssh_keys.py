"""What puts public keys where SSH servers look for them, under BusyBox, with keys of ssh-keygen."""

from __future__ import annotations

import base64
import os
import pwd
import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remaster.sshkey import TYPES

RECIPES = Path(__file__).parents[2] / "recipes"
SCRIPT = RECIPES / "ssh-keys/files/usr/local/lib/container-host/ssh-keys"
BUSYBOX = shutil.which("busybox")
USER = pwd.getpwuid(os.getuid()).pw_name

pytestmark = pytest.mark.skipif(
    BUSYBOX is None or shutil.which("ssh-keygen") is None, reason="needs busybox and ssh-keygen"
)
FEW = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Machine:
    """A root folder with one user, who is whoever runs the tests."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tools = root / "tools"
        for folder in ("etc/sysconfig", "tools", "home/me", "mnt/data/etc/ssh", "usr/local/etc/ssh"):
            (root / folder).mkdir(parents=True)
        (self.tools / "sh").symlink_to(str(BUSYBOX))
        (root / "etc/passwd").write_text(f"{USER}:x:{os.getuid()}:{os.getgid()}::/home/me:/bin/false\n")
        (root / "etc/sysconfig/tcuser").write_text(f"{USER}\n")
        (root / "cmdline").write_text("quiet\n")
        self.list = root / "home/me/.ssh/authorized_keys"

    def run(self, *words: str, text: str | bytes = "", status: int = 0) -> str:
        done = subprocess.run(
            [str(BUSYBOX), "sh", str(SCRIPT), *words],
            env={
                "SSH_KEYS_PATH": f"{self.tools}:{os.environ['PATH']}",
                "SSH_KEYS_ROOT": str(self.root),
                "SSH_KEYS_CMDLINE": str(self.root / "cmdline"),
                "FLOE_RUN": str(self.root / "run"),
            },
            input=text.encode() if isinstance(text, str) else text,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        said = done.stdout.decode()
        assert done.returncode == status, said
        return said

    def add(self, text: str | bytes, *source: str, status: int = 0) -> str:
        return self.run("add", USER, *source, text=text, status=status)

    def listed(self) -> list[str]:
        return [line for line in self.list.read_text().splitlines() if not line.startswith("#")]

    def next_boot(self) -> None:
        shutil.rmtree(self.root / "run")

    def problems(self) -> list[str]:
        return (self.root / "run/problems").read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def public(folder: Path, name: str, *options: str) -> str:
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-C", name, "-f", path, *options], check=True)
    return path.with_suffix(".pub").read_text().strip()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("keys")
    kinds = {
        "ed25519": ("-t", "ed25519"),
        "p256": ("-t", "ecdsa", "-b", "256"),
        "p384": ("-t", "ecdsa", "-b", "384"),
        "p521": ("-t", "ecdsa", "-b", "521"),
        "rsa": ("-t", "rsa", "-b", "2048"),
        "short": ("-t", "rsa", "-b", "1024"),
    }
    made = {name: public(folder, name, *options) for name, options in kinds.items()}
    made["private"] = (folder / "ed25519").read_text()
    for type_, rest in (
        ("sk-ssh-ed25519@openssh.com", b"\0\0\0\x20" + bytes(32) + b"\0\0\0\x04ssh:"),
        (
            "sk-ecdsa-sha2-nistp256@openssh.com",
            base64.b64decode(made["p256"].split()[1])[23:] + b"\0\0\0\x04ssh:",
        ),
    ):
        blob = len(type_).to_bytes(4, "big") + type_.encode() + rest
        made[type_] = f"{type_} {base64.b64encode(blob).decode()} token"
    return made


def test_every_type_is_taken_once(machine: Machine, keys: dict[str, str]) -> None:
    lines = [line for name, line in keys.items() if name not in ("private", "short")]
    assert {line.split()[0] for line in lines} == set(TYPES)
    text = "# mine\n\n" + "\r\n".join(lines) + "\n" + lines[0].replace(" ed25519", " again")
    assert machine.add(text) == ""
    assert machine.add(text) == ""
    assert machine.listed() == lines
    assert machine.list.stat().st_mode & 0o777 == 0o600
    assert machine.list.parent.stat().st_mode & 0o777 == 0o700
    checked = subprocess.run(["ssh-keygen", "-lf", machine.list], capture_output=True, text=True, check=True)
    assert len(checked.stdout.splitlines()) == len(lines)


def test_options_are_kept(machine: Machine, keys: dict[str, str]) -> None:
    key = keys["ed25519"]
    good = [
        f'no-pty,command="echo \\"a, b\\" ssh-rsa x",from="10.0.0.0/8" {key}',
        f"restrict {keys['p256']}",
    ]
    machine.add("\n".join(good))
    assert machine.listed() == good


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("hello world", "no public key: there is no type such as ssh-ed25519 in it"),
        ("ssh-ed25519", "nothing follows the type ssh-ed25519"),
        ("ssh-dss AAAAB3NzaC1kc3MAAACB me", "DSA keys are taken by no server any more"),
        ("{ed25519:.61} me", "the key is damaged or cut short"),
        ("{ed25519:.40} me", "the key is cut short"),
        ("ssh-rsa {ed25519}", "the key is damaged or cut short"),
        ("{short}", "an RSA key below 2048 bits, or cut short"),
        ('command="x {ed25519}', "a quotation mark is missing"),
        ("no pty {ed25519}", "no public key"),
        ("{ed25519}\x1b[2J", "not text, or control characters in it"),
        ("{ed25519}\x00", "not text, or control characters in it"),
        ("---- BEGIN SSH2 PUBLIC KEY ----\nComment: x", "convert it: ssh-keygen -i -f FILE"),
    ],
)
def test_what_is_no_key_is_refused_and_the_others_stay(
    machine: Machine, keys: dict[str, str], line: str, reason: str
) -> None:
    text = f"{keys['p256']}\n{line.format(**keys)}\n"
    said = machine.add(text, "config disk", status=1)
    assert said.startswith(f"ssh-keys: config disk: line 2, for {USER}, is refused: ")
    assert reason in said
    assert machine.problems() == [said.strip()]
    assert machine.listed() == [keys["p256"]]


def test_a_private_key_is_refused_in_one_line_and_never_shown(machine: Machine, keys: dict[str, str]) -> None:
    said = machine.add(keys["private"], status=1)
    assert len(said.splitlines()) == 1
    assert "a private key, which has to stay where it was made" in said
    assert not any(line in said for line in keys["private"].splitlines()[1:-1])


def test_what_was_given_is_gone_at_the_next_boot_and_the_user_s_own_stays(
    machine: Machine, keys: dict[str, str]
) -> None:
    machine.list.parent.mkdir()
    machine.list.write_text(f"# by hand\n{keys['rsa']}\n")
    machine.add(keys["ed25519"], "image")
    machine.add(keys["p256"], "config disk")
    assert machine.listed() == [keys["rsa"], keys["ed25519"], keys["p256"]]
    assert "#floe: config disk\n" in machine.list.read_text()
    machine.next_boot()
    machine.add(keys["p384"])
    assert machine.list.read_text() == f"# by hand\n{keys['rsa']}\n#floe: keys\n{keys['p384']}\n"


def test_nobody_and_no_home(machine: Machine, keys: dict[str, str]) -> None:
    assert "there is no user nobody-here" in machine.run("add", "nobody-here", text=keys["p256"], status=3)
    (machine.root / "home/me").rmdir()
    assert "has no home" in machine.add(keys["p256"], status=3)
    machine.run("add", status=2)
    machine.run("remove", "x", status=2)


def test_an_empty_list_is_told(machine: Machine) -> None:
    assert "cidata: there is no key" in machine.add("# nothing\n", "cidata", status=1)


def test_boot_takes_the_keys_of_all_sources(machine: Machine, keys: dict[str, str]) -> None:
    (machine.root / "usr/local/etc/ssh/authorized_keys").write_text(keys["ed25519"] + "\n")
    (machine.root / "mnt/data/etc/ssh/authorized_keys").write_text(keys["p256"])
    blob = keys["p384"].split()[1]
    (machine.root / "cmdline").write_text(f"quiet sshkey={blob} sshkey=junk host=x\n")
    folder = machine.root / "mnt/data/var/lib/boot2docker"
    folder.mkdir(parents=True)
    with tarfile.open(folder / "userdata.tar", "w") as tar:
        for name in (".ssh/authorized_keys", ".ssh/authorized_keys2"):
            info = tarfile.TarInfo(name)
            data = keys["p521"].encode()
            info.size = len(data)
            tar.addfile(info, BytesIO(data))
    said = machine.run("boot", status=1)
    assert said == f"ssh-keys: boot code sshkey=: line 2, for {USER}, is refused: {WRONG}\n"
    got = [line.split()[1] for line in machine.listed()]
    assert got == [keys[name].split()[1] for name in ("ed25519", "p256", "p521", "p384")]
    sources = [line for line in machine.list.read_text().splitlines() if line.startswith("#")]
    assert sources == ["#floe: image", "#floe: data disk", "#floe: userdata.tar", "#floe: boot code sshkey="]


WRONG = "no public key: there is no type such as ssh-ed25519 in it"


def test_boot_without_keys_says_so_and_takes_old_ones_away(machine: Machine, keys: dict[str, str]) -> None:
    machine.add(keys["p256"])
    machine.next_boot()
    assert "nobody can log in over the network by this name" in machine.run("boot")
    assert machine.listed() == []
    machine.list.write_text(keys["rsa"] + "\n")
    assert machine.run("boot") == ""


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ("quiet", ["root:*:1:", f"{USER}:$1$x$y:1:", "other:*:1:"]),
        (f"quiet user={USER}", ["root:*:1:", f"{USER}:*:1:", "other:*:1:"]),
        (f"user={USER} secure", ["root:*:1:", f"{USER}:$1$x$y:1:", "other:*:1:"]),
    ],
)
def test_boot_locks_passwords_that_everybody_knows(machine: Machine, codes: str, expected: list[str]) -> None:
    shadow = machine.root / "etc/shadow"
    if USER == "root":
        expected = expected[1:]
    shadow.write_text(("root:*:1:\n" if USER != "root" else "") + f"{USER}:$1$x$y:1:\nother::1:\n")
    shadow.chmod(0o640)
    (machine.root / "cmdline").write_text(codes + "\n")
    machine.run("boot")
    assert shadow.read_text().splitlines() == expected
    assert shadow.stat().st_mode & 0o777 == 0o640


def test_a_list_that_cannot_be_written_is_told(machine: Machine, keys: dict[str, str]) -> None:
    (machine.root / "home/me/.ssh").write_text("a file\n")
    assert "could not be written" in machine.add(keys["p256"], status=3)


@FEW
@given(st.binary(max_size=300))
def test_junk_never_becomes_a_line(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    machine = Machine(tmp_path_factory.mktemp("junk"))
    machine.add(data, status=1)
    assert machine.listed() == []
