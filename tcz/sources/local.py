"""Files of the recipe itself as a source."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcz.errors import ConfigError, Problem
from tcz.model import Local, ResolvedSource
from tcz.sources.part import place
from tcz.store import sha256_file
from tcz.unpack import make_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Checkouts give files any time; builds that look at times must not see that. 2025-01-01.
_TIME = 1735689600


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPart:
    """A folder or file of a recipe."""

    source: Local
    path: Path
    resolved: ResolvedSource

    def unpack(self, into: Path) -> None:
        """Copy it, with execute bits and links; all times are the same."""
        folder = place(into, self.source.dest)
        for path, inside in _walk(self.path):
            target = folder / inside
            make_folder(target.parent)
            if path.is_dir() and not path.is_symlink():
                make_folder(target)
                continue
            target.unlink(missing_ok=True)
            shutil.copyfile(path, target, follow_symlinks=False)
            if not path.is_symlink():
                target.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
                os.utime(target, (_TIME, _TIME))


def fetch(source: Local, folder: Path, version: str) -> LocalPart:
    """Return the part; raise ``ConfigError`` when the recipe has no such path."""
    path = folder / source.path
    if not path.exists() or not path.resolve().is_relative_to(folder.resolve()):
        where = f"{folder.name}/recipe.toml: source.path"
        problem = Problem(where=where, message=f"{source.path!r} is not in the recipe's folder")
        raise ConfigError(f"recipe {folder.name} names a file that is not there", [problem])
    lines = [f"{inside} {_describe(found)}" for found, inside in _walk(path)]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    line = ResolvedSource(
        kind="local",
        name=source.path,
        version=version,
        hash=f"sha256:{digest}",
        origin=f"recipe:{folder.name}",
    )
    return LocalPart(source=source, path=path, resolved=line)


def _walk(path: Path) -> Iterator[tuple[Path, str]]:
    """Yield each path below a folder, or the one file, with its relative name, in fixed order."""
    if path.is_file():
        yield path, path.name
        return
    for found in sorted(path.rglob("*"), key=lambda item: item.as_posix()):
        yield found, found.relative_to(path).as_posix()


def _describe(path: Path) -> str:
    if path.is_symlink():
        return f"link {path.readlink()}"
    if path.is_dir():
        return "folder"
    return f"{'x' if path.stat().st_mode & 0o100 else '-'} {sha256_file(path)}"
