"""How an image is compressed: the choices that decide its bytes, and which targets can read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from tcz.errors import ConfigError

Compressor = Literal["gzip", "xz", "zstd", "lz4"]
COMPRESSORS: Final[tuple[Compressor, ...]] = ("gzip", "xz", "zstd", "lz4")

#: Counts up when the same tree and options come to be written as other bytes. It is part of build ids.
WRITER: Final = 1

SMALLEST_BLOCK: Final = 4096
LARGEST_BLOCK: Final = 1 << 20
DEFAULT_BLOCK: Final = 131072

#: Tiny Core mounts extensions with ``bs=4096`` up to release 10, which refuses larger blocks.
FIRST_WITH_LARGE_BLOCKS: Final = 11

_LEVELS: Final = {"gzip": range(1, 13), "zstd": range(1, 23), "lz4": range(1, 13)}


@dataclass(frozen=True, slots=True, kw_only=True)
class SquashOptions:
    """How an image is compressed: what the kernel that is to mount it can read.

    gzip in blocks of 128 KiB mounts on every Tiny Core from 11 on; older ones take 4 KiB only.
    ``level`` is 1 to 12 for gzip and lz4 and 1 to 22 for zstd; ``None`` is what serves best.
    ``x86`` filters programs before xz sees them, which makes those a tenth smaller.
    """

    compressor: Compressor = "gzip"
    block: int = DEFAULT_BLOCK
    level: int | None = None
    x86: bool = False

    def __post_init__(self) -> None:
        """Raise ``ConfigError`` for a block size, a level or a filter that there is not."""
        if self.compressor not in COMPRESSORS:
            raise ConfigError(
                f"squashfs images cannot be written with {self.compressor}",
                hint="use one of " + ", ".join(COMPRESSORS),
            )
        if self.block & (self.block - 1) or not SMALLEST_BLOCK <= self.block <= LARGEST_BLOCK:
            raise ConfigError(f"squashfs blocks are a power of two from 4096 to 1048576, not {self.block}")
        if self.level is not None and self.level not in _LEVELS.get(self.compressor, ()):
            raise ConfigError(f"{self.compressor} has no compression level {self.level}")
        if self.x86 and self.compressor != "xz":
            raise ConfigError(f"only xz has a filter for programs, not {self.compressor}")


def block_for(release: int | None, *, submission: bool = False) -> int:
    """Return the block size for a release of Tiny Core (``None``: a current one).

    4 KiB before release 11, which mounts nothing else, and for official submission, whose checks
    expect it; 128 KiB otherwise: a fifth smaller, and quicker to read.
    """
    old = release is not None and release < FIRST_WITH_LARGE_BLOCKS
    return SMALLEST_BLOCK if old or submission else DEFAULT_BLOCK
