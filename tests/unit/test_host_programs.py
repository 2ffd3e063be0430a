"""What runs on bases of others counts on what these have: Tiny Core lacks programs that floe has."""

from __future__ import annotations

import os
import re
import shutil
import signal
import struct
import subprocess
import time
from pathlib import Path

import pytest

from tcz import bases

TOP = Path(__file__).parents[2]
CONTAINER_HOST = TOP / "recipes/container-host/files/usr/local"
POWER_BUTTON = CONTAINER_HOST / "lib/container-host/power-button"
#: Programs that a script looks for before it calls them, or whose package it loads.
LOOKED_FOR = {
    "apply": {"sfdisk", "partx"},
    "acpid": {"acpid"},
    "audit": {"sha256sum"},
    # A way to keep a file is called link.
    "data-disk": {"fallocate", "resize2fs", "partx", "sfdisk", "link"},
    "status": {"ip"},
}
#: Where a command may begin: behind what separates commands, and behind words that take one.
_BEGINS = r"(?:^|[|;&({!`]|\$\(|\b(?:if|then|do|else|elif|until|while|exec|xargs(?: -r)?|env|timeout \d+))"
_HEADS = (b"#!", b"# shellcheck shell=sh")
_COMMAND = re.compile(rf"{_BEGINS}\s*([a-z][a-z0-9_.-]*)(?=[\s;)|&]|$)")


def scripts() -> list[Path]:
    files = (*CONTAINER_HOST.rglob("*"), *(TOP / "remaster/edits/files").iterdir())
    files += (*TOP.glob("recipes/*/init.d-*"), *TOP.glob("recipes/*/files/init.d-*"))
    for recipe in ("host-settings", "config-disk", "ssh-keys", "machine-contract"):
        files += tuple((TOP / "recipes" / recipe / "files").rglob("*"))
    return sorted(file for file in files if file.is_file() and file.read_bytes().startswith(_HEADS))


def commands(text: str) -> set[str]:
    lines = (line.strip() for line in text.splitlines())
    return {name for line in lines if not line.startswith("#") for name in _COMMAND.findall(line)}


@pytest.mark.parametrize("script", scripts(), ids=lambda path: path.name)
def test_scripts_for_all_bases_call_what_all_bases_have(script: Path) -> None:
    floes = bases.load("floe").programs | {"fallocate", "resize2fs", "partx", "sfdisk", "wipefs", "lsblk"}
    lacked = floes - bases.load("corepure64-16.x").programs
    assert "stat" in lacked
    assert (commands(script.read_text()) & lacked) - LOOKED_FOR.get(script.name, set()) == set()


def test_the_check_finds_them() -> None:
    text = 'if [ "$(stat -c %s x)" ]; then\n  fallocate x | nproc\nfi\n# stat\nfile=stat\n'
    assert commands(text) >= {"stat", "fallocate", "nproc"}
    assert "file" not in commands(text)


def event(kind: int, code: int, value: int) -> bytes:
    return struct.pack("<qqHHi", 1700000000, 5, kind, code, value)


def places(folder: Path) -> dict[str, str]:
    parts = {"POWER_INPUTS": "sys", "POWER_NODES": "dev", "FLOE_RUN": "run"}
    return {**{name: str(folder / part) for name, part in parts.items()}, "PATH": "/usr/bin:/bin"}


needs_busybox = pytest.mark.skipif(
    shutil.which("busybox") is None, reason="needs busybox (package busybox-static)"
)


def await_text(path: Path, text: str) -> bool:
    """Wait until a file has this text."""
    deadline = time.monotonic() + 30
    while not (path.is_file() and path.read_text() == text) and time.monotonic() < deadline:
        time.sleep(0.02)
    return path.read_text() == text


@needs_busybox
def test_a_power_button_without_acpid(tmp_path: Path) -> None:
    """Presses of the button are handled, its release and other keys are not, nor other devices."""
    for number, name in enumerate(("AT keyboard", "Power Button", "Power Button")):
        (tmp_path / f"sys/event{number}/device").mkdir(parents=True)
        (tmp_path / f"sys/event{number}/device/name").write_text(f"{name}\n")
    (tmp_path / "dev").mkdir()
    pressed, sync = event(1, 116, 1), event(0, 0, 0)
    (tmp_path / "dev/event0").write_bytes(pressed)
    others = event(1, 116, 0) + event(1, 30, 1) + event(1, 116, 2)
    (tmp_path / "dev/event1").write_bytes(sync + pressed + sync + others + pressed + pressed[:9])
    handler = tmp_path / "handler"
    handler.write_text(f"#!/bin/sh\necho pressed >>{tmp_path}/told\n")
    handler.chmod(0o755)
    argv, env = ["busybox", "ash", str(POWER_BUTTON), str(handler)], places(tmp_path)
    done = subprocess.run(argv, env=env, check=False, timeout=30)
    assert done.returncode == 0
    assert await_text(tmp_path / "told", "pressed\npressed\n")
    shutil.rmtree(tmp_path / "sys")
    none = subprocess.run(argv, env=env, check=False, timeout=30, stdout=subprocess.PIPE, text=True)
    assert (none.returncode, none.stdout) == (1, "there is no power button\n")


def is_read(writer: int) -> bool:
    try:
        return os.write(writer, event(0, 0, 0)) > 0
    except BrokenPipeError:
        return False


@needs_busybox
def test_nothing_of_it_is_left_when_it_is_stopped(tmp_path: Path) -> None:
    """What stays, a reader or a handler, would keep the log open, and with it the data disk in use."""
    (tmp_path / "sys/event0/device").mkdir(parents=True)
    (tmp_path / "sys/event0/device/name").write_text("Power Button\n")
    (tmp_path / "dev").mkdir()
    node = tmp_path / "dev/event0"
    os.mkfifo(node)
    handler = tmp_path / "handler"
    handler.write_text(
        f"#!/bin/sh\necho $$ >{tmp_path}/new\nmv {tmp_path}/new {tmp_path}/pid\nexec sleep 60\n"
    )
    handler.chmod(0o755)
    argv = ["busybox", "ash", str(POWER_BUTTON), str(handler)]
    log = (tmp_path / "log").open("w")
    with log, subprocess.Popen(argv, env=places(tmp_path), stdout=log) as daemon:
        writer = os.open(node, os.O_WRONLY)
        os.write(writer, event(1, 116, 1))
        while not (tmp_path / "pid").is_file():
            time.sleep(0.02)
        still_there = int((tmp_path / "pid").read_text())
        os.write(writer, event(0, 0, 0))
        read = tmp_path / "run/power-button.event0"
        deadline = time.monotonic() + 30
        while not (read.is_file() and read.stat().st_size == 0) and time.monotonic() < deadline:
            time.sleep(0.02)
        daemon.terminate()
        assert daemon.wait(30) == 0
        held = {str(fd.readlink()) for fd in Path(f"/proc/{still_there}/fd").iterdir()}
        os.kill(still_there, signal.SIGTERM)
        assert str(tmp_path / "log") not in held
        deadline = time.monotonic() + 30
        while is_read(writer) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not is_read(writer)
        os.close(writer)
