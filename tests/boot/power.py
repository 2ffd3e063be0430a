"""A machine with two databases, one for each engine, that is brought back to one moment again and again."""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import socket
import struct
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remaster.vm import Machine, MachineSpec
from tests.boot import database, serial_logs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

MEMORY_MIB = 1024
DISK_MIB = 1024
MOMENT = "under-load"
#: Where the databases of the engines are reached, on the machine and from here.
GUEST_PORTS: Mapping[str, int] = {"docker": 5432, "podman": 5433}
#: On the data disk: the programs, and beside them a folder for each engine's cluster.
PLACE = "database"
VARIANT = """\
schema = 1
name = "databases"
summary = "Two engines with a database each"
extends = "linux"
boot-codes = ["noembed"]
services = ["containerd", "docker", "podman"]
packages.onboot = ["docker", "podman", "e2fsprogs", "container-host"]
"""
PRELOAD = """
[[preload]]
archive = "database.tar"
engine = "{engine}"
"""
NOISE = """\
insert into noise default values;
update noise set text = random()::text where id = 1 + (random() * 100)::int;
"""


def variant(folder: Path) -> Path:
    """Write the variant; the image's archive is in the folder already."""
    path = folder / "databases.toml"
    path.write_text(VARIANT + "".join(PRELOAD.format(engine=engine) for engine in GUEST_PORTS))
    return path


def run_database(engine: str) -> str:
    """Return the command that makes the container, with two minutes to end, as is said of databases."""
    return (
        f"sudo {engine} run -d --name database --restart always --stop-timeout 120 --network host "
        f"-v /mnt/data/{PLACE}/usr:/usr:ro -v /mnt/data/{PLACE}/{engine}:{database.DATA} "
        f"{database.NAME} {database.BIN}/postgres -D {database.DATA}/data -p {GUEST_PORTS[engine]}"
    )


def _psql(engine: str, question: str) -> str:
    words = f"-h /tmp -p {GUEST_PORTS[engine]} -qAtc '{question}' postgres"
    return f"sudo {engine} exec database {database.BIN}/psql {words}"


def ready(engine: str) -> str:
    """Return the command that waits until the database answers."""
    ask = _psql(engine, "select 1")
    return f"n=60; until {ask} || [ $n = 0 ]; do n=$((n-1)); sleep 1; done; [ $n != 0 ]"


def count_rows(engine: str) -> str:
    """Return the command that tells how many rows were committed."""
    return _psql(engine, "select count(*) from kept")


def add_row(engine: str) -> str:
    """Return the command that commits a row."""
    return _psql(engine, "insert into kept select count(*) from kept")


def make_noise(engine: str) -> str:
    """Return the command that has somebody write all the time, until the database ends."""
    words = f"-h /tmp -p {GUEST_PORTS[engine]} -n -c 2 -T 360000 -f /usr/noise.sql postgres"
    return f"sudo {engine} exec -d database {database.BIN}/pgbench {words}"


def new_disk(folder: Path, programs: database.Programs) -> Path:
    """Make a data disk with the programs and a cluster for each engine."""
    files = folder / "files"
    place = files / PLACE
    place.mkdir(parents=True)
    shutil.copytree(programs.root / "usr", place / "usr", symlinks=True)
    (place / "usr/noise.sql").write_text(NOISE)
    database.cluster(programs, folder / "cluster")
    for engine in GUEST_PORTS:
        shutil.copytree(folder / "cluster", place / engine)
    raw, path = folder / "data.raw", folder / "data.qcow2"
    with raw.open("wb") as file:
        file.truncate(DISK_MIB << 20)
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-L", "floe-data", "-d", files, raw], check=True)
    # Whoever runs this, in the machine the clusters are the server's.
    owned = "".join(
        f'set_inode_field "/{path.relative_to(files)}" {field} {database.UID}\n'
        for engine in GUEST_PORTS
        for path in (place / engine, *(place / engine).rglob("*"))
        for field in ("uid", "gid")
    )
    subprocess.run(
        ["/sbin/debugfs", "-w", "-f", "-", raw], input=owned.encode(), check=True, stdout=subprocess.DEVNULL
    )
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, path], check=True)
    raw.unlink()
    return path


@dataclass(frozen=True, kw_only=True)
class Host:
    """A machine's image and its disk, and the ports that lead to its databases."""

    iso: Path
    disk: Path
    ports: Mapping[str, int]

    def machine(self, disk: Path, *, moment: bool = True, reached: bool = True) -> Machine:
        """Return a machine that is not started yet; ``moment``: it goes on where the snapshot was made.

        Only one at a time can be ``reached`` from here.
        """
        return serial_logs.machine(
            MachineSpec(
                accel="tcg",
                memory_mib=MEMORY_MIB,
                cdrom=self.iso,
                data_disk=disk,
                forwards=tuple(
                    (self.ports[engine], guest) for engine, guest in GUEST_PORTS.items() if reached
                ),
                words=("-loadvm", MOMENT) if moment else (),
            )
        )

    def again(self, path: Path) -> Path:
        """Return a copy of the disk with the snapshot in it."""
        subprocess.run(["cp", "--sparse=always", self.disk, path], check=True)
        return path


def raw(disk: Path, path: Path) -> Path:
    """Return what is on a disk now."""
    subprocess.run(["qemu-img", "convert", "-O", "raw", disk, path], check=True)
    return path


def keep_moment(machine: Machine) -> None:
    """Keep all of a running machine, memory and disk, for others to go on from."""
    machine.execute("stop")
    said = machine.execute("human-monitor-command", OFF_SECONDS, command_line=f"savevm {MOMENT}")
    assert not said, said


def plug_pulled(machine: Machine, disk: str, path: Path) -> Path:
    """Return a disk of a running machine as if its plug was pulled now, with its journal replayed.

    All that QEMU was given is in it, and nothing of what the machine has in memory.
    """
    (size,) = [
        drive["inserted"]["image"]["virtual-size"]
        for drive in machine.execute("query-block")
        if drive["device"] == disk
    ]
    with path.open("wb") as file:
        file.truncate(size)
    # QEMU deletes what it makes itself behind a disk of which nothing is kept.
    target = {"driver": "file", "filename": str(path), "discard": "unmap", "detect-zeroes": "unmap"}
    machine.execute("blockdev-add", driver="raw", node_name="pulled", file=target)
    machine.execute("blockdev-backup", device=disk, target="pulled", sync="full")
    while machine.execute("query-block-jobs"):
        time.sleep(0.1)
    machine.execute("blockdev-del", node_name="pulled")
    replay(path)
    return path


def replay(disk: Path) -> None:
    """Have the journal of a raw disk replayed, which is to need nothing more."""
    done = subprocess.run(["/sbin/e2fsck", "-p", disk], check=False, capture_output=True, text=True)
    assert done.returncode < UNREPAIRED, done.stdout


def content_on(disk: Path, path: str) -> bytes:
    """Return what a file has on a disk that no machine uses; nothing where there is none."""
    words = ["/sbin/debugfs", "-R", f'cat "{path}"', disk]
    return subprocess.run(words, check=True, capture_output=True).stdout


def sums_on(disk: Path, paths: Iterable[str]) -> dict[str, str]:
    """Return the sha256 of files on a disk that no machine uses."""
    return {path: hashlib.sha256(content_on(disk, path)).hexdigest() for path in paths}


def sums(sh: Callable[[str], str], found_by: str) -> dict[str, str]:
    """Return the sha256 of files on a running machine's data disk: what find(1) finds by these words."""
    said = sh(f"(cd /mnt/data && sudo find . {found_by} | xargs sudo sha256sum)")
    return {place.removeprefix("."): own for own, place in map(str.split, said.splitlines())}


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def commit_rows(port: int) -> int:
    """Insert 1, 2, 3... each in a transaction of its own, until the server is gone.

    Returns the last one that the server said was committed. The protocol is version 3 of PostgreSQL's
    (its documentation, "Message Formats").
    """
    acknowledged = 0
    with contextlib.suppress(OSError, EOFError), socket.create_connection(("127.0.0.1", port), 60) as server:
        server.settimeout(60)
        server.sendall(_message(b"", struct.pack("!I", 196608) + b"user\0postgres\0database\0postgres\0\0"))
        _until_ready(server)
        while True:
            question = b"insert into kept values (%d)\0" % (acknowledged + 1)
            server.sendall(_message(b"Q", question))
            _until_ready(server)
            acknowledged += 1
    return acknowledged


def _until_ready(server: socket.socket) -> None:
    while True:
        kind, length = struct.unpack("!cI", _exactly(server, 5))
        body = _exactly(server, length - 4)
        # An error is the server's farewell, too.
        if kind == b"E":
            raise EOFError(body)
        if kind == b"Z":
            return


def _exactly(server: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = server.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


#: Of e2fsck: nothing is left that somebody would have to decide.
UNREPAIRED = 4
#: Ways to have the machine go down.
WAYS = ("poweroff", "acpi", "ctrl-alt-del", "reboot")
OFF_SECONDS = 600


def go_down(machine: Machine, way: str) -> None:
    """Tell a running machine to go down; a reboot ends QEMU, too."""
    if way == "acpi":
        machine.powerdown()
    elif way == "ctrl-alt-del":
        machine.execute(
            "send-key", keys=[{"type": "qcode", "data": key} for key in ("ctrl", "alt", "delete")]
        )
    else:
        machine.console.send(f"sudo {way}")


def power_off(host: Host, disk: Path, way: str, pause: float) -> str:
    """Go on at the moment, under load; after a while have the machine go down, and return what it said."""
    with host.machine(disk, reached=False) as machine:
        time.sleep(pause)
        go_down(machine, way)
        machine.wait(OFF_SECONDS)
        return machine.console.transcript


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How a machine left its disk: what its file system says, and how each engine's database ended."""

    clean: bool
    recovers: bool
    states: Mapping[str, str]


def look(programs: database.Programs, disk: Path, folder: Path) -> Verdict:
    """Look at a raw disk without writing to it."""
    said = subprocess.run(["/sbin/dumpe2fs", "-h", disk], capture_output=True, text=True, check=True).stdout
    shutil.rmtree(folder, ignore_errors=True)
    states = {}
    for engine in GUEST_PORTS:
        # Only what pg_controldata reads.
        data = folder / engine / "data/global"
        data.mkdir(parents=True)
        (data / "pg_control").write_bytes(content_on(disk, f"/{PLACE}/{engine}/data/global/pg_control"))
        states[engine] = programs.state(folder / engine)
    return Verdict(
        clean=re.search(r"^Filesystem state: +clean$", said, re.MULTILINE) is not None,
        recovers="needs_recovery" in said,
        states=states,
    )
