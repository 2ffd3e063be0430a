"""Copies of what a mirror shows, elsewhere: in a folder, or on another machine by rsync.

A folder of our own is a link to a copy beside it, and the link is replaced in one step. Where that cannot
be, files are replaced one by one in an order in which readers find what they are told of: packages, then
the indexes, then the signed catalogue; what is gone is removed last.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tcz.errors import ConfigError, FetchError, NoSpaceError
from tcz.mirror import catalogue as catalogues
from tcz.mirror.model import EMPTY
from tcz.mirror.objects import sync_disk
from tcz.run import CommandError
from tcz.store import sync

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tcz.mirror.model import Blob, Catalogue
    from tcz.mirror.repository import Mirror
    from tcz.reporting import Reporter
    from tcz.run import Runner

_REMOTE = re.compile(r"(?:rsync://|[^/:-][^/:]*::?)(?=.)")
_NEW: Final = ".new-"
#: Named so that web servers, told to hide such files, do.
_BUSY: Final = ".publishing"
#: Times to the nanosecond tell files of one size apart without reading them.
_RSYNC: Final = (
    *("rsync", "-rt", "--modify-window=-1", "--delay-updates"),
    *("--chmod=D755,F644", "--timeout=120"),
)
#: Of a file that a power cut left with the right size and time and other bytes, rsync would never copy any.
_LASTING: Final = "--fsync"
_UNKNOWN_OPTION: Final = "unknown option"
_FULL: Final = "(28)"


def is_remote(place: str) -> bool:
    """Tell whether a place is rsync's (``rsync://host/...``, ``host:path``) and not a folder."""
    return _REMOTE.match(place) is not None


def publish(mirror: Mirror, place: str, runner: Runner, reporter: Reporter, *, dry_run: bool = False) -> int:
    """Copy the state that a mirror shows to ``place``; return its serial.

    No other command changes the mirror meanwhile. Raises ``ConfigError`` for a mirror that shows nothing and
    a place that cannot be, ``FetchError`` where rsync gives up, ``NoSpaceError`` where that is for want of
    room, ``MissingToolError`` where there is none.
    """
    with mirror.writing(reporter):
        state = mirror.shown()
        catalogue = mirror.catalogue(state)
        if state is None or not catalogue.serial:
            raise ConfigError(f"{mirror.root} has published nothing yet", hint="add or sync packages first")
        if dry_run:
            return catalogue.serial
        if is_remote(place):
            _to_rsync(state, catalogue, place, runner, reporter)
        else:
            _to_folder(state, catalogue, Path(place), reporter)
        return catalogue.serial


def _own_files(catalogue: Catalogue, state: Path) -> list[str]:
    """Return the catalogue's own files, the signature before what it signs."""
    lists = [catalogues.list_path(branch) for branch in catalogue.branches]
    signature = [catalogues.SIGNATURE] if (state / catalogues.SIGNATURE).exists() else []
    return [*lists, *signature, catalogues.ROOT]


# folders


def _to_folder(state: Path, catalogue: Catalogue, folder: Path, reporter: Reporter) -> None:
    if folder.is_dir() and not folder.is_symlink():
        known = any((folder / name).is_file() for name in (catalogues.ROOT, _BUSY))
        if not known and any(folder.iterdir()):
            raise ConfigError(
                f"{folder} holds something else than a copy of a mirror", hint="name a new or an empty folder"
            )
        _replace_files(state, catalogue, folder)
        return
    old = folder.resolve() if folder.is_symlink() else None
    ours = (
        old is not None and old.parent == folder.parent.resolve() and old.name.startswith(f".{folder.name}.")
    )
    if folder.exists() and not ours:
        raise ConfigError(
            f"{folder} is not a folder that was published here", hint="name a new or an empty folder"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    target = old.name if old is not None else ""
    for leftover in folder.parent.iterdir():
        # Of runs that ended early: copies begun, and whole ones that are shown no longer.
        if (
            re.fullmatch(rf"\.{re.escape(folder.name)}\.(new|\d+)-\w+", leftover.name)
            and leftover.name != target
        ):
            shutil.rmtree(leftover)
    with reporter.step(f"copying to {folder}"):
        new = Path(tempfile.mkdtemp(prefix=f".{folder.name}{_NEW}", dir=folder.parent))
        new.chmod(0o755)
        before = dict(_known(old).files()) if old is not None else {}
        _copy_all(state, catalogue, new, old or new, before)
        sync_disk(folder.parent)
        whole = folder.with_name(new.name.replace(_NEW, f".{catalogue.serial}-"))
        new.rename(whole)
        # The link must not outlive a power cut that the copy does not.
        sync(folder.parent)
        link = folder.with_name(f".{folder.name}.link")
        link.unlink(missing_ok=True)
        link.symlink_to(whole.name)
        link.replace(folder)
        sync_disk(folder.parent)
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


def _known(folder: Path) -> Catalogue:
    try:
        root = (folder / catalogues.ROOT).read_bytes()
    except FileNotFoundError:
        return EMPTY
    return catalogues.parse(root, lambda path: (folder / path).open("rb"))


def _copy_all(state: Path, catalogue: Catalogue, new: Path, old: Path, before: Mapping[str, Blob]) -> None:
    """Copy a state into an empty folder; what the last copy has too is linked from there."""
    for path, blob in catalogue.files():
        target = new / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if before.get(path) == blob and (old / path).is_file():
            target.hardlink_to(old / path)
        else:
            shutil.copy2(state / path, target)
    for path in _own_files(catalogue, state):
        target = new / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(state / path, target)


def _replace_files(state: Path, catalogue: Catalogue, folder: Path) -> None:
    """Replace files one by one.

    Meanwhile ``_BUSY`` names all that may lie there: a run that finds it copies everything, as the one
    before it ended early.
    """
    begun = _begun(folder)
    # After a power cut the catalogue there may be anything.
    before = EMPTY if begun else _known(folder)
    old = dict(before.files())
    lists = [catalogues.list_path(branch) for branch in before.branches]
    files = dict(catalogue.files())
    own = _own_files(catalogue, state)
    there = {*old, *lists, catalogues.SIGNATURE, *begun}
    _begin(folder, {*there, *files, *own})
    changed = [
        path
        for path, blob in files.items()
        if begun or old.get(path) != blob or not (folder / path).is_file()
    ]
    _replace(state, folder, changed)
    # Whoever reads the catalogue after a power cut must find what it names.
    sync_disk(folder)
    _replace(state, folder, own)
    for path in there - {*files, *own}:
        (folder / path).unlink(missing_ok=True)
    for path in begun:
        _beside(folder / path).unlink(missing_ok=True)
    sync_disk(folder)
    (folder / _BUSY).unlink()
    sync(folder)


def _begun(folder: Path) -> set[str]:
    """Return the paths that a run has begun to replace which did not end."""
    try:
        told = (folder / _BUSY).read_text(errors="surrogateescape").splitlines()
    except FileNotFoundError:
        return set()
    return {path for path in told if not path.startswith("/") and ".." not in path.split("/")}


def _begin(folder: Path, paths: Iterable[str]) -> None:
    new = _beside(folder / _BUSY)
    new.write_text("".join(f"{path}\n" for path in sorted(paths)))
    sync_disk(folder)
    new.replace(folder / _BUSY)
    sync(folder)


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.new")


def _replace(state: Path, folder: Path, paths: Iterable[str]) -> None:
    for path in paths:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        new = _beside(target)
        shutil.copy2(state / path, new)
        new.replace(target)


# rsync


def _to_rsync(state: Path, catalogue: Catalogue, place: str, runner: Runner, reporter: Reporter) -> None:
    indexes = [f"/{path}" for path in catalogue.indexes]
    own = [f"/{catalogues.FOLDER}/"]
    passes: tuple[tuple[str, Iterable[str]], ...] = (
        ("packages", [f"--exclude={path}" for path in (*indexes, *own)]),
        ("indexes", [f"--exclude={path}" for path in own]),
        ("catalogue", []),
        # one more look, as only a complete copy may lose what the mirror has lost
        ("removals", ["--delete-delay"]),
    )
    run = _Rsync(runner, place, reporter)
    for title, options in passes:
        with reporter.step(f"{title} to {place}"):
            run(title, [*options, "--", f"{state}/", place.rstrip("/") + "/"])


class _Rsync:
    """Runs of rsync that copy to one place; without ``_LASTING`` where an old rsync does not know that."""

    def __init__(self, runner: Runner, place: str, reporter: Reporter) -> None:
        self._runner = runner
        self._place = place
        self._reporter = reporter
        self._options = [*_RSYNC, _LASTING]

    def __call__(self, title: str, words: Sequence[str]) -> None:
        try:
            self._runner.run([*self._options, *words])
        except CommandError as error:
            why = error.why or ""
            if _UNKNOWN_OPTION in why and _LASTING in self._options:
                self._reporter.warn(f"rsync here or there lacks {_LASTING}: a power cut may spoil the copy")
                self._options.remove(_LASTING)
                self(title, words)
            elif _FULL in why:
                hint = "free some space there, then run again"
                raise NoSpaceError("the disk is full", where=self._place, why=why, hint=hint) from error
            else:
                raise FetchError(
                    f"rsync could not copy the {title}", where=self._place, why=why, hint="run it again"
                ) from error
