"""Limits on what a build may use, watched from outside: no root and no control groups are needed.

The processes of a build are looked at several times a second and all ended when together they use more
than they may. A build that takes a lot in between two looks has it for that moment: these limits keep a
machine usable and end what runs away, they do not confine what means harm.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from tcz.errors import ConfigError, ToolkitError

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_TIMES = {"": 1, "s": 1, "m": 60, "h": 3600}
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
#: Seconds between two measurements of a folder, which takes longer than one of processes.
_MEASURE_EVERY = 2.0
#: bubblewrap itself: one process outside, one inside.
_OWN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What each script of a build may use; ``None``: as much as it wants.

    ``memory`` and ``disk`` are bytes (of all its processes; of its work folder), ``timeout`` and
    ``cpu_time`` seconds (by the clock; of all processors together), ``processes`` counts them.
    """

    memory: int | None = None
    cpu_time: float | None = None
    timeout: float | None = None
    processes: int | None = None
    disk: int | None = None

    @property
    def any(self) -> bool:
        """Tell whether there is a limit at all."""
        return any(getattr(self, one.name) is not None for one in fields(self))


class ExceededError(ToolkitError):
    """A build used more than it may; ``hint`` names the option."""


def parse_size(text: str) -> int:
    """Read ``512M``, ``2G`` or a count of bytes. Raises ``ConfigError``."""
    found = re.fullmatch(r"([1-9][0-9]{0,11})([KMGT]?)(?:i?B)?", text)
    if found is None:
        raise ConfigError(f"{text!r} is not a size", hint="write 512M or 2G")
    return int(found[1]) * _UNITS[found[2]]


def parse_time(text: str) -> float:
    """Read ``90``, ``90s``, ``30m`` or ``2h`` as seconds. Raises ``ConfigError``."""
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smh]?)", text)
    if found is None or not float(found[1]):
        raise ConfigError(f"{text!r} is not a length of time", hint="write 90s, 30m or 2h")
    return float(found[1]) * _TIMES[found[2]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the processes below one use together."""

    memory: int
    cpu_time: float
    processes: int


@dataclass(frozen=True, slots=True)
class _Process:
    parent: int
    ticks: int
    pages: int


def usage(pid: int) -> Usage:
    """Add up what a process and all below it use; those that ended count through who waited for them."""
    found = _family(_processes(), pid)
    return Usage(
        memory=sum(one.pages for one in found.values()) * _PAGE,
        cpu_time=sum(one.ticks for one in found.values()) / _TICKS,
        processes=len(found),
    )


def _processes() -> Mapping[int, _Process]:
    """Read /proc/PID/stat of all (proc_pid_stat(5)); those that end meanwhile are left out."""
    found = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - several times a second
        if not name.isdigit():
            continue
        try:
            text = Path("/proc", name, "stat").read_text(errors="replace")
        except OSError:
            continue
        # The program's name stands in parentheses and may hold anything.
        words = text.rpartition(")")[2].split()
        ticks = sum(int(word) for word in words[11:15])
        found[int(name)] = _Process(int(words[1]), ticks, int(words[21]))
    return found


def _family(everyone: Mapping[int, _Process], pid: int) -> Mapping[int, _Process]:
    children: dict[int, list[int]] = {}
    for number, one in everyone.items():
        children.setdefault(one.parent, []).append(number)
    waiting, found = [pid], {}
    while waiting:
        number = waiting.pop()
        if number in everyone and number not in found:
            found[number] = everyone[number]
            waiting += children.get(number, ())
    return found


def _shared_out(pid: int) -> int:
    """Return the memory of a family with what several share counted once (/proc/PID/smaps_rollup)."""
    total = 0
    for number in _family(_processes(), pid):
        try:
            text = Path(f"/proc/{number}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(kib) for kib in re.findall(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)) * 1024
    return total


def folder_size(folder: Path) -> int:
    """Return what the files below a folder take on the disk; what vanishes meanwhile is left out."""
    total = 0
    for top, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(top, name)).st_blocks * 512  # noqa: PTH118 - many files
            except OSError:
                continue
    return total


class Watch:
    """Looks at one script's processes; call it with their ancestor's number, as ``Runner.run`` does."""

    def __init__(self, limits: Limits, folder: Path) -> None:
        """Time runs from now on; ``folder`` is what ``Limits.disk`` is about."""
        self._limits = limits
        self._folder = folder
        self._began = time.monotonic()
        self._measured = self._began

    def __call__(self, pid: int) -> None:
        """Raise ``ExceededError`` when a limit is passed."""
        limits = self._limits
        now = time.monotonic()
        if limits.timeout is not None and now - self._began > limits.timeout:
            raise _exceeded("time by the clock", f"{limits.timeout:g} s", "--timeout")
        if limits.disk is not None and now - self._measured > _MEASURE_EVERY:
            self._measured = now
            if folder_size(self._folder) > limits.disk:
                raise _exceeded("disk", _mib(limits.disk), "--disk")
        if (limits.memory, limits.cpu_time, limits.processes) == (None, None, None):
            return
        used = usage(pid)
        if limits.cpu_time is not None and used.cpu_time > limits.cpu_time:
            raise _exceeded("processor time", f"{limits.cpu_time:g} s", "--cpu-time")
        if limits.processes is not None and used.processes - _OWN > limits.processes:
            raise _exceeded("processes", f"{limits.processes} at a time", "--processes")
        if limits.memory is not None and used.memory > limits.memory < _shared_out(pid):
            raise _exceeded("memory", _mib(limits.memory), "--memory")


def _exceeded(what: str, most: str, option: str) -> ExceededError:
    return ExceededError(f"it used more {what} than it may: {most}", hint=f"the limit is set by {option}")


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB"
