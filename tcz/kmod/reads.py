"""Which packed modules the modprobe of a system can read, told by its program.

BusyBox's one says ``no gzip/bzip2/xz magic`` of data that it does not know, naming what it was built to
read (libbb/open_transform.c). kmod's says ``+ZSTD +XZ -ZLIB`` when it is asked for its version.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

_BUSYBOX: Final = re.compile(rb"\0no (gzip[a-z0-9/]*) magic")
_KMOD: Final = re.compile(rb"\0([+-]ZSTD [+-]XZ [+-]ZLIB)\b")
_SUFFIXES: Final = {"gzip": "gz", "xz": "xz", "zstd": "zst"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Modprobe:
    """A modprobe; ``packed`` are suffixes of modules that it reads beside plain ones.

    Without ``known`` the program does not tell what it reads.
    """

    make: Literal["BusyBox", "kmod", ""]
    packed: tuple[str, ...] = ()
    known: bool = False

    def reads(self, suffix: str) -> bool:
        """Tell whether it can load modules with a suffix (``gz``, ``xz``, ``zst``, or none)."""
        return not suffix or not self.known or suffix in self.packed


def of_program(data: bytes) -> Modprobe:
    """Tell which modprobe a program is."""
    if b"BusyBox v" in data:
        found = _BUSYBOX.search(data)
        if found is None:
            return Modprobe(make="BusyBox")
        kinds = found[1].decode().split("/")
        return Modprobe(
            make="BusyBox", packed=tuple(_SUFFIXES[kind] for kind in kinds if kind in _SUFFIXES), known=True
        )
    kmod = _KMOD.search(data)
    if kmod is None:
        return Modprobe(make="kmod" if b"modprobe" in data and b"kmod" in data else "")
    suffixes = {"+ZSTD": "zst", "+XZ": "xz", "+ZLIB": "gz"}
    words = kmod[1].decode().split()
    return Modprobe(
        make="kmod", packed=tuple(suffixes[word] for word in words if word in suffixes), known=True
    )
