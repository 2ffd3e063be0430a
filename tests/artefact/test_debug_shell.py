"""``tcz build --debug-shell`` on a terminal: the shell is where the script failed."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tcz import __file__ as package_file

pytestmark = pytest.mark.build

PATIENCE = 90
TOML = """\
schema = 1
name = "broken"
version = "1.0"
summary = "Fails"
license = "MIT"
homepage = "https://broken.example/"
[[package]]
name = "broken"
files = ["usr"]
"""


def environment(at: Any) -> dict[str, str]:
    place = at.dirs.cache.parent
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(place),
        "XDG_CACHE_HOME": str(place / "xdg-cache"),
        "XDG_STATE_HOME": str(place / "xdg-state"),
        "PYTHONPATH": str(Path(package_file).parent.parent),
        "TERM": "dumb",
    }


def command(at: Any, folder: Path) -> list[str]:
    place = at.dirs.cache.parent
    (place / "xdg-cache").mkdir()
    (place / "xdg-cache/tcz").symlink_to(at.dirs.cache)
    return [sys.executable, "-m", "tcz", "build", "--debug-shell", "--recipes", str(folder), "broken"]


def test_a_shell_in_the_very_sandbox(bench: Any, write_recipe: Any) -> None:
    script = "echo made >trace\ncd /\nfalse\n"
    folder = write_recipe("broken", TOML, {"build.sh": script}).parent
    at = bench("one", folder)
    at.workshop.fetch(["broken"])
    at.workshop.builder.roots.get(("squashfs-tools",))
    master, slave = pty.openpty()
    process = subprocess.Popen(
        command(at, folder),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment(at),
        start_new_session=True,
    )
    os.close(slave)
    said = until(master, "[build]")
    assert "build.sh failed (status 1)" in said
    os.write(
        master, b'echo "at=$PWD name=$NAME jobs=$JOBS net=$(ls /sys/class/net 2>/dev/null)"; cat trace\n'
    )
    said = until(master, "made\r\n")
    assert "at=/build/src name=broken jobs=" in said
    os.write(master, b"\x03")
    os.write(master, b"echo still $((40 + 2)); exit\n")
    said = until(master, None)
    assert "still 42" in said
    assert process.wait(PATIENCE) == 8
    assert not list((at.dirs.cache / "work").iterdir())


def until(master: int, text: str | None) -> str:
    """Read the terminal until ``text`` appears, or to its end."""
    said = b""
    deadline = time.monotonic() + PATIENCE
    while text is None or text not in said.decode(errors="replace"):
        assert time.monotonic() < deadline, said.decode(errors="replace")
        if not select.select([master], [], [], 1)[0]:
            continue
        try:
            data = os.read(master, 4096)
        except OSError:
            break
        if not data:
            break
        said += data
    return said.decode(errors="replace")


def test_it_needs_a_terminal(bench: Any, write_recipe: Any) -> None:
    folder = write_recipe("broken", TOML, {"build.sh": "false\n"}).parent
    at = bench("one", folder)
    done = subprocess.run(
        command(at, folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment(at),
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("--debug-shell needs a terminal")
