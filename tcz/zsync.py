"""Control files by which ``zsync`` fetches only the changed blocks of a file, as zsyncmake 0.6.2 has them.

Text lines (``Key: value``), an empty line, then for each block a weak and a strong sum, shortened. The
weak one is rsync's: two 16-bit sums, of the bytes and of the bytes weighted by their distance from the
block's end. The strong one is MD4. How much of each is kept follows from the file's length.
"""

from __future__ import annotations

import hashlib
import math
import re
import struct
import zlib
from dataclasses import dataclass
from email.utils import formatdate
from functools import cache
from itertools import repeat
from operator import mul
from typing import TYPE_CHECKING, BinaryIO

from tcz.errors import VerifyError

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".zsync"
_VERSION = "0.6.2"
_SMALL, _LARGE, _LARGE_FROM = 2048, 4096, 100_000_000
_MD4_SIZE = 16
#: What is read at a time: a multiple of every block size.
_GROUP = 1 << 18
#: Adler-32 sums modulo this; over so few bytes neither of its sums gets there, so they are exact.
_MODULUS = 65521
_EXACT = 22
_HALF = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A control file: which file it is for, and the sums of its blocks, weak before strong, as stored."""

    name: str
    url: str
    length: int
    blocksize: int
    sha1: str
    mtime: str
    matches: int
    weak_size: int
    strong_size: int
    sums: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """An earlier state of a file, and its control file: blocks that stand where they stood are not summed."""

    path: Path
    control: bytes


def control(path: Path, *, epoch: int, name: str | None = None, before: Before | None = None) -> bytes:
    """Return the control file of a file, for a client that finds both in the same folder.

    Its bytes depend on the file's content, on ``epoch`` and on ``name`` (that of the file if none is given)
    only. Raises ``VerifyError`` where ``before`` is not what it should be.
    """
    with path.open("rb") as file:
        length = path.stat().st_size
        sizes = _Sizes.of(length)
        if before is None:
            return _control(file, length, name or path.name, epoch, sizes)
        with before.path.open("rb") as old:
            known = _known(before, sizes)
            return _control(file, length, name or path.name, epoch, sizes, old if known else None, known)


@dataclass(frozen=True, slots=True)
class _Sizes:
    """How long blocks are, how many must match in a row, and what is kept of both sums."""

    block: int
    matches: int
    weak: int
    strong: int

    @classmethod
    def of(cls, length: int) -> _Sizes:
        block = _SMALL if length < _LARGE_FROM else _LARGE
        return cls(block, *sum_sizes(length, block))


def _known(before: Before, sizes: _Sizes) -> bytes:
    """Return the sums of the earlier state; none where they are kept in another length."""
    said = parse(before.control)
    if said.length != before.path.stat().st_size:
        raise VerifyError("a .zsync of another file", where=str(before.path))
    same = (said.blocksize, said.weak_size, said.strong_size) == (sizes.block, sizes.weak, sizes.strong)
    return said.sums if same else b""


def _control(
    file: BinaryIO,
    length: int,
    name: str,
    epoch: int,
    sizes: _Sizes,
    old: BinaryIO | None = None,
    known: bytes = b"",
) -> bytes:
    whole = hashlib.sha1(usedforsecurity=False)
    sums = bytearray()
    width = sizes.weak + sizes.strong
    while data := file.read(_GROUP):
        whole.update(data)
        was = old.read(_GROUP) if old is not None else b""
        for at in range(0, len(data), sizes.block):
            block = data[at : at + sizes.block]
            if block == was[at : at + sizes.block]:
                sums += known[len(sums) : len(sums) + width]
            else:
                padded = block.ljust(sizes.block, b"\0")
                sums += weak_sum(padded)[-sizes.weak :] + _md4(padded)[: sizes.strong]
    lines = (
        f"zsync: {_VERSION}",
        f"Filename: {name}",
        f"MTime: {formatdate(epoch).replace('-0000', '+0000')}",
        f"Blocksize: {sizes.block}",
        f"Length: {length}",
        f"Hash-Lengths: {sizes.matches},{sizes.weak},{sizes.strong}",
        f"URL: {name}",
        f"SHA-1: {whole.hexdigest()}",
    )
    return "".join(line + "\n" for line in lines).encode() + b"\n" + bytes(sums)


def _md4(data: bytes) -> bytes:
    from Crypto.Hash import MD4  # noqa: PLC0415 - slow to import; OpenSSL no longer has it

    # What the format asks for: it guards against chance only. ``MD4.new`` makes two of them.
    return MD4.MD4Hash(data).digest()


def sum_sizes(length: int, blocksize: int) -> tuple[int, int, int]:
    """Return how many blocks must match in a row, and the bytes kept of the weak and the strong sum.

    As many as make a false match improbable: for a longer file there is more to be mistaken for.
    """
    if not length:
        return 1, 2, 3
    matches = 2 if length > blocksize else 1
    blocks = math.log2(1 + length // blocksize)
    weak = math.ceil((math.log2(length) + math.log2(blocksize) - 8.6) / matches / 8)
    strong = math.ceil((20 + math.log2(length) + blocks) / matches / 8)
    least = int((7.9 + 20 + blocks) / 8)
    return matches, min(max(weak, 2), 4), min(max(strong, least), _MD4_SIZE)


@cache
def _pieces(size: int) -> tuple[struct.Struct, tuple[int, ...]]:
    """Return how a block is cut for Adler-32, and for each piece how many bytes of the block follow it."""
    sizes = [min(_EXACT, size - start) for start in range(0, size, _EXACT)]
    return struct.Struct("".join(f"{piece}s" for piece in sizes)), tuple(
        size - start - piece for start, piece in zip(range(0, size, _EXACT), sizes, strict=True)
    )


def weak_sum(block: bytes) -> bytes:
    """Return the weak sum of a block: both 16-bit sums, big-endian."""
    layout, behind = _pieces(len(block))
    # Each holds a piece's plain sum in its lower half, and its weighted one in the upper.
    sums = list(map(zlib.adler32, layout.unpack(block), repeat(0)))
    total = sum(sums)
    # The plain sum is known modulo 65536 so, and modulo 65521 from the whole block: and so known.
    plain = total & _HALF
    plain += (((zlib.adler32(block, 0) & _HALF) - plain) % _MODULUS // (65536 - _MODULUS)) << 16
    # What the upper halves add to the products is a multiple of 2**16: it vanishes below.
    weighted = ((total - plain) >> 16) + sum(map(mul, behind, sums))
    return struct.pack(">HH", plain & _HALF, weighted & _HALF)


_KEY = re.compile(rb"([A-Za-z0-9-]+): ([^\n]*)\n")
_HASH_LENGTHS = re.compile(r"([12]),([1-4]),([0-9]{1,2})\Z")


def parse(data: bytes) -> Control:
    """Read a control file for one plain file. Raises ``VerifyError`` for anything else."""
    values: dict[str, str] = {}
    at = 0
    while found := _KEY.match(data, at):
        values[found[1].decode()] = found[2].decode(errors="replace")
        at = found.end()
    if not values.get("zsync") or data[at : at + 1] != b"\n":
        raise VerifyError("not a .zsync file", why=f"it begins {data[:40]!r}")
    lengths = _HASH_LENGTHS.match(values.get("Hash-Lengths", ""))
    length, blocksize = (_number(values, key) for key in ("Length", "Blocksize"))
    if lengths is None or not blocksize or blocksize & (blocksize - 1):
        raise VerifyError("a .zsync file whose sizes make no sense")
    matches, weak_size, strong_size = (int(text) for text in lengths.groups())
    sums = data[at + 1 :]
    if len(sums) != -(-length // blocksize) * (weak_size + strong_size):
        raise VerifyError("a .zsync file whose sums are cut off, or do not belong to its header")
    return Control(
        name=values.get("Filename", ""),
        url=values.get("URL", ""),
        length=length,
        blocksize=blocksize,
        sha1=values.get("SHA-1", ""),
        mtime=values.get("MTime", ""),
        matches=matches,
        weak_size=weak_size,
        strong_size=strong_size,
        sums=sums,
    )


def _number(values: dict[str, str], key: str) -> int:
    text = values.get(key, "")
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(1 << 63))):
        raise VerifyError(f"a .zsync file without a {key}")
    return int(text)
