"""Tar files, good and hostile, entry by entry."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def make_tar(path: Path, entries: list[tuple[str, str, str]], mode: str = "w") -> Path:
    """Entries are (kind, name, content or target)."""
    kinds = {
        "dir": tarfile.DIRTYPE, "file": tarfile.REGTYPE, "exec": tarfile.REGTYPE, "sym": tarfile.SYMTYPE,
        "hard": tarfile.LNKTYPE, "char": tarfile.CHRTYPE, "fifo": tarfile.FIFOTYPE,
    }  # fmt: skip
    with tarfile.open(path, mode) as tar:
        for kind, name, extra in entries:
            info = tarfile.TarInfo(name)
            info.type = kinds[kind]
            info.mode = 0o4755 if kind == "exec" else 0o600
            info.mtime = 1_000_000_000
            data = b""
            if kind in ("file", "exec"):
                data = extra.encode()
                info.size = len(data)
            elif kind in ("sym", "hard"):
                info.linkname = extra
            tar.addfile(info, io.BytesIO(data))
    return path
