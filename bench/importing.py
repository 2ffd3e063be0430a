"""A Debian package of 100 MB (unpacked) to an extension with its companion files.

Peer: ``dpkg-deb -x`` and ``mksquashfs`` with the same compressor and block size, one after the other. It maps
no owners, writes no companion files and looks into no program.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from bench.data import EPOCH, root_tree
from bench.harness import Case, Side, Skipped
from tcz import bases
from tcz.importing import closure, debian, finish
from tcz.importing.archive import Spool
from tcz.layout import lay_out
from tcz.reporting import SilentReporter
from tcz.run import HostRunner
from tcz.squashfs.options import SquashOptions
from tcz.squashfs.writer import write

if TYPE_CHECKING:
    from pathlib import Path

    from tcz.apt import Apt
    from tcz.tree import Tree

_SIZE: Final = 100_000_000
_CONTROL: Final = (
    "Package: big\nVersion: 1.0\nArchitecture: amd64\nMaintainer: A <a@example.org>\nDescription: big\n"
)


def cases(place: Path) -> tuple[Case, ...]:
    for program in ("dpkg-deb", "mksquashfs"):
        if HostRunner().which(program) is None:
            raise Skipped(f"{program} not installed")
    tree = place / "tree"
    lay_out(root_tree(_SIZE, 9), tree, share=False)
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text(_CONTROL)
    return tuple(_case(place, tree, name) for name in ("xz", "zstd"))


def _case(place: Path, tree: Path, packed: str) -> Case:
    deb, out, unpacked = place / f"big-{packed}.deb", place / "out", place / "unpacked"
    spool = place / "spool"
    level = {"xz": "-z1", "zstd": "-z3"}[packed]
    argv = ["dpkg-deb", "--root-owner-group", f"-Z{packed}", level, "-b", str(tree), str(deb)]
    HostRunner().run(argv)
    options = SquashOptions()

    def clean() -> None:
        for folder in (out, unpacked, spool):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()

    def pack(tree: Tree, output: Path, epoch: int) -> None:
        write(tree, output, options, epoch=epoch)

    def ours() -> int:
        base = bases.load("floe")
        wish = closure.Wish(files=(deb,), names=(), closure=False, options=debian.DebOptions(base=base))
        (draft,) = closure.gather(wish, _no_apt, Spool(folder=spool), SilentReporter()).drafts
        return finish.write(draft, base, out, pack).size

    def theirs() -> int:
        image = out / "theirs.tcz"
        HostRunner().run(["dpkg-deb", "-x", str(deb), str(unpacked)])
        argv = ["mksquashfs", str(unpacked), str(image), "-b", "131072", "-no-xattrs", "-noappend"]
        HostRunner().run([*argv, "-all-time", str(EPOCH), "-no-progress", "-quiet"])
        return image.stat().st_size

    peer = Side(name="dpkg-deb -x, mksquashfs", run=theirs, before=clean)
    return Case(
        name=f"import-{packed}", ours=Side(name="tcz.importing", run=ours, before=clean), peers=(peer,)
    )


def _no_apt() -> Apt:
    raise AssertionError("a file alone needs no archive")
