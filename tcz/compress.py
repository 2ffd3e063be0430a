"""Members of an initrd: each is plain, or one stream of gzip, xz, zstd, bzip2, lzma or lz4.

The kernel (init/initramfs.c, lib/decompress*.c) tells them by their first bytes, reads any number
of them one after the other and skips NUL bytes in between. Its limits are kept here: zstd windows
up to 128 MiB, xz with no check or CRC32 (so CRC32 is what we write). lz4 is the legacy form that
``lz4 -l`` writes (lz4_Frame_format.md, "Legacy frame"): it has no end mark, so it ends at the end of the
data, at a block of no bytes (padding), or where no block can begin.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import TYPE_CHECKING, Final, Literal, Protocol

import deflate
import lz4.block
import zstandard

from tcz.errors import ToolkitError, VerifyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Compression = Literal["gzip", "zstd", "xz", "lz4", "none"]

#: What may come out of one read, all members together, unless the caller says otherwise.
DEFAULT_LIMIT: Final = 2 << 30

_MIB: Final = 1 << 20
_ALWAYS: Final = 256 * _MIB
_TIMES: Final = 64
_STEP: Final = 16 << 10
#: 4 bytes of a hostile stream make 128 KiB, all at once.
_ZSTD_STEP: Final = 1 << 10
_ZSTD_MAX_WINDOW: Final = 128 * _MIB
_ZSTD_WINDOW_LOG: Final = 23
_XZ_MEMORY: Final = 128 * _MIB
_XZ_DICTIONARY: Final = 8 * _MIB
_LZ4_MAGIC: Final = b"\x02\x21\x4c\x18"
_LZ4_BLOCK: Final = 8 * _MIB
#: What a block of 8 MiB can grow to, LZ4_compressBound of lz4.h.
_LZ4_MOST: Final = _LZ4_BLOCK + _LZ4_BLOCK // 255 + 16
_LEVELS: Final[dict[Compression, tuple[int, int, int]]] = {
    # lowest, highest, default
    "gzip": (1, 12, 12),
    "zstd": (1, 22, 19),
    "xz": (0, 9, 6),
    "lz4": (1, 12, 12),
    "none": (0, 0, 0),
}
_MAGIC: Final = (
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\x5d\x00\x00", "lzma"),
    (b"\x89LZO", "lzo"),
    (_LZ4_MAGIC, "lz4"),
    (b"\x04\x22\x4d\x18", "lz4 frame"),
)


def most(size: int) -> int:
    """Return how much may come out of ``size`` bytes of packed archives: real ones hold less than this."""
    return min(DEFAULT_LIMIT, max(_ALWAYS, _TIMES * size))


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


class _Stepwise:
    """bz2 and lzma objects: a few bytes may hold hundreds of megabytes, so they come out in pieces."""

    def __init__(self, inner: bz2.BZ2Decompressor | lzma.LZMADecompressor) -> None:
        self._inner = inner

    def pieces(self, data: bytes) -> Iterator[bytes]:
        yield self._inner.decompress(data, _MIB)
        while not self._inner.eof and not self._inner.needs_input:
            yield self._inner.decompress(b"", _MIB)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data


class _Whole:
    """zlib and zstandard objects, whose steps are bounded by what goes in."""

    def __init__(self, inner: _Stream) -> None:
        self._inner = inner

    def pieces(self, data: bytes) -> Iterator[bytes]:
        yield self._inner.decompress(data)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data


def _open(name: str | None, offset: int) -> _Whole | _Stepwise:
    if name == "gzip":
        return _Whole(zlib.decompressobj(wbits=31))
    if name == "xz":
        return _Stepwise(lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY))
    if name == "lzma":
        return _Stepwise(lzma.LZMADecompressor(format=lzma.FORMAT_ALONE, memlimit=_XZ_MEMORY))
    if name == "bzip2":
        return _Stepwise(bz2.BZ2Decompressor())
    if name == "zstd":
        return _Whole(zstandard.ZstdDecompressor(max_window_size=_ZSTD_MAX_WINDOW).decompressobj())
    if name is None:
        raise VerifyError(
            f"offset {offset}: neither a newc archive at a multiple of 4 nor a known compression",
            hint="is this an initrd?",
        )
    raise VerifyError(
        f"offset {offset}: {name} compression is not supported",
        hint="use lz4 -l, the form that kernels read" if name == "lz4 frame" else "use gzip, xz or zstd",
    )


_BROKEN: Final = (zlib.error, lzma.LZMAError, zstandard.ZstdError, OSError, EOFError, ValueError)


def expand(data: bytes, offset: int = 0, *, limit: int = DEFAULT_LIMIT) -> tuple[bytes, int]:
    """Return what the one stream at ``offset`` holds, and the offset behind it.

    Raises ``VerifyError`` for an unknown or broken stream, one that is cut off, and one that holds
    more than ``limit`` bytes.
    """
    name = kind(data, offset)
    if name == "lz4":
        return _expand_lz4(data, offset, limit)
    stream = _open(name, offset)
    parts: list[bytes] = []
    step = _ZSTD_STEP if name == "zstd" else _STEP
    total, position = 0, offset
    while not stream.eof:
        if position >= len(data):
            raise VerifyError(f"offset {offset}: the {name} stream is truncated")
        chunk = data[position : position + step]
        position += len(chunk)
        try:
            for part in stream.pieces(chunk):
                total += len(part)
                if total > limit:
                    raise VerifyError(f"offset {offset}: the {name} stream holds more than {limit} bytes")
                parts.append(part)
        except _BROKEN as error:
            raise VerifyError(f"offset {offset}: the {name} stream is broken", why=str(error)) from error
    return b"".join(parts), position - len(stream.unused_data)


def _lz4_block(data: bytes, start: int, size: int) -> bytes:
    block = data[start : start + size]
    if len(block) != size:
        raise ValueError(f"truncated: a block of {size} bytes was announced, {len(block)} are there")
    return bytes(lz4.block.decompress(block, uncompressed_size=_LZ4_BLOCK))


def _expand_lz4(data: bytes, offset: int, limit: int) -> tuple[bytes, int]:
    parts: list[bytes] = []
    total, position = 0, offset + len(_LZ4_MAGIC)
    while position + 4 <= len(data):
        head = data[position : position + 4]
        size = int.from_bytes(head, "little")
        if head == _LZ4_MAGIC:
            position += 4
            continue
        if not 0 < size <= _LZ4_MOST:
            break
        try:
            part = _lz4_block(data, position + 4, size)
        except (lz4.block.LZ4BlockError, ValueError, MemoryError) as error:
            if kind(data, position) is not None:
                break  # another member's magic can look like the size of a block
            raise VerifyError(f"offset {offset}: the lz4 stream is broken", why=str(error)) from error
        total += len(part)
        if total > limit:
            raise VerifyError(f"offset {offset}: the lz4 stream holds more than {limit} bytes")
        parts.append(part)
        position += 4 + size
    if any(data[position:]) and position + 4 > len(data):
        raise VerifyError(f"offset {offset}: the lz4 stream is truncated")
    return b"".join(parts), position


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


def _lz4(data: bytes, level: int) -> bytes:
    packed = bytearray(_LZ4_MAGIC)
    for start in range(0, len(data), _LZ4_BLOCK):
        block = lz4.block.compress(
            data[start : start + _LZ4_BLOCK], mode="high_compression", compression=level, store_size=False
        )
        packed += len(block).to_bytes(4, "little") + block
    return bytes(packed)


_PACK: Final[dict[Compression, Callable[[bytes, int], bytes]]] = {
    "gzip": _gzip,
    "zstd": _zstd,
    "xz": _xz,
    "lz4": _lz4,
    "none": lambda data, _level: data,
}


def compress(data: bytes, method: Compression = "gzip", level: int | None = None) -> bytes:
    """Return ``data`` as one member; the same input gives the same bytes anywhere.

    Levels: gzip 1-12 (12 when ``None``), zstd 1-22 (19), xz 0-9 (6), lz4 1-12 (12). Raises
    ``ToolkitError`` for an unknown method or a level it does not have.
    """
    if method not in _LEVELS:
        raise ToolkitError(f"unknown compression {method!r}", hint="use one of " + ", ".join(_LEVELS))
    lowest, highest, default = _LEVELS[method]
    chosen = default if level is None else level
    if method != "none" and not lowest <= chosen <= highest:
        raise ToolkitError(f"{method} has levels {lowest} to {highest}, not {chosen}")
    return _PACK[method](data, chosen)
