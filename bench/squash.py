"""A tree to a .tcz, in the sandbox, with owners said by a pseudo file (goal G7).

Peer: plain ``mksquashfs`` of the same folder with the same compressor and block size, the same program.
The files are on disk at the start, as those of a build are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.data import EPOCH, root_tree
from bench.harness import Case, Side, Skipped, shell
from tcz.layout import lay_out
from tcz.run import HostRunner
from tcz.sandbox import Sandbox
from tcz.squash import Squasher, SquashOptions
from tcz.tree import FileRef, Tree, regular

if TYPE_CHECKING:
    from pathlib import Path

_SIZE: Final = 12 << 20
_COPY_PROGRAMS: Final = """
for program in mksquashfs sh; do
    file=$(command -v "$program")
    libraries=$(ldd "$file" | grep -o '/[^ ]*')
    # threads end with the help of a library that nothing is linked with
    libc=$(printf '%s\n' $libraries | grep '/libc[.]so')
    for one in "$file" $libraries "${libc%/*}/libgcc_s.so.1"; do
        mkdir -p "$1${one%/*}"
        cp -L "$one" "$1$one"
    done
done
mkdir -p "$1/bin" "$1/proc" "$1/dev" "$1/tmp" "$1/build"
[ -e "$1/bin/sh" ] || cp -L "$(command -v sh)" "$1/bin/sh"
"""


def cases(place: Path) -> tuple[Case, ...]:
    for program in ("mksquashfs", "bwrap", "ldd"):
        if HostRunner().which(program) is None:
            raise Skipped(f"{program} not installed")
    root, work, plain = place / "root", place / "work", place / "plain"
    shell(_COPY_PROGRAMS, root)
    work.mkdir()
    made = root_tree(_SIZE, 5)
    lay_out(made, plain, share=False)
    tree = Tree(
        {
            path: regular(FileRef(plain / path, 0, node.size), 0o755) if node.is_file else node
            for path, node in made.items()
        }
    )
    squasher = Squasher(Sandbox(HostRunner()), root, work)
    return tuple(_case(place, squasher, tree, plain, block) for block in (4096, 131072))


def _case(place: Path, squasher: Squasher, tree: Tree, plain: Path, block: int) -> Case:
    ours, theirs = place / f"ours-{block}.tcz", place / f"theirs-{block}.tcz"
    options = SquashOptions(block=block)

    def pack() -> int:
        squasher.pack(tree, ours, options, epoch=EPOCH)
        return ours.stat().st_size

    def mksquashfs() -> int:
        argv = ["mksquashfs", str(plain), str(theirs), *options.argv()]
        HostRunner().run([*argv, "-no-xattrs", "-noappend", "-no-progress", "-quiet"])
        return theirs.stat().st_size

    peer = Side(name="mksquashfs", run=mksquashfs, goal="<= 1.10 and 60 ms")
    return Case(
        name=f"squash-{block // 1024}k",
        ours=Side(name="tcz.squash, in the sandbox", run=pack, counted=False),
        peers=(peer,),
    )
