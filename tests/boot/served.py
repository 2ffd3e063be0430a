"""A mirror made and served by the commands that a user types, for machines that are started here."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TOP = Path(__file__).parents[2]
TCZ = "17.x/x86_64/tcz"
PATIENCE = 60.0
_LINE = re.compile(r'"GET /\S*/(\S+) HTTP/1.[01]" (\d+) (\d+) ')


@dataclass(frozen=True)
class Asked:
    """A request of the access log."""

    name: str
    status: int
    size: int


@dataclass(frozen=True)
class Served:
    """A mirror, served on the loopback; a machine of QEMU's finds that at 10.0.2.2."""

    root: Path
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://10.0.2.2:{self.port}/"

    def public(self, name: str) -> Path:
        return self.root / "public" / TCZ / name

    def asked_before(self, mark: str) -> list[Asked]:
        """Return what was asked for since the last call, when the file ``mark`` was asked for."""
        end = time.monotonic() + PATIENCE
        found: list[Asked] = []
        while not found or found[-1].name != mark:
            assert time.monotonic() < end, f"{mark} is not in\n{self.log.read_text()}"
            time.sleep(0.1)
            lines = _LINE.findall(self.log.read_text())
            found = [Asked(name, int(status), int(size)) for name, status, size in lines]
        os.truncate(self.log, 0)
        return found[:-1]


def tcz(*words: str | Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(TOP)}
    subprocess.run(
        [sys.executable, "-m", "tcz", "mirror", *map(str, words)],
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )


@contextmanager
def publishing(folder: Path, packages: Path, latest: str | None = None) -> Iterator[Served]:
    """Publish the packages of a folder in a new mirror, and serve it while the context lasts.

    ``latest`` is what the mirror tells to be Tiny Core's newest version.
    """
    root, log = folder / "published", folder / "access.log"
    tcz("init", root, "--branch", "17.x/x86_64")
    if latest is not None:
        with (root / "mirror.toml").open("a") as file:
            file.write(f'[latest]\nx86_64 = "{latest}"\n')
    tcz("add", packages, "--no-lint", "--progress", "none", "-m", root)
    environment = {**os.environ, "PYTHONPATH": str(TOP), "TCZ_MIRROR_DIR": str(root)}
    words = [sys.executable, "-m", "tcz", "mirror", "serve", "--listen", "127.0.0.1:0", "--log", str(log)]
    server = subprocess.Popen(words, cwd=root, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        said = server.stderr.readline()
        port = re.search(r":(\d+)/?$", said.strip())
        assert port is not None, said
        yield Served(root=root, port=int(port[1]), log=log)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(PATIENCE)
