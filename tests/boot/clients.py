"""Clients of our recipes, unpacked on this machine, that speak to machines that are started here."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def unpacked(package: str, folder: Path) -> Path:
    """Build a package and unpack it; return its usr/local/bin."""
    command = [sys.executable, "-m", "tcz", "build", package]
    built = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    file = next(path for path in built if path.endswith(f"/{package}.tcz"))
    command = ["unsquashfs", "-q", "-n", "-f", "-d", str(folder), file]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "usr/local/bin"


def environment(folder: Path, key: Path) -> dict[str, str]:
    """Return an environment whose ssh has one key, and believes the machine at its first sight."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"-i {key} -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=accept-new"
    ssh = folder / "ssh"
    ssh.write_text(
        f'#!/bin/sh\nexec /usr/bin/ssh -F none {options} -o UserKnownHostsFile={folder}/known_hosts "$@"\n'
    )
    ssh.chmod(0o755)
    return {"HOME": str(folder), "PATH": f"{folder}:{os.environ['PATH']}"}


def run(words: list[str | Path], env: dict[str, str], data: str = "", *, status: int = 0) -> str:
    """Run a client; return what it said."""
    done = subprocess.run(
        words, env=env, input=data, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout if not status else done.stderr
