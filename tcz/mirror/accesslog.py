"""The access log of a server, in the combined format that every log reader knows."""

from __future__ import annotations

import functools
import sys
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from io import FileIO
    from pathlib import Path

_SAFE: Final = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0x100), ord('"'), ord("\\"))}
_MOST_LINES = 512


@functools.lru_cache(maxsize=256)
def _safe(field: bytes) -> str:
    return field.decode("latin-1").translate(_SAFE)


class AccessLog:
    """Lines of requests answered, gathered and written together; ``flush`` is the server's to call."""

    def __init__(self, file: Path | None) -> None:
        """Open ``file`` to append to; ``None`` is standard output."""
        self._file = file
        self._lines: list[str] = []
        self._second = 0
        self._time = ""
        self._out = self._open()

    def _open(self) -> FileIO:
        # Without a buffer: lines that a full disk did not take must not be tried again at every later one.
        if self._file is None:
            return open(sys.stdout.fileno(), "ab", buffering=0, closefd=False)
        return self._file.open("ab", buffering=0)

    def add(self, peer: str, line: str, status: int, size: int, fields: Mapping[bytes, bytes]) -> None:
        """Note a request: who asked, its first line, what was answered, how many bytes of content."""
        now = int(time.time())
        if now != self._second:
            self._second = now
            self._time = time.strftime("%d/%b/%Y:%H:%M:%S %z", time.localtime(now))
        referer, agent = _safe(fields.get(b"referer", b"-")), _safe(fields.get(b"user-agent", b"-"))
        self._lines.append(
            f'{peer} - - [{self._time}] "{line.translate(_SAFE)}" {status} {size} "{referer}" "{agent}"\n'
        )
        if len(self._lines) >= _MOST_LINES:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered; raises ``OSError`` where it cannot be, and it is lost then."""
        if self._lines:
            lines, self._lines = self._lines, []
            self._out.write("".join(lines).encode("ascii"))

    def reopen(self) -> None:
        """Go on in a new file: the old one was moved away."""
        self.flush()
        old, self._out = self._out, self._open()
        if self._file is not None:
            old.close()

    def close(self) -> None:
        """Write what was gathered and end."""
        self.flush()
        if self._file is not None:
            self._out.close()
