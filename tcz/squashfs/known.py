"""Does this machine compress as the others do? A fixed block, and what each compressor makes of it.

libdeflate, zstd and lz4 come with Python packages whose versions are pinned; liblzma is the machine's own,
and another version of it may make other bytes: sound ones, but not the same.
"""

from __future__ import annotations

import hashlib
from typing import Final

from tcz.squashfs.codec import packer
from tcz.squashfs.options import SquashOptions

_ROUNDS: Final = 1500

#: The first half of the sha256 of the packed block.
ANSWERS: Final[tuple[tuple[str, SquashOptions, str], ...]] = (
    ("gzip", SquashOptions(), "5fb91c29893035d7a14a5316adb02ea9"),
    ("gzip, best", SquashOptions(level=12), "0c2aac93e55b08d4e95bdb7a456ebf24"),
    ("xz", SquashOptions(compressor="xz"), "93446ff4432dd935ff8147456c21cbdf"),
    ("xz for x86", SquashOptions(compressor="xz", x86=True), "436561622fb60163a038f8f462ea6702"),
    ("zstd", SquashOptions(compressor="zstd"), "3b98407346d0b683bbe9893edb154ee0"),
    ("lz4", SquashOptions(compressor="lz4"), "058f9fc7137ad975d503bb1d5f87debd"),
)


def block() -> bytes:
    """Return the fixed block: words of many lengths in no order, with calls as x86 programs have them."""
    words = [hashlib.sha256(b"%d" % number).digest()[: 2 + number % 11] for number in range(256)]
    made = bytearray()
    for turn in range(_ROUNDS):
        made += b"".join(words[byte * byte >> 8] for byte in hashlib.sha256(b"turn %d" % turn).digest()[:8])
        # A call of one of a few places, which the filter for x86 makes the same wherever it is called from.
        target = turn % 16 * 4096
        made += b"\xe8" + ((target - len(made) - 5) & 0xFFFFFFFF).to_bytes(4, "little")
    return bytes(made)


def different() -> tuple[str, ...]:
    """Return the names of the compressors that make other bytes here than they ought to."""
    data = block()
    return tuple(
        name
        for name, options, answer in ANSWERS
        if hashlib.sha256(packer(options)(data)).hexdigest()[:32] != answer
    )
