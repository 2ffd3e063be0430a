"""A tree to a .tcz (goal G7s).

Peers: ``mksquashfs`` and ``gensquashfs`` on the same folder with the same compressor and block size, owners
root's; with 4 KiB and gzip that is what Tiny Core's own repository asks for. The files are on disk at
the start, as those of a build are: a generated tree (a third in small files), and what podman and the
programs that it calls install.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.data import EPOCH, root_tree
from bench.harness import Case, Side, Skipped
from tcz.layout import lay_out, read_back
from tcz.names import SUFFIX
from tcz.run import HostRunner
from tcz.squashfs.image import Image
from tcz.squashfs.options import SquashOptions
from tcz.squashfs.writer import write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tcz.tree import Tree

_SIZE: Final = 12 << 20
_PODMAN: Final = ("podman-engine", "netavark", "aardvark-dns", "crun", "conmon", "passt", "shadow")
_GOALS: Final = {4096: "about 1/2, no larger", 131072: "<= 1/4, no larger"}


def cases(place: Path) -> tuple[Case, ...]:
    generated = place / "generated"
    lay_out(root_tree(_SIZE, 5), generated)
    return (*_cases(place, generated, "squash"), *_cases(place, _podman(place), "squash-podman"))


def _podman(place: Path) -> Path:
    """Lay out what the packages of podman hold, one tree; only where they are built already."""
    tcz = (sys.executable, "-m", "tcz", "build", *_PODMAN, "--progress", "none")
    planned = json.loads(HostRunner().run([*tcz, "--dry-run", "--json"]).stdout)
    missing = sorted(one["recipe"]["name"] for one in planned if not one["cached"])
    if missing:
        raise Skipped(f"not built yet: {' '.join(missing)}; run tcz build {' '.join(_PODMAN)} first")
    folder = place / "podman"
    for package in HostRunner().run(tcz).stdout.decode().splitlines():
        if package.endswith(SUFFIX):
            lay_out(Image(Path(package)).tree(), folder)
    return folder


def _cases(place: Path, folder: Path, name: str) -> Iterator[Case]:
    tree = read_back(folder)
    for block in (4096, 131072):
        yield _case(place, tree, folder, f"{name}-{block // 1024}k", SquashOptions(block=block))
    if tree.content_size() < 2 * _SIZE:
        yield _case(
            place, tree, folder, f"{name}-xz-256k", SquashOptions(compressor="xz", block=262144, x86=True)
        )


def _case(place: Path, tree: Tree, folder: Path, name: str, options: SquashOptions) -> Case:
    ours, theirs = place / f"{name}.ours", place / f"{name}.theirs"

    def pack() -> int:
        write(tree, ours, options, epoch=EPOCH)
        return ours.stat().st_size

    def peer(*argv: object) -> Callable[[], int]:
        def run() -> int:
            theirs.unlink(missing_ok=True)
            HostRunner().run([str(word) for word in argv])
            return theirs.stat().st_size

        return run

    kind, block = options.compressor, options.block
    filtered = ("-Xbcj", "x86") if options.x86 else ()
    quiet = ("-all-root", "-no-xattrs", "-noappend", "-no-progress", "-quiet")
    mksquashfs = peer("mksquashfs", folder, theirs, "-comp", kind, "-b", block, *filtered, *quiet)
    extra = ("-X", "x86") if options.x86 else ()
    gensquashfs = peer("gensquashfs", "-q", "-f", "-c", kind, "-b", block, *extra, "-D", folder, theirs)
    goal = "<= 1, no larger" if kind == "xz" else _GOALS[block]
    return Case(
        name=name,
        ours=Side(name="tcz.squashfs", run=pack),
        peers=(
            Side(name="mksquashfs", run=mksquashfs, needs=("mksquashfs",), goal=goal),
            Side(name="gensquashfs", run=gensquashfs, needs=("gensquashfs",)),
        ),
    )
