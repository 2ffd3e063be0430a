"""The kernel mounts images of every compressor and several block sizes, and finds in them what was packed."""

from __future__ import annotations

import hashlib
import random
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tcz.squashfs.options import SquashOptions
from tcz.squashfs.writer import write
from tcz.tree import Node, Tree, directory, regular, symlink
from tests.boot.conftest import BOOT_TIMEOUT, PROMPT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from remaster.vm import Machine

pytestmark = pytest.mark.boot

EPOCH = 1735689600
OPTIONS = (
    SquashOptions(),
    SquashOptions(block=4096),
    SquashOptions(block=1 << 20, level=12),
    SquashOptions(compressor="xz", block=4096),
    SquashOptions(compressor="xz", block=262144, x86=True),
    SquashOptions(compressor="zstd", block=1 << 20),
    SquashOptions(compressor="lz4"),
)
#: Every entry's kind, mode, owner, device and links, then every file's content, each as one hash.
SCRIPT = """#!/bin/sh
for disk in a b c d e f g; do
    mkdir -p /mnt/$disk
    mount -t squashfs -o ro /dev/vd$disk /mnt/$disk && cd /mnt/$disk || exit 1
    find . -exec stat -c '%f %u %g %t %T %h %Y %n' {} + | LC_ALL=C sort | md5sum
    find . -type f -exec md5sum {} + | LC_ALL=C sort -k 2 | md5sum
    find . -type l | LC_ALL=C sort | while read -r link; do readlink "$link"; done | md5sum
    # Names are looked up one by one, by the index of a large folder.
    test -e many/00000-name && test -e many/01499-name && ! test -e many/01500-name || exit 1
    cd /
done
"""


def sample() -> Tree:
    rng = random.Random(5)
    noise = rng.randbytes(300_000)
    holder = regular(noise + b"text " * 200_000 + bytes(3_000_000) + noise[:70_001], 0o4755, 0, 50)
    return Tree(
        {
            **{f"many/{n:05}-name": regular(b"%d" % (n % 1200), uid=n % 7) for n in range(1500)},
            "big": holder,
            "same": replace(holder, data=b"", link="big"),
            "copy": regular(holder.read()),
            "part": regular(noise[:4096]),
            "zeros": regular(bytes(10_000_000)),
            "empty": regular(b"", 0o600, 1001, 50),
            "d/e/f/g": regular(b"deep\n"),
            "d/none": directory(0o2775, 1001, 50),
            "dev/tty": Node(mode=stat.S_IFCHR | 0o666, gid=5, rdev=(5, 0)),
            "dev/far": Node(mode=stat.S_IFBLK | 0o660, gid=6, rdev=(259, 70000)),
            "dev/pipe": Node(mode=stat.S_IFIFO | 0o622),
            "link": symlink("d/e/f"),
            "longlink": symlink("x" * 3000),
        }
    ).with_mtime(EPOCH)


def md5(lines: list[str]) -> str:
    text = "".join(line + "\n" for line in lines)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def expected(tree: Tree) -> list[str]:
    """Return the three hashes that the script tells."""
    entries, files, targets = [], [], []
    for path, node in tree.items():
        name = f"./{path}" if path else "."
        links = 2 if node.link or any(other.link == path for _, other in tree.items()) else 1
        if node.is_dir:
            links = 2 + sum(
                other.is_dir and inside.rpartition("/")[0] == path and inside != ""
                for inside, other in tree.items()
            )
        device = f"{node.rdev[0]:x} {node.rdev[1]:x}"
        entries.append(f"{node.mode:x} {node.uid} {node.gid} {device} {links} {node.mtime} {name}")
        if node.is_file:
            data = (tree[node.link] if node.link else node).read()
            files.append((name, f"{hashlib.md5(data, usedforsecurity=False).hexdigest()}  {name}"))
        elif node.is_link:
            targets.append(node.read().decode())
    return [md5(sorted(entries)), md5([line for _, line in sorted(files)]), md5(targets)]


def test_the_kernel_finds_what_was_packed(
    boot: Callable[..., Machine], linux_iso: Path, tmp_path: Path
) -> None:
    tree = sample()
    disks = tuple(tmp_path / f"{number}.tcz" for number in range(len(OPTIONS)))
    for disk, options in zip(disks, OPTIONS, strict=True):
        write(tree, disk, options, epoch=EPOCH)
    script = tmp_path / "script.tcz"
    write(Tree({"run": regular(SCRIPT.encode(), 0o755)}), script, SquashOptions(), epoch=EPOCH)
    machine = boot(memory_mib=256, cdrom=linux_iso, extra_disks=(*disks, script))
    machine.console.expect(PROMPT, BOOT_TIMEOUT, never="Kernel panic")
    last = "abcdefghijk"[len(disks)]
    status, output = machine.console.run(
        f"sudo sh -c 'mkdir /mnt/run && mount -t squashfs -o ro /dev/vd{last} /mnt/run && /mnt/run/run'", 600
    )
    assert status == 0, output
    found = [line.split()[0] for line in output.splitlines() if line.endswith("-")]
    assert found == expected(tree) * len(OPTIONS)
