"""Talk to a machine through its serial console: wait for what it says, send lines, run commands.

A background thread reads all the time, so that the machine never waits for us, and keeps the whole
transcript. Waiting goes forward only: what one ``expect`` has passed, the next does not see again.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import fcntl
import os
import re
import select
import socket
import threading
import time
from typing import TYPE_CHECKING, Final, Protocol, Self

from tcz.errors import CheckError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_TAIL: Final = 40
_CHUNK: Final = 65536
#: How long a search of the text is put off for more to come: to read comes first.
_SEARCH_PAUSE: Final = 0.02
#: What a pipe holds where the machine's limits allow it.
_PIPE: Final = 1 << 20
_NOTHING: Final = re.compile(r"(?!)")
#: Colours, cursor moves and questions of a terminal; a sequence may be cut by the end of a read.
_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[()][0-9A-B]|[=>78])")
_CUT_ESCAPE: Final = re.compile(r"\x1b(?:\[[0-9;?]*|[()])?\Z")
#: What a message of the kernel begins with.
_STAMP: Final = r"\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? "
#: A message of the kernel that begins in the middle of a line, to the end of that line.
_KERNEL: Final = re.compile(rf"{_STAMP}[^\n]*\n")
#: The kernel's last words, as it says them.
_PANIC: Final = re.compile(rf"^{_STAMP}Kernel panic - not syncing", re.MULTILINE)


class ConsoleError(CheckError):
    """The machine did not say what was waited for; ``why`` ends with the last lines it said."""


class Connection(Protocol):
    """What a console uses of a socket."""

    def recv(self, size: int, /) -> bytes:
        """Return what has come, at least a byte; nothing once the other side has hung up."""

    def sendall(self, data: bytes, /) -> None:
        """Send all of it; ``OSError`` where nobody listens."""

    def shutdown(self, how: int, /) -> None:
        """Have ``recv`` return, in whatever thread."""

    def close(self) -> None:
        """Let go of it."""


class Pipes:
    """A console through two named pipes, PATH.in and PATH.out, as QEMU's ``pipe`` uses them.

    A kernel waits ten milliseconds for its serial port, then a character is lost; and QEMU holds it up as
    soon as it cannot write. A socket is full after some 300 characters, for each is a message of its own;
    a pipe keeps as many as it has bytes.
    """

    def __init__(self, path: Path) -> None:
        """Make both, for nobody else."""
        self._path = path
        for name in ("in", "out"):
            os.mkfifo(f"{path}.{name}", 0o600)
        self._write = -1
        self._read = os.open(f"{path}.out", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._read, fcntl.F_SETPIPE_SZ, _PIPE)
        self._wake, self._waker = os.pipe2(os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._read, select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)

    def opened(self) -> bool:
        """Tell whether QEMU has opened them; nothing can be sent before."""
        if self._write < 0:
            try:
                self._write = os.open(f"{self._path}.in", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                return False
            os.set_blocking(self._write, True)
        return True

    def recv(self, size: int) -> bytes:
        """See ``Connection``. Until QEMU has opened its end there is no end to be seen."""
        ready = {handle for handle, _ in self._poll.poll()}
        return b"" if self._wake in ready else os.read(self._read, size)

    def sendall(self, data: bytes) -> None:
        """See ``Connection``."""
        while data:
            data = data[os.write(self._write, data) :]

    def shutdown(self, _how: int) -> None:
        """See ``Connection``."""
        os.write(self._waker, b"x")

    def close(self) -> None:
        """See ``Connection``."""
        for handle in (self._read, self._write, self._wake, self._waker):
            if handle >= 0:
                os.close(handle)
        self._read = self._write = self._wake = self._waker = -1


class Console:
    """A serial console behind a connected stream socket, or pipes; use it as a context manager.

    ``listener`` is given each piece of text as it comes, escape sequences and all (from another
    thread).
    """

    def __init__(self, connection: Connection, listener: Callable[[str], None] | None = None) -> None:
        """Start to read at once."""
        self._socket = connection
        self._listener = listener
        self._text = ""
        self._passed = 0
        self._closed = False
        self._runs = 0
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, name="serial console", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Stop reading; the transcript stays."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _read(self) -> None:
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        pending = ""
        while True:
            try:
                data = self._socket.recv(_CHUNK)
            except OSError:
                data = b""
            raw = decode(data, not data)
            if raw and self._listener is not None:
                self._listener(raw)
            text = _ESCAPES.sub("", pending + raw.replace("\r", ""))
            cut = _CUT_ESCAPE.search(text)
            pending = cut.group() if cut else ""
            text = text.removesuffix(pending)
            with self._changed:
                self._text += text
                self._closed = not data
                self._changed.notify_all()
            if not data:
                return

    @property
    def transcript(self) -> str:
        """All that was said so far; line ends are plain, escape sequences are left out."""
        with self._changed:
            return self._text

    def tail(self, lines: int = _TAIL) -> str:
        """Return the last lines of the transcript."""
        return "\n".join(self.transcript.rstrip().split("\n")[-lines:])

    def expect(
        self,
        pattern: str | re.Pattern[str],
        timeout: float,
        *,
        never: str | re.Pattern[str] | None = None,
    ) -> re.Match[str]:
        """Wait until ``pattern`` (``^`` and ``$`` match at lines) is said; return the match.

        The first text that matches is taken, though more may be on its way: end a pattern that can
        grow with what follows it.

        Raises ``ConsoleError`` after ``timeout`` seconds, when the machine hangs up, and at once
        when ``never`` is said before.
        """
        wanted = re.compile(pattern, re.MULTILINE) if isinstance(pattern, str) else pattern
        fatal = re.compile(never, re.MULTILINE) if isinstance(never, str) else never or _NOTHING
        deadline = time.monotonic() + timeout
        while True:
            with self._changed:
                text, closed = self._text, self._closed
            found = wanted.search(text, self._passed)
            bad = fatal.search(text, self._passed, found.start() if found else len(text))
            if bad is not None:
                break
            if found is not None:
                self._passed = found.end()
                return found
            left = deadline - time.monotonic()
            if left <= 0 or closed:
                break
            with self._changed:
                if len(self._text) == len(text) and not self._closed:
                    self._changed.wait(left)
            time.sleep(_SEARCH_PAUSE)
        if bad is not None:
            what = f"the machine said {bad.group()!r} while {wanted.pattern!r} was waited for"
        elif closed:
            what = f"the machine hung up before it said {wanted.pattern!r}"
        else:
            what = f"the machine did not say {wanted.pattern!r} within {timeout:g} s"
        raise ConsoleError(what, why=f"its last lines:\n{self.tail()}")

    def send(self, line: str, *, end: str = "\n") -> None:
        """Type a line; ``ConsoleError`` when the machine has hung up."""
        try:
            self._socket.sendall(f"{line}{end}".encode())
        except OSError as error:
            raise ConsoleError("the machine hung up", why=f"its last lines:\n{self.tail()}") from error

    def run(self, command: str, timeout: float = 60, *, kernel_messages: bool = False) -> tuple[int, str]:
        """Run a command in the shell at the prompt; return its status and what it printed.

        The markers around the output are spelled so that the echo of the line is not taken for
        them. Messages of the kernel are left out of the output; set ``kernel_messages`` to keep
        them, and whatever looks like them (the output of dmesg does). ``command`` is one line or
        several, each of at most 800 bytes (what shells take from a terminal is limited); it must
        leave the shell running and not read from the console. Raises ``ConsoleError`` as
        ``expect`` does, and at once when the kernel panics.
        """
        self._runs += 1
        mark = f"{id(self):x}-{self._runs}"
        begin, end = f"printf '%s-%s\\n' '@BEGIN' '{mark}'", f"printf '\\n%s-%s-%s.\\n' '@END' '{mark}' $?"
        self.send(f"{begin}; {{ {command}\n}}; {end}")
        self.expect(re.escape(f"@BEGIN-{mark}"), timeout, never=_PANIC)
        start = self._passed
        done = self.expect(re.escape(f"@END-{mark}-") + r"(\d+)\.", timeout, never=_PANIC)
        with self._changed:
            output = self._text[start : done.start()]
        # What is left of the begin marker's line, and the line end put before the end marker.
        if not kernel_messages:
            output = _KERNEL.sub("", output)
        return int(done.group(1)), output.removeprefix("\n").removesuffix("\n")
