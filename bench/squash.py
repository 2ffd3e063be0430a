"""A tree to a .tcz (goal G7s).

Peers: ``mksquashfs`` and ``gensquashfs`` on the same folder with the same compressor and block size, owners
root's; with 4 KiB and gzip that is what Tiny Core's own repository asks for. The files are on disk at
the start, as those of a build are: a generated tree (a third in small files), and the largest that a build of
this user left in the cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.data import EPOCH, root_tree
from bench.harness import Case, Side
from tcz import stage
from tcz.layout import lay_out
from tcz.paths import Dirs
from tcz.run import HostRunner
from tcz.squashfs.options import SquashOptions
from tcz.squashfs.writer import write
from tcz.tree import FileRef, Node, Tree, directory, regular, symlink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_SIZE: Final = 12 << 20
_GOALS: Final = {4096: "about 1/2, no larger", 131072: "<= 1/4, no larger"}


def cases(place: Path) -> tuple[Case, ...]:
    generated = place / "generated"
    lay_out(root_tree(_SIZE, 5), generated)
    found = [*_cases(place, generated, "squash")]
    staged = _largest_stage()
    if staged is not None:
        found += _cases(place, staged, "squash-staged")
    return tuple(found)


def _largest_stage() -> Path | None:
    """Return the largest folder that a build left as it installed it; ``None`` where there is none."""
    stages = Dirs.from_env().cache / "stages"
    if not stages.is_dir():
        return None
    sizes = {
        folder: sum(path.lstat().st_size for path in folder.rglob("*")) for folder in sorted(stages.iterdir())
    }
    return max(sizes, key=lambda folder: sizes[folder], default=None)


def _tree(folder: Path) -> Tree:
    return Tree(dict(_nodes(folder)))


def _nodes(folder: Path) -> Iterator[tuple[str, Node]]:
    for entry in stage.scan(folder):
        path, mode = folder / entry.path, entry.status.st_mode & 0o777
        if path.is_symlink():
            yield entry.path, symlink(str(path.readlink()))
        elif path.is_dir():
            yield entry.path, directory(mode)
        else:
            yield entry.path, regular(FileRef(path, 0, entry.status.st_size), mode)


def _cases(place: Path, folder: Path, name: str) -> Iterator[Case]:
    tree = _tree(folder)
    for block in (4096, 131072):
        yield _case(place, tree, folder, f"{name}-{block // 1024}k", SquashOptions(block=block))
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
