"""The only place that starts a process. Work takes a ``Runner``; tests may pass their own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tcz.errors import MissingToolError, ToolkitError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Debian and Ubuntu packages that bring a program, for the hint when it is missing.
PACKAGE_OF = {
    "apt-get": "apt",
    "apt-cache": "apt",
    "apt-config": "apt",
    "bwrap": "bubblewrap",
    "dpkg-deb": "dpkg",
    "mksquashfs": "squashfs-tools",
    "unsquashfs": "squashfs-tools",
    "qemu-system-x86_64": "qemu-system-x86",
    "xorriso": "xorriso",
    "mmdebstrap": "mmdebstrap",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a finished process left: exit status and, where not sent to a log, its output."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes = b""
    stderr: bytes = b""


class CommandError(ToolkitError):
    """A process ended with a status other than 0."""

    def __init__(self, result: Result, log: Path | None) -> None:
        """``why`` carries the last lines of what the process said."""
        said = log.read_bytes() if log and log.exists() else result.stderr or result.stdout
        tail = "\n".join(said.decode(errors="replace").splitlines()[-20:])
        super().__init__(
            f"{result.argv[0]} ended with status {result.returncode}",
            where=str(log) if log else None,
            why=tail or None,
        )
        self.result = result


class Process(Protocol):
    """A process that goes on running beside us."""

    @property
    def pid(self) -> int:
        """Its number."""
        ...

    def poll(self) -> int | None:
        """Return its exit status, or ``None`` while it runs."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return the exit status; raise ``TimeoutError`` when it takes longer."""
        ...

    def stop(self) -> None:
        """End it and all it started: asked first, then forced. Does nothing when it has ended."""
        ...


class Runner(Protocol):
    """Starts processes."""

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        log: Path | None = None,
        check: bool = True,
    ) -> Result:
        """Run ``argv`` to its end.

        ``env`` replaces the whole environment (``None``: inherit). With ``log`` both output streams
        are appended to that file, otherwise they are captured. Raises ``MissingToolError`` when the
        program is absent and, with ``check``, ``CommandError`` for a status other than 0. An
        interrupt ends the whole process group of the child before it is raised again.
        """
        ...

    def spawn(self, argv: Sequence[str], *, log: Path) -> Process:
        """Start ``argv`` and leave it running, both output streams appended to ``log``.

        It has no input and a process group of its own; who starts it must ``stop`` it. Raises
        ``MissingToolError`` when the program is absent.
        """
        ...

    def which(self, program: str) -> Path | None:
        """Return where ``program`` is, or ``None``."""
        ...


class HostRunner:
    """Runs programs of this machine, each in a process group of its own."""

    def which(self, program: str) -> Path | None:
        """Look along PATH, and in the sbin folders that a user's PATH may lack."""
        path = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"
        found = shutil.which(program, path=path)
        return Path(found) if found else None

    def _find(self, name: str) -> Path:
        program = self.which(name)
        if program is None:
            base = Path(name).name
            raise MissingToolError(
                f"the program {base} is not installed",
                hint=f"sudo apt-get install {PACKAGE_OF.get(base, base)}",
            )
        return program

    def spawn(self, argv: Sequence[str], *, log: Path) -> Process:
        """See ``Runner.spawn``."""
        program = self._find(argv[0])
        with log.open("ab") as sink:
            process = subprocess.Popen(  # noqa: S603 - argv lists only, never a shell string
                [str(program), *argv[1:]],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return _HostProcess(process)

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        log: Path | None = None,
        check: bool = True,
    ) -> Result:
        """See ``Runner.run``."""
        program = self._find(argv[0])
        sink = log.open("ab") if log else None
        try:
            process = subprocess.Popen(  # noqa: S603 - argv lists only, never a shell string
                [str(program), *argv[1:]],
                cwd=cwd,
                env=None if env is None else dict(env),
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=sink or subprocess.PIPE,
                stderr=subprocess.STDOUT if sink else subprocess.PIPE,
                start_new_session=True,
            )
            try:
                out, err = process.communicate(stdin)
            except BaseException:
                _end_group(process)
                raise
        finally:
            if sink:
                sink.close()
        result = Result(argv=tuple(argv), returncode=process.returncode, stdout=out or b"", stderr=err or b"")
        if check and result.returncode != 0:
            raise CommandError(result, log)
        return result


class _HostProcess:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.poll()

    def wait(self, timeout: float | None = None) -> int:
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"process {self.pid} still runs after {timeout} s") from error

    def stop(self) -> None:
        if self._process.poll() is None:
            _end_group(self._process)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    for sig, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, sig)
            process.wait(patience)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
        break
    process.wait()
