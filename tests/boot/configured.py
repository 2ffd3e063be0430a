"""Variants with a configuration of their own, for machines that are booted anyway."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.unit.certificates_made import certificates
from tests.unit.container_images import docker_archive, layer, oci_layout

if TYPE_CHECKING:
    from collections.abc import Callable

PORT = 8081
COMMON = """\
schema = 1
name = "{name}"
summary = "As it ships, and configured"
extends = "{extends}"
{head}timezone = "Europe/Berlin"
ca-certificates = ["corporate.pem"]
modules = ["dummy"]
sysctl.vm.swappiness = 17

[[network]]
interface = "eth0"
dhcp = true
search = ["lab.example"]
metric = 77

[[user]]
name = "anna"
groups = ["{name}"]
ssh-keys = ["{key}"]

[[container]]
name = "greeter"
image = "localhost/web:1"
args = ["sh", "-c", "echo \\"$GREETING\\" >/www/index.html; exec httpd -f -p 80 -h /www"]
env.GREETING = "hello  from the first boot"
ports = ["{port}:80"]
init = true
"""
PODMAN = """
[[preload]]
archive = "web.tar"

[registries]
blocked = ["blocked.example.org"]
mirrors."docker.io" = ["mirror.example.org/hub"]

[policy]
default = "reject"
accept = ["docker.io/library"]

[containers-conf.containers]
pids_limit = 1999
"""
DOCKER = """
[[preload]]
archive = "web"
name = "localhost/web:1"

[registries]
insecure = ["lan.example.org:5000"]
mirrors."docker.io" = ["lan.example.org:5000"]
"""


def variant(folder: Path, name: str, key: Path, extends: str = "", head: str = "") -> Path:
    """Write a variant of the engine ``name``, which extends that of its name, and the files that it names.

    Returns where it is. ``head`` is more for its beginning.
    """
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("needs busybox (package busybox-static)")
    (folder / "corporate.pem").write_bytes(certificates()[0])
    data = layer(Path(busybox))
    if name == "podman":
        docker_archive(folder / "web.tar", "localhost/web:1", data)
    else:
        oci_layout(folder / "web", "1", data)
    path = folder / f"{name}.toml"
    own = PODMAN if name == "podman" else DOCKER
    # The podman host's name is tried to come from its data disk, which a boot code would be stronger than.
    head += "" if name == "podman" else 'hostname = "node7"\n'
    path.write_text(COMMON.format(name=name, extends=extends or name, key=key, port=PORT, head=head) + own)
    return path


def check(sh: Callable[[str], str], engine: str) -> None:
    """Assert on a machine that what the variants have in common has come about."""
    # The prompt does not wait for ever for services that are slow to start.
    sh("n=0; until [ -e /run/floe/services.done ]; do sleep 1; n=$((n+1)); [ $n -lt 200 ] || break; done")
    if engine == "docker":
        assert sh("hostname").strip() == "node7"
    assert sh("date -d 2025-07-01 +%Z").strip() == "CEST"
    assert sh("cat /proc/sys/vm/swappiness").strip() == "17"
    assert "dummy" in sh("lsmod")
    assert sh("cat /etc/network.conf").strip() == "eth0 dhcp=yes search=lab.example metric=77"
    assert sh("sudo grep ^anna: /etc/shadow").startswith("anna:*:")
    assert engine in sh("id -nG anna").split()
    assert int(sh("grep -c BEGIN /etc/ssl/certs/ca-certificates.crt")) > 100
    assert "corporate" in sh("ls /usr/local/share/ca-certificates")
    found = sh(f"sudo {engine} ps --format '{{{{.Names}}}} {{{{.Image}}}}'").split("\n")
    assert "greeter localhost/web:1" in [line.strip() for line in found], found
    assert "hello  from the first boot" in sh(f"wget -qO- http://127.0.0.1:{PORT}/")
    for service in ("settings", "preload", "containers"):
        sh(f"sudo /usr/local/etc/init.d/{service} status")
