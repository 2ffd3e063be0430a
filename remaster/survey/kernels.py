"""Kernel images by their own header: the Linux/x86 boot protocol (Documentation/arch/x86/boot.rst)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from remaster.survey.model import KernelFile

if TYPE_CHECKING:
    from tcz.tree import Content

_MAGIC: Final = b"HdrS"
_MAGIC_AT: Final = 0x202
_PROTOCOL_AT: Final = 0x206
_VERSION_AT: Final = 0x20E
_FLAGS_AT: Final = 0x236
_HAS_FLAGS: Final = 0x20C
_IS_64: Final = 1
_SETUP: Final = 0x200
#: The setup code with the version's text is at most 64 sectors.
HEAD: Final = 65 * 512


def head_of(data: bytes | Content) -> bytes:
    """Return as much of a file as tells a kernel image."""
    if isinstance(data, bytes):
        return data[:HEAD]
    found = b""
    for piece in data.pieces():
        found += piece[: HEAD - len(found)]
        if len(found) >= HEAD:
            break
    return found


def is_kernel(head: bytes) -> bool:
    """Tell a kernel image by its first bytes."""
    whole = len(head) >= _FLAGS_AT + 2
    return whole and head[_MAGIC_AT : _MAGIC_AT + 4] == _MAGIC and head[510:512] == b"\x55\xaa"


def read(path: str, size: int, head: bytes) -> KernelFile:
    """Return what the header of a kernel image says."""
    protocol = struct.unpack_from("<H", head, _PROTOCOL_AT)[0]
    at = struct.unpack_from("<H", head, _VERSION_AT)[0]
    text = b""
    if at:
        text = head[at + _SETUP : at + _SETUP + 256].partition(b"\0")[0]
    version = text.decode("ascii", errors="replace")
    is_64 = protocol >= _HAS_FLAGS and struct.unpack_from("<H", head, _FLAGS_AT)[0] & _IS_64
    return KernelFile(
        path=path,
        size=size,
        release=version.partition(" ")[0],
        architecture="x86_64" if is_64 else "386",
        version=version,
    )
