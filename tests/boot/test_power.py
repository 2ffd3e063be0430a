"""Power-offs after which databases have nothing to recover, and power cuts after which nothing is lost.

One machine has a database for each engine, with somebody who writes to it all the time. It is booted once
and goes on from one moment again and again, to be switched off after another while each time. How often is
told by TCZ_POWER_OFFS and TCZ_POWER_CUTS. It takes minutes, and is run where TCZ_POWER_OFFS is set.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.boot import database, power
from tests.boot.conftest import BOOT_TIMEOUT, PROMPT, free_port, remaster

if TYPE_CHECKING:
    from pathlib import Path

    from remaster.vm import Machine

#: Every run has shorter proofs, on machines that are booted anyway: test_bases, test_docker, test_podman.
LONG = "TCZ_POWER_OFFS" in os.environ
pytestmark = [
    pytest.mark.boot,
    pytest.mark.skipif(not LONG, reason="takes minutes; TCZ_POWER_OFFS=100 has it tried"),
]

POWER_OFFS = int(os.environ.get("TCZ_POWER_OFFS", "2"))
POWER_CUTS = int(os.environ.get("TCZ_POWER_CUTS", "1"))
#: Seconds of load, at most, before the machine is switched off.
MOMENTS = 6.0
SHUT_DOWN = "shut down"
#: Of e2fsck: nothing is left that somebody would have to decide.
UNREPAIRED = 4
DEAF = "trap '' INT TERM; while :; do sleep 1; done"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> database.Programs:
    return database.programs(tmp_path_factory.mktemp("programs"))


def sh(machine: Machine, command: str) -> str:
    status, output = machine.console.run(command, BOOT_TIMEOUT)
    assert status == 0, f"{command}\nended with {status}:\n{output}"
    return output


@pytest.fixture(scope="module")
def host(programs: database.Programs, tmp_path_factory: pytest.TempPathFactory) -> power.Host:
    """Boot, start the databases and those who write to them, and keep that moment."""
    folder = tmp_path_factory.mktemp("power")
    database.image(folder, programs)
    iso = folder / "databases.iso"
    remaster("--variant", str(power.variant(folder)), "--output", str(iso))
    made = power.Host(
        iso=iso,
        disk=power.new_disk(folder, programs),
        ports={engine: free_port() for engine in power.GUEST_PORTS},
    )
    with made.machine(made.disk, moment=False) as machine:
        machine.console.expect(PROMPT, 2 * BOOT_TIMEOUT, never="Kernel panic")
        sh(machine, "n=300; until [ -e /run/floe/services.done ] || [ $n = 0 ]; do n=$((n-1)); sleep 1; done")
        for engine in power.GUEST_PORTS:
            sh(machine, power.run_database(engine))
        for engine in power.GUEST_PORTS:
            sh(machine, power.ready(engine))
            sh(machine, power.make_noise(engine))
        power.keep_moment(machine)
    return made


def test_power_offs(host: power.Host, programs: database.Programs, tmp_path: Path) -> None:
    """Each way to switch off, each at another moment: no database has anything to recover."""
    for number in range(POWER_OFFS):
        way = power.WAYS[number % len(power.WAYS)]
        disk = host.again(tmp_path / "disk.qcow2")
        said = power.power_off(host, disk, way, random.Random(number).uniform(0, MOMENTS))
        found = power.look(programs, power.raw(disk, tmp_path / "disk.raw"), tmp_path / "out")
        assert (found.clean, found.recovers) == (True, False), said
        assert set(found.states.values()) == {SHUT_DOWN}, f"{number} {way} {found.states}\n{said}"
        assert "did not stop" not in said


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


def test_power_cuts(host: power.Host, programs: database.Programs, tmp_path: Path) -> None:
    """The file system needs its journal only, and every row that was acknowledged is there."""
    acknowledged: dict[str, int] = {}
    for number in range(POWER_CUTS):
        disk = host.again(tmp_path / "disk.qcow2")
        acknowledged = cut(host, disk, 3 + random.Random(number).uniform(0, MOMENTS))
        raw = power.raw(disk, tmp_path / "disk.raw")
        checked = subprocess.run(["/sbin/e2fsck", "-p", raw], check=False, capture_output=True, text=True)
        assert checked.returncode < UNREPAIRED, checked.stdout
        subprocess.run(["/sbin/e2fsck", "-f", "-n", raw], check=True, capture_output=True)
        for engine, count in acknowledged.items():
            data = database.take_out(raw, f"/{power.PLACE}/{engine}", tmp_path / f"out-{number}-{engine}")
            there = programs.ask(data, "select count(*), coalesce(max(n), 0) from kept")
            assert int(there[0]) == int(there[1])
            assert count <= int(there[0]) <= count + 1, (number, engine)
    assert max(acknowledged.values()) > 0
    check_next_boot(host, tmp_path / "disk.qcow2", acknowledged)


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
