"""Asking a shell of this machine whether a script can be parsed; nothing of the script is run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from tcz.run import Runner

#: Programs to ask, the likest to Tiny Core's first.
_SHELLS: Final = (("busybox", "ash"), ("dash",), ("sh",))


def shell_syntax(runner: Runner) -> Callable[[bytes], str | None] | None:
    """Return what tells a script's mistake, or ``None`` where there is no shell to ask."""
    argv = next((argv for argv in _SHELLS if runner.which(argv[0]) is not None), None)
    if argv is None:
        return None

    def complaint(script: bytes) -> str | None:
        result = runner.run((*argv, "-n"), stdin=script, check=False, env={"LC_ALL": "C", "PATH": "/nowhere"})
        if result.returncode == 0:
            return None
        said = (result.stderr or result.stdout).decode(errors="replace").strip().splitlines()
        return said[0] if said else f"ended with {result.returncode}"

    return complaint
