"""The command ``remaster kernel check``."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

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


@pytest.mark.build
def test_the_kernel_that_images_boot() -> None:
    done = run("kernel", "--json")
    assert done.returncode == 0
    verdicts = json.loads(done.stdout)
    assert [one["engine"] for one in verdicts] == ["docker", "podman", "k3s"]
