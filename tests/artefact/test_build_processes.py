"""Builds that are interrupted, and two that want the same."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tcz import __file__ as package_file

pytestmark = pytest.mark.build

PROGRAM = """
import signal, sys
# Tests that a shell started in the background were told to ignore it, and so is all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
from pathlib import Path
from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tcz.run import HostRunner
from tcz.workshop import Workshop
place = Path(sys.argv[1])
dirs = Dirs(cache=place / "cache", config=place / "config", state=place / "state")
workshop = Workshop.open(dirs, HostRunner(), SilentReporter(), [Path(sys.argv[2])])
print(workshop.build(sys.argv[3:])[0].build_id)
"""
TOML = """\
schema = 1
name = "slow"
version = "1"
summary = "Takes a while"
license = "MIT"
homepage = "https://slow.example/"
[[package]]
name = "slow"
files = ["slow"]
"""


def start(place: Path, recipes: Path, *names: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, place, recipes, *(names or ("slow",))],
        env={
            "PYTHONPATH": str(Path(package_file).parent.parent),
            "PATH": "/usr/bin:/bin",
            "HOME": str(place),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def forget_logs(place: Path) -> None:
    for log in place.glob("state/logs/*"):
        log.unlink()


def wait_for(place: Path, process: subprocess.Popen[str], text: str, name: str = "slow") -> Path:
    """Wait until the log of a build holds ``text``."""
    while process.poll() is None:
        for log in place.glob(f"state/logs/{name}-{'[0-9a-f]' * 12}.log"):
            if text in log.read_text():
                return log
    raise AssertionError(process.communicate())


def test_an_interrupt_leaves_nothing_half_done(bench: Any, write_recipe: Any) -> None:
    script = 'echo begun\nsleep 1000 & wait\necho x >"$DEST/slow"\n'
    folder = write_recipe("slow", TOML, {"build.sh": script})
    at = bench("one", folder.parent)
    at.workshop.builder.roots.get(("binutils", "patch"))
    place = at.dirs.cache.parent
    process = start(place, folder.parent)
    wait_for(place, process, "begun")
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode != 0
    assert not list((at.dirs.cache / "work").iterdir())
    assert not [path for path in (at.dirs.cache / "builds").iterdir() if path.is_dir()]

    forget_logs(place)
    process = start(place, folder.parent)
    wait_for(place, process, "begun")
    process.kill()
    process.communicate()
    assert list((at.dirs.cache / "work").iterdir()), "nobody can tidy up after a kill"
    forget_logs(place)
    process = start(place, folder.parent)
    log = wait_for(place, process, "begun")
    assert len(list((at.dirs.cache / "work").iterdir())) == 1, "the next build does"
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert log.read_text().count("begun") == 1


def test_an_interrupt_ends_all_that_runs(bench: Any, write_recipe: Any) -> None:
    script = "echo begun\nwhile ! test -e /build/recipe/go; do sleep 0.05; done\n"
    for name in ("slow", "slow-too"):
        folder = write_recipe(name, TOML.replace('"slow"', f'"{name}"'), {"build.sh": script})
    at = bench("one", folder.parent)
    at.workshop.builder.roots.get(("binutils", "patch"))
    place = at.dirs.cache.parent
    process = start(place, folder.parent, "slow", "slow-too")
    wait_for(place, process, "begun")
    wait_for(place, process, "begun", "slow-too")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert process.returncode != 0
    assert "KeyboardInterrupt" in told
    assert not list((at.dirs.cache / "work").iterdir())
    assert not [path for path in (at.dirs.cache / "builds").iterdir() if path.is_dir()]


def test_two_that_want_the_same_build_it_once(bench: Any, write_recipe: Any) -> None:
    # The build ends when the test says so, by making the pipe's other end.
    script = 'echo begun\nwhile ! test -e /build/recipe/go; do sleep 0.05; done\necho x >"$DEST/slow"\n'
    folder = write_recipe("slow", TOML, {"build.sh": script})
    at = bench("one", folder.parent)
    place = at.dirs.cache.parent
    first = start(place, folder.parent)
    wait_for(place, first, "begun")
    second = start(place, folder.parent)
    locks = {str(lock) for lock in (at.dirs.cache / "builds").glob(".*.lock")}
    while second.poll() is None and not locks & open_files(second.pid):
        pass
    (folder / "go").write_text("")
    ids = {process.communicate()[0] for process in (first, second)}
    assert len(ids) == 1
    assert ids != {""}
    (log,) = place.glob("state/logs/slow-*.log")
    assert log.read_text().count("begun") == 1


def open_files(pid: int) -> set[str]:
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(str(link.readlink()))
        except OSError:
            continue
    return found
