"""Packages and mirrors made up for the tests of the mirror."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from tcz.metadata import Info, Md5, dep_text, info_text, md5_text
from tcz.mirror import changes
from tcz.mirror.config import Config
from tcz.mirror.model import Branch
from tcz.reporting import SilentReporter
from tcz.squashfs import writer
from tcz.squashfs.options import SquashOptions
from tcz.tree import Tree, directory, regular

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcz.mirror.repository import Mirror

BRANCH = Branch.parse("17.x/x86_64")
QUIET = SilentReporter()


@contextmanager
def quick_folder() -> Iterator[Path]:
    """Give a folder in memory where there is one: on a busy disk each publication waits for all of it."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        yield Path(name)


def package(
    folder: Path, name: str, *needs: str, version: str = "1", tags: str | None = None, padding: int = 0
) -> Path:
    """Write NAME.tcz with a script that tells its version, and what lies beside it; return its path.

    ``padding`` are bytes of another file in it, which do not get less when they are compressed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.tcz"
    program = f"usr/local/bin/{name}"
    nodes = {folder: directory() for folder in ("", "usr", "usr/local", "usr/local/bin")}
    nodes[program] = regular(f"#!/bin/sh\necho {name} {version}\n".encode(), 0o755)
    if padding:
        nodes[f"usr/local/{name}"] = regular(Random(name).randbytes(padding))
    path.unlink(missing_ok=True)
    writer.write(Tree(nodes), path, SquashOptions(), epoch=1, threads=1)
    md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    info = Info(
        title=path.name,
        description=f"The package {name}",
        version=version,
        author="Somebody",
        original_site="https://thing.example",
        copying_policy="MIT",
        size="4K",
        extension_by="us",
        tags=f"{name} test" if tags is None else tags,
        comments="none",
        change_log="2025/01/01 first version",
        current="2025/01/01 first version",
    )
    beside = {
        ".md5.txt": md5_text(Md5(md5=md5, name=path.name)),
        ".dep": dep_text(needs),
        ".info": info_text(info),
        ".list": f"{program}\n",
    }
    for suffix, text in beside.items():
        file = path.with_name(path.name + suffix)
        file.unlink(missing_ok=True)
        if text is not None:
            file.write_text(text)
    return path


def begun(folder: Path, keep: int = 3) -> Mirror:
    return changes.init(folder, Config(title="Test", branches=(BRANCH,), keep=keep, latest={}), QUIET)


def added(mirror: Mirror, *files: Path, replacing: bool = False) -> changes.Outcome:
    return changes.add(mirror, files, BRANCH, QUIET, replacing=replacing)
