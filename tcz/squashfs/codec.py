"""One block in, one block out: the compressors of squashfs, each called from any thread.

Unpacking never makes more than it was told a block holds. Libraries are loaded when first used.
The kernel's limits (fs/squashfs/*_wrapper.c) are kept: xz with a dictionary of one block and CRC32 at
most, zstd without a window larger than a block, lz4 without a frame.
"""

from __future__ import annotations

import threading
from struct import Struct, pack
from typing import TYPE_CHECKING, Final

from tcz.errors import VerifyError
from tcz.squashfs.layout import COMPRESSION_IDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tcz.squashfs.options import SquashOptions

    #: Takes a block; what it gives may be larger than the block.
    Pack = Callable[[bytes], bytes | bytearray]
    #: Takes a packed block and the most that may come out.
    Unpack = Callable[[memoryview, int], bytes | bytearray]

#: Level of libdeflate that is no larger than zlib's 9 on anything measured, and a quarter of its work.
GZIP_LEVEL: Final = 7
ZSTD_LEVEL: Final = 15
LZ4_LEVEL: Final = 12
_XZ_PRESET: Final = 6
_XZ_MEMORY: Final = 64 << 20
_LZ4_LEGACY: Final = 1
_LZMA_HEADER: Final = Struct("<BIQ")

#: Fewer calls and jumps than one in so many bytes: the filter for x86 programs has nothing to do.
_CALLS_ONE_IN: Final = 1024


class BrokenBlockError(Exception):
    """A block that cannot be unpacked; the message says why."""


# -- packing --------------------------------------------------------------------------------------


def packer(options: SquashOptions) -> Pack:
    """Return what compresses a block as ``options`` say; the same input gives the same bytes."""
    return _PACKERS[options.compressor](options)


def stored_options(options: SquashOptions) -> bytes:
    """Return the compressor's options as the image keeps them; empty where readers need none."""
    if options.compressor == "xz" and options.x86:
        return pack("<II", options.block, 1)
    if options.compressor == "zstd" and options.level not in (None, ZSTD_LEVEL):
        return pack("<I", options.level)
    if options.compressor == "lz4":
        return pack("<II", _LZ4_LEGACY, 1 if (options.level or LZ4_LEVEL) > 1 else 0)
    return b""


def _gzip_packer(options: SquashOptions) -> Pack:
    from deflate import zlib_compress  # noqa: PLC0415

    level = options.level or GZIP_LEVEL
    return lambda block: zlib_compress(block, level)


def _xz_packer(options: SquashOptions) -> Pack:
    import lzma  # noqa: PLC0415

    def chain(preset: int, *, x86: bool) -> Pack:
        last = {"id": lzma.FILTER_LZMA2, "preset": preset, "dict_size": options.block}
        filters = [{"id": lzma.FILTER_X86}, last] if x86 else [last]
        return lambda block: lzma.compress(
            block, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=filters
        )

    plain, filtered = chain(_XZ_PRESET, x86=False), chain(_XZ_PRESET, x86=True)
    quick, quick_filtered = chain(0, x86=False), chain(0, x86=True)
    if not options.x86:
        return plain

    def smaller(block: bytes) -> bytes | bytearray:
        if (block.count(b"\xe8") + block.count(b"\xe9")) * _CALLS_ONE_IN < len(block):
            return plain(block)
        # A quick look at both tells which is worth the slow one.
        return filtered(block) if len(quick_filtered(block)) < len(quick(block)) else plain(block)

    return smaller


def _zstd_packer(options: SquashOptions) -> Pack:
    import zstandard  # noqa: PLC0415

    level = options.level or ZSTD_LEVEL
    mine = threading.local()

    def compress(block: bytes) -> bytes:
        # One compressor must not be used by two threads at a time.
        if not hasattr(mine, "compressor"):
            mine.compressor = zstandard.ZstdCompressor(level=level)
        done: bytes = mine.compressor.compress(block)
        return done

    return compress


def _lz4_packer(options: SquashOptions) -> Pack:
    from lz4.block import compress  # noqa: PLC0415

    level = options.level or LZ4_LEVEL
    if level == 1:
        return lambda block: compress(block, store_size=False)
    return lambda block: compress(block, mode="high_compression", compression=level, store_size=False)


_PACKERS: Final[dict[str, Callable[[SquashOptions], Pack]]] = {
    "gzip": _gzip_packer,
    "xz": _xz_packer,
    "zstd": _zstd_packer,
    "lz4": _lz4_packer,
}


# -- unpacking ------------------------------------------------------------------------------------


def unpacker(compression: int) -> Unpack:
    """Return what unpacks a block by the compression number of a superblock.

    What is returned raises ``BrokenBlockError``. Raises ``VerifyError`` for a number that is unknown.
    """
    name = next((name for name, number in COMPRESSION_IDS.items() if number == compression), None)
    if name is None:
        raise VerifyError(f"unknown compression number {compression}")
    return _UNPACKERS[name]()


def _gzip_unpacker() -> Unpack:
    from deflate import DeflateError, zlib_decompress  # noqa: PLC0415

    def unpack(data: memoryview, most: int) -> bytes | bytearray:
        try:
            return zlib_decompress(data, most)
        except DeflateError as error:
            raise BrokenBlockError("its zlib stream is broken, or longer than a block") from error

    return unpack


def _xz_unpacker() -> Unpack:
    import lzma  # noqa: PLC0415

    def unpack(data: memoryview, most: int) -> bytes:
        stream = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
        try:
            done = stream.decompress(data, most + 1)
            while not stream.eof and not stream.needs_input and len(done) <= most:
                done += stream.decompress(b"", most + 1 - len(done))
        except lzma.LZMAError as error:
            raise BrokenBlockError(f"its xz stream is broken: {error}") from error
        if len(done) > most or not stream.eof:
            raise BrokenBlockError("its xz stream is cut off, or longer than a block")
        return done

    return unpack


def _lzma_unpacker() -> Unpack:
    import lzma  # noqa: PLC0415

    def unpack(data: memoryview, most: int) -> bytes:
        if len(data) < _LZMA_HEADER.size:
            raise BrokenBlockError("its lzma stream is cut off")
        size = _LZMA_HEADER.unpack_from(data)[2]
        if size > most:
            raise BrokenBlockError("its lzma stream is longer than a block")
        stream = lzma.LZMADecompressor(format=lzma.FORMAT_ALONE, memlimit=_XZ_MEMORY)
        try:
            done = stream.decompress(data, most + 1)
        except lzma.LZMAError as error:
            raise BrokenBlockError(f"its lzma stream is broken: {error}") from error
        if len(done) != size:
            raise BrokenBlockError("its lzma stream is cut off")
        return done

    return unpack


def _zstd_unpacker() -> Unpack:
    import zstandard  # noqa: PLC0415

    mine = threading.local()

    def unpack(data: memoryview, most: int) -> bytes:
        if not hasattr(mine, "decompressor"):
            mine.decompressor = zstandard.ZstdDecompressor()
        try:
            # A frame that tells its size is given that much memory at once.
            if zstandard.frame_content_size(data) > most:
                raise BrokenBlockError("its zstd frame is longer than a block")
            done: bytes = mine.decompressor.decompress(data, max_output_size=most, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise BrokenBlockError(f"its zstd frame is broken: {error}") from error
        return done

    return unpack


def _lz4_unpacker() -> Unpack:
    from lz4.block import LZ4BlockError, decompress  # noqa: PLC0415

    def unpack(data: memoryview, most: int) -> bytes:
        try:
            done: bytes = decompress(data, uncompressed_size=most)
        except LZ4BlockError as error:
            raise BrokenBlockError(f"its lz4 block is broken: {error}") from error
        return done

    return unpack


def _lzo_unpacker() -> Unpack:
    raise VerifyError(
        "it is compressed with lzo, which cannot be read",
        hint="unpack it with unsquashfs and pack it anew with another compressor",
    )


_UNPACKERS: Final[dict[str, Callable[[], Unpack]]] = {
    "gzip": _gzip_unpacker,
    "lzma": _lzma_unpacker,
    "lzo": _lzo_unpacker,
    "xz": _xz_unpacker,
    "lz4": _lz4_unpacker,
    "zstd": _zstd_unpacker,
}
