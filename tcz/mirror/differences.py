"""What changed between two states, two snapshots, or two mirrors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tcz.errors import ConfigError
from tcz.mirror.model import listed
from tcz.mirror.repository import CONFIG, STATES, Mirror
from tcz.toml import guess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcz.mirror.model import Branch, Catalogue, Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A package that is not the same in both. A version is empty where there is none, as is a size of -1."""

    branch: str
    name: str
    change: str
    old_version: str = ""
    new_version: str = ""
    old_size: int = -1
    new_size: int = -1
    files: tuple[str, ...] = ()


def catalogue_of(root: Path, name: str) -> Catalogue:
    """Return what is meant: a state's number, a snapshot, ``now``, or the folder of another mirror.

    Raises ``ConfigError`` for a name that is none of these.
    """
    if "/" in name or (Path(name) / CONFIG).is_file():
        return Mirror.open(Path(name)).catalogue()
    mirror = Mirror.open(root)
    if name == "now":
        return mirror.catalogue()
    snapshots = mirror.snapshots()
    if name in snapshots:
        return mirror.catalogue(snapshots[name])
    state = mirror.root / STATES / name
    if name.isascii() and name.isdigit() and state.is_dir():
        return mirror.catalogue(state)
    known = sorted(path.name for path in (mirror.root / STATES).glob("[0-9]*"))
    raise ConfigError(
        f"{name!r} is no snapshot, no state and no mirror",
        hint=guess(name, snapshots) or f"'now', one of the states {', '.join(known)}, or a mirror's folder",
    )


def differences(old: Catalogue, new: Catalogue) -> Iterator[Difference]:
    """Return the packages that are not the same, by branch and name."""
    for branch in sorted({*old.branches, *new.branches}):
        before, after = old.entries(branch), new.entries(branch)
        for name in listed({*before, *after}):
            one = _difference(branch, name, before.get(name), after.get(name))
            if one is not None:
                yield one


def _difference(branch: Branch, name: str, old: Entry | None, new: Entry | None) -> Difference | None:
    files = set()
    if old is not None and new is not None:
        suffixes = {*old.files, *new.files} - {".tree"}
        files = {suffix for suffix in suffixes if old.files.get(suffix) != new.files.get(suffix)}
        if not files:
            return None
    change = (
        "added" if old is None else "removed" if new is None else "changed" if "" in files else "companions"
    )
    return Difference(
        branch=str(branch),
        name=name,
        change=change,
        old_version="" if old is None else old.version,
        new_version="" if new is None else new.version,
        old_size=-1 if old is None else old.size,
        new_size=-1 if new is None else new.size,
        files=tuple(sorted(files)),
    )


def lines(found: tuple[Difference, ...]) -> Iterator[str]:
    """Return differences as lines."""
    several = len({one.branch for one in found}) > 1
    for one in found:
        name = f"{one.branch}/{one.name}.tcz" if several else f"{one.name}.tcz"
        match one.change:
            case "added":
                yield f"+ {name} {one.new_version} ({one.new_size} bytes)"
            case "removed":
                yield f"- {name} {one.old_version} ({one.old_size} bytes)"
            case "changed":
                versions = f"{one.old_version} -> {one.new_version}"
                yield f"* {name} {versions} ({one.old_size} -> {one.new_size} bytes)"
            case _:
                yield f". {name}: {' '.join(one.files)}"
