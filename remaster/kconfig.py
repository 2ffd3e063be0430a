"""A kernel's configuration, read from its text or from a kernel image that holds it.

The text is that of .config and /proc/config.gz: ``CONFIG_X=y`` and ``# CONFIG_X is not set``. A kernel built
with IKCONFIG holds it, packed by gzip, between two marks; a bzImage says in its header where the packed
kernel lies (the kernel's Documentation/arch/x86/boot.rst, payload_offset, from protocol 2.08 on).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tcz.compress import expand, kind, most
from tcz.errors import VerifyError
from tcz.kconfig import dotconfig

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_BEGIN, _END = b"IKCFG_ST", b"IKCFG_ED"
_LONGEST_TEXT: Final = 16 << 20
_LARGEST_KERNEL: Final = 1 << 30
_SECTOR: Final = 512
_WITH_PAYLOAD: Final = 0x208
_HEADER_END: Final = 0x250


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelConfig:
    """Symbols without ``CONFIG_`` and their values; what is not set is ``n``. ``release`` may be empty."""

    release: str
    symbols: Mapping[str, str]

    def value(self, symbol: str) -> str:
        """Return ``y``, ``m``, ``n``, or the text that a symbol is set to."""
        return self.symbols.get(symbol, "n")


def read(path: Path) -> KernelConfig:
    """Read a configuration, plain or packed, or a kernel image that holds its own.

    Raises ``VerifyError`` for anything else, and ``OSError``.
    """
    try:
        return find(path.read_bytes())
    except VerifyError as error:
        raise VerifyError(error.what, where=str(path), why=error.why, hint=error.hint) from error


def find(data: bytes) -> KernelConfig:
    """Return the configuration that a file is or holds; raises ``VerifyError``."""
    if data[0x202:0x206] == b"HdrS":
        return parse(_embedded(_kernel_within(data)))
    if data.startswith(b"\x7fELF"):
        return parse(_embedded(data))
    return parse(expand(data, limit=_LONGEST_TEXT)[0] if kind(data) is not None else data)


def parse(data: bytes) -> KernelConfig:
    """Read the text; raises ``VerifyError`` where it is none, or says two things of one symbol."""
    text = data.decode(errors="replace")
    return KernelConfig(release=dotconfig.release(text), symbols=dotconfig.values(text))


def _kernel_within(image: bytes) -> bytes:
    if len(image) < _HEADER_END:
        raise VerifyError("the kernel image is truncated within its header")
    (version,) = struct.unpack_from("<H", image, 0x206)
    if version < _WITH_PAYLOAD:
        raise VerifyError("the kernel is older than Linux 2.6.26", hint="give its configuration instead")
    sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (sectors + 1) * _SECTOR + offset
    if start + length > len(image):
        raise VerifyError(
            f"the kernel image is truncated: {start + length} bytes announced, {len(image)} there"
        )
    # Behind the packed kernel stands its size, which is no part of it.
    return expand(image[start : start + length], limit=min(_LARGEST_KERNEL, most(length)))[0]


def _embedded(kernel: bytes) -> bytes:
    begin = kernel.find(_BEGIN)
    end = kernel.find(_END, begin)
    if begin < 0 or end < 0:
        raise VerifyError(
            "the kernel does not hold its configuration (CONFIG_IKCONFIG is off)",
            hint="give the configuration itself, such as /boot/config-RELEASE",
        )
    return expand(kernel[begin + len(_BEGIN) : end], limit=_LONGEST_TEXT)[0]
