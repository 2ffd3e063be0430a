"""Power-offs after which databases have nothing to recover, and power cuts after which nothing is lost.

One machine has a database for each engine, with somebody who writes to it all the time. It is booted once
and goes on from one moment again and again, to be switched off after another while each time. How often is
told by TCZ_POWER_OFFS and TCZ_POWER_CUTS; TCZ_POWER_JOBS of the former go on side by side. With
TCZ_POWER_CHAIN it is booted so many times, each time from the disk that the last power-off left. It takes
minutes to hours, and is run where these are set.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.boot import database, power
from tests.boot.conftest import BOOT_TIMEOUT, PROMPT, free_port, remaster

if TYPE_CHECKING:
    from pathlib import Path

    from remaster.vm import Machine

#: Every run has shorter proofs, on machines that are booted anyway: test_bases, test_docker, test_podman.
pytestmark = pytest.mark.boot
long = pytest.mark.skipif(
    "TCZ_POWER_OFFS" not in os.environ, reason="takes minutes; TCZ_POWER_OFFS=100 has it tried"
)
POWER_OFFS = int(os.environ.get("TCZ_POWER_OFFS", "2"))
POWER_JOBS = int(os.environ.get("TCZ_POWER_JOBS", "1"))
POWER_CHAIN = int(os.environ.get("TCZ_POWER_CHAIN", "0"))
POWER_CUTS = int(os.environ.get("TCZ_POWER_CUTS", "1"))
#: Seconds of load, at most, before the machine is switched off.
MOMENTS = 6.0
SHUT_DOWN = "shut down"
DEAF = "trap '' INT TERM; while :; do sleep 1; done"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> database.Programs:
    return database.programs(tmp_path_factory.mktemp("programs"))


def sh(machine: Machine, command: str) -> str:
    status, output = machine.console.run(command, BOOT_TIMEOUT)
    assert status == 0, f"{command}\nended with {status}:\n{output}"
    return output


@pytest.fixture(scope="module")
def made(programs: database.Programs, tmp_path_factory: pytest.TempPathFactory) -> power.Host:
    """Make the image, and a disk with clusters that nobody has used."""
    folder = tmp_path_factory.mktemp("power")
    database.image(folder, programs)
    iso = folder / "databases.iso"
    remaster("--variant", str(power.variant(folder)), "--output", str(iso))
    return power.Host(
        iso=iso,
        disk=power.new_disk(folder, programs),
        ports={engine: free_port() for engine in power.GUEST_PORTS},
    )


def come_up(machine: Machine) -> None:
    """Wait until all services have been started."""
    machine.console.expect(PROMPT, 2 * BOOT_TIMEOUT, never="Kernel panic")
    sh(machine, "n=300; until [ -e /run/floe/services.done ] || [ $n = 0 ]; do n=$((n-1)); sleep 1; done")


@pytest.fixture(scope="module")
def host(made: power.Host, tmp_path_factory: pytest.TempPathFactory) -> power.Host:
    """Boot, start the databases and those who write to them, and keep that moment."""
    made = replace(made, disk=made.again(tmp_path_factory.mktemp("moment") / "data.qcow2"))
    with made.machine(made.disk, moment=False) as machine:
        come_up(machine)
        for engine in power.GUEST_PORTS:
            sh(machine, power.run_database(engine))
        for engine in power.GUEST_PORTS:
            sh(machine, power.ready(engine))
            sh(machine, power.make_noise(engine))
        power.keep_moment(machine)
    return made


@long
def test_power_offs(host: power.Host, programs: database.Programs, tmp_path: Path) -> None:
    """Each way to switch off, each at another moment: no database has anything to recover."""

    def switch_off(number: int) -> None:
        way = power.WAYS[number % len(power.WAYS)]
        folder = tmp_path / str(number)
        folder.mkdir()
        disk = host.again(folder / "disk.qcow2")
        said = power.power_off(host, disk, way, random.Random(number).uniform(0, MOMENTS))
        found = power.look(programs, power.raw(disk, folder / "disk.raw"), folder / "out")
        assert (found.clean, found.recovers) == (True, False), said
        assert set(found.states.values()) == {SHUT_DOWN}, f"{number} {way} {found.states}\n{said}"
        assert not re.search("did not stop|still in use|The shutdown hangs", said), said
        shutil.rmtree(folder)
        sys.stdout.write(f"{number} {way}: both shut down, the file system is clean\n")

    with ThreadPoolExecutor(POWER_JOBS) as pool:
        rounds = [pool.submit(switch_off, number) for number in range(POWER_OFFS)]
        try:
            for one in as_completed(rounds):
                one.result()
        finally:
            pool.shutdown(cancel_futures=True)


@long
@pytest.mark.parametrize("blow", ["KILL", "STOP"])
def test_an_engine_that_is_dead_or_hangs_and_a_container_that_will_not_end(
    host: power.Host, programs: database.Programs, tmp_path: Path, blow: str
) -> None:
    """The databases are told to end all the same, the deadline holds, and what had to be killed is told."""
    disk = host.again(tmp_path / "disk.qcow2")
    with host.machine(disk) as machine:
        deaf = f'/usr/bin/busybox sh -c "{DEAF}"'
        sh(machine, f"sudo podman run -d --name deaf --stop-timeout 3 -v /mnt/data/{power.PLACE}/usr:/usr:ro "
                    f"{database.NAME} {deaf}")  # fmt: skip
        both = "/run/floe/services/docker/supervisor /var/run/docker.pid"
        machine.console.send(f"sudo sh -c 'kill -{blow} $(cat {both}); poweroff'")
        machine.wait(power.OFF_SECONDS)
        said = machine.console.transcript
    assert ("docker: did not stop within 135 s" in said) is (blow == "STOP")
    assert "/database still runs; it is told to end without the daemon" in said
    assert "resorting to SIGKILL" in said
    found = power.look(programs, power.raw(disk, tmp_path / "disk.raw"), tmp_path / "out")
    assert (found.clean, found.recovers) == (True, False), said
    assert set(found.states.values()) == {SHUT_DOWN}, said


@long
def test_a_disk_that_takes_nothing_any_more_does_not_keep_the_machine_up(
    host: power.Host, tmp_path: Path
) -> None:
    disk = host.again(tmp_path / "disk.qcow2")
    with host.machine(disk) as machine:
        limits = dict.fromkeys(("bps", "bps_rd", "iops", "iops_rd", "iops_wr"), 0)
        machine.execute("block_set_io_throttle", device="disk1", bps_wr=1, **limits)
        machine.console.send("sudo reboot")
        machine.wait(3 * power.OFF_SECONDS)
        assert "The shutdown hangs" in machine.console.transcript


def cut(host: power.Host, disk: Path, seconds: float) -> dict[str, int]:
    """Go on at the moment, have rows committed from here, and pull the plug; return what was acknowledged."""
    with host.machine(disk) as machine, ThreadPoolExecutor() as pool:
        counts = {engine: pool.submit(power.commit_rows, port) for engine, port in host.ports.items()}
        time.sleep(seconds)
        assert machine.pid is not None
        os.kill(machine.pid, signal.SIGKILL)
        return {engine: count.result() for engine, count in counts.items()}


@long
def test_power_cuts(host: power.Host, programs: database.Programs, tmp_path: Path) -> None:
    """The file system needs its journal only, and every row that was acknowledged is there."""
    acknowledged: dict[str, int] = {}
    assert POWER_CUTS > 0
    for number in range(POWER_CUTS):
        disk = host.again(tmp_path / "disk.qcow2")
        acknowledged = cut(host, disk, 3 + random.Random(number).uniform(0, MOMENTS))
        raw = power.raw(disk, tmp_path / "disk.raw")
        power.replay(raw)
        subprocess.run(["/sbin/e2fsck", "-f", "-n", raw], check=True, capture_output=True)
        for engine, count in acknowledged.items():
            data = database.take_out(raw, f"/{power.PLACE}/{engine}", tmp_path / f"out-{number}-{engine}")
            there = programs.ask(data, "select count(*), coalesce(max(n), 0) from kept")
            assert int(there[0]) == int(there[1])
            assert count <= int(there[0]) <= count + 1, (number, engine)
        check_next_boot(host, disk, acknowledged)
        sys.stdout.write(f"{number} power cut: {acknowledged} rows are there, and all runs again\n")
    assert max(acknowledged.values()) > 0


def check_next_boot(host: power.Host, disk: Path, acknowledged: dict[str, int]) -> None:
    """Boot the machine whose plug was pulled: all is there, and nothing is wrong with it."""
    with host.machine(disk, moment=False) as machine:
        machine.console.expect(PROMPT, 2 * BOOT_TIMEOUT, never="Kernel panic")
        assert "mounted" in sh(machine, "cat /run/floe/data-disk")
        sh(machine, "[ ! -s /run/floe/problems ]")
        for engine, count in acknowledged.items():
            sh(machine, power.ready(engine))
            assert count <= int(sh(machine, power.count_rows(engine))) <= count + 1
            assert "was not properly shut down" in sh(machine, f"sudo {engine} logs database 2>&1")


@pytest.mark.skipif(not POWER_CHAIN, reason="takes an hour; TCZ_POWER_CHAIN=8 has it tried")
def test_one_power_off_after_another(made: power.Host, programs: database.Programs, tmp_path: Path) -> None:
    """Each boot begins with the disk that the last power-off left, and each time it is another way down."""
    disk = made.again(tmp_path / "disk.qcow2")
    for number in range(POWER_CHAIN):
        way = power.WAYS[number % len(power.WAYS)]
        began = time.monotonic()
        with made.machine(disk, moment=False) as machine:
            come_up(machine)
            sh(machine, "[ ! -s /run/floe/problems ]")
            for engine in power.GUEST_PORTS:
                if number == 0:
                    sh(machine, power.run_database(engine))
                sh(machine, power.ready(engine))
                told = sh(machine, f"sudo {engine} logs --tail 200 database 2>&1").rpartition(
                    "starting PostgreSQL"
                )
                assert told[1], told
                assert "database system was shut down at" in told[2]
                assert not re.search("interrupted|recovery|redo (?!lsn)|not properly", told[2]), told[2]
                assert int(sh(machine, power.count_rows(engine))) == number
                sh(machine, power.add_row(engine))
                sh(machine, power.make_noise(engine))
            time.sleep(random.Random(number).uniform(1, MOMENTS))
            up = time.monotonic()
            power.go_down(machine, way)
            machine.wait(power.OFF_SECONDS)
            said = machine.console.transcript
        down = time.monotonic() - up
        sys.stdout.write(f"{number} {way}: up in {up - began:.0f} s, down in {down:.0f} s\n")
        assert not re.search("did not stop|still in use|The shutdown hangs", said), said
        found = power.look(programs, power.raw(disk, tmp_path / "disk.raw"), tmp_path / "out")
        assert (found.clean, found.recovers) == (True, False), said
        assert set(found.states.values()) == {SHUT_DOWN}, f"{number} {way} {found.states}\n{said}"
