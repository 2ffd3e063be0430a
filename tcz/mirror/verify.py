"""Whether a mirror is what its catalogues say: every object, every public file, every index."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tcz import metadata
from tcz.errors import ToolkitError, VerifyError
from tcz.mirror import catalogue as catalogues
from tcz.mirror import config as configs
from tcz.mirror.compose import compose
from tcz.mirror.entries import Entries
from tcz.mirror.hashed import hashed, promise, sums
from tcz.mirror.model import EMPTY, Blob, Catalogue
from tcz.mirror.objects import Objects
from tcz.mirror.repository import INCOMING, PUBLIC, SNAPSHOTS, STATES, TMP
from tcz.mirror.spool import sorted_lines, without
from tcz.names import file_name

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from tcz.mirror.model import Entry
    from tcz.mirror.repository import Mirror
    from tcz.reporting import Reporter

    Kind = Literal["object", "state", "file", "index", "snapshot", "signature"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Something that is not as it should be. ``path`` is relative to the mirror, ``states`` show it."""

    kind: Kind
    path: str
    message: str
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The result of a verification: what was looked at, and what is wrong.

    ``leftovers`` tell of what a command that was ended early has left; it harms nobody.
    """

    serial: int
    states: int
    files: int
    objects: int
    bytes: int
    damage: tuple[Damage, ...]
    leftovers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measuring(Objects):
    """Objects that are read and never written: what would be kept is only hashed."""

    def add_bytes(self, data: bytes) -> Blob:
        """Return what ``data`` would be kept as."""
        return Blob(sha256=hashlib.sha256(data).hexdigest(), size=len(data))

    @contextmanager
    def _temporary(self) -> Iterator[str]:
        with tempfile.NamedTemporaryFile() as file:
            yield file.name

    def _keep(self, new: str, blob: Blob) -> None:
        pass


class Catalogues(Mapping[Path, Catalogue]):
    """The catalogues of some states, each read when it is asked for: there may be a thousand snapshots."""

    def __init__(self, mirror: Mirror, states: Sequence[Path]) -> None:
        """Take states whose catalogue was read before."""
        self._mirror = mirror
        self._states = dict.fromkeys(states)

    def __getitem__(self, state: Path) -> Catalogue:
        """Read one; raises ``VerifyError`` where that cannot be done any more."""
        if state not in self._states:
            raise KeyError(state)
        return self._mirror.catalogue(state)

    def __iter__(self) -> Iterator[Path]:
        """Yield the states."""
        return iter(self._states)

    def __len__(self) -> int:
        """Count them."""
        return len(self._states)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """A verification with the catalogues that it read, by state."""

    found: Verified
    catalogues: Mapping[Path, Catalogue]


def verify(mirror: Mirror, reporter: Reporter) -> Verified:
    """Look at every byte of a mirror. Nothing is written."""
    return survey(mirror, reporter).found


def survey(mirror: Mirror, reporter: Reporter) -> Survey:
    """Look at every byte of a mirror, as ``verify`` does."""
    damage: list[Damage] = []
    read: list[Path] = []
    named = sorted_lines(_named(mirror, read, damage))
    total, size, wrong = hashed(mirror.objects, named, reporter)
    for name, message in wrong:
        path = str(mirror.objects.path(name).relative_to(mirror.root))
        damage.append(Damage(kind="object", path=path, message=message, sha256=name))
    states = Catalogues(mirror, read)
    broken = {one.sha256 for one in damage if one.sha256}
    files = 0
    with reporter.step("look at public files", total=len(states)) as step:
        for count, (state, catalogue) in enumerate(states.items()):
            step.progress(count, len(states))
            looked = _Counted(_looked(mirror, state, catalogue))
            damage += _files(state, looked, broken)
            files += looked.count
    damage += _links(mirror)
    shown = mirror.shown()
    damage += _signatures(mirror, states, shown)
    now = states.get(shown) if shown is not None else None
    if now is not None and not broken:
        damage += _indexes(mirror, now)
    found = Verified(
        serial=0 if now is None else now.serial,
        states=len(states),
        files=files,
        objects=total,
        bytes=size,
        damage=tuple(damage),
        leftovers=tuple(_leftovers(mirror.root)),
    )
    return Survey(found=found, catalogues=states)


def _states(mirror: Mirror, damage: list[Damage]) -> Iterator[tuple[Path, Catalogue]]:
    """Yield the catalogue of every state; tell those that cannot be read."""
    for state in sorted((mirror.root / STATES).glob("[!.]*")):  # those with a dot are half removed
        if not state.name.isdigit():
            damage.append(Damage(kind="state", path=f"{STATES}/{state.name}", message="is no state"))
            continue
        try:
            found = mirror.catalogue(state)
        except ToolkitError as error:
            damage.append(_unreadable(state, error))
            continue
        if found.serial != int(state.name):
            message = f"its catalogue has the serial {found.serial}"
            damage.append(Damage(kind="state", path=f"{STATES}/{state.name}", message=message))
        yield state, found


def _unreadable(state: Path, error: ToolkitError) -> Damage:
    message = "; ".join(filter(None, (error.what, error.why)))
    return Damage(kind="state", path=f"{STATES}/{state.name}", message=message)


def _named(mirror: Mirror, read: list[Path], damage: list[Damage]) -> Iterator[bytes]:
    """Yield each object that a state names: a line with its hash, its size and for packages the md5.

    ``read`` takes the states whose entries all can be read. What two states have in common is read once.
    """
    before = EMPTY
    for state, catalogue in _states(mirror, damage):
        try:
            for branch, entries in catalogue.branches.items():
                yield from _named_in(Entries.of(entries), Entries.of(before.entries(branch)))
        except ToolkitError as error:
            damage.append(_unreadable(state, error))
            continue
        for blob in (*catalogue.extra.values(), *catalogue.indexes.values()):
            yield promise(blob)
        read.append(state)
        before = catalogue


def _named_in(entries: Entries, before: Entries) -> Iterator[bytes]:
    for name, line, _ in entries.differences(before):
        if line is not None:
            entry = entries[name]
            for suffix, blob in entry.files.items():
                yield promise(blob, "" if suffix else entry.md5)


def files_of(state: Path, catalogue: Catalogue) -> Iterator[tuple[str, Blob]]:
    """Yield every file of a state as it must be, those of the catalogue itself among them."""
    yield from catalogue.files()
    lists = {branch: Entries.of(entries).blob() for branch, entries in catalogue.branches.items()}
    yield from ((catalogues.list_path(branch), blob) for branch, blob in lists.items())
    texts = {catalogues.ROOT: catalogues.root_bytes(catalogue, lists)}
    signature = state / catalogues.SIGNATURE
    if signature.is_file():
        texts[catalogues.SIGNATURE] = signature.read_bytes()
    for path, data in texts.items():
        yield path, Blob(sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def wrong_files(mirror: Mirror, state: Path, catalogue: Catalogue) -> Iterator[tuple[str, Blob | None]]:
    """Yield the files of a state that are missing or other than they should be, and those too many."""
    return ((path, blob) for path, blob, right in _looked(mirror, state, catalogue) if not right)


def _looked(mirror: Mirror, state: Path, catalogue: Catalogue) -> Iterator[tuple[str, Blob | None, bool]]:
    """Yield every file of a state, what it must be (``None``: not there), and whether it is.

    One that is an object itself was hashed as such.
    """
    there = 0
    for path, blob in files_of(state, catalogue):
        inode = _inode(f"{state}/{path}")
        right = inode is not None and inode == mirror.objects.inode(blob)
        if inode is not None and not right:
            found = sums(state / path)
            right = found is not None and found.sha256 == blob.sha256
        there += inode is not None
        yield path, blob, right
    if there != sum(1 for _ in _walk(str(state))):
        start = len(str(state)) + 1
        present = sorted_lines(_line(path[start:]) for path in _walk(str(state)))
        expected = sorted_lines(_line(path) for path, _ in files_of(state, catalogue))
        for line in without(present, expected):
            yield os.fsdecode(line[:-1]).replace("\0", "\n"), None, False


def _line(path: str) -> bytes:
    return os.fsencode(path.replace("\n", "\0")) + b"\n"


def _inode(path: str) -> int | None:
    """Return which file is there; 0, which is none, for what is no file, and ``None`` for nothing."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_ino if stat.S_ISREG(found.st_mode) else 0


class _Counted:
    """Counts files that are looked at, as far as they belong there."""

    def __init__(self, files: Iterator[tuple[str, Blob | None, bool]]) -> None:
        self._files = files
        self.count = 0

    def __iter__(self) -> Iterator[tuple[str, Blob | None, bool]]:
        for one in self._files:
            self.count += one[1] is not None
            yield one


def _files(
    state: Path, looked: Iterable[tuple[str, Blob | None, bool]], broken: Container[str]
) -> Iterator[Damage]:
    """Tell which files of a state are not what they should be."""
    for path, blob, right in looked:
        at = f"{STATES}/{state.name}/{path}"
        if blob is None:
            yield Damage(kind="file", path=at, message="is in no catalogue")
        elif not right:
            message = "is missing, or not the file that the catalogue names"
            yield Damage(kind="file", path=at, message=message, sha256=blob.sha256)
        elif blob.sha256 in broken:
            yield Damage(kind="file", path=at, message="shows an object that is damaged", sha256=blob.sha256)


def _walk(folder: str) -> Iterator[str]:
    """Yield the paths of all that is below a folder and is none itself."""
    with os.scandir(folder) as found:
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path)
            else:
                yield entry.path


def _links(mirror: Mirror) -> Iterator[Damage]:
    shown = mirror.shown()
    if shown is not None and not shown.is_dir():
        yield Damage(kind="state", path=PUBLIC, message=f"shows the state {shown.name}, which is gone")
    for name, state in mirror.snapshots().items():
        if not state.is_dir():
            message = f"its state {state.name} is gone"
            yield Damage(kind="snapshot", path=f"{SNAPSHOTS}/{name}", message=message)


def _signatures(mirror: Mirror, states: Mapping[Path, Catalogue], shown: Path | None) -> Iterator[Damage]:
    config = configs.read(mirror.root)
    if config.keys:
        from tcz.mirror import signatures  # noqa: PLC0415 - few mirrors need cryptography

        for state, fault in signatures.faults(states, config, shown):
            path = f"{STATES}/{state.name}/{catalogues.SIGNATURE}"
            yield Damage(kind="signature", path=path, message=fault)


def _leftovers(root: Path) -> Iterator[str]:
    """Tell of files that wait for a sync to go on, and of those that the next command that writes removes."""
    for name, what in (
        (INCOMING, "tcz mirror sync goes on with them"),
        (TMP, "the next change removes them"),
    ):
        files = [path for path in (root / name).rglob("*") if path.is_file()]
        if files:
            size = sum(path.stat().st_size for path in files)
            yield f"{name}/: {len(files)} files, {size} bytes, of a command that was ended: {what}"


def _indexes(mirror: Mirror, catalogue: Catalogue) -> Iterator[Damage]:
    """Make the indexes of the shown state anew, and compare."""
    if not catalogue.serial:
        return
    try:
        made = compose(replace(catalogue, indexes={}), EMPTY, Measuring(mirror.root))
    except VerifyError as error:
        yield Damage(kind="index", path=PUBLIC, message=error.what)
        return
    for path in sorted({*made.indexes, *catalogue.indexes}):
        if made.indexes.get(path) != catalogue.indexes.get(path):
            message = "is not what follows from the packages"
            yield Damage(kind="index", path=f"{PUBLIC}/{path}", message=message)
    for branch, entries in catalogue.branches.items():
        at = f"{PUBLIC}/{branch.folder}"
        for name, *_ in Entries.of(made.entries(branch)).differences(Entries.of(entries)):
            path = f"{at}/{file_name(name)}.tree"
            yield Damage(kind="index", path=path, message="is not what follows from the packages")
        for name, entry in entries.items():
            yield from _companions(f"{at}/{file_name(name)}", name, entry)


def _companions(at: str, name: str, entry: Entry) -> Iterator[Damage]:
    """Compare what clients read of a package with what its entry says, by hash: objects were looked at."""
    texts = {
        ".md5.txt": metadata.md5_text(metadata.Md5(md5=entry.md5, name=file_name(name))),
        ".dep": metadata.dep_text(entry.needs),
    }
    for suffix, text in texts.items():
        blob = entry.files.get(suffix)
        told = None if text is None else hashlib.sha256(text.encode()).hexdigest()
        if told != (None if blob is None else blob.sha256):
            yield Damage(
                kind="index", path=at + suffix, message="is not what the catalogue says of the package"
            )


def lines(found: Verified) -> Iterator[str]:
    """Return a result as lines."""
    for one in found.damage:
        yield f"{one.path}: {one.message}"
    yield from found.leftovers
    looked = f"{found.objects} objects, {found.bytes} bytes, {found.files} files in {found.states} states"
    yield f"{looked}: {f'{len(found.damage)} are wrong' if found.damage else 'all right'}"
