"""The id of a build: the hash of everything that goes in, so that the same id is never built twice.

It is the sha256 of lines of text; change ``SCHEMA`` whenever this toolkit itself would make other
bytes out of the same inputs.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tcz.store import sha256_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tcz.model import Recipe, ResolvedSource
    from tcz.squash import SquashOptions

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A build that another builds upon, by its id: it need not exist yet."""

    recipe: str
    build_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """All that decides the bytes of a build."""

    recipe: Recipe
    version: str
    sources: tuple[ResolvedSource, ...]
    root: str
    pack_root: str
    needs: tuple[Need, ...]
    options: SquashOptions
    epoch: int


def canonical(value: object) -> object:
    """Return a value of the model as plain JSON data: with class names, without paths of this machine."""
    if is_dataclass(value) and not isinstance(value, type):
        found = {field.name: getattr(value, field.name) for field in fields(value)}
        kept = {key: canonical(item) for key, item in found.items() if not isinstance(item, Path)}
        return {"": type(value).__name__} | kept
    if isinstance(value, tuple | list):
        return [canonical(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"no canonical form for {type(value).__name__}")


def folder_lines(folder: Path) -> Iterator[str]:
    """Describe a recipe's folder but for recipe.toml, whose meaning counts and not its comments.

    A build sees the whole folder, so every file of it counts, with its executable bit.
    """
    for place, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if name not in ("__pycache__", ".git"))
        links = [name for name in names if (Path(place) / name).is_symlink()]
        for name in sorted([*files, *links]):
            path = Path(place) / name
            inside = path.relative_to(folder).as_posix()
            if inside == "recipe.toml":
                continue
            if path.is_symlink():
                yield f"link {inside} {path.readlink()}"
            else:
                kind = "exec" if path.stat().st_mode & stat.S_IXUSR else "file"
                yield f"{kind} {inside} {sha256_file(path)}"


def stage_lines(inputs: Inputs) -> Sequence[str]:
    """Return what decides the files that a build installs: all but how they are packed."""
    sources = (f"source {s.kind} {s.name} {s.version} {s.hash}" for s in inputs.sources)
    needs = (f"needs {need.recipe} {need.build_id}" for need in inputs.needs)
    return [
        f"schema {SCHEMA}",
        f"recipe {json.dumps(canonical(inputs.recipe), sort_keys=True)}",
        f"version {inputs.version}",
        *folder_lines(inputs.recipe.folder),
        *sources,
        f"root {inputs.root}",
        f"pack {inputs.pack_root}",
        *sorted(needs),
        f"epoch {inputs.epoch}",
    ]


def lines(inputs: Inputs) -> Sequence[str]:
    """Return the lines that are hashed; worth reading when two ids differ unexpectedly."""
    return [*stage_lines(inputs), f"squashfs {json.dumps(canonical(inputs.options), sort_keys=True)}"]


def stage_id(inputs: Inputs) -> str:
    """Return the id of what a build installs, whatever way it is packed afterwards: 64 hex digits."""
    return _hash(stage_lines(inputs))


def build_id(inputs: Inputs) -> str:
    """Return the id: 64 hex digits."""
    return _hash(lines(inputs))


def _hash(found: Sequence[str]) -> str:
    text = "".join(line + "\n" for line in found)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
