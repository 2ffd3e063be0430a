"""The command ``remaster kernel check``."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from remaster import hooks
from remaster.kernels import configured
from tcz import cpio, tar
from tcz.errors import VerifyError
from tcz.tree import Tree, regular
from tests.unit import standins

if TYPE_CHECKING:
    from pathlib import Path


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "remaster", "kernel", "check", *map(str, words)]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_a_poor_kernel(tmp_path: Path) -> None:
    """Stock kernels of Tiny Core have neither a memory controller nor the device controller of cgroup v2."""
    config = tmp_path / "config"
    config.write_text(
        "# Linux/x86 6.6.8 Kernel Configuration\nCONFIG_NAMESPACES=y\n# CONFIG_MEMCG is not set\n"
    )
    done = run(config, "--engine", "podman")
    assert done.returncode == 9
    assert "required  missing   CONFIG_CGROUP_BPF: the device controller of control groups v2" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("podman does not run on Linux 6.6.8: ")
    assert "CONFIG_NAMESPACES" not in done.stdout
    assert "required  built in  CONFIG_NAMESPACES" in run(config, "--engine", "podman", "--all").stdout
    (verdict,) = json.loads(run(config, "--engine", "k3s", "--json").stdout)
    assert (verdict["engine"], verdict["release"]) == ("k3s", "6.6.8")
    assert {
        key: value
        for one in verdict["findings"]
        if one["symbol"] == "MEMCG"
        for key, value in one.items()
        if key != "why"
    } == {"symbol": "MEMCG", "level": "required", "value": "n", "met": False}


def test_wrong_files(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    done = run(tmp_path / "text")
    assert (done.returncode, "no kernel configuration" in done.stderr) == (5, True)
    done = run(tmp_path / "none")
    assert (done.returncode, "cannot be read" in done.stderr) == (2, True)
    done = run("kernell")
    assert (done.returncode, "kernell" in done.stderr) == (2, True)


CONFIG = "# Linux/x86 6.12.11 Kernel Configuration\nCONFIG_NAMESPACES=y\n# CONFIG_MEMCG is not set\n"
RELEASE = "6.12.11-tinycore64"


def images(place: Path) -> dict[str, Path]:
    """Return images of every kind whose root has the configuration of their kernel."""
    packed = cpio.compress(CONFIG.encode(), "gzip")
    tree = standins.root_tree().overlay(Tree({hooks.kernel_config(RELEASE): regular(packed)}))
    made = standins.medium(place / "m", "corepure64")
    (made / "boot/corepure64.gz").write_bytes(standins.packed(tree))
    folder = place / "netboot"
    folder.mkdir()
    for source, name in (("boot/vmlinuz64", "vmlinuz"), ("boot/corepure64.gz", "initrd")):
        (folder / name).write_bytes((made / source).read_bytes())
    archive = place / "x.tar"
    tar.write(tree, archive)
    initrd, plain = place / "core.gz", place / "core.cpio"
    initrd.write_bytes(standins.packed(tree))
    plain.write_bytes(cpio.dumps(tree))
    whole = [standins.iso(made, place / "x.iso"), folder, archive, initrd, plain]
    return {path.name: path for path in whole}


@standins.needs_tools
def test_images_of_every_kind(tmp_path: Path) -> None:
    for path in images(tmp_path).values():
        found = configured.read(path)
        assert (found.value("NAMESPACES"), found.value("MEMCG")) == ("y", "n")
    done = run(tmp_path / "x.iso", "--engine", "podman")
    assert (done.returncode, "CONFIG_MEMCG" in done.stdout) == (9, True)


@standins.needs_tools
def test_a_kernel_that_is_not_in_it_or_does_not_tell(tmp_path: Path) -> None:
    (tmp_path / "core.gz").write_bytes(standins.corepure64_gz())
    with pytest.raises(VerifyError, match="there is no kernel in it"):
        configured.read(tmp_path / "core.gz")
    with pytest.raises(VerifyError) as told:
        configured.read(standins.official_iso(tmp_path, "corepure64"))
    assert str(told.value.where).endswith("boot/vmlinuz64")


@pytest.mark.build
def test_the_kernel_that_images_boot() -> None:
    done = run("kernel", "--json")
    assert done.returncode == 0
    verdicts = json.loads(done.stdout)
    assert [one["engine"] for one in verdicts] == ["docker", "podman", "k3s"]
