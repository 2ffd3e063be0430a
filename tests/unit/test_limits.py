"""Limits, on real processes."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcz.errors import ConfigError
from tcz.limits import ExceededError, Limits, Watch, folder_size, parse_size, parse_time, usage
from tcz.run import HostRunner

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("2K", 2048), ("512M", 512 << 20), ("2G", 2 << 30), ("1GiB", 1 << 30)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("1.5s", 1.5), ("30m", 1800), ("2h", 7200)])
def test_times(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


@given(st.text(max_size=8))
def test_nothing_else_is_read(text: str) -> None:
    for parse in (parse_size, parse_time):
        with suppress(ConfigError):
            assert parse(text) > 0


def test_usage_of_a_family() -> None:
    own = usage(os.getpid())
    assert own.processes >= 1
    assert own.memory > 1_000_000
    runner = HostRunner()
    seen: list[int] = []

    def look(pid: int) -> None:
        seen.append(usage(pid).processes)
        if seen[-1] >= 4:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        runner.run(["sh", "-c", "sleep 1000 & sleep 1000 & sleep 1000 & wait"], watch=look)


PROGRAMS = {
    "memory": (
        Limits(memory=100 << 20),
        "x = bytearray(200 << 20)\nimport time\ntime.sleep(1000)",
        "100 MiB",
    ),
    "cpu": (Limits(cpu_time=0.3), "while True: pass", "processor time than it may: 0.3 s"),
    "clock": (Limits(timeout=0.3), "import time\ntime.sleep(1000)", "time by the clock"),
    "processes": (
        Limits(processes=1),
        "import os, time\nfor _ in range(4): os.fork() or time.sleep(1000)\ntime.sleep(1000)",
        "processes than it may: 1",
    ),
    "disk": (
        Limits(disk=1 << 20),
        "import time\nopen('file', 'wb').write(b'x' * (4 << 20))\ntime.sleep(1000)",
        "disk than it may: 1 MiB",
    ),
}


@pytest.mark.parametrize(("limits", "program", "said"), PROGRAMS.values(), ids=PROGRAMS)
def test_what_uses_too_much_is_ended(tmp_path: Path, limits: Limits, program: str, said: str) -> None:
    argv = [sys.executable, "-c", program]
    with pytest.raises(ExceededError, match=said) as caught:
        HostRunner().run(argv, cwd=tmp_path, watch=Watch(limits, tmp_path))
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("the limit is set by --")


def test_what_keeps_within_goes_on(tmp_path: Path) -> None:
    roomy = Limits(memory=1 << 40, cpu_time=1000, timeout=1000, processes=1000, disk=1 << 50)
    assert HostRunner().run(["sleep", "0.5"], watch=Watch(roomy, tmp_path)).returncode == 0
    (tmp_path / "a").write_bytes(b"x" * 10000)
    assert folder_size(tmp_path) >= 8192
