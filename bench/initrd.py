"""Reading an initrd of two gzip members into a tree and writing it as one newc archive (goal G6).

Peers: ``bsdtar --format newc @file``, which converts without unpacking, and ``zcat | cpio -idm``, the way of
the wiki. Both end at the first trailer: they see the first member alone, which holds all but a few files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.data import root_tree
from bench.harness import Case, Side, shell
from tcz import cpio

if TYPE_CHECKING:
    from pathlib import Path

_SIZE: Final = 24 << 20


def cases(place: Path) -> tuple[Case, ...]:
    initrd = place / "core.gz"
    members = (root_tree(_SIZE, 1), root_tree(1 << 16, 2))
    initrd.write_bytes(b"".join(cpio.compress(cpio.dumps(tree), "gzip", 6) for tree in members))
    output, scratch = place / "out.cpio", place / "root"

    def ours() -> int:
        return output.write_bytes(cpio.dumps(cpio.read(initrd.read_bytes())))

    def bsdtar() -> int:
        shell('bsdtar -cf "$2" --format newc "@$1"', initrd, output)
        return output.stat().st_size

    def unpack() -> None:
        shell('cd "$2" && zcat "$1" | cpio -idm --quiet', initrd, scratch)

    peers = (
        Side(name="bsdtar --format newc", run=bsdtar, needs=("bsdtar",), goal="<= 1.3"),
        Side(
            name="zcat | cpio -idm",
            run=unpack,
            needs=("zcat", "cpio"),
            before=lambda: shell('rm -rf "$1" && mkdir "$1"', scratch),
            goal="<= 0.7 with memory for a disk",
        ),
    )
    return (Case(name="initrd", ours=Side(name="tcz.cpio read + dumps", run=ours), peers=peers),)
