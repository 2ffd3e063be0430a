"""The super-block of a squashfs image: what says how it was made.

Format: the kernel's Documentation/filesystems/squashfs.rst and fs/squashfs/squashfs_fs.h, version 4.0.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from tcz.errors import VerifyError

SUPER_BLOCK: Final = struct.Struct("<4sIIIIHHHHHHQQQQQQQQ")
PADDING: Final = 4096
_MAGIC = b"hsqs"
_COMPRESSORS = {1: "gzip", 2: "lzma", 3: "lzo", 4: "xz", 5: "lz4", 6: "zstd"}
_NO_TABLE = 0xFFFFFFFFFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """How an image was made, and the hashes of its file.

    ``size`` is that of the file, ``used`` what the super-block says is the file system's, ``time`` when it
    was made.
    """

    compressor: str
    block: int
    xattrs: bool
    used: int
    size: int
    time: int = 0
    md5: str = ""
    sha1: str = ""


def parse_super_block(data: bytes, size: int) -> ImageFacts:
    """Read the first 96 bytes of an image of ``size`` bytes. Raises ``VerifyError`` for anything else."""
    if len(data) < SUPER_BLOCK.size:
        raise VerifyError("not a squashfs image", why=f"it has {len(data)} bytes, a super-block has 96")
    fields = SUPER_BLOCK.unpack_from(data)
    magic, block, compressor, major, minor = fields[0], fields[3], fields[5], fields[9], fields[10]
    used, xattr_table = fields[12], fields[14]
    if magic != _MAGIC:
        raise VerifyError("not a squashfs image", why=f"it begins {magic!r}, not {_MAGIC!r}")
    if (major, minor) != (4, 0):
        raise VerifyError(f"a squashfs image of version {major}.{minor}; kernels read 4.0")
    if used > size:
        raise VerifyError("a truncated squashfs image", why=f"it has {size} bytes of {used}")
    return ImageFacts(
        compressor=_COMPRESSORS.get(compressor, f"number {compressor}"),
        block=block,
        xattrs=xattr_table != _NO_TABLE,
        used=used,
        size=size,
        time=fields[2],
    )
