"""The only place that starts a process. Work takes a ``Runner``; tests may pass their own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tcz.errors import MissingToolError, ToolkitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

#: Seconds between two looks of a ``watch`` at a process.
_LOOK_EVERY = 0.2
#: Seconds in which a process may end by itself after it was asked to.
_PATIENCE = 5.0

#: Debian and Ubuntu packages that bring a program, for the hint when it is missing.
PACKAGE_OF = {
    "apt-get": "apt",
    "apt-cache": "apt",
    "apt-config": "apt",
    "bwrap": "bubblewrap",
    "dpkg-deb": "dpkg",
    "mke2fs": "e2fsprogs",
    "mksquashfs": "squashfs-tools",
    "ssh": "openssh-client",
    "unsquashfs": "squashfs-tools",
    "qemu-system-x86_64": "qemu-system-x86",
    "xorriso": "xorriso",
    "mmdebstrap": "mmdebstrap",
}


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


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
        watch: Callable[[int], None] | None = None,
    ) -> Result:
        """Run ``argv`` to its end.

        ``env`` replaces the whole environment (``None``: inherit). With ``log`` both output streams
        are appended to that file, otherwise they are captured. Raises ``MissingToolError`` when the
        program is absent and, with ``check``, ``CommandError`` for a status other than 0. An
        interrupt ends the whole process group of the child before it is raised again; so does whatever
        ``watch`` raises, which is called with the child's number several times a second.
        """
        ...

    def interact(self, argv: Sequence[str], *, env: Mapping[str, str]) -> int:
        """Run ``argv`` on this program's terminal, in the foreground; return its exit status.

        Ctrl-C is the child's alone. For the main thread. Raises ``MissingToolError``.
        """
        ...

    def halting(self) -> AbstractContextManager[None]:
        """End all that ``run`` runs in whatever thread, and let nothing start, while the context lasts.

        The threads that waited get a ``KeyboardInterrupt``.
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

    def __init__(self) -> None:
        """Nothing runs yet."""
        self._lock = threading.Lock()
        self._live: set[subprocess.Popen[bytes]] = set()
        self._halted = False

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
        watch: Callable[[int], None] | None = None,
    ) -> Result:
        """See ``Runner.run``."""
        program = self._find(argv[0])
        sink = log.open("ab") if log else None
        try:
            with self._lock:
                if self._halted:
                    raise KeyboardInterrupt
                process = subprocess.Popen(  # noqa: S603 - argv lists only, never a shell string
                    [str(program), *argv[1:]],
                    cwd=cwd,
                    env=None if env is None else dict(env),
                    stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                    stdout=sink or subprocess.PIPE,
                    stderr=subprocess.STDOUT if sink else subprocess.PIPE,
                    start_new_session=True,
                )
                self._live.add(process)
            try:
                out, err = _attend(process, stdin, watch)
            except BaseException:
                _end_group(process)
                raise
            finally:
                self._live.discard(process)
        finally:
            if sink:
                sink.close()
        if self._halted:
            raise KeyboardInterrupt
        result = Result(argv=tuple(argv), returncode=process.returncode, stdout=out or b"", stderr=err or b"")
        if check and result.returncode != 0:
            raise CommandError(result, log)
        return result

    def interact(self, argv: Sequence[str], *, env: Mapping[str, str]) -> int:
        """See ``Runner.interact``."""
        program = self._find(argv[0])
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return subprocess.run(  # noqa: S603 - argv lists only, never a shell string
                [str(program), *argv[1:]], env=dict(env), check=False
            ).returncode
        finally:
            signal.signal(signal.SIGINT, before)

    @contextmanager
    def halting(self) -> Iterator[None]:
        """See ``Runner.halting``."""
        with self._lock:
            self._halted = True
            live = tuple(self._live)
        _signal_all(live, signal.SIGTERM)
        force = threading.Timer(_PATIENCE, _signal_all, (live, signal.SIGKILL))
        force.start()
        try:
            yield
        finally:
            force.cancel()
            self._halted = False


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


def _attend(
    process: subprocess.Popen[bytes], stdin: bytes | None, watch: Callable[[int], None] | None
) -> tuple[bytes | None, bytes | None]:
    while watch is not None:
        try:
            return process.communicate(stdin, timeout=_LOOK_EVERY)
        except subprocess.TimeoutExpired:
            stdin = None  # what is not written yet is remembered
            watch(process.pid)
    return process.communicate(stdin)


def _signal_all(processes: Iterable[subprocess.Popen[bytes]], number: int) -> None:
    for process in processes:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    for sig, patience in ((signal.SIGTERM, _PATIENCE), (signal.SIGKILL, _PATIENCE)):
        try:
            os.killpg(process.pid, sig)
            process.wait(patience)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
        break
    process.wait()
