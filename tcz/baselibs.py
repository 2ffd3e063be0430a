"""The shared libraries that bases bring: what needs one of them needs no package for it.

``FLOE`` is what the recipe glibc puts into the base. ``COREPURE64`` are those of Tiny Core's CorePure64
by release, with the names that the loader finds them under.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_C_LIBRARY = (
    *("ld-linux-x86-64.so.2", "libanl.so.1", "libc.so.6", "libdl.so.2", "libm.so.6", "libnss_dns.so.2"),
    *("libnss_files.so.2", "libpthread.so.0", "libresolv.so.2", "librt.so.1", "libutil.so.1"),
)
_COMPILER = ("libgcc_s.so.1", "libstdc++.so.6")

FLOE = frozenset((*_C_LIBRARY, *_COMPILER, "libnss_compat.so.2"))

COREPURE64: Mapping[str, frozenset[str]] = {
    "16.1": frozenset(
        (
            *(*_C_LIBRARY, *_COMPILER, "libnsl.so.1", "libcrypt.so.1", "libz.so.1", "libsysfs.so.2"),
            *("libblkid.so.1", "libuuid.so.1", "libcom_err.so.2", "libe2p.so.2", "libext2fs.so.2"),
        )
    ),
}
