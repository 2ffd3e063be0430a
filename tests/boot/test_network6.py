"""The base's own BusyBox against a DHCP server for IPv6: no machine is booted, name spaces will do.

Other bases' have no client: there it is the recipe udhcpc6's.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tcz import tar
from tests.boot import clients
from tests.unit.test_network import DNSMASQ, Lab, needs_lab

pytestmark = [
    pytest.mark.boot,
    needs_lab,
    pytest.mark.skipif(DNSMASQ is None, reason="needs dnsmasq (package dnsmasq-base)"),
]


@pytest.fixture
def busybox(tmp_path: Path) -> Path:
    words = [sys.executable, "-m", "tcz", "build", "busybox"]
    built = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    program = tmp_path / "busybox"
    program.write_bytes(tar.read(Path(built[0]))["bin/busybox"].read())
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("own", [True, False])
def test_a_server_for_ipv6_gives_an_address_and_names_servers(
    tmp_path: Path, busybox: Path, *, own: bool
) -> None:
    folder = tmp_path / "lab"
    folder.mkdir()
    machine = Lab(folder, conf="eth0 dhcp=no dhcp6=yes\n", busybox=str(busybox))
    try:
        machine.router(
            "--dhcp-range=fd09::100,fd09::1ff,64,120",
            "--dhcp-option=option6:dns-server,[fd09::1]",
            "--dhcp-option=option6:domain-search,lab.example",
        )
        client = folder / "tools/udhcpc6"
        if not own:
            client.unlink()
        machine.start()
        if not own:
            machine.until("grep -q 'eth0: dhcp6=yes, and no udhcpc6 is here' $FLOE_RUN/problems")
            client.symlink_to(clients.unpacked("udhcpc6", tmp_path / "package").parent / "sbin/udhcpc6")
        machine.until("ifconfig eth0 | grep -q 'fd09::1[0-9a-f][0-9a-f]/128 Scope:Global'")
        machine.until("grep -q ^nameserver $NETWORK_ETC/resolv.conf")
        assert machine.resolv().splitlines() == ["search lab.example", "nameserver fd09::1"]
        # What is on the link a router tells, each few seconds.
        machine.until("ping -c 1 -w 2 fd09::1 >/dev/null")
        machine.until("[ ! -s $FLOE_RUN/problems ]")
        # Given no more, it goes.
        (folder / "etc/network.conf").write_text("eth0 dhcp=no ra=no\n")
        machine.sh("sh $NETWORK_SELF reload")
        machine.until("! ifconfig eth0 | grep -q 'fd09::1[0-9a-f][0-9a-f]/128'")
    finally:
        machine.close()
