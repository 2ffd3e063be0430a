"""A machine with two databases, one for each engine, that is brought back to one moment again and again."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from remaster.vm import Machine, MachineSpec
from tcz.run import HostRunner
from tests.boot import database

if TYPE_CHECKING:
    from collections.abc import Mapping

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
NOISE = "insert into noise default values; update noise set text = random()::text where id = 1 + (random() * 100)::int;"


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


def make_noise(engine: str) -> str:
    """Return the command that has somebody write all the time, until the database ends."""
    bench = f"{database.BIN}/pgbench -h /tmp -p {GUEST_PORTS[engine]} -n -c 2 -T 360000 -f /usr/noise.sql postgres"
    return f"sudo {engine} exec -d database {bench}"


def new_disk(folder: Path, programs: database.Programs) -> Path:
    """Make a data disk with the programs and a cluster for each engine."""
    files = folder / "files"
    place = files / PLACE
    place.mkdir(parents=True)
    shutil.copytree(programs.root / "usr", place / "usr", symlinks=True)
    (place / "usr/noise.sql").write_text(f"{NOISE}\n")
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

    def machine(self, disk: Path, *, moment: bool = True, reboot: bool = False) -> Machine:
        """Return a machine that is not started yet; ``moment``: it goes on where the snapshot was made."""
        return Machine(
            MachineSpec(
                accel="tcg",
                memory_mib=MEMORY_MIB,
                cdrom=self.iso,
                data_disk=disk,
                forwards=tuple((self.ports[engine], guest) for engine, guest in GUEST_PORTS.items()),
                reboot=reboot,
                words=("-loadvm", MOMENT) if moment else (),
            ),
            HostRunner(),
        )

    def again(self, path: Path) -> Path:
        """Return a copy of the disk with the snapshot in it."""
        subprocess.run(["cp", "--sparse=always", self.disk, path], check=True)
        return path


def raw(disk: Path, path: Path) -> Path:
    """Return what is on a disk now."""
    subprocess.run(["qemu-img", "convert", "-O", "raw", disk, path], check=True)
    return path
