from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tcz.errors import MissingToolError
from tcz.run import HostRunner

if TYPE_CHECKING:
    from pathlib import Path


def test_a_process_beside_us_ends_by_itself(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = HostRunner().spawn(["sh", "-c", "echo out; echo err >&2; exit 3"], log=log)
    assert process.wait(10) == 3
    assert process.poll() == 3
    assert log.read_text() == "out\nerr\n"
    process.stop()


def test_stop_ends_the_whole_group(tmp_path: Path) -> None:
    process = HostRunner().spawn(["sh", "-c", "sleep 1000 & echo $!; wait"], log=tmp_path / "log")
    while not (tmp_path / "log").read_text().endswith("\n"):
        pass
    assert process.poll() is None
    with pytest.raises(TimeoutError):
        process.wait(0.01)
    assert os.getpgid(int((tmp_path / "log").read_text())) == process.pid
    process.stop()
    assert process.poll() is not None


def test_a_missing_program_names_its_package(tmp_path: Path) -> None:
    with pytest.raises(MissingToolError) as caught:
        HostRunner().spawn(["no-such-program"], log=tmp_path / "log")
    assert caught.value.hint == "sudo apt-get install no-such-program"
