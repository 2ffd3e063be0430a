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
from tcz.mirror.compose import compose
from tcz.mirror.model import EMPTY, Blob
from tcz.mirror.objects import Objects
from tcz.mirror.repository import PUBLIC, SNAPSHOTS, STATES
from tcz.names import file_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tcz.mirror.model import Catalogue, Entry
    from tcz.mirror.repository import Mirror
    from tcz.reporting import Reporter

    Kind = Literal["object", "state", "file", "index", "snapshot"]

_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Something that is not as it should be. ``path`` is relative to the mirror, ``states`` show it."""

    kind: Kind
    path: str
    message: str
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The result of a verification: what was looked at, and what is wrong."""

    serial: int
    states: int
    files: int
    objects: int
    bytes: int
    damage: tuple[Damage, ...]


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
    md5 = {
        entry.sha256: entry.md5
        for catalogue in states.values()
        for entries in catalogue.branches.values()
        for entry in entries.values()
    }
    named = {blob.sha256: blob for catalogue in states.values() for blob in catalogue.blobs()}
    paths = {path.parent.name + path.name: path for path in (mirror.root / "objects").glob("??/*")}
    sums = _hashed(paths, md5, reporter)
    damage += _objects(mirror, named, sums, md5)
    broken = {one.sha256 for one in damage if one.sha256}
    files = 0
    with reporter.step("look at public files", total=len(states)) as step:
        for count, (state, catalogue) in enumerate(states.items()):
            step.progress(count, len(states))
            expected = expected_files(state, catalogue)
            files += len(expected)
            damage += _files(mirror, state, expected, broken)
    damage += _links(mirror)
    shown = mirror.shown()
    now = states.get(shown) if shown is not None else None
    if now is not None and not broken:
        damage += _indexes(mirror, now)
    found = Verified(
        serial=0 if now is None else now.serial,
        states=len(states),
        files=files,
        objects=len(paths),
        bytes=sum(one.size for one in sums.values()),
        damage=tuple(damage),
    )
    return Survey(found=found, catalogues=states)


def _states(mirror: Mirror) -> tuple[dict[Path, Catalogue], list[Damage]]:
    """Return the catalogue of every state, and those that cannot be read."""
    folder = mirror.root / STATES
    found, damage = {}, []
    for state in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not state.name.isdigit():
            damage.append(Damage(kind="state", path=f"{STATES}/{state.name}", message="is no state"))
            continue
        try:
            found[state] = mirror.catalogue(state)
        except ToolkitError as error:
            message = "; ".join(filter(None, (error.what, error.why)))
            damage.append(Damage(kind="state", path=f"{STATES}/{state.name}", message=message))
            continue
        if found[state].serial != int(state.name):
            message = f"its catalogue has the serial {found[state].serial}"
            damage.append(Damage(kind="state", path=f"{STATES}/{state.name}", message=message))
    return found, damage


def _hashed(paths: Mapping[str, Path], md5: Mapping[str, str], reporter: Reporter) -> dict[str, _Sums]:
    """Hash files in as many threads as there are processors; what cannot be read is left out."""
    found: dict[str, _Sums] = {}
    with (
        reporter.step("hash objects", total=len(paths)) as step,
        ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool,
    ):
        jobs = ((paths[name], name in md5) for name in paths)
        for count, (name, sums) in enumerate(zip(paths, pool.map(_sums, jobs), strict=True)):
            if sums is not None:
                found[name] = sums
            if count % 64 == 0:
                step.progress(count, len(paths))
    return found


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


def _objects(
    mirror: Mirror, named: Mapping[str, Blob], sums: Mapping[str, _Sums], md5: Mapping[str, str]
) -> Iterator[Damage]:
    for name in sorted({*named, *sums}):
        path = str(mirror.objects.path(name).relative_to(mirror.root))
        found = sums.get(name)
        if found is None:
            yield Damage(kind="object", path=path, message="is missing or cannot be read", sha256=name)
        elif found.sha256 != name:
            message = f"has {found.size} bytes that are not those of its name"
            yield Damage(kind="object", path=path, message=message, sha256=name)
        elif name in named and named[name].size != found.size:
            message = f"has {found.size} bytes, a catalogue says {named[name].size}"
            yield Damage(kind="object", path=path, message=message, sha256=name)
        elif md5.get(name, found.md5) != found.md5:
            message = f"has the md5 {found.md5}, a catalogue says {md5[name]}"
            yield Damage(kind="object", path=path, message=message, sha256=name)


def own_texts(catalogue: Catalogue) -> dict[str, bytes]:
    """Return the files of a catalogue itself, by path."""
    lists = {branch: catalogues.list_bytes(entries) for branch, entries in catalogue.branches.items()}
    texts = {catalogues.list_path(branch): data for branch, data in lists.items()}
    return texts | {catalogues.ROOT: catalogues.root_bytes(catalogue, lists)}


def expected_files(state: Path, catalogue: Catalogue) -> dict[str, Blob]:
    """Return every file of a state as it must be, those of the catalogue itself among them."""
    texts = own_texts(catalogue)
    signature = state / catalogues.SIGNATURE
    if signature.is_file():
        # Whether it is right is for whoever has the key.
        texts[catalogues.SIGNATURE] = signature.read_bytes()
    found = dict(catalogue.files())
    for path, data in texts.items():
        found[path] = Blob(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    return found


def wrong_files(mirror: Mirror, state: Path, expected: Mapping[str, Blob]) -> Iterator[str]:
    """Return the files of a state that are missing, too many, or other than they should be."""
    there: dict[str, os.DirEntry[str]] = dict(_walk(str(state), len(str(state)) + 1))
    yield from sorted(there.keys() - expected.keys())
    for path, blob in expected.items():
        file = there.get(path)
        if file is None or not file.is_file(follow_symlinks=False):
            yield path
        elif not _same(file.inode(), mirror.objects.path(blob.sha256)):
            sums = _sums((state / path, False))
            if sums is None or sums.sha256 != blob.sha256:
                yield path


def _files(mirror: Mirror, state: Path, expected: Mapping[str, Blob], broken: set[str]) -> Iterator[Damage]:
    """Compare a state's files with what they should be; one that is an object itself was hashed as such."""
    prefix = f"{STATES}/{state.name}"
    wrong = set(wrong_files(mirror, state, expected))
    for path in sorted(wrong - expected.keys()):
        yield Damage(kind="file", path=f"{prefix}/{path}", message="is in no catalogue")
    for path, blob in expected.items():
        if path in wrong:
            message = "is missing, or not the file that the catalogue names"
        elif blob.sha256 in broken:
            message = "shows an object that is damaged"
        else:
            continue
        yield Damage(kind="file", path=f"{prefix}/{path}", message=message, sha256=blob.sha256)


def _walk(folder: str, start: int) -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(folder) as found:
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, start)
            else:
                yield entry.path[start:], entry


def _same(inode: int, path: Path) -> bool:
    try:
        return path.stat().st_ino == inode
    except FileNotFoundError:
        return False


def _links(mirror: Mirror) -> Iterator[Damage]:
    shown = mirror.shown()
    if shown is not None and not shown.is_dir():
        yield Damage(kind="state", path=PUBLIC, message=f"shows the state {shown.name}, which is gone")
    for name, state in mirror.snapshots().items():
        if not state.is_dir():
            message = f"its state {state.name} is gone"
            yield Damage(kind="snapshot", path=f"{SNAPSHOTS}/{name}", message=message)


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
        for name, entry in entries.items():
            at = f"{PUBLIC}/{branch.folder}/{file_name(name)}"
            if made.entries(branch)[name] != entry:
                yield Damage(kind="index", path=f"{at}.tree", message="is not what follows from the packages")
            yield from _companions(mirror, at, name, entry)


def _companions(mirror: Mirror, at: str, name: str, entry: Entry) -> Iterator[Damage]:
    """Compare what clients read of a package with what its entry says."""
    texts = {
        ".md5.txt": metadata.md5_text(metadata.Md5(md5=entry.md5, name=file_name(name))),
        ".dep": metadata.dep_text(entry.needs),
    }
    for suffix, text in texts.items():
        blob = entry.files.get(suffix)
        data = None if blob is None else mirror.objects.read(blob)
        if data != (None if text is None else text.encode()):
            yield Damage(
                kind="index", path=at + suffix, message="is not what the catalogue says of the package"
            )


def lines(found: Verified) -> Iterator[str]:
    """Return a result as lines."""
    for one in found.damage:
        yield f"{one.path}: {one.message}"
    looked = f"{found.objects} objects, {found.bytes} bytes, {found.files} files in {found.states} states"
    yield f"{looked}: {f'{len(found.damage)} are wrong' if found.damage else 'all right'}"
