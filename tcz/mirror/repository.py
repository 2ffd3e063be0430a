"""A mirror on disk: states that never change, and one link that says which of them is shown.

::

    mirror.toml            what the mirror is (see ``tcz.mirror.config``)
    objects/ab/cdef...     content by sha256
    states/SERIAL/         what the public sees at one time, hard links into objects/
    public -> states/7     the state that is shown: one rename replaces it
    snapshots/NAME         -> ../states/5, a state that stays
    tmp/                   what a writer is making; whatever lies there with no writer is a leftover
    past.jsonl             what belonged to packages that are shown no more (see ``tcz.mirror.past``)
    incoming/              what an interrupted sync has brought so far; the next one goes on with it

A writer holds the lock, makes a state in ``tmp``, has all of it written to the disk, renames it into
``states`` and then replaces ``public``. Killed anywhere, it leaves what was public before, and the next
writer removes its leftovers.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from tcz.errors import ConfigError, ToolkitError, VerifyError
from tcz.mirror import catalogue as catalogues
from tcz.mirror.entries import differing
from tcz.mirror.model import EMPTY
from tcz.mirror.objects import Objects, sync_disk
from tcz.store import sync

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from tcz.mirror.model import Blob, Catalogue
    from tcz.reporting import Reporter

PUBLIC = "public"
STATES = "states"
SNAPSHOTS = "snapshots"
CONFIG = "mirror.toml"
INCOMING = "incoming"
TMP = "tmp"


@dataclass(frozen=True, slots=True)
class Mirror:
    """A mirror in the folder ``root``."""

    root: Path

    @classmethod
    def open(cls, root: Path) -> Mirror:
        """Return the mirror in a folder; raises ``ConfigError`` where there is none."""
        if not (root / CONFIG).is_file():
            raise ConfigError(f"there is no mirror in {root}", hint=f"make one with: tcz mirror init {root}")
        return cls(root)

    @property
    def objects(self) -> Objects:
        """Its content."""
        return Objects(self.root)

    @property
    def public(self) -> Path:
        """The folder to serve."""
        return self.root / PUBLIC

    def shown(self) -> Path | None:
        """Return the folder of the state that is shown now; ``None`` for a mirror that never was published.

        Whoever reads several files reads them below this path: ``public`` may change in between.
        """
        try:
            return self.root / self.public.readlink()
        except FileNotFoundError:
            return None

    def catalogue(self, state: Path | None = None) -> Catalogue:
        """Return the catalogue of a state, the one that is shown if none is given.

        Raises ``VerifyError`` where it is damaged.
        """
        state = state or self.shown()
        if state is None:
            return EMPTY
        try:
            root = (state / catalogues.ROOT).read_bytes()
            return catalogues.parse(root, lambda path: (state / path).open("rb"))
        except FileNotFoundError as error:
            raise VerifyError(
                "a state of the mirror has lost its catalogue",
                where=str(error.filename),
                hint="tcz mirror repair",
            ) from error

    def snapshots(self) -> Mapping[str, Path]:
        """Return the named states, by name."""
        folder = self.root / SNAPSHOTS
        found = sorted(folder.glob("[!.]*")) if folder.is_dir() else []
        return {link.name: self.root / STATES / link.readlink().name for link in found}

    @contextmanager
    def writing(self, reporter: Reporter, *, wait: bool = True) -> Iterator[Writer]:
        """Hold the mirror for changes; leftovers of a writer that was killed are removed first.

        Another writer is waited for, said aloud; with ``wait`` false, ``ToolkitError`` tells of it.
        """
        with (self.root / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not wait:
                    raise ToolkitError(
                        "another command is changing this mirror",
                        where=str(self.root),
                        hint="run again later",
                    ) from None
                reporter.note(f"waiting for another command that changes {self.root}")
                fcntl.flock(lock, fcntl.LOCK_EX)
            writer = Writer(self)
            writer.recover()
            yield writer


class Writer:
    """Changes a mirror; made by ``Mirror.writing``."""

    def __init__(self, mirror: Mirror) -> None:
        """Take the mirror, whose lock is held."""
        self.mirror = mirror
        self.objects = mirror.objects

    def recover(self) -> None:
        """Remove what an interrupted writer left: all of ``tmp``, states half removed or never public."""
        root = self.mirror.root
        shutil.rmtree(root / "tmp", ignore_errors=True)
        for doomed in (root / STATES).glob(".*"):
            shutil.rmtree(doomed)
        kept = {path.name for path in self.mirror.snapshots().values()}
        shown = self.mirror.shown()
        last = int(shown.name) if shown else 0
        for state in self.states():
            if int(state.name) > last and state.name not in kept:
                self.remove(state)

    def states(self) -> list[Path]:
        """Return the folders of all states, oldest first."""
        folder = self.mirror.root / STATES
        found = [path for path in folder.iterdir() if path.name.isdigit()] if folder.is_dir() else []
        return sorted(found, key=lambda path: int(path.name))

    def publish(self, files: Mapping[str, Blob], serial: int) -> Path:
        """Show ``files`` (public path to content) as the state ``serial``; return its folder.

        All of it is on the disk before a reader can see any of it.
        """
        return self._published(files.items(), serial)

    def _published(self, files: Iterable[tuple[str, Blob]], serial: int) -> Path:
        root = self.mirror.root
        for name in (STATES, "tmp"):
            (root / name).mkdir(exist_ok=True)
        new = Path(tempfile.mkdtemp(dir=root / "tmp"))
        new.chmod(0o755)
        self._link(files, new)
        return self._shown(new, serial)

    def follow(self, made: Catalogue, own: Mapping[str, Blob], *, keep: int | None) -> Path:
        """Show a composed catalogue, with the files of its ``own``; as ``publish`` does, but in less time.

        A state that would be removed afterwards, only ``keep`` being kept, is made into the new one where
        there is one: most of its files are the same. With ``None`` every file is linked anew.
        """
        spare = None if keep is None else self._spare(keep)
        if spare is not None:
            with suppress(VerifyError):
                before = self.mirror.catalogue(spare)
                if before.branches.keys() == made.branches.keys():
                    return self._renewed(spare, before, made, own)
        return self._published(chain(made.files(), own.items()), made.serial)

    def _spare(self, keep: int) -> Path | None:
        """Return the newest state that is to be removed once there is one more."""
        old = self.old(keep - 1)
        return old[-1] if old else None

    def _renewed(self, spare: Path, before: Catalogue, made: Catalogue, own: Mapping[str, Blob]) -> Path:
        # From here on it is no state any more: whatever happens, it is public as a whole or removed.
        new = self._taken(spare)
        folders = tuple(f"{branch.folder}/" for branch in made.branches)
        for file in _files_outside(new, folders):
            file.unlink()

        def exchanged() -> Iterator[tuple[str, Blob]]:
            for path, blob in differing(made, before):
                if path.startswith(folders):
                    (new / path).unlink(missing_ok=True)
                    if blob is not None:
                        yield path, blob

        others = chain(made.extra.items(), made.indexes.items())
        outside = (one for one in others if not one[0].startswith(folders))
        self._link(chain(exchanged(), outside, own.items()), new)
        return self._shown(new, made.serial)

    def _link(self, files: Iterable[tuple[str, Blob]], folder: Path) -> None:
        made: set[str] = set()
        for path, blob in files:
            target = f"{folder}/{path}"
            parent = target.rpartition("/")[0]
            if parent not in made:
                Path(parent).mkdir(parents=True, exist_ok=True)
                made.add(parent)
            self.objects.link(blob, target)

    def _shown(self, new: Path, serial: int) -> Path:
        """Make what was written a state, and show it."""
        root = self.mirror.root
        sync_disk(root)
        state = root / STATES / str(serial)
        new.rename(state)
        # The link must not outlive a power cut that its state does not.
        sync(root / STATES)
        self.show(state)
        return state

    def show(self, state: Path) -> None:
        """Make a state the public one."""
        root = self.mirror.root
        _replace_link(root / PUBLIC, f"{STATES}/{state.name}")
        sync_disk(root)

    def name(self, snapshot: str, state: Path) -> None:
        """Keep a state under a name; raises ``ConfigError`` for a name that is taken by another state."""
        self.refuse_name(snapshot, state)
        folder = self.mirror.root / SNAPSHOTS
        folder.mkdir(exist_ok=True)
        _replace_link(folder / snapshot, f"../{STATES}/{state.name}")
        sync_disk(self.mirror.root)

    def refuse_name(self, snapshot: str, state: Path) -> None:
        """Raise ``ConfigError`` for a name that another state has."""
        link = self.mirror.root / SNAPSHOTS / snapshot
        if link.is_symlink() and link.readlink().name != state.name:
            raise ConfigError(
                f"there is a snapshot {snapshot} already", hint="snapshots never change: choose another name"
            )

    def unname(self, snapshot: str) -> None:
        """Forget a snapshot's name; raises ``ConfigError`` for one that is not there."""
        link = self.mirror.root / SNAPSHOTS / snapshot
        if not link.is_symlink():
            raise ConfigError(f"there is no snapshot {snapshot}", hint="tcz mirror snapshot list shows all")
        link.unlink()
        sync_disk(self.mirror.root)

    def prune(self, keep: int) -> tuple[str, ...]:
        """Remove all but the newest ``keep`` states, those shown or named excepted; return their names."""
        old = self.old(keep)
        for state in old:
            self.remove(state)
        return tuple(state.name for state in old)

    def old(self, keep: int, *, without: str | None = None) -> list[Path]:
        """Return the states that ``prune`` removes, as if there were no snapshot ``without``.

        Raises ``ConfigError`` where there is none.
        """
        named = dict(self.mirror.snapshots())
        if without is not None and named.pop(without, None) is None:
            raise ConfigError(f"there is no snapshot {without}", hint="tcz mirror snapshot list shows all")
        shown = self.mirror.shown()
        kept = {state.name for state in (*named.values(), shown) if state is not None}
        states = self.states()
        return [state for state in states[: max(0, len(states) - keep)] if state.name not in kept]

    def remove(self, state: Path) -> None:
        """Remove a state: out of sight in one step, then file by file. No room is needed for it."""
        shutil.rmtree(self._taken(state))

    def _taken(self, state: Path) -> Path:
        """Take a state out of sight; return where it is now."""
        doomed = state.with_name(f".{state.name}")
        state.rename(doomed)
        # Or it could be back after a power cut, and half empty.
        sync(state.parent)
        return doomed


def _files_outside(folder: Path, others: Container[str]) -> Iterator[Path]:
    """Yield all files below a folder but those below ``others``, which end in a slash."""
    for place, folders, files in os.walk(folder):
        here = Path(place)
        folders[:] = [name for name in folders if f"{(here / name).relative_to(folder)}/" not in others]
        yield from (here / name for name in files)


def _replace_link(link: Path, target: str) -> None:
    temporary = link.with_name(f".{link.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)
