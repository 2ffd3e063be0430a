"""Staged files divided among a recipe's packages: those it names, and those split off the rest."""

from __future__ import annotations

import posixpath
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tcz import elf, split, stage
from tcz.errors import VerifyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tcz.model import PackageSpec, Recipe
    from tcz.stage import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A package and the staged entries that go into it."""

    spec: PackageSpec
    entries: tuple[Entry, ...]


def shares(recipe: Recipe, dest: Path, entries: Sequence[Entry]) -> tuple[Share, ...]:
    """Divide what is staged in ``dest``: the packages the recipe names, then those split off.

    Only packages that were split off and hold nothing are left out. Raises what ``stage.claim`` does.
    """
    claimed = stage.claim(entries, recipe.packages)
    main, parts = split.main_package(recipe), split.parts(recipe)
    if main is None or not parts:
        return tuple(Share(spec=spec, entries=claimed[spec.name]) for spec in recipe.packages)
    divided: dict[str, list[Entry]] = {spec.name: list(claimed[spec.name]) for spec in recipe.packages}
    divided[main.name] = []
    for entry in claimed[main.name]:
        part = _part(dest, entry)
        name = main.name if part == "main" else parts[part].name
        divided.setdefault(name, []).append(entry)
    made = [spec for spec in split.products(recipe) if spec in recipe.packages or divided.get(spec.name)]
    found = tuple(Share(spec=spec, entries=_sorted(divided[spec.name])) for spec in made)
    split_off = {main.name, *(spec.name for spec in made if spec not in recipe.packages)}
    paths = {share.spec.name: set(_paths(share.entries)) for share in found}
    return tuple(
        _with_its_rules(share, paths, main) if share.spec.name in split_off else share for share in found
    )


def _sorted(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda entry: entry.path))


def _part(dest: Path, entry: Entry) -> split.Part:
    found = split.part_of(entry.path)
    if found == "main" and split.is_link_name(entry.path) and _only_links(dest, entry):
        return "dev"
    return found


def _only_links(dest: Path, entry: Entry) -> bool:
    """Tell a link, or a linker's script, that no program asks for when it runs."""
    name = posixpath.basename(entry.path)
    if stat.S_ISREG(entry.status.st_mode):
        with (dest / entry.path).open("rb") as file:
            return file.read(len(elf.MAGIC)) != elf.MAGIC
    target = followed(dest, entry.path)
    if target is None:
        return True
    try:
        facts = elf.inspect(dest / target)
    except VerifyError:
        return False
    return facts is not None and facts.soname not in (None, name)


def followed(dest: Path, path: str) -> str | None:
    """Return the staged file that a staged link leads to, ``None`` where that is none.

    Links are followed within the staged folder: one that is absolute begins at its top.
    """
    for _ in range(8):
        place = dest / path
        if not place.is_symlink():
            return path if place.is_file() else None
        target = str(place.readlink())
        joined = target if target.startswith("/") else posixpath.join(posixpath.dirname(path), target)
        path = posixpath.normpath("/" + joined).lstrip("/")
        if _through_a_link(dest, path):
            return None
    return None


def _through_a_link(dest: Path, path: str) -> bool:
    """Tell whether a folder on the way is a link: it might lead out of the staged folder."""
    folder = dest
    for part in path.split("/")[:-1]:
        folder /= part
        if folder.is_symlink():
            return True
    return False


def _with_its_rules(share: Share, paths: Mapping[str, set[str]], main: PackageSpec) -> Share:
    """Leave a package those owner rules of the main one that are about its own files."""
    spec = share.spec
    kept = tuple(
        rule
        for rule in main.owners
        if any(stage.fits(rule, path) for path in paths[spec.name])
        # A rule that matches nowhere stays with the main package, which complains of it.
        or (
            spec.name == main.name
            and not any(stage.fits(rule, path) for all_of in paths.values() for path in all_of)
        )
    )
    return replace(share, spec=replace(spec, owners=kept))


def _paths(entries: Iterable[Entry]) -> Iterator[str]:
    for entry in entries:
        path = entry.path
        while path:
            yield path
            path = path.rpartition("/")[0]
