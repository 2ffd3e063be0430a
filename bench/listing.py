"""What is in hundreds of .tcz: every path with its mode, owner, size and time (goal G13).

Peers: ``unsquashfs -lls`` of each, one process per file as a shell loop has it; PySquashfsImage, in this
process as ours.
"""

from __future__ import annotations

import importlib.util
import random
from typing import TYPE_CHECKING, Final

from bench.data import EPOCH, program
from bench.harness import Case, Side, shell
from tcz.squashfs.image import Image
from tcz.squashfs.options import SquashOptions
from tcz.squashfs.writer import write
from tcz.tree import Tree, regular, symlink

if TYPE_CHECKING:
    from pathlib import Path

_PACKAGES: Final = 300
_LOOP: Final = 'for package in "$1"/*.tcz; do unsquashfs -lls "$package" >/dev/null; done'


def _package(number: int) -> Tree:
    """Return a package of the common kind: some programs, some libraries and links, a few texts."""
    rng = random.Random(number)  # noqa: S311 - not for secrets
    pool = program(200_000, number)
    nodes = {}
    for file in range(rng.choice((3, 8, 20, 60))):
        size = rng.randint(200, 30_000)
        nodes[f"usr/local/lib/p{number}/f{file}"] = regular(pool[:size], 0o755)
        nodes[f"usr/local/share/doc/p{number}/t{file}"] = regular(b"text %d\n" % file * 9)
        nodes[f"usr/local/bin/p{number}-{file}"] = symlink(f"../lib/p{number}/f{file}")
    return Tree(nodes)


def _library(folder: Path) -> int:
    image = importlib.import_module("PySquashfsImage").SquashFsImage
    count = 0
    for path in sorted(folder.glob("*.tcz")):
        with image.from_file(str(path)) as found:
            count += sum(1 for item in found if (item.path, item.mode, item.uid, item.size, item.time))
    return count


def cases(place: Path) -> tuple[Case, ...]:
    for number in range(_PACKAGES):
        write(_package(number), place / f"p{number}.tcz", SquashOptions(block=4096), epoch=EPOCH)
    paths = sorted(place.glob("*.tcz"))

    def ours() -> None:
        for path in paths:
            Image(path).items()

    peers = [
        Side(
            name="unsquashfs -lls of each",
            run=lambda: shell(_LOOP, place),
            needs=("unsquashfs",),
            goal="<= 1/10",
        )
    ]
    if importlib.util.find_spec("PySquashfsImage") is not None:
        peers.append(Side(name="PySquashfsImage", run=lambda: _library(place) and None))
    return (Case(name="listing", ours=Side(name="tcz.squashfs", run=ours), peers=tuple(peers)),)
