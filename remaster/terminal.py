"""Join the user's terminal to a machine's serial console."""

from __future__ import annotations

import codecs
import os
import select
import termios
import tty
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from remaster.serial import Console, ConsoleError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Ctrl-], as in telnet and virsh.
LEAVE: Final = b"\x1d"
_CHUNK: Final = 4096
_POLL: Final = 0.1


@contextmanager
def _raw(terminal: int) -> Iterator[None]:
    """Hand every key on as it is typed, Ctrl-C too; a pipe is left as it is."""
    if not os.isatty(terminal):
        yield
        return
    before = termios.tcgetattr(terminal)
    try:
        tty.setraw(terminal)
        yield
    finally:
        with suppress(termios.error):  # it may be gone
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _typed(source: int) -> bytes:
    """Read what was typed; nothing when there will be no more, as on a terminal that was closed."""
    try:
        return os.read(source, _CHUNK)
    except OSError:
        return b""


def attach(console: Console, running: Callable[[], bool], *, source: int = 0) -> bool:
    """Type what comes from the file descriptor ``source`` into the console.

    Returns ``True`` when the user left with Ctrl-] or the terminal went away, ``False`` when
    ``running`` says that the machine is off. What the machine says is for the console's listener to
    print (see ``printer``). The end of a pipe ends the typing only.
    """
    sources = [source]
    is_terminal = os.isatty(source)
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    with _raw(source):
        while running():
            ready, _, _ = select.select(sources, [], [], _POLL)
            if not ready:
                continue
            keys = _typed(source)
            if LEAVE in keys or (is_terminal and not keys):
                return True
            if not keys:
                sources = []
                continue
            try:
                console.send(decode(keys), end="")
            except ConsoleError:
                break  # it went off under our hands
    return False


def printer(target: int = 1) -> Callable[[str], None]:
    """Return a listener that writes what a machine says, unchanged, to a file descriptor."""

    def show(text: str) -> None:
        data = text.encode()
        while data:
            data = data[os.write(target, data) :]

    return show
