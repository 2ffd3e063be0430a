"""Files of a mirror that are no packages: releases of Tiny Core with their initrds and kernels, and sources.

They lie where Tiny Core's own mirror has them (``RELEASE/ARCH/release/distribution_files/...``), each of a
release with its ``.md5.txt``. The catalogue names them as it does all others, so that they are signed, kept
by snapshots and verified like packages.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from tcz.errors import CheckError, ConfigError, Problem, VerifyError
from tcz.metadata import Md5, md5_text, parse_md5
from tcz.mirror import config as configs
from tcz.mirror.model import Blob
from tcz.mirror.place import regular
from tcz.mirror.publish import publish, unsigned
from tcz.store import md5_of, sha256_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tcz.mirror.model import Branch, Catalogue
    from tcz.mirror.objects import Objects
    from tcz.mirror.publish import Sign
    from tcz.mirror.repository import Mirror
    from tcz.reporting import Reporter

    Change = Literal["new", "replaced", "unchanged", "removed"]

_FOLDER = re.compile(r"(?:release|release_candidates|archive|tcz/src)(?:/[A-Za-z0-9][A-Za-z0-9+._-]*)*\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*\Z")
_MD5: Final = ".md5.txt"
_SOURCES: Final = "tcz/src"
_TEXT_MAX: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """What became of a file; ``path`` is that below the mirror's address."""

    path: str
    change: Change
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a change did; ``serial`` is that of the state shown afterwards."""

    serial: int
    published: bool
    files: tuple[Placed, ...]


def listing(catalogue: Catalogue) -> dict[str, Blob]:
    """Return the files, by path below the mirror's address."""
    starts = tuple(
        f"{branch}/{folder}/"
        for branch in catalogue.branches
        for folder in ("release", "release_candidates", "archive", _SOURCES)
    )
    return {path: blob for path, blob in sorted(catalogue.extra.items()) if path.startswith(starts)}


def add(
    mirror: Mirror,
    sources: Sequence[Path],
    branch: Branch,
    folder: str,
    reporter: Reporter,
    *,
    replacing: bool = False,
    dry_run: bool = False,
    sign: Sign = unsigned,
) -> Outcome:
    """Publish files, and what folders hold, in a folder of a branch; all or none of them.

    Of a release each gets a ``.md5.txt``; one that lies beside it must be right. Raises ``ConfigError`` for
    what has no place in a mirror, ``VerifyError`` for a wrong ``.md5.txt``, ``CheckError`` for a path that
    has other bytes already (unless ``replacing``).
    """
    config = configs.read(mirror.root)
    if not _FOLDER.match(folder):
        raise ConfigError(
            f"{folder!r} is no folder for files of a mirror",
            hint="release, release_candidates, archive or tcz/src, or one below",
        )
    files = _files(sources, f"{branch}/{folder}")
    with mirror.writing(reporter) as writer:
        old = mirror.catalogue()
        found: dict[str, Blob] = {}
        with reporter.step("reading files", total=len(files)) as step:
            for count, (path, file) in enumerate(files.items()):
                step.progress(count, len(files))
                step.detail(file.name)
                found |= _read(path, file, None if dry_run else writer.objects)
        told = tuple(
            Placed(path=path, change=_change(old.extra.get(path), blob), size=blob.size)
            for path, blob in sorted(found.items())
        )
        others = [one.path for one in told if one.change == "replaced"]
        if others and not replacing:
            raise CheckError(
                "files are there with other bytes",
                why="\n".join(others),
                hint="--replace publishes the new ones; the old stay in older states and in snapshots",
            )
        made = old
        if not dry_run:
            new = replace(old, extra={**old.extra, **found})
            made = publish(writer, config, new, old=old, sign=sign)
    return Outcome(serial=made.serial, published=made.serial != old.serial, files=told)


def remove(
    mirror: Mirror,
    paths: Sequence[str],
    reporter: Reporter,
    *,
    dry_run: bool = False,
    sign: Sign = unsigned,
) -> Outcome:
    """Take files out, each with its ``.md5.txt``, or all of a folder. Raises ``ConfigError``."""
    config = configs.read(mirror.root)
    with mirror.writing(reporter) as writer:
        old = mirror.catalogue()
        there = listing(old)
        gone: set[str] = set()
        problems = []
        for path in paths:
            plain = path.strip("/")
            meant = {one for one in there if one in (plain, plain + _MD5) or one.startswith(f"{plain}/")}
            if not meant:
                problems.append(Problem(where=path, message="is no file of the mirror"))
            gone |= meant
        if problems:
            raise ConfigError("nothing was removed", problems, hint="tcz mirror files list shows all")
        made = old
        if not dry_run:
            left = {path: blob for path, blob in old.extra.items() if path not in gone}
            made = publish(writer, config, replace(old, extra=left), old=old, sign=sign)
    told = tuple(Placed(path=path, change="removed", size=there[path].size) for path in sorted(gone))
    return Outcome(serial=made.serial, published=made.serial != old.serial, files=told)


def _files(sources: Sequence[Path], place: str) -> dict[str, Path]:
    """Return what there is to publish, by path; raises ``ConfigError`` for names that no mirror has."""
    found: dict[str, Path] = {}
    problems = []
    for source in sources:
        if not source.exists():
            problems.append(Problem(where=str(source), message="there is no such file or folder"))
        for file in sorted(_below(source)):
            inside = file.relative_to(source) if source.is_dir() else file.relative_to(source.parent)
            path = f"{place}/{inside.as_posix()}"
            if not all(map(_NAME.match, inside.parts)):
                problems.append(Problem(where=str(file), message="its name is none for a mirror"))
            elif file.is_symlink():
                problems.append(Problem(where=str(file), message="is a link"))
            elif found.setdefault(path, file) != file:
                problems.append(Problem(where=str(file), message="another file has its name"))
    for path, file in found.items():
        if path.endswith(_MD5) and path.removesuffix(_MD5) not in found:
            problems.append(Problem(where=str(file), message="what it is the sum of is not named"))
    if problems:
        raise ConfigError("some files cannot be published; nothing was added", problems)
    return found


def _below(source: Path) -> Iterator[Path]:
    if source.is_dir():
        yield from (path for path in source.rglob("*") if path.is_symlink() or not path.is_dir())
    elif source.exists():
        yield source


def _read(path: str, file: Path, objects: Objects | None) -> Mapping[str, Blob]:
    """Return a file, with its ``.md5.txt`` where it has one; without ``objects`` nothing is kept."""
    if path.endswith(_MD5):
        return {}  # see below
    with regular(file) as data:
        md5 = md5_of(data)
    if objects is None:
        found = {path: Blob(sha256=sha256_file(file), size=file.stat().st_size)}
    else:
        found = {path: objects.add_file(file)}
    beside = file.with_name(file.name + _MD5)
    if beside.is_file():
        with regular(beside) as given:
            told = parse_md5(given.read(_TEXT_MAX).decode("utf-8", "replace"))
        if (told.md5, told.name) != (md5, file.name):
            raise VerifyError("not what its .md5.txt says", where=str(file), why=f"its md5 is {md5}")
    elif f"/{_SOURCES}/" in path:
        return found
    text = md5_text(Md5(md5=md5, name=file.name)).encode()
    blob = Blob(sha256=hashlib.sha256(text).hexdigest(), size=len(text))
    return {**found, path + _MD5: blob if objects is None else objects.add_bytes(text)}


def _change(was: Blob | None, now: Blob) -> Change:
    if was is None:
        return "new"
    return "unchanged" if was == now else "replaced"
