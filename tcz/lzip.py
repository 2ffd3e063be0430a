"""Lzip files read as a stream, as GNU's own releases are often packed.

Format: https://www.nongnu.org/lzip/manual/lzip_manual.html#File-format: members one after another,
each a header of 6 bytes, an LZMA stream with an end marker, and a trailer of 20 bytes with CRC and sizes.
"""

from __future__ import annotations

import io
import lzma
import struct
import zlib
from typing import IO

from tcz.errors import VerifyError

MAGIC = b"LZIP"

_BLOCK = 1 << 16
_TRAILER = struct.Struct("<IQQ")
_HEADER = 6
_SMALLEST, _LARGEST = 12, 29


class LzipReader(io.RawIOBase):
    """What the members of a file hold, one after another; raises ``VerifyError`` for damage."""

    def __init__(self, source: IO[bytes]) -> None:
        """Read from ``source``, which stays open."""
        self._source = source
        self._input = b""
        self._output = b""
        self._decoder: lzma.LZMADecompressor | None = None
        self._crc = self._size = self._packed = 0
        self._began = False

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill as much of ``buffer`` as one step gives; 0 at the end."""
        while not self._output and self._step(len(buffer)):
            pass
        data, self._output = self._output[: len(buffer)], self._output[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)

    def _step(self, most: int) -> bool:
        """Decode a little; return whether there is more."""
        if self._decoder is None:
            if not self._begin():
                return False
            assert self._decoder is not None  # noqa: S101 - for the type checker
        if not self._input and self._decoder.needs_input:
            self._input = self._source.read(_BLOCK)
            if not self._input:
                raise VerifyError("damaged archive", why="the lzip file ends in the middle")
        given = self._input if self._decoder.needs_input else b""
        self._output = self._decoder.decompress(given, max_length=max(most, 1))
        self._packed += len(given)
        if given:
            self._input = b""
        self._crc = zlib.crc32(self._output, self._crc)
        self._size += len(self._output)
        if self._decoder.eof:
            self._finish(self._decoder.unused_data)
        return True

    def _begin(self) -> bool:
        """Read a member's header; return whether there is another member."""
        header = self._take(_HEADER)
        if not header.startswith(MAGIC):
            if self._began and len(header) < _HEADER:
                return False
            # Zeros or other data may follow the last member.
            if self._began and not MAGIC.startswith(header[: len(MAGIC)]):
                return False
            raise VerifyError("damaged archive", why="not an lzip file")
        if len(header) < _HEADER or header[4] != 1:
            raise VerifyError("damaged archive", why="an lzip header of an unknown version")
        size = 1 << (header[5] & 0x1F)
        size -= (size // 16) * (header[5] >> 5)
        if not 1 << _SMALLEST <= size <= 1 << _LARGEST:
            raise VerifyError(
                "damaged archive", why="an lzip header with a dictionary size that is not valid"
            )
        chain = [{"id": lzma.FILTER_LZMA1, "dict_size": size, "lc": 3, "lp": 0, "pb": 2}]
        self._decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=chain)
        self._crc = self._size = self._packed = 0
        self._began = True
        return True

    def _finish(self, unused: bytes) -> None:
        self._packed -= len(unused)
        self._input = unused + self._input
        trailer = self._take(_TRAILER.size)
        whole = _HEADER + self._packed + _TRAILER.size
        if len(trailer) < _TRAILER.size or _TRAILER.unpack(trailer) != (self._crc, self._size, whole):
            raise VerifyError("damaged archive", why="the checksum of an lzip member does not fit")
        self._decoder = None

    def _take(self, count: int) -> bytes:
        """Return the next ``count`` bytes of the file, fewer at its end."""
        while len(self._input) < count:
            more = self._source.read(_BLOCK)
            if not more:
                break
            self._input += more
        data, self._input = self._input[:count], self._input[count:]
        return data
