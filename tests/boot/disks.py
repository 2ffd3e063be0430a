"""Disks that a machine may have data on, sound ones and others, on every kind of bus."""

from __future__ import annotations

import json
import re
import subprocess
import uuid
from typing import TYPE_CHECKING

from remaster import configdisk
from remaster.formats import gpt

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MIB = 1 << 20
SECTOR = 512
_IO_ERROR = 5
CLOUD = """\
#cloud-config
growpart: {mode: auto, devices: [/srv/cloud]}
mounts:
- [LABEL=try-cloud, /srv/cloud, ext4, "noatime,nofail", "0", "2"]
- [LABEL=try-swap, none, swap, sw]
- [tmpfs, /srv/quick, tmpfs, "size=1m"]
"""


def _ext4(path: Path, label: str, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-F", "-L", label, path], check=True)
    kept = path.with_suffix(".kept")
    kept.write_text("kept\n")
    _debugfs(path, f"write {kept} precious")
    return path


def _debugfs(path: Path, command: str, *, write: bool = True) -> str:
    words = ["/sbin/debugfs", *(["-w"] if write else []), "-R", command, str(path)]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def _grown(path: Path) -> Path:
    """Make a partition with the mark that it is to grow on a disk three times as large."""
    small, size = _ext4(path.with_suffix(".part"), "try-nvme", 30 * MIB), 32 * MIB
    part = gpt.Partition(
        kind=gpt.LINUX_DATA,
        guid=uuid.UUID(int=1),
        offset=MIB,
        size=30 * MIB,
        name="data",
        attributes=gpt.GROW,
    )
    with path.open("wb") as file:
        file.truncate(3 * size)
        for piece in gpt.tables(size, uuid.UUID(int=2), [part]):
            file.seek(piece.offset)
            assert isinstance(piece.source, bytes)
            file.write(piece.source)
        file.seek(MIB)
        file.write(small.read_bytes())
    return path


def _cloud(path: Path) -> Path:
    """Make a disk three times as large as its two partitions, the first for swap."""
    swap, size = path.with_suffix(".swap"), 34 * MIB
    with swap.open("wb") as file:
        file.truncate(2 * MIB)
    subprocess.run(["/sbin/mkswap", "-q", "-L", "try-swap", swap], check=True, stdout=subprocess.DEVNULL)
    data = _ext4(path.with_suffix(".part"), "try-cloud", 30 * MIB)
    parts = [
        gpt.Partition(kind=gpt.LINUX_DATA, guid=uuid.UUID(int=4), offset=MIB, size=2 * MIB, name="swap"),
        gpt.Partition(
            kind=gpt.LINUX_DATA, guid=uuid.UUID(int=5), offset=3 * MIB, size=30 * MIB, name="cloud"
        ),
    ]
    with path.open("wb") as file:
        file.truncate(3 * size)
        for piece in gpt.tables(size, uuid.UUID(int=3), parts):
            file.seek(piece.offset)
            assert isinstance(piece.source, bytes)
            file.write(piece.source)
        for part, made in zip(parts, (swap, data), strict=True):
            file.seek(part.offset)
            file.write(made.read_bytes())
    return path


def _config(path: Path) -> Path:
    """Make a config disk that wants that disk grown and mounted."""
    source = path.with_suffix(".folder")
    source.mkdir()
    (source / "user-data").write_text(CLOUD)
    configdisk.write(source, path)
    return path


def _journal(path: Path) -> Iterable[int]:
    """Return the sectors of the first block of a file system's journal."""
    block = int(_debugfs(path, "bmap <8> 0", write=False))
    said = subprocess.run(["/sbin/dumpe2fs", "-h", path], check=True, capture_output=True, text=True).stdout
    found = re.search(r"^Block size: +(\d+)$", said, re.MULTILINE)
    assert found is not None
    per_block = int(found[1]) // SECTOR
    return range(block * per_block, (block + 1) * per_block)


def _failing(path: Path, event: str, sectors: Iterable[int | None]) -> str:
    """Return the options of a drive on which some reads or writes end with an error."""
    rules = []
    for sector in sectors:
        rule: dict[str, object] = {"event": "none", "iotype": event, "errno": _IO_ERROR, "once": False}
        rules.append(rule if sector is None else {**rule, "sector": sector})
    value = {
        "driver": "blkdebug",
        "node-name": path.stem,
        "image": {"driver": "file", "filename": str(path)},
        "inject-error": rules,
    }
    return json.dumps(value)


def words(folder: Path) -> tuple[str, ...]:
    """Make the disks; return what QEMU is told to have them."""
    argv: list[str] = []

    def drive(path: Path, device: str, *, options: str = "snapshot=on") -> None:
        argv.extend(["-drive", f"file={path},format=raw,if=none,id={path.stem},{options}"])
        argv.extend(["-device", f"{device},drive={path.stem}"])

    drive(_cloud(folder / "cloud.img"), "virtio-blk-pci")
    drive(_config(folder / "config.img"), "virtio-blk-pci", options="readonly=on")
    drive(_grown(folder / "nvme.img"), "nvme,serial=try")
    sata = _ext4(folder / "sata.img", "try-sata", 96 * MIB)
    # As a power cut leaves it: not unmounted.
    _debugfs(sata, "set_super_value state 0")
    drive(sata, "ide-hd,bus=ide.3")
    usb = folder / "usb.img"
    with usb.open("wb") as file:
        file.truncate(320 * MIB)
    argv += ["-device", "qemu-xhci"]
    drive(usb, "usb-storage")
    drive(_ext4(folder / "readonly.img", "try-readonly", 32 * MIB), "virtio-blk-pci", options="readonly=on")
    unreadable = _ext4(folder / "unreadable.img", "try-unreadable", 32 * MIB)
    unwritable = _ext4(folder / "unwritable.img", "try-unwritable", 32 * MIB)
    blank = folder / "blank.img"
    with blank.open("wb") as file:
        file.truncate(8 * MIB)
    broken = [
        (unreadable, _failing(unreadable, "read", _journal(unreadable))),
        (unwritable, _failing(unwritable, "write", (None,))),
        (blank, _failing(blank, "read", (None,))),
    ]
    for path, options in broken:
        argv += ["-blockdev", options]
        argv += ["-device", f"virtio-blk-pci,drive={path.stem},rerror=report,werror=report"]
    return tuple(argv)
