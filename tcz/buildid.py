"""The ids of a build: hashes of everything that goes in, so that the same id is never built twice.

Each is the sha256 of lines of text, and each holds the lines of the one before: the stage id (what a
build installs), the content id (how that is divided into packages, and what they say of themselves) and
the build id (how the packages are compressed). Fields that keep their defaults are left out, so a new
kind of field changes no id. Change ``SCHEMA`` whenever this toolkit itself would make other bytes out
of the same inputs.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tcz.squashfs.options import WRITER
from tcz.store import sha256_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tcz.model import Recipe, ResolvedSource
    from tcz.squashfs.options import SquashOptions

SCHEMA = 2
#: Counts up when the same staged files come to be made other packages or companion files.
PACKING = 1
_NOT_BUILT = ("recipe.toml", "boot-test.sh")


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A build that another builds upon, by its content id: it need not exist yet."""

    recipe: str
    content_id: str


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
    """Return a value of the model as plain JSON data: class names and what differs from the defaults.

    Paths of this machine are left out.
    """
    if is_dataclass(value) and not isinstance(value, type):
        found = {field.name: getattr(value, field.name) for field in fields(value) if _is_set(value, field)}
        kept = {key: canonical(item) for key, item in found.items() if not isinstance(item, Path)}
        return {"": type(value).__name__} | kept
    if isinstance(value, tuple | list):
        return [canonical(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"no canonical form for {type(value).__name__}")


def _is_set(value: object, field: Field[object]) -> bool:
    if not field.metadata.get("in ids", True):
        return False
    default = field.default if field.default_factory is MISSING else field.default_factory()
    return bool(default is MISSING or getattr(value, field.name) != default)


def folder_lines(folder: Path) -> Iterator[str]:
    """Describe a recipe's folder: a build sees it, so every file counts, with its executable bit.

    Left out are recipe.toml, whose meaning counts and not its comments, and boot-test.sh, which is for
    the machine that the finished package is tried on.
    """
    for place, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if name not in ("__pycache__", ".git"))
        links = [name for name in names if (Path(place) / name).is_symlink()]
        for name in sorted([*files, *links]):
            path = Path(place) / name
            inside = path.relative_to(folder).as_posix()
            if inside in _NOT_BUILT:
                continue
            if path.is_symlink():
                yield f"link {inside} {path.readlink()}"
            else:
                kind = "exec" if path.stat().st_mode & stat.S_IXUSR else "file"
                yield f"{kind} {inside} {sha256_file(path)}"


def stage_lines(inputs: Inputs) -> Sequence[str]:
    """Return what decides the files that a build installs: all but how they are divided and packed."""
    recipe = inputs.recipe
    sources = (f"source {s.kind} {s.name} {s.version} {s.hash}" for s in inputs.sources)
    needs = (f"needs {need.recipe} {need.content_id}" for need in inputs.needs)
    return [
        f"schema {SCHEMA}",
        f"name {recipe.name}",
        f"version {inputs.version}",
        f"build {_json(recipe.build)}",
        f"unpack {_json(recipe.sources)}",
        *folder_lines(recipe.folder),
        *sources,
        f"root {inputs.root}",
        f"pack {inputs.pack_root}",
        *sorted(needs),
        f"epoch {inputs.epoch}",
    ]


def content_lines(inputs: Inputs) -> Sequence[str]:
    """Return what decides the packages of a build, unpacked, and their companion files."""
    return [*stage_lines(inputs), f"recipe {_json(inputs.recipe)}"]


def lines(inputs: Inputs) -> Sequence[str]:
    """Return the lines that are hashed; worth reading when two ids differ unexpectedly."""
    return [
        *content_lines(inputs),
        f"writer {WRITER}",
        f"packing {PACKING}",
        f"squashfs {_json(inputs.options)}",
    ]


def stage_id(inputs: Inputs) -> str:
    """Return the id of what a build installs, whatever becomes of it afterwards: 64 hex digits."""
    return _hash(stage_lines(inputs))


def content_id(inputs: Inputs) -> str:
    """Return the id of the packages' contents, however they are compressed: 64 hex digits."""
    return _hash(content_lines(inputs))


def build_id(inputs: Inputs) -> str:
    """Return the id: 64 hex digits."""
    return _hash(lines(inputs))


def _json(value: object) -> str:
    return json.dumps(canonical(value), sort_keys=True)


def _hash(found: Sequence[str]) -> str:
    text = "".join(line + "\n" for line in found)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
