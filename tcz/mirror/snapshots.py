"""Named states of a mirror, and the removal of content that no state, snapshot or lock names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcz.errors import ConfigError
from tcz.mirror import config as configs
from tcz.mirror import past, verify
from tcz.mirror.locks import locked
from tcz.mirror.objects import sync_disk
from tcz.mirror.repository import INCOMING

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from tcz.mirror.repository import Mirror
    from tcz.reporting import Reporter

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A named state; ``packages`` counts those of all branches."""

    name: str
    serial: int
    packages: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What ``gc`` removed or would remove, and what stays."""

    states: tuple[str, ...]
    objects: int
    bytes: int
    kept: int


def create(
    mirror: Mirror, name: str | None, today: date, reporter: Reporter, *, dry_run: bool = False
) -> Snapshot:
    """Keep the state that is shown under a name, ``today`` if none is given.

    Raises ``ConfigError`` for a name that another state has, and for a mirror that shows nothing.
    """
    name = today.isoformat() if name is None else name
    if not _NAME.match(name):
        raise ConfigError(
            f"{name!r} is no name for a snapshot",
            hint="letters, digits and . _ - only, the first a letter or a digit",
        )
    with mirror.writing(reporter) as writer:
        shown = mirror.shown()
        if shown is None:
            raise ConfigError("the mirror shows nothing yet", hint="tcz mirror index publishes it")
        if dry_run:
            writer.refuse_name(name, shown)
        else:
            writer.name(name, shown)
        return _told(mirror, name, shown)


def listing(mirror: Mirror) -> tuple[Snapshot, ...]:
    """Return all snapshots by name. Raises ``VerifyError`` for one that cannot be read."""
    return tuple(_told(mirror, name, state) for name, state in mirror.snapshots().items())


def _told(mirror: Mirror, name: str, state: Path) -> Snapshot:
    catalogue = mirror.catalogue(state)
    size = sum(entry.size for branch in catalogue.branches.values() for entry in branch.values())
    count = sum(map(len, catalogue.branches.values()))
    return Snapshot(name=name, serial=catalogue.serial, packages=count, size=size)


def remove(mirror: Mirror, name: str, reporter: Reporter, *, dry_run: bool = False) -> tuple[str, ...]:
    """Forget a snapshot; return the states that are removed with it. Their content stays until ``gc``."""
    with mirror.writing(reporter) as writer:
        if not _NAME.match(name):
            raise ConfigError(f"there is no snapshot {name!r}", hint="tcz mirror snapshot list shows all")
        keep = configs.read(mirror.root).keep
        if dry_run:
            return tuple(state.name for state in writer.old(keep, without=name))
        writer.unname(name)
        return writer.prune(keep)


def collect(mirror: Mirror, reporter: Reporter, *, dry_run: bool = False) -> Collected:
    """Remove objects that no state, snapshot or lock names.

    Raises ``VerifyError`` or ``ConfigError`` where a catalogue or a lock cannot be read: it might name
    anything, so nothing is removed.
    """
    config = configs.read(mirror.root)
    with mirror.writing(reporter) as writer:
        named = locked(mirror.root, config)
        needed = set(named)
        states = () if dry_run else writer.prune(config.keep)
        for state in writer.states():
            needed.update(blob.sha256 for _, blob in verify.files_of(state, mirror.catalogue(state)))
        known = past.read(mirror.root)
        needed.update(sha256 for one in known if one.sha256 in named for _, sha256 in one.files)
        stay = [one for one in known if one.sha256 in needed]
        if len(stay) < len(known) and not dry_run:
            past.forget(mirror.root, stay)
        # What an interrupted sync has brought: the next one goes on with it.
        needed.update(
            path.parent.name + path.name
            for path in (link.readlink() for link in (mirror.root / INCOMING).glob("*.done"))
        )
        count = size = kept = 0
        for path in (mirror.root / "objects").glob("??/*"):
            if path.parent.name + path.name in needed:
                kept += 1
                continue
            count += 1
            size += path.stat().st_size
            if not dry_run:
                path.unlink()
        if count and not dry_run:
            sync_disk(mirror.root)
    return Collected(states=states, objects=count, bytes=size, kept=kept)
