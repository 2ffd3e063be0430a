"""A config disk and a second network card, for machines that are booted anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remaster import configdisk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from remaster.vm import Machine

#: The address of the second card, which has settings of its own.
CARD = "52:54:00:09:00:01"
USER = "bert"
USER_DATA = """\
#cloud-config
users:
- default
- name: {user}
  sudo: "ALL=(ALL) NOPASSWD:ALL"
  ssh_authorized_keys: ["{key}"]
write_files:
- {{path: /etc/told, content: "first\\n", permissions: '0640'}}
- {{path: /srv/late, encoding: b64, content: bGF0ZQ==, owner: {user}, defer: true}}
runcmd:
- hostname >/tmp/ran
- [touch, "/tmp/it's done"]
"""
NETWORK = f"""\
version: 2
ethernets:
  eth0: {{dhcp4: true}}
  second:
    match: {{macaddress: "{CARD}"}}
    addresses: [10.9.0.5/24, "fd09::5/64"]
    mtu: 1400
"""


def disk(folder: Path, key: Path) -> Path:
    """Return a config disk that lets ``USER`` in with a public key."""
    source = folder / "config"
    source.mkdir()
    (source / "user-data").write_text(USER_DATA.format(user=USER, key=key.read_text().strip()))
    (source / "network-config").write_text(NETWORK)
    made = folder / "config.iso"
    configdisk.write(source, made)
    return made


def check(sh: Callable[[str], str]) -> None:
    """Assert on a machine that what the disk says has come about."""
    done = "grep -q ': done$' /run/floe/config-disk.instance"
    sh(f"n=0; until {done}; do sleep 1; n=$((n+1)); [ $n -lt 200 ] || break; done")
    assert sh("sudo cat /etc/told").strip() == "first"
    written = sh("ls -l /etc/told /srv/late | awk '{ print $3, $1 }'").split()
    assert written == ["root", "-rw-r-----", USER, "-rw-r--r--"]
    assert sh("cat /tmp/ran").strip() == sh("hostname").strip()
    sh('test -e "/tmp/it\'s done"')
    assert sh(f"sudo grep ^{USER}: /etc/shadow").startswith(f"{USER}:*:")
    assert sh(f"su_out=$(sudo su {USER} -c 'sudo -n id -u'); echo $su_out").strip() == "0"
    assert "ssh-ed25519" in sh(f"sudo cat /home/{USER}/.ssh/authorized_keys")
    card = sh("ifconfig eth1")
    assert "inet addr:10.9.0.5" in card
    assert "fd09::5/64" in card
    assert "MTU:1400" in card
    sh("sudo /usr/local/etc/init.d/config-disk status && sudo /usr/local/etc/init.d/network status")
    assert "inet addr:10.0.2.15" in sh("ifconfig eth0")
    # Announced by a router, though this machine forwards.
    assert "fec0:" in sh("ifconfig eth0")
    assert "10.0.2.3" in sh("cat /etc/resolv.conf")
    assert "config-disk" not in sh("cat /run/floe/problems 2>/dev/null; true")


def pull_the_cable(machine: Machine, sh: Callable[[str], str]) -> None:
    """Assert that an address outlives a link that was away, and that it is asked for anew."""
    machine.cable(connected=False)
    wait = "do sleep 1; n=$((n+1)); [ $n -lt 60 ]; done"
    sh(f"n=0; until grep -q 'eth0: the link is down' /var/log/network.log; {wait}")
    assert "inet addr:10.0.2.15" in sh("ifconfig eth0")
    machine.cable(connected=True)
    sh(f"n=0; until [ $(grep -c 'eth0: the link is up' /var/log/network.log) -ge 2 ]; {wait}")
    sh(f"n=0; until grep -q 'lease of' /run/floe/net/eth0/said; {wait}")
    assert "inet addr:10.0.2.15" in sh("ifconfig eth0")
    assert "10.0.2.2" in sh("route -n")
