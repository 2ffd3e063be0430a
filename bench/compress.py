"""Packing an initrd, in time and size (goals G4 and G5).

Peer: ``gzip -9``, what the wiki's procedure ends with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.data import root_tree
from bench.harness import Case, Side, shell
from tcz import cpio

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tcz.compress import Compression

_SIZE: Final = 8 << 20
_WAYS: Final[tuple[tuple[Compression, int, str], ...]] = (
    ("gzip", 6, "<= 1/8, no larger"),
    ("gzip", 12, ""),
    ("zstd", 19, ""),
)


def cases(place: Path) -> tuple[Case, ...]:
    archive, packed = place / "root.cpio", place / "root.packed"
    archive.write_bytes(cpio.dumps(root_tree(_SIZE, 3)))

    def ours(method: Compression, level: int) -> Callable[[], int]:
        return lambda: packed.write_bytes(cpio.compress(archive.read_bytes(), method, level))

    def gzip() -> int:
        shell('gzip -9 -n <"$1" >"$2"', archive, packed)
        return packed.stat().st_size

    return tuple(
        Case(
            name=f"compress-{method}-{level}",
            ours=Side(name=f"{method} level {level}", run=ours(method, level)),
            peers=(Side(name="gzip -9", run=gzip, needs=("gzip",), goal=goal),),
        )
        for method, level, goal in _WAYS
    )
