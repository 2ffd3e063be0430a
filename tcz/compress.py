"""Members of an initrd: each is plain, or one gzip, xz or zstd stream.

The kernel (init/initramfs.c, lib/decompress*.c) tells them by their first bytes, reads any number
of them one after the other and skips NUL bytes in between. Its limits are kept here: zstd windows
up to 128 MiB, xz with no check or CRC32 (so CRC32 is what we write).
"""

from __future__ import annotations

import lzma
import zlib
from typing import TYPE_CHECKING, Final, Literal, Protocol

import deflate
import zstandard

from tcz.errors import ToolkitError, VerifyError

if TYPE_CHECKING:
    from collections.abc import Callable

Compression = Literal["gzip", "zstd", "xz", "none"]

#: What may come out of one read, all members together, unless the caller says otherwise.
DEFAULT_LIMIT: Final = 2 << 30

_MIB: Final = 1 << 20
#: Small enough that one step of a hostile zstd stream (4 bytes make 128 KiB) stays bounded.
_STEP: Final = 16 << 10
_ZSTD_MAX_WINDOW: Final = 128 * _MIB
_ZSTD_WINDOW_LOG: Final = 23
_XZ_MEMORY: Final = 128 * _MIB
_XZ_DICTIONARY: Final = 8 * _MIB
_LEVELS: Final[dict[Compression, tuple[int, int, int]]] = {
    # lowest, highest, default
    "gzip": (1, 12, 12),
    "zstd": (1, 22, 19),
    "xz": (0, 9, 6),
    "none": (0, 0, 0),
}
_MAGIC: Final = (
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\x5d\x00\x00", "lzma"),
    (b"\x89LZO", "lzo"),
    (b"\x02\x21\x4c\x18", "lz4"),
)


class _Stream(Protocol):
    """What zlib, lzma and zstandard objects for one stream have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


def kind(data: bytes, offset: int = 0) -> str | None:
    """Return the name of the compression whose magic is at ``offset``, or ``None``."""
    head = data[offset : offset + 6]
    return next((name for magic, name in _MAGIC if head.startswith(magic)), None)


def _open(name: str | None, offset: int) -> _Stream:
    if name == "gzip":
        stream: _Stream = zlib.decompressobj(wbits=31)
    elif name == "xz":
        stream = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    elif name == "zstd":
        stream = zstandard.ZstdDecompressor(max_window_size=_ZSTD_MAX_WINDOW).decompressobj()
    elif name is None:
        raise VerifyError(
            f"offset {offset}: neither a newc archive at a multiple of 4 nor a known compression",
            hint="is this an initrd?",
        )
    else:
        raise VerifyError(
            f"offset {offset}: {name} compression is not supported", hint="use gzip, xz or zstd"
        )
    return stream


def expand(data: bytes, offset: int = 0, *, limit: int = DEFAULT_LIMIT) -> tuple[bytes, int]:
    """Return what the one stream at ``offset`` holds, and the offset behind it.

    Raises ``VerifyError`` for an unknown or broken stream, one that is cut off, and one that holds
    more than ``limit`` bytes.
    """
    name = kind(data, offset)
    stream = _open(name, offset)
    parts: list[bytes] = []
    total, position = 0, offset
    while not stream.eof:
        if position >= len(data):
            raise VerifyError(f"offset {offset}: the {name} stream is truncated")
        chunk = data[position : position + _STEP]
        position += len(chunk)
        try:
            part = stream.decompress(chunk)
        except (zlib.error, lzma.LZMAError, zstandard.ZstdError) as error:
            raise VerifyError(f"offset {offset}: the {name} stream is broken", why=str(error)) from error
        total += len(part)
        if total > limit:
            raise VerifyError(f"offset {offset}: the {name} stream holds more than {limit} bytes")
        parts.append(part)
    return b"".join(parts), position - len(stream.unused_data)


def _gzip(data: bytes, level: int) -> bytes:
    packed = bytearray(deflate.gzip_compress(data, level))
    # Time 0 and "unknown" system, whatever the library and its platform would put there.
    packed[4:8] = b"\0\0\0\0"
    packed[9] = 255
    return bytes(packed)


def _zstd(data: bytes, level: int) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, window_log=_ZSTD_WINDOW_LOG, write_content_size=True, write_checksum=True, threads=0
    )
    return zstandard.ZstdCompressor(compression_params=parameters).compress(data)


def _xz(data: bytes, level: int) -> bytes:
    chain = [{"id": lzma.FILTER_LZMA2, "preset": level, "dict_size": _XZ_DICTIONARY}]
    return lzma.compress(data, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=chain)


_PACK: Final[dict[Compression, Callable[[bytes, int], bytes]]] = {
    "gzip": _gzip,
    "zstd": _zstd,
    "xz": _xz,
    "none": lambda data, _level: data,
}


def compress(data: bytes, method: Compression = "gzip", level: int | None = None) -> bytes:
    """Return ``data`` as one member; the same input gives the same bytes anywhere.

    Levels: gzip 1-12 (12 when ``None``), zstd 1-22 (19), xz 0-9 (6). Raises ``ToolkitError`` for
    an unknown method or a level it does not have.
    """
    if method not in _LEVELS:
        raise ToolkitError(f"unknown compression {method!r}", hint="use one of " + ", ".join(_LEVELS))
    lowest, highest, default = _LEVELS[method]
    chosen = default if level is None else level
    if method != "none" and not lowest <= chosen <= highest:
        raise ToolkitError(f"{method} has levels {lowest} to {highest}, not {chosen}")
    return _PACK[method](data, chosen)
