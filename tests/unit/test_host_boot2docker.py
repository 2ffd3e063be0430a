"""What a disk of boot2docker's users says of the machine, under BusyBox: profile, hooks, authorities, TLS."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.certificates_made import certificates

RECIPES = Path(__file__).parents[2] / "recipes"
FUNCTIONS = RECIPES / "floe-base/files/etc/init.d/service-functions"
HOST = RECIPES / "container-host/files/usr/local"
OWN = HOST / "lib/container-host/own-files"
OPTIONS = RECIPES / "docker/files/options"
AUTHORITIES = RECIPES / "ca-certificates/files/tce.installed"
BUSYBOX = shutil.which("busybox")
TLS = ["--tls", "--tlsverify", "--tlscacert", "{ca}", "--tlscert", "{cert}", "--tlskey", "{key}"]
SOCKET = ["-H", "unix:///var/run/docker.sock"]

pytestmark = pytest.mark.skipif(BUSYBOX is None, reason="needs busybox (package busybox-static)")

#: As docker-machine writes it.
MACHINE = """
EXTRA_ARGS='
--label provider=generic
--insecure-registry lan.example.org:5000

'
CACERT={root}/ca.pem
DOCKER_HOST='-H tcp://0.0.0.0:2376'
DOCKER_STORAGE=aufs
DOCKER_TLS=auto
SERVERKEY={root}/server-key.pem
SERVERCERT={root}/server.pem

export "HTTP_PROXY=http://proxy.lan:3128"
"""


class Machine:
    """A folder that stands for a machine's root; who runs the tests owns its files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.disk = root / "var/lib/boot2docker"
        for folder in (self.disk, root / "tools", root / "etc/sysconfig", root / "run"):
            folder.mkdir(parents=True, exist_ok=True)
        (root / "etc/passwd").write_text(f"tc:x:{os.getuid()}:50::/home/tc:/bin/sh\n")
        (root / "service-functions").write_text(f"{FUNCTIONS.read_text()}\nneed_root() {{ :; }}\n")
        self.tool(
            "dockerd",
            'echo "$@" >>"${0%/*}/validated"; [ ! -e "${0%/*}/strict" ] || { echo no good; exit 1; }',
        )

    def tool(self, name: str, text: str) -> Path:
        path = self.root / "tools" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    def makes_certificates(self) -> None:
        """Stand-in for the program of docker-tls."""
        self.tool(
            "certificates",
            'mkdir -p "$1"; for n in ca server serverkey key; do echo pem >"$1/$n.pem"; done; echo made',
        )

    def shell(self, script: str, *, status: int = 0) -> str:
        head = f"NAME=docker\n. {self.root}/service-functions\n. {OPTIONS}\n"
        return self._run(["-c", head + script], status)

    def service(self, name: str, action: str = "start", *, status: int = 0) -> str:
        return self._run([str(HOST / f"etc/init.d/{name}"), action], status)

    def check(self) -> str:
        """Return what docker-tls tells `status`."""
        return self._run([str(RECIPES / "docker-tls/files/check")], 0)

    def _run(self, words: list[str], status: int) -> str:
        done = subprocess.run(
            [str(BUSYBOX), "sh", *words],
            env={
                "PATH": f"{self.root}/tools:{os.environ['PATH']}",
                "SERVICE_PATH": f"{self.root}/tools:{os.environ['PATH']}",
                "FLOE_RUN": str(self.root / "run"),
                "B2D": str(self.disk),
                "OWN_FILES": str(OWN),
                "BOOT_ROOT": str(self.root),
                "CERTIFICATES": str(self.root / "tools/certificates"),
                "SERVICE_FUNCTIONS": str(self.root / "service-functions"),
                "HOOK_LOG": str(self.root / "hook.log"),
                "HOOK_WAIT": "2",
                "AUTHORITIES_ROOT": str(self.root),
                "BUNDLE": str(self.root / "bundle"),
                "MORE": str(self.root / "usr/local/share/ca-certificates"),
            },
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == status, done.stdout
        return done.stdout

    def profile(self, text: str, mode: int = 0o644) -> None:
        (self.disk / "profile").write_text(text)
        (self.disk / "profile").chmod(mode)

    def words(self, config: str = "", *, status: int = 0) -> list[str]:
        """Return the words that the daemon is started with."""
        (self.root / "daemon.json").write_text(config or '{"log-driver": "json-file"}')
        self.shell(
            f"docker_options {self.root}/daemon.json && try_options --config-file {self.root}/daemon.json",
            status=status,
        )  # fmt: skip
        return (self.root / "run/docker-options").read_text().split() if not status else []

    def problems(self) -> list[str]:
        path = self.root / "run/problems"
        return path.read_text().splitlines() if path.exists() else []

    def tls(self) -> list[str]:
        folder = self.disk / "tls"
        names = {"ca": folder / "ca.pem", "cert": folder / "server.pem", "key": folder / "serverkey.pem"}
        return [word.format(**names) for word in TLS]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


# -- the engine's words ----------------------------------------------------------------------------


def test_without_a_profile_there_is_nothing_to_say(machine: Machine) -> None:
    assert machine.words() == SOCKET
    assert machine.problems() == []
    assert not (machine.root / "tools/validated").exists()


def test_docker_machine_s_profile(machine: Machine) -> None:
    root = machine.root
    for name in ("ca", "server", "server-key"):
        (root / f"{name}.pem").write_text("-----BEGIN X-----\n")
    machine.profile(MACHINE.format(root=root))
    extra = ["--label=provider=generic", "--insecure-registry=lan.example.org:5000"]
    names = {"ca": root / "ca.pem", "cert": root / "server.pem", "key": root / "server-key.pem"}
    tls = [word.format(**names) for word in TLS]
    assert machine.words() == [*extra, *SOCKET, *tls, "-H", "tcp://0.0.0.0:2376"]
    assert (root / "run/docker-options.env").read_text() == "HTTP_PROXY=http://proxy.lan:3128\n"
    assert "--validate" in (root / "tools/validated").read_text()
    assert machine.problems() == []


def test_the_package_opens_the_port_with_certificates_of_the_machine(machine: Machine) -> None:
    machine.makes_certificates()
    assert machine.words() == [*SOCKET, *machine.tls(), "-H", "tcp://0.0.0.0:2376"]
    assert machine.problems() == []


def test_the_certificate_that_the_daemon_was_started_with_is_told_when_it_ends_soon(machine: Machine) -> None:
    machine.makes_certificates()
    machine.words()
    # It is another one by now, which the daemon does not know.
    (machine.disk / "tls/server.pem").write_text("later\n")
    machine.tool("certificates", 'grep -q pem "$3" && [ "$1 $2" = "-ends 30" ] && echo 2029-02-03')
    assert machine.check() == (
        "docker: the certificate of its API on TCP ends on 2029-02-03: restart docker to have it renewed\n"
    )
    for name in ("ca", "server", "server-key"):
        (machine.root / f"{name}.pem").write_text("-----BEGIN pem\n")
    machine.profile(MACHINE.format(root=machine.root))
    machine.words()
    assert "2029-02-03: replace it, and restart docker" in machine.check()
    machine.profile("DOCKER_TLS=no")
    machine.words()
    assert machine.check() == ""


def test_certificates_that_are_not_there_are_made(machine: Machine) -> None:
    machine.makes_certificates()
    machine.profile(MACHINE.format(root=machine.root))
    assert machine.tls() == machine.words()[4:12]
    assert "there is none in" in machine.problems()[0]


@pytest.mark.parametrize(
    ("profile", "problem"),
    [
        ("DOCKER_TLS=no\nDOCKER_HOST='-H tcp://0.0.0.0:2375'", "DOCKER_TLS=no: the API is not opened on TCP"),
        ("DOCKER_REMOTE=yes", "no certificates: load the package docker-tls"),
        ("EXTRA_ARGS='-H tcp://0.0.0.0:2375 --host=tcp://[::]:1'", "no certificates: load the package"),
        ("EXTRA_ARGS='-H ssh://x'", "-H ssh://x is refused"),
    ],
)
def test_tcp_without_tls_is_refused_and_told(machine: Machine, profile: str, problem: str) -> None:
    machine.profile(profile)
    assert machine.words() == SOCKET
    assert problem in machine.problems()[0]


@pytest.mark.parametrize(
    "args",
    [
        "-H tcp://1.2.3.4:5 --tlsverify=false",
        "--host tcp://1.2.3.4:5 --tls=false --tlscert /x",
        "-Htcp://1.2.3.4:5 --tls --tlscacert=/x",
        "-H=tcp://1.2.3.4:5 --tlskey /x",
    ],
)
def test_tls_cannot_be_talked_away(machine: Machine, args: str) -> None:
    machine.makes_certificates()
    machine.profile(f'EXTRA_ARGS="--debug {args}"')
    assert machine.words() == ["--debug=true", *SOCKET, *machine.tls(), "-H", "tcp://1.2.3.4:5"]
    assert all("is refused" in line for line in machine.problems())


def test_docker_tls_no_closes_what_the_package_would_open(machine: Machine) -> None:
    machine.makes_certificates()
    machine.profile("DOCKER_TLS=no")
    assert machine.words() == SOCKET
    assert machine.problems()


@pytest.mark.parametrize(
    "text", ["if true; then\nEXTRA_ARGS=x", "exit 0\nEXTRA_ARGS=x", "EXTRA_ARGS='half", "\x00\x7fELF(", ")"]
)
def test_half_a_profile_is_told_and_nothing_of_it_is_used(machine: Machine, text: str) -> None:
    machine.profile(f"DOCKER_HOST='-H tcp://0.0.0.0:1'\n{text}")
    assert machine.words() == SOCKET
    assert len(machine.problems()) == 1
    assert "profile is not used: it ends before its end" in machine.problems()[0]


def test_a_profile_cannot_reach_the_service(machine: Machine) -> None:
    machine.profile("cd /; say() { exit 1; }; OPTIONS=/x; set -e; false() { :; }; EXTRA_ARGS='--label *'")
    assert machine.words() == ["--label=*", *SOCKET]


def test_a_profile_that_others_may_write_is_not_used(machine: Machine) -> None:
    machine.profile("EXTRA_ARGS=--debug", 0o666)
    assert machine.words() == SOCKET
    assert "others than its owner could have written it; sudo chmod go-w" in machine.problems()[0]


def test_words_that_the_daemon_refuses_do_not_keep_it_from_starting(machine: Machine) -> None:
    machine.makes_certificates()
    (machine.root / "tools/strict").touch()
    machine.profile("EXTRA_ARGS='--label=nonsense'")
    assert machine.words() == [*SOCKET, *machine.tls(), "-H", "tcp://0.0.0.0:2376"]
    assert machine.problems()[-1].endswith("profile is not used: no good")


@pytest.mark.parametrize(
    "config",
    [
        '{"hosts": [\n "unix://", "tcp://0.0.0.0:2375"]}',
        '{"hosts":["0.0.0.0:2375"]}',
        '{"hosts":["unix://",":2375"], "log-opts": {"x": "]}"}}',
        '{"a":"\\"hosts","hosts":[" tcp://x"],"tlsverify":false}',
        '{"hosts": "tcp://0.0.0.0:2375"}',
        '{"hosts": [], "tls": true, "tlsverify": false}',
        '{"hosts": [""], "tlsverify": true}',
        # Without an authority of its own the daemon takes a certificate of any that the machine knows.
        '{"hosts": ["tcp://0.0.0.0:2376"], "tlsverify": true}',
        '{"hosts": ["tcp://0.0.0.0:2376"], "tlsverify": "true", "tlscacert": "/x"}',
        '{"hosts": ["tcp://0.0.0.0:2376"], "x": {"tlsverify": true, "tlscacert": "/x"}}',
    ],
)
def test_the_settings_file_may_not_open_tcp_without_tls_either(machine: Machine, config: str) -> None:
    machine.words(config, status=1)
    assert "docker is not started" in machine.problems()[0]


@pytest.mark.parametrize(
    "config",
    [
        '{"\\u0068osts": ["tcp://0.0.0.0:2375"]}',
        '{"hosts": ["unix://"], "hosts": ["tcp://0.0.0.0:2375"]}',
        '\ufeff{"hosts": ["tcp://0.0.0.0:2375"]}',
        '{"hosts": ["unix://"]} {"hosts": ["tcp://0.0.0.0:2375"]}',
        '{"hosts": ["tcp:\\/\\/0.0.0.0:2375"]}',
        '{"x": {"hosts": ["tcp://0.0.0.0:2375"]}}',
        "[]",
        "{",
        "",
    ],
)
def test_settings_that_are_not_sure_are_left_to_the_daemon_which_takes_no_hosts_twice(
    machine: Machine, config: str
) -> None:
    (machine.root / "daemon.json").write_text(config)
    machine.shell(f"docker_options {machine.root}/daemon.json")
    assert (machine.root / "run/docker-options").read_text().split() == SOCKET
    assert machine.problems() == []


def test_hosts_of_the_settings_file_are_taken(machine: Machine) -> None:
    assert machine.words('{"log-opts": {"a": ["b", {}]}, "hosts" : ["unix:///var/run/docker.sock" ]}') == []
    assert machine.problems() == []
    machine.makes_certificates()
    config = '{"hosts": ["tcp://0.0.0.0:2376"], "tlsverify": true, "tlscert": "/x", "tlscacert": "/y"}'
    assert machine.words(config) == []
    assert machine.problems()[-1].endswith("what the profile and docker-tls ask for is not")


def test_tls_is_not_said_in_two_places(machine: Machine) -> None:
    """The daemon would refuse to start."""
    machine.makes_certificates()
    assert machine.words('{"tlscert": "/x"}') == SOCKET
    assert "the API is not opened on TCP" in machine.problems()[0]


#: EXTRA_ARGS, the words that are left of them, the hosts.
ARGUMENTS = [
    ("-DHtcp://0.0.0.0:2375", ["--debug=true"], ["tcp://0.0.0.0:2375"]),
    ("-DH 0.0.0.0:2375", ["--debug=true"], ["tcp://0.0.0.0:2375"]),
    ("-DrlwarnH=:2375", ["--debug=true", "--restart=true", "--log-level=warnH=:2375"], []),
    ("-D=false -H=[::1]:2375", ["--debug=false"], ["tcp://[::1]:2375"]),
    ("--host=localhost -b docker7", ["--bridge=docker7"], ["tcp://localhost"]),
    ("--label -H tcp://0.0.0.0:2375", ["--label=-H"], None),
    ("--config-file=/x.json -Gusers", ["--group=users"], []),
    ("--config-file /x.json --tls false", [], None),
    ("--newer -H tcp://0.0.0.0:2375 --newer=-H", ["--newer=-H"], ["tcp://0.0.0.0:2375"]),
    ("-test.v -Htcp://0.0.0.0:2375", [], ["tcp://0.0.0.0:2375"]),
    ("--mtu 1400 -- -H tcp://0.0.0.0:2375", ["--mtu=1400"], ["tcp://0.0.0.0:2375"]),
    ("--validate --version -v -h --mtu", [], []),
    ("--tlsverify=0 -H tcp://::1:2375 -H tcp://x:70000 -H tcp://x/y", [], []),
]


@pytest.mark.parametrize(("args", "left", "hosts"), ARGUMENTS)
def test_arguments_are_read_as_the_daemon_reads_them(
    machine: Machine, args: str, left: list[str], hosts: list[str] | None
) -> None:
    """None: a word is left that is no flag."""
    machine.makes_certificates()
    machine.profile(f"EXTRA_ARGS='{args}'\nDOCKER_HOST=''")
    words = machine.words()
    assert words[: len(left) + 2] == [*left, *SOCKET]
    opened = [f"-H {host}" for host in hosts or ["tcp://0.0.0.0:2376"]]
    assert words[len(left) + 2 :] == [*machine.tls(), *" ".join(opened).split()]


@pytest.mark.parametrize("port", ["0", "x", "99999", "1 -H tcp://0.0.0.0:2375"])
def test_a_port_that_is_none(machine: Machine, port: str) -> None:
    machine.makes_certificates()
    machine.profile(f"DOCKER_PORT='{port}'")
    assert machine.words() == SOCKET
    assert "is refused: it is not tcp://ADDRESS:PORT" in machine.problems()[0]


def test_the_service_starts_the_daemon_with_these_words(machine: Machine) -> None:
    """And with no word at all where there is nothing to say."""
    script = (RECIPES / "docker/files/init.d-docker").read_text()
    head, _, body = script.partition("CONFIG=/etc/docker/daemon.json\n")
    assert "docker-options" in head
    body = body.replace('service "$@"', "").replace("CONTAINERD=/", "CONTAINERD=true; x=/")
    quiet = "; ".join(
        f"{name}() {{ :; }}" for name in ("load_modules", "prepare_group", "wait_network", "mkdir")
    )
    tell = 'launch() { for word; do echo "<$word>"; done; }; hand_out_certificates() { :; }'

    def started() -> list[str]:
        said = machine.shell(f"CONFIG={machine.root}/none\n{body}\n{quiet}\n{tell}\nstart")
        return [line for line in said.splitlines() if line.startswith("<")]

    ours = ["<--pidfile>", "<>", "<--containerd>", "</run/containerd/containerd.sock>"]
    sockets = [f"<{word}>" for word in SOCKET]
    assert started() == ["<180>", "<dockerd>", *sockets, *ours]
    machine.profile("EXTRA_ARGS='--debug --label a=b'\nexport HTTPS_PROXY='http://p q'")
    words = ["<--debug=true>", "<--label=a=b>", *sockets]
    assert started() == ["<180>", "<env>", "<HTTPS_PROXY=http://p q>", "<dockerd>", *words, *ours]


@pytest.mark.parametrize(
    ("config", "log", "patience", "asked"),
    [
        ("{}", "of another start: API listen on x\n", 719, False),
        ("{}", "of another start: API listen on x\nAPI listen on y\n", 719, True),
        ("{}", "", 600, True),
        ('{"log-opts": {}}', "", 719, False),
        ('{"log-level": "warn"}', "", 719, True),
    ],
)
def test_a_daemon_that_starts_is_asked_when_it_says_that_it_listens(
    machine: Machine, config: str, log: str, patience: int, *, asked: bool
) -> None:
    """One that says less is asked at once, and any now and then."""
    script = (RECIPES / "docker/files/init.d-docker").read_text()
    likely = script[script.index("likely() {") : script.index("# What the daemon is sure to use")]
    (machine.root / "daemon.json").write_text(config)
    (machine.root / "docker.log").write_text(log)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(machine.root / "s"))
        said = machine.shell(
            f"SOCKET={machine.root}/s CONFIG={machine.root}/daemon.json LOG={machine.root}/docker.log\n"
            f"said=34 patience={patience}\n{likely}\nif likely; then echo asked; fi"
        )
    assert said == ("asked\n" if asked else "")


# -- hooks -----------------------------------------------------------------------------------------


def test_bootsync_is_waited_for_and_its_failure_told(machine: Machine) -> None:
    machine.service("bootsync")
    hook = machine.disk / "bootsync.sh"
    hook.write_text(f"echo said; touch {machine.root}/done; exit 3\n")
    said = machine.service("bootsync", "restart", status=1)
    assert "ended with 3" in said
    assert (machine.root / "done").exists()
    assert (machine.root / "hook.log").read_text().startswith("said\n2")
    assert machine.problems() == [f"bootsync: {hook} ended with 3; see {machine.root}/hook.log"]


def test_a_bootsync_that_hangs_does_not_stop_the_boot(machine: Machine) -> None:
    hook = machine.disk / "bootsync.sh"
    hook.write_text(f"#!/bin/sh\necho $$ >{machine.root}/pid; exec sleep 30\n")
    hook.chmod(0o755)
    assert "still runs" in machine.service("bootsync")
    os.kill(int((machine.root / "pid").read_text()), 15)


def test_a_hook_that_others_may_write_is_not_run(machine: Machine) -> None:
    hook = machine.disk / "bootlocal.sh"
    hook.write_text(f"touch {machine.root}/done\n")
    hook.chmod(0o757)
    machine.service("bootlocal", status=1)
    assert not (machine.root / "done").exists()
    hook.chmod(0o755)
    machine.service("bootlocal")
    while not (machine.root / "done").exists():
        pass


# -- authorities -----------------------------------------------------------------------------------


def test_authorities_of_the_disk_are_added_and_junk_is_told(machine: Machine) -> None:
    first, key, second = certificates()
    (machine.root / "bundle").write_bytes(certificates()[0])
    added = machine.root / "usr/local/tce.installed/ca-certificates"
    added.parent.mkdir(parents=True)
    # No link is made in the root of the machine that runs the tests.
    added.write_text(AUTHORITIES.read_text().replace("[ -e /etc/ssl ]", "true"))
    added.chmod(0o755)
    folder = machine.disk / "certs"
    folder.mkdir()
    (folder / "two.pem").write_bytes(b"# both\r\n" + first.replace(b"\n", b"\r\n") + second)
    bad = {
        "key.pem": first + key,
        "half.crt": first[:-90],
        "cut.crt": first.replace(first.splitlines()[2] + b"\n", b""),
        "empty.crt": b"",
        "text.pem": b"hello\n",
        "binary.crt": bytes(range(256)),
    }
    for name, data in bad.items():
        (folder / name).write_bytes(data)
    machine.service("authorities", status=1)
    bundle = (machine.root / "bundle").read_bytes()
    assert bundle.count(b"BEGIN CERTIFICATE") == 3
    for one in (first, second):
        assert one in bundle
    machine.service("authorities", status=1)
    assert (machine.root / "bundle").read_bytes() == bundle
    told = "\n".join(machine.problems())
    for name in bad:
        assert f"/certs/{name}: " in told
    assert "PRIVATE" not in told


# -- what machine programs expect -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["boot2docker", "boot2podman"])
def test_the_contract_may_be_made_again(tmp_path: Path, name: str) -> None:
    release = tmp_path / "etc/os-release"
    release.parent.mkdir()
    release.write_text('NAME=floe\nID=floe\nID_LIKE=tinycore\nVERSION_ID=17.0\nPRETTY_NAME="floe 17.0"\n')
    script = RECIPES / f"machine-contract/files/{name}/start"
    for _ in range(2):
        subprocess.run(
            [str(BUSYBOX), "sh", script], env={**os.environ, "CONTRACT_ROOT": str(tmp_path)}, check=True
        )
    lines = release.read_text().splitlines()
    assert sorted(lines) == sorted(
        [
            "NAME=floe",
            "VERSION_ID=17.0",
            'PRETTY_NAME="floe 17.0"',
            f"ID={name}",
            'ID_LIKE="floe tinycore tcl"',
        ]
    )
    engine = name.removeprefix("boot2")
    assert (tmp_path / f"etc/init.d/{engine}").readlink() == Path(f"/usr/local/etc/init.d/{engine}")
    assert (tmp_path / f"var/lib/{name}/etc").is_dir()
    assert (name == "boot2podman") == (tmp_path / "run/podman/io.podman").is_symlink()


# -- what answers in spite of all --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("HTTP/1.0 200 OK\r\nServer: Docker/29.8.1 (linux)\r\n\r\nOK", "without TLS"),
        ("HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.", ""),
        ("HTTP/1.0 404 Not Found\r\n\r\n", ""),
    ],
)
def test_a_daemon_that_answers_to_anybody_is_stopped(machine: Machine, answer: str, told: str) -> None:
    machine.tool("docker", "echo tls: certificate required")
    listening = HOST / "lib/container-host/listening"
    text = listening.read_text()
    program = (
        "import os, socket, sys\n"
        "s = socket.create_server(('127.0.0.1', 0))\n"
        "print(flush=True)\n"
        "while True:\n"
        "    c = s.accept()[0]\n"
        "    c.recv(999)\n"
        "    c.sendall(sys.argv[1].encode())\n"
        "    c.close()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, answer], stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        daemon.stdout.readline()
        (machine.root / "pid").write_text(f"{daemon.pid}\n")
        said = machine.shell(
            f"PIDFILE={machine.root}/pid\n{text}\nstop() {{ echo stopped; }}\n"
            "if closed_to_strangers; then echo closed; else current; fi"
        )
        daemon.kill()
    assert said.splitlines()[-1] == ("failed" if told else "closed")
    assert ("stopped" in said) is bool(told)
    assert told in "".join(machine.problems())
