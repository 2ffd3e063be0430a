"""Changing recipes: their hashes, their version; see also ``tcz.scaffold`` for new ones."""

from __future__ import annotations

import difflib
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tcz import recipe_edit
from tcz.errors import ConfigError
from tcz.model import CargoLock
from tcz.recipe import loads
from tcz.recipe_sources import DEBIAN_VERSION
from tcz.sources import learn
from tcz.store import replacing

if TYPE_CHECKING:
    from tcz.model import Recipe
    from tcz.sources import Sources


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A recipe.toml as it is and as it would be."""

    path: Path
    before: str
    after: str
    version: str

    def diff(self) -> tuple[str, ...]:
        """Return the difference as lines of a patch; nothing where there is none."""
        lines = difflib.unified_diff(
            self.before.splitlines(),
            self.after.splitlines(),
            f"a/{self.path.name}",
            f"b/{self.path.name}",
            lineterm="",
        )
        return tuple(lines)

    def write(self) -> None:
        """Write the file, whole or not at all."""
        if self.after != self.before:
            with replacing(self.path) as temporary:
                temporary.write_text(self.after, encoding="utf-8")


def checksum(folder: Path, sources: Sources) -> Change:
    """Return a recipe with the hashes of what its sources name now.

    Sources may lack theirs. Raises ``ConfigError`` for a recipe with other mistakes, and what fetching
    raises.
    """
    path = folder / "recipe.toml"
    before = _read(path)
    text = recipe_edit.with_placeholders(before, str(path))
    return _pinned(path, before, text, sources)


def bump(folder: Path, sources: Sources, version: str | None = None) -> Change:
    """Return a recipe of another version, the newest release if none is named, with its hashes.

    Raises as ``checksum`` does, and ``ConfigError`` where no source tells of newer versions.
    """
    path = folder / "recipe.toml"
    before = _read(path)
    text = recipe_edit.with_placeholders(before, str(path))
    recipe = loads(text, folder)
    if recipe.version == DEBIAN_VERSION:
        raise ConfigError(
            f"recipe {recipe.name} follows Debian: its version is not in the recipe",
            hint="tcz build --update takes the newest",
        )
    if version is None:
        written = recipe_edit.templates(text, str(path))
        version = learn.newest(tuple(zip(recipe.sources, written, strict=True)), sources.teachers)
    if version == recipe.version:
        return Change(path=path, before=before, after=before, version=version)
    return _pinned(path, before, recipe_edit.with_version(text, str(path), version), sources)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def _pinned(path: Path, before: str, text: str, sources: Sources) -> Change:
    recipe = loads(text, path.parent)
    found = learn.pins(recipe.sources, recipe.version, sources.teachers)
    recipe = _with_locks(replace(recipe, sources=found), sources)
    after = recipe_edit.with_pins(text, str(path), recipe.sources)
    return Change(path=path, before=before, after=after, version=recipe.version)


def _with_locks(recipe: Recipe, sources: Sources) -> Recipe:
    """Return a recipe with the hashes of each Cargo.lock that its other sources bring."""
    if not any(isinstance(source, CargoLock) for source in recipe.sources):
        return recipe
    others = tuple(source for source in recipe.sources if not isinstance(source, CargoLock))
    with tempfile.TemporaryDirectory() as name:
        src = Path(name) / "src"
        sources.unpack(sources.fetch(replace(recipe, sources=others)), src)
        changed = tuple(
            replace(source, sha256=learn.lock_sum(source, src)) if isinstance(source, CargoLock) else source
            for source in recipe.sources
        )
    return replace(recipe, sources=changed)
