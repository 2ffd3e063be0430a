"""Whether a mirror is what its catalogues say: every object, every public file, every index."""

from __future__ import annotations

import hashlib
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from tcz import metadata
from tcz.errors import ToolkitError, VerifyError
from tcz.mirror import catalogue as catalogues
from tcz.mirror import config as configs
from tcz.mirror.compose import compose
from tcz.mirror.entries import Entries
from tcz.mirror.model import EMPTY, Blob
from tcz.mirror.objects import Objects
from tcz.mirror.repository import INCOMING, PUBLIC, SNAPSHOTS, STATES, TMP
from tcz.names import file_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from tcz.mirror.model import Catalogue, Entry
    from tcz.mirror.repository import Mirror
    from tcz.reporting import Reporter

    Kind = Literal["object", "state", "file", "index", "snapshot", "signature"]

_BLOCK: Final = 1 << 20
#: Objects that are under way at a time.
_BATCH: Final = 512


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


@dataclass(frozen=True, slots=True)
class _Sums:
    size: int
    sha256: str
    md5: str


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
    states, damage = _states(mirror)
    named = _named(states, damage)
    total, size = _objects(mirror, named, damage, reporter)
    broken = {one.sha256 for one in damage if one.sha256}
    files = 0
    with reporter.step("look at public files", total=len(states)) as step:
        for count, (state, catalogue) in enumerate(states.items()):
            step.progress(count, len(states))
            expected = _Counted(files_of(state, catalogue))
            damage += _files(mirror, state, expected, broken)
            files += expected.count
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


def _states(mirror: Mirror) -> tuple[dict[Path, Catalogue], list[Damage]]:
    """Return the catalogue of every state, and those that cannot be read."""
    folder = mirror.root / STATES
    found: dict[Path, Catalogue] = {}
    damage = []
    for state in sorted(folder.glob("[!.]*")):  # those with a dot are half removed
        if not state.name.isdigit():
            damage.append(Damage(kind="state", path=f"{STATES}/{state.name}", message="is no state"))
            continue
        try:
            found[state] = mirror.catalogue(state)
        except ToolkitError as error:
            damage.append(_unreadable(state, error))
            continue
        if found[state].serial != int(state.name):
            message = f"its catalogue has the serial {found[state].serial}"
            damage.append(Damage(kind="state", path=f"{STATES}/{state.name}", message=message))
    return found, damage


def _unreadable(state: Path, error: ToolkitError) -> Damage:
    message = "; ".join(filter(None, (error.what, error.why)))
    return Damage(kind="state", path=f"{STATES}/{state.name}", message=message)


def _named(states: dict[Path, Catalogue], damage: list[Damage]) -> dict[str, tuple[int, str]]:
    """Return the size of each object that a state names, and the md5 of packages.

    A state with an entry that cannot be read is taken out. What two states have in common is read once.
    """
    named: dict[str, tuple[int, str]] = {}
    before = EMPTY
    for state, catalogue in list(states.items()):
        try:
            for branch, entries in catalogue.branches.items():
                for name in (
                    Entries.of(entries).differing(Entries.of(before.entries(branch))) & entries.keys()
                ):
                    entry = entries[name]
                    named |= {blob.sha256: (blob.size, "") for blob in entry.files.values()}
                    named[entry.sha256] = (entry.size, entry.md5)
        except ToolkitError as error:
            del states[state]
            damage.append(_unreadable(state, error))
            continue
        for blob in (*catalogue.extra.values(), *catalogue.indexes.values()):
            named.setdefault(blob.sha256, (blob.size, ""))
        before = catalogue
    return named


def _objects(
    mirror: Mirror, named: dict[str, tuple[int, str]], damage: list[Damage], reporter: Reporter
) -> tuple[int, int]:
    """Hash objects in as many threads as there are processors; return how many there are, and their bytes.

    Objects are taken out of ``named``: what is left when all were looked at is missing.
    """
    found = []
    size = 0
    names = sorted(path.parent.name + path.name for path in (mirror.root / "objects").glob("??/*"))
    with (
        reporter.step("hash objects", total=len(names)) as step,
        ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool,
    ):
        for start in range(0, len(names), _BATCH):
            step.progress(start, len(names))
            batch = names[start : start + _BATCH]
            jobs = [(mirror.objects.path(name), bool(named.get(name, (0, ""))[1])) for name in batch]
            for name, sums in zip(batch, pool.map(_sums, jobs), strict=True):
                if sums is None:
                    continue
                size += sums.size
                # One that no catalogue names is a leftover, whatever it holds: gc removes it.
                promised = named.pop(name, None)
                message = "" if promised is None else _wrong(name, sums, *promised)
                if message:
                    found.append((name, message))
    found += [(name, "is missing or cannot be read") for name in named]
    for name, message in sorted(found):
        path = str(mirror.objects.path(name).relative_to(mirror.root))
        damage.append(Damage(kind="object", path=path, message=message, sha256=name))
    return len(names), size


def _wrong(name: str, sums: _Sums, size: int, md5: str) -> str:
    if sums.sha256 != name:
        return f"has {sums.size} bytes that are not those of its name"
    if sums.size != size:
        return f"has {sums.size} bytes, a catalogue says {size}"
    return f"has the md5 {sums.md5}, a catalogue says {md5}" if sums.md5 != md5 else ""


def _sums(job: tuple[Path, bool]) -> _Sums | None:
    path, both = job
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    try:
        with path.open("rb", buffering=0) as file:
            while data := file.read(_BLOCK):
                size += len(data)
                sha256.update(data)
                if both:
                    md5.update(data)
    except OSError:
        return None
    return _Sums(size, sha256.hexdigest(), md5.hexdigest() if both else "")


def own_texts(catalogue: Catalogue) -> dict[str, bytes]:
    """Return the files of a catalogue itself, by path."""
    lists = {branch: catalogues.list_bytes(entries) for branch, entries in catalogue.branches.items()}
    texts = {catalogues.list_path(branch): data for branch, data in lists.items()}
    return texts | {catalogues.ROOT: catalogues.root_bytes(catalogue, lists)}


def files_of(state: Path, catalogue: Catalogue) -> Iterator[tuple[str, Blob]]:
    """Yield every file of a state as it must be, those of the catalogue itself among them."""
    yield from catalogue.files()
    texts = own_texts(catalogue)
    signature = state / catalogues.SIGNATURE
    if signature.is_file():
        texts[catalogues.SIGNATURE] = signature.read_bytes()
    for path, data in texts.items():
        yield path, Blob(sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def expected_files(state: Path, catalogue: Catalogue) -> dict[str, Blob]:
    """Return every file of a state as it must be, by path."""
    return dict(files_of(state, catalogue))


def wrong_files(
    mirror: Mirror, state: Path, expected: Iterable[tuple[str, Blob]]
) -> Iterator[tuple[str, Blob | None]]:
    """Yield the files of a state that are missing or other than they should be, and those too many."""
    there = dict(_walk(str(state), len(str(state)) + 1))
    for path, blob in expected:
        inode = there.pop(path, None)
        if inode is None:
            yield path, blob
        elif inode != mirror.objects.inode(blob):
            sums = _sums((state / path, False))
            if sums is None or sums.sha256 != blob.sha256:
                yield path, blob
    yield from ((path, None) for path in sorted(there))


class _Counted:
    """Counts what is taken of it."""

    def __init__(self, files: Iterator[tuple[str, Blob]]) -> None:
        self._files = files
        self.count = 0

    def __iter__(self) -> Iterator[tuple[str, Blob]]:
        for one in self._files:
            self.count += 1
            yield one


def _files(
    mirror: Mirror, state: Path, expected: Iterable[tuple[str, Blob]], broken: set[str]
) -> Iterator[Damage]:
    """Compare a state's files with what they should be; one that is an object itself was hashed as such."""
    prefix = f"{STATES}/{state.name}"
    message = "shows an object that is damaged"
    shown = []

    def looked() -> Iterator[tuple[str, Blob]]:
        for path, blob in expected:
            if blob.sha256 in broken:
                shown.append(
                    Damage(kind="file", path=f"{prefix}/{path}", message=message, sha256=blob.sha256)
                )
            yield path, blob

    found = []
    for path, blob in wrong_files(mirror, state, looked()):
        message, sha256 = "is in no catalogue", ""
        if blob is not None:
            message, sha256 = "is missing, or not the file that the catalogue names", blob.sha256
        found.append(Damage(kind="file", path=f"{prefix}/{path}", message=message, sha256=sha256))
    wrong = {one.path for one in found}
    yield from found
    yield from (one for one in shown if one.path not in wrong)


def _walk(folder: str, start: int) -> Iterator[tuple[str, int]]:
    """Yield the paths of regular files with their inodes; of all else with 0, which is none."""
    with os.scandir(folder) as found:
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, start)
            else:
                yield entry.path[start:], entry.inode() if entry.is_file(follow_symlinks=False) else 0


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
        trees = Entries.of(made.entries(branch)).differing(Entries.of(entries))
        for name, entry in entries.items():
            at = f"{PUBLIC}/{branch.folder}/{file_name(name)}"
            if name in trees:
                yield Damage(kind="index", path=f"{at}.tree", message="is not what follows from the packages")
            yield from _companions(at, name, entry)


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
