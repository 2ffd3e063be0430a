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

from tcz.errors import ConfigError, FetchError
from tcz.mirror import catalogue as catalogues
from tcz.mirror.model import EMPTY
from tcz.mirror.objects import sync_disk
from tcz.run import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tcz.mirror.model import Blob, Catalogue
    from tcz.mirror.repository import Mirror
    from tcz.reporting import Reporter
    from tcz.run import Runner

_REMOTE = re.compile(r"(?:rsync://|[^/:-][^/:]*::?)(?=.)")
_NEW: Final = ".new-"
#: Times to the nanosecond tell files of one size apart without reading them.
_RSYNC: Final = (
    *("rsync", "-rt", "--modify-window=-1", "--delay-updates"),
    *("--chmod=D755,F644", "--timeout=120"),
)


def is_remote(place: str) -> bool:
    """Tell whether a place is rsync's (``rsync://host/...``, ``host:path``) and not a folder."""
    return _REMOTE.match(place) is not None


def publish(mirror: Mirror, place: str, runner: Runner, reporter: Reporter, *, dry_run: bool = False) -> int:
    """Copy the state that a mirror shows to ``place``; return its serial.

    No other command changes the mirror meanwhile. Raises ``ConfigError`` for a mirror that shows nothing and
    a place that cannot be, ``FetchError`` where rsync gives up, ``MissingToolError`` where there is none.
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
        if any(folder.iterdir()) and not (folder / catalogues.ROOT).is_file():
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
    for leftover in folder.parent.glob(f".{folder.name}{_NEW}*"):
        shutil.rmtree(leftover)
    with reporter.step(f"copying to {folder}"):
        new = Path(tempfile.mkdtemp(prefix=f".{folder.name}{_NEW}", dir=folder.parent))
        new.chmod(0o755)
        before = dict(_known(old).files()) if old is not None else {}
        _copy_all(state, catalogue, new, old or new, before)
        sync_disk(folder.parent)
        target = folder.with_name(new.name.replace(_NEW, f".{catalogue.serial}-"))
        new.rename(target)
        link = folder.with_name(f".{folder.name}.link")
        link.unlink(missing_ok=True)
        link.symlink_to(target.name)
        link.replace(folder)
        sync_disk(folder.parent)
    if old is not None:
        shutil.rmtree(old)


def _known(folder: Path) -> Catalogue:
    try:
        root = (folder / catalogues.ROOT).read_bytes()
    except FileNotFoundError:
        return EMPTY
    return catalogues.parse(root, lambda path, _: (folder / path).read_bytes())


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
    before = _known(folder)
    old = dict(before.files())
    files = dict(catalogue.files())
    changed = [path for path, blob in files.items() if old.get(path) != blob or not (folder / path).is_file()]
    for path in (*changed, *_own_files(catalogue, state)):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        new = target.with_name(f".{target.name}.new")
        shutil.copy2(state / path, new)
        new.replace(target)
    keep = {*files, *_own_files(catalogue, state)}
    lists = [catalogues.list_path(branch) for branch in before.branches]
    for path in (*old, *lists, catalogues.SIGNATURE):
        if path not in keep:
            (folder / path).unlink(missing_ok=True)
    sync_disk(folder)


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
    for title, options in passes:
        with reporter.step(f"{title} to {place}"):
            try:
                runner.run([*_RSYNC, *options, "--", f"{state}/", place.rstrip("/") + "/"])
            except CommandError as error:
                raise FetchError(
                    f"rsync could not copy the {title}", where=place, why=error.why, hint="run it again"
                ) from error
