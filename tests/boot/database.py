"""A real database of Debian's packages for containers, and the same programs on this machine.

The containers behave as those of the official image where it matters at a shutdown: the stop signal is
SIGINT, at which the server ends its sessions and writes a checkpoint (with TERM it would wait for its
clients). The programs lie in a folder that containers have as their /usr, and the cluster is made here:
unpacking an image of a hundred megabytes takes an emulated machine minutes.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from tcz.apt import Apt
from tcz.deb import member
from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tcz.run import HostRunner
from tcz.store import Store
from tcz.unpack import unpack
from tests.unit.container_images import docker_archive

PACKAGE = "postgresql-17"
BIN = "/usr/lib/postgresql/17/bin"
NAME = "localhost/database:1"
DATA = "/var/lib/postgresql"
UID = 999
#: Of the packages that it needs only these are unpacked: a compiler for queries and Perl are half a gigabyte.
_KEPT = re.compile(r"postgresql-(client-)?17|zlib1g|lib(?!llvm|perl|z3|python).*")
_SKIP = (
    "usr/share/doc/",
    "usr/share/locale/",
    "usr/share/man/",
    "usr/share/postgresql/17/man/",
    "usr/lib/postgresql/17/lib/bitcode/",
)
_UNUSED = re.compile(r"(llvmjit|plperl|plpython|pltcl).*|libc\.a|gconv|pgxs")
#: Small files, so that little is copied and written; a checkpoint only where one is asked for or WAL is full.
_SETTINGS = """\
listen_addresses = '*'
unix_socket_directories = '/tmp'
shared_buffers = 16MB
max_connections = 20
min_wal_size = 2MB
max_wal_size = 16MB
log_timezone = 'GMT'
timezone = 'GMT'
jit = off
"""
_PASSWD = f"root:x:0:0::/:/bin/sh\npostgres:x:{UID}:{UID}::{DATA}:/bin/sh\n"
#: For commands of tests in the image.
_APPLETS = ("sh", "sleep", "cat", "ls")


@dataclass(frozen=True)
class Programs:
    """Debian's programs, unpacked."""

    root: Path

    def run(
        self, data: Path, name: str, *words: str, text: str = "", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the server as user postgres, with a folder of this machine for its data."""
        argv: list[str | Path] = ["bwrap", "--bind", self.root, "/", "--dev", "/dev", "--proc", "/proc"]
        argv += ["--tmpfs", "/tmp", "--bind", data, DATA, "--unshare-all", "--die-with-parent"]
        argv += ["--uid", str(UID), "--gid", str(UID), "--clearenv", "--setenv", "PATH", f"{BIN}:/usr/bin"]
        argv += ["--setenv", "TZ", "GMT", "--setenv", "LC_ALL", "C", "--", f"{BIN}/{name}", *words]
        done = subprocess.run(
            argv, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        assert done.returncode == 0 or not check, f"{name} {words}:\n{done.stdout}"
        return done

    def state(self, data: Path) -> str:
        """Return how the server says that it ended: ``shut down``, or ``in production`` when it was cut."""
        said = self.run(data, "pg_controldata", f"{DATA}/data").stdout
        found = re.search(r"^Database cluster state: +(.*)$", said, re.MULTILINE)
        assert found is not None, said
        return found[1]

    def ask(self, data: Path, question: str) -> tuple[str, ...]:
        """Start the server on its data, alone, as after a power cut; return the values of one answer."""
        alone = ("--single", "-D", f"{DATA}/data", "-c", "fsync=off", "postgres")
        said = self.run(data, "postgres", *alone, text=f"{question}\n").stdout
        return tuple(re.findall(r'^\s+ \d+: \S+ = "(.*?)"\s', said, re.MULTILINE))


def programs(folder: Path) -> Programs:
    """Unpack the server and its libraries."""
    dirs, runner, reporter = Dirs.from_env(), HostRunner(), SilentReporter()
    apt = Apt(dirs, Store(dirs.cache / "store"), runner, reporter)
    debs = [deb for deb in apt.resolve((PACKAGE,)) if _KEPT.fullmatch(deb.name)]
    root = folder / "root"
    for name in (
        "usr/bin",
        "usr/lib",
        "usr/lib64",
        "usr/sbin",
        "dev",
        "proc",
        "tmp",
        DATA.lstrip("/"),
        "etc",
    ):
        (root / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64", "sbin"):
        (root / name).symlink_to(f"usr/{name}")
    for path in apt.fetch(debs):
        unpack(member(path, "data.tar"), root, system=True, skip=_SKIP)
    for path in sorted(root.rglob("*")):
        if _UNUSED.fullmatch(path.name):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    busybox = shutil.which("busybox")
    assert busybox is not None, "needs busybox (package busybox-static)"
    shutil.copyfile(busybox, root / "usr/bin/busybox")
    (root / "usr/bin/busybox").chmod(0o755)
    # The server's programs start each other by way of a shell.
    for name in _APPLETS:
        (root / "usr/bin" / name).symlink_to("busybox")
    (root / "tmp").chmod(0o1777)
    (root / "etc/passwd").write_text(_PASSWD)
    (root / "etc/group").write_text(f"root:x:0:\npostgres:x:{UID}:\n")
    return Programs(root)


def cluster(made: Programs, data: Path) -> None:
    """Make an empty database."""
    data.mkdir()
    options = ("--no-sync", "-A", "trust", "-E", "UTF8", "--locale=C", "--wal-segsize=1", "-k")
    made.run(data, "initdb", *options, "-D", f"{DATA}/data")
    with (data / "data/postgresql.conf").open("a") as file:
        file.write(_SETTINGS)
    (data / "data/pg_hba.conf").write_text("local all all trust\nhost all all all trust\n")
    # One for rows that are counted, one for pgbench to work on.
    tables = "create table kept (n bigint primary key);\n\n"
    tables += "create table noise (id bigserial primary key, text text default repeat('x', 800));\n\n"
    made.run(data, "postgres", "--single", "-j", "-D", f"{DATA}/data", "postgres", text=tables)


def image(folder: Path, made: Programs) -> Path:
    """Write an image as an archive of ``docker save``: all of a root but /usr, which is mounted there."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(made.root.iterdir()):
            archive.add(path, path.name, recursive=path.name == "etc")
        archive.add(made.root / DATA.lstrip("/"), DATA.lstrip("/"), recursive=False)
    layer = buffer.getvalue()
    value = {
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Env": [f"PATH={BIN}:/usr/bin", "TZ=GMT", "LC_ALL=C"],
            "User": f"{UID}:{UID}",
            "StopSignal": "SIGINT",
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    return docker_archive(folder / "database.tar", NAME, layer, json.dumps(value).encode())


def take_out(disk: Path, path: str, folder: Path) -> Path:
    """Copy a folder out of an ext4 file system that is not mounted; all of it is this user's then."""
    folder.mkdir(parents=True)
    tools = {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    subprocess.run(
        ["debugfs", "-R", f"rdump {path} {folder}", disk], env=tools, check=True, capture_output=True
    )
    for one in (folder, *folder.rglob("*")):
        os.chown(one, os.geteuid(), os.getegid(), follow_symlinks=False)
    return folder / Path(path).name
