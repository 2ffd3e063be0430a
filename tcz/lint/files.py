"""Packages on disk: read with their companions, looked up around a path, written back when repaired."""

from __future__ import annotations

import gzip
import hashlib
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

from tcz import zsync
from tcz.errors import ConfigError, Problem, VerifyError
from tcz.lint.catalogue import Catalogue, Known, parse_dep_db, parse_provides
from tcz.lint.image import SUPER_BLOCK, parse_super_block
from tcz.lint.subject import COMPANIONS, Companion, Subject
from tcz.metadata import parse_list, parse_md5
from tcz.names import SUFFIX
from tcz.squashfs import image, writer
from tcz.squashfs.options import COMPRESSORS, SquashOptions
from tcz.store import md5_of, replacing
from tcz.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tcz.lint.image import ImageFacts
    from tcz.model import Allow
    from tcz.squashfs.options import Compressor

#: Larger than any .list, .tree or .zsync of a real mirror.
_LARGEST_COMPANION = 64 << 20


def open_package(path: Path, allowed: Sequence[Allow] = ()) -> Subject:
    """Return a package and all that lies beside it. A damaged image gives a package that says so.

    Raises ``ConfigError`` for a path that is no file.
    """
    if not path.is_file():
        raise ConfigError("no such package", [Problem(where=str(path), message="is not a file")])
    damage, tree, facts = None, Tree(), None
    try:
        facts = image_facts(path)
        tree = image.read(path)
    except VerifyError as error:
        damage = "; ".join(part for part in (error.what, error.why) if part)
    return Subject(
        name=path.name.removesuffix(SUFFIX),
        tree=tree,
        image=facts,
        companions=tuple(_companions(path)),
        allowed=tuple(allowed),
        damage=damage,
        where=str(path),
    )


def image_facts(path: Path) -> ImageFacts:
    """Return what an image's super-block and file say. Raises ``VerifyError`` for anything else."""
    with path.open("rb") as file:
        facts = parse_super_block(file.read(SUPER_BLOCK.size), path.stat().st_size)
        file.seek(0)
        md5 = md5_of(file)
        file.seek(0)
        sha1 = hashlib.file_digest(file, lambda: hashlib.sha1(usedforsecurity=False)).hexdigest()
    return replace(facts, md5=md5, sha1=sha1)


def _companions(path: Path) -> Iterable[Companion]:
    for suffix in COMPANIONS:
        beside = path.with_name(path.name + suffix)
        if beside.is_file():
            status = beside.stat()
            if status.st_size > _LARGEST_COMPANION:
                raise VerifyError("larger than any companion of a package", where=str(beside))
            yield Companion(suffix=suffix, data=beside.read_bytes(), mode=stat.S_IMODE(status.st_mode))


def known_from(subject: Subject) -> Known:
    """Return a package as others see it."""
    return Known(name=subject.name, files=subject.paths, needs=subject.needs)


def images_in(folder: Path) -> tuple[Path, ...]:
    """Return the .tcz files of a folder, sorted."""
    return tuple(sorted(path for path in folder.glob(f"*{SUFFIX}") if path.is_file()))


def catalogue_of(place: Path) -> Catalogue:
    """Return the packages of a folder of .tcz files, a mirror's folder, or a provides.db.

    A folder with a provides.db is a whole mirror: what it does not name does not exist. Of a .tcz without
    a .list the image is read. Raises ``ConfigError`` for a path that is none of these.
    """
    if place.is_file():
        return Catalogue(packages=parse_provides(_text(place)), complete=True)
    if not place.is_dir():
        problem = Problem(where=str(place), message="neither a folder of packages nor a provides.db")
        raise ConfigError("other packages cannot be looked at", [problem])
    found = Catalogue()
    provides = _database(place, "provides.db")
    if provides is not None:
        found = found.merged(parse_provides(provides), complete=True)
        needs = dict(parse_dep_db(_database(place, "dep.db") or ""))
        found = found.merged(replace(known, needs=needs.get(known.name, ())) for known in found.packages)
    return found.merged(known_package(path) for path in images_in(place))


def known_package(path: Path) -> Known:
    """Return a package on disk as others see it, by its .list or else its image."""
    beside = {one.suffix: one for one in _companions(path)}
    bare = Subject(name=path.name.removesuffix(SUFFIX), tree=Tree(), companions=tuple(beside.values()))
    listed = bare.text(".list")
    if listed is not None:
        files = parse_list(listed)
    else:
        try:
            files = tuple(path for path, node in image.read(path).items() if not node.is_dir)
        except VerifyError:
            files = ()
    try:
        md5 = parse_md5(bare.text(".md5.txt") or "").md5
    except VerifyError:
        md5 = ""
    return Known(name=bare.name, files=files, needs=bare.needs, md5=md5, info=bare.companion(".info"))


def _database(folder: Path, name: str) -> str | None:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return _text(path)
    return None


def _text(path: Path) -> str:
    data = path.read_bytes()
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, ValueError) as error:
            raise VerifyError("not a whole gzip file", where=str(path), why=str(error)) from error
    return data.decode(errors="surrogateescape")


def write_package(before: Subject, after: Subject, target: Path, *, keep: bool) -> Subject:
    """Write a repaired package over ``target`` and what lies beside it; return it with its new image's facts.

    With ``keep`` the files that change are kept as ``FILE.orig`` first. The image comes before the files
    that speak of it, so that a run that is interrupted leaves a mismatch that lint tells of, never a
    half-written file. What ``after`` refers to in an image that is replaced can no longer be read.
    """
    changed = [one for one in after.companions if before.companion(one.suffix) != one.data]
    gone = [one.suffix for one in before.companions if after.companion(one.suffix) is None]
    if after.tree != before.tree or after.image != before.image:
        if keep:
            _keep(target)
        writer.write(after.tree, target, _options(after), epoch=None)
    for one in changed:
        _put(target.with_name(target.name + one.suffix), one.data, keep=keep)
    for suffix in gone:
        path = target.with_name(target.name + suffix)
        if path.is_file():
            if keep:
                _keep(path)
            path.unlink()
    return replace(after, image=image_facts(target))


def write_zsync(target: Path, subject: Subject) -> None:
    """Write the .zsync of an image that is finished, with the image's own time."""
    epoch = subject.image.time if subject.image is not None else 0
    data = zsync.control(target, epoch=epoch)
    with replacing(target.with_name(target.name + zsync.SUFFIX)) as temporary:
        temporary.write_bytes(data)


def _options(subject: Subject) -> SquashOptions:
    """Return how an image is packed: as it was, or as a repair wants it."""
    if subject.image is None:
        return SquashOptions(block=4096)
    known: Compressor = next((one for one in COMPRESSORS if one == subject.image.compressor), "gzip")
    return SquashOptions(compressor=known, block=subject.image.block)


def _put(path: Path, data: bytes, *, keep: bool) -> None:
    if keep:
        _keep(path)
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def _keep(path: Path) -> None:
    """Keep a file as it is, under another name, unless one was kept before."""
    kept = path.with_name(path.name + ".orig")
    if path.is_file() and not kept.exists():
        with replacing(kept) as temporary:
            temporary.write_bytes(path.read_bytes())
