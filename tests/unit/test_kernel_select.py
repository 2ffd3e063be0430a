"""recipes/kernel/files/select.awk: which modules a list stands for, with what they depend on."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.conftest import CASES

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = CASES.parents[1] / "recipes/kernel/files/select.awk"

DEP = """\
kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz kernel/lib/crc16.ko.xz
kernel/fs/jbd2/jbd2.ko.xz:
kernel/lib/crc16.ko.xz:
kernel/net/bridge/bridge.ko.xz: kernel/net/llc/llc.ko.xz
kernel/net/bridge/br_netfilter.ko.xz: kernel/net/bridge/bridge.ko.xz kernel/net/llc/llc.ko.xz
kernel/net/bridge/netfilter/ebtables.ko.xz:
kernel/net/llc/llc.ko.xz:
kernel/drivers/usb/storage/usb-storage.ko.xz:
kernel/drivers/ata/sata_nv.ko.xz:
kernel/drivers/ata/sata_via.ko.xz:
kernel/drivers/ata/pata_via.ko.xz:
"""


@pytest.fixture
def select(tmp_path: Path) -> object:
    def run(wanted: str, taken: str = "") -> subprocess.CompletedProcess[str]:
        for name, text in (
            ("modules.dep", DEP),
            ("list", wanted),
            ("taken", taken),
            ("builtin", "kernel/fs/fuse/fuse.ko\nkernel/drivers/virtio/virtio-pci.ko\n"),
        ):
            (tmp_path / name).write_text(text)
        variables = [
            "-v",
            f"taken={tmp_path}/taken" if taken else "taken=",
            "-v",
            f"builtin={tmp_path}/builtin",
        ]
        return subprocess.run(
            ["awk", "-f", SCRIPT, *variables, tmp_path / "modules.dep", tmp_path / "list"],
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def names(result: subprocess.CompletedProcess[str]) -> list[str]:
    assert result.returncode == 0, result.stderr
    return sorted(line.rpartition("/")[2].removesuffix(".ko.xz") for line in result.stdout.split())


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("ext4\n", ["crc16", "ext4", "jbd2"]),
        ("# all\n\next4 # the usual\n", ["crc16", "ext4", "jbd2"]),
        ("usb_storage\n", ["usb-storage"]),
        ("usb-storage\n", ["usb-storage"]),
        ("drivers/ata/sata_*\n", ["sata_nv", "sata_via"]),
        ("net/bridge/*\n", ["br_netfilter", "bridge", "llc"]),
        ("net/bridge/\n", ["br_netfilter", "bridge", "ebtables", "llc"]),
        ("net/bridge/\n!net/bridge/netfilter/\n", ["br_netfilter", "bridge", "llc"]),
        ("net/bridge/*\n!bridge\n", ["br_netfilter", "bridge", "llc"]),
        ("drivers/ata/\n!sata_nv\n!pata_via\n", ["sata_via"]),
        ("fuse\nvirtio_pci\n", []),
        ("drivers/nothing/\n", []),
    ],
)
def test_select(select: object, wanted: str, expected: list[str]) -> None:
    assert names(select(wanted)) == expected  # type: ignore[operator]


def test_what_another_list_took_is_left_out(select: object) -> None:
    assert names(select("ext4\n", taken="lib/crc16.ko.xz\nfs/jbd2/jbd2.ko.xz\n")) == ["ext4"]  # type: ignore[operator]


def test_paths_keep_their_suffix(select: object) -> None:
    assert select("llc\n").stdout == "net/llc/llc.ko.xz\n"  # type: ignore[operator]


def test_unknown_names_are_all_told(select: object) -> None:
    result = select("ext4\nnonesuch\nllc\nneither\n")  # type: ignore[operator]
    assert result.returncode == 1
    assert "list:2: no module is called nonesuch" in result.stderr
    assert "list:4: no module is called neither" in result.stderr
