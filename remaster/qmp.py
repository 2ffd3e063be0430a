"""QEMU's control socket."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from tcz.errors import CheckError

if TYPE_CHECKING:
    import socket

#: Seconds for what QEMU does at once.
ANSWER: Final = 20.0


class MachineError(CheckError):
    """A virtual machine did not start or did not do what it was told."""


class Qmp:
    """QEMU's control socket, as far as it is needed (docs/interop/qmp-spec of QEMU)."""

    def __init__(self, connection: socket.socket) -> None:
        """Take a connected socket over; it is closed with this."""
        self._socket = connection
        self._socket.settimeout(ANSWER)
        self._lines = connection.makefile("r", encoding="utf-8")

    def greet(self) -> None:
        """Hear QEMU's greeting and answer it. Raises as ``execute`` does, and ``OSError``."""
        self._lines.readline()
        self.execute("qmp_capabilities")

    def execute(self, command: str, timeout: float = ANSWER, **arguments: object) -> object:
        """Have a command done, with ``_`` for ``-`` in names of arguments; return what QEMU answers.

        Raises ``MachineError`` when QEMU refuses it or hangs up, ``OSError`` after ``timeout`` seconds.
        """
        self._socket.settimeout(timeout)
        asked: dict[str, object] = {"execute": command}
        if arguments:
            asked["arguments"] = {name.replace("_", "-"): value for name, value in arguments.items()}
        self._socket.sendall(json.dumps(asked).encode() + b"\n")
        for line in self._lines:
            answer: dict[str, Any] = json.loads(line)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise MachineError(f"QEMU refused {command}", why=str(answer["error"].get("desc")))
        raise MachineError(f"QEMU hung up at {command}")

    def close(self) -> None:
        """Hang up."""
        self._lines.close()
        self._socket.close()
