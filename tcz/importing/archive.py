"""Archives as trees: decompressed into a spool file, read from there, never unpacked onto the disk.

tar as POSIX and GNU write it (plain, gzip, bzip2, xz, zstd) and zip with Unix modes.
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tcz.errors import NoSpaceError, VerifyError
from tcz.importing.builder import TreeBuilder
from tcz.importing.draft import Note
from tcz.tree import FileRef, Node, Tree, directory, safe_path
from tcz.unpack import DAMAGE, opened, zip_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tcz.bases import Base

_BLOCK: Final = 1 << 20
#: A spool that would leave less free than this is refused: an archive of zeros must not fill a disk.
_SPARE: Final = 64 << 20
_SET_ID: Final = stat.S_ISUID | stat.S_ISGID
_LATEST: Final = (1 << 32) - 1
_MAX_ID: Final = (1 << 32) - 2


@dataclass(slots=True)
class Spool:
    """A folder for decompressed archives; trees refer into its files, so it lives as long as they do."""

    folder: Path

    def new(self) -> Path:
        """Return an empty file that nothing else uses."""
        handle, name = tempfile.mkstemp(dir=self.folder)
        os.close(handle)
        return Path(name)

    def add(self, archive: Path | FileRef) -> Path:
        """Return the decompressed bytes of an archive as a file; an uncompressed one is used in place.

        Raises ``VerifyError`` for damage, ``NoSpaceError`` before the disk is full.
        """
        place = self.new()
        where = archive.path if isinstance(archive, FileRef) else archive
        try:
            with opened(archive) as stream, place.open("wb") as sink:
                while block := stream.read(_BLOCK):
                    if shutil.disk_usage(self.folder).free < len(block) + _SPARE:
                        raise NoSpaceError("no space left to unpack it", where=str(where))
                    sink.write(block)
        except DAMAGE as error:
            raise VerifyError("damaged archive", where=str(where), why=str(error)) from error
        except OSError as error:
            if error.errno is not None:
                raise
            # How bz2 speaks of damage.
            raise VerifyError("damaged archive", where=str(where), why=str(error)) from error
        return place


@dataclass(slots=True)
class Owners:
    """Maps owners of archive members to those of a base, and remembers what had none.

    A name that the base does not know becomes root, and such a file loses its set-id bits: as root's
    they would give away more than was meant. Numbers without names are kept, all with ``by_number``.
    """

    users: Mapping[str, int]
    groups: Mapping[str, int]
    by_number: bool = False
    unknown: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, base: Base) -> Owners:
        """Return the owners of a base."""
        return cls(users=base.users, groups=base.groups)

    def ids(self, info: tarfile.TarInfo) -> tuple[int, int, bool]:
        """Return uid, gid and whether both are known."""
        uid = self._one("user", self.users, info.uname, info.uid, info.name)
        gid = self._one("group", self.groups, info.gname, info.gid, info.name)
        return uid or 0, gid or 0, uid is not None and gid is not None

    def _one(self, what: str, known: Mapping[str, int], name: str, number: int, path: str) -> int | None:
        if name in known and not self.by_number:
            return known[name]
        if number == 0 or not name or self.by_number:
            return number if 0 <= number <= _MAX_ID else None
        self.unknown.setdefault(f"{what} {name}", []).append(path)
        return None

    def notes(self) -> tuple[Note, ...]:
        """Tell which owners became root."""
        return tuple(
            Note(
                verdict="changed",
                where=paths[0].lstrip("./"),
                text=f"belongs to {owner}, which the base has not: now root's, without set-id bits"
                + (f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""),
            )
            for owner, paths in self.unknown.items()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of a tar file: a node, or a hard link to ``link``."""

    path: str
    node: Node
    link: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What an archive holds."""

    tree: Tree
    notes: tuple[Note, ...]


def read(archive: Path | FileRef, spool: Spool, owners: Owners, *, strip: int = 0) -> Contents:
    """Return the tree of a tar or zip file, without the leading ``strip`` path parts.

    Device nodes, pipes and sockets are left out and told. Raises ``VerifyError`` for damaged and
    hostile archives.
    """
    notes: list[Note] = []
    builder = TreeBuilder()
    path = archive.path if isinstance(archive, FileRef) else archive
    try:
        found = _zip(path, spool) if is_zip(archive) else members(spool.add(archive), owners, notes)
        for member in found:
            place = stripped(member.path, strip)
            if not place and (strip or not member.node.is_dir):
                continue
            if member.link is None:
                builder.put(place, member.node)
            else:
                builder.link(place, stripped(member.link, strip))
    except VerifyError as error:
        raise VerifyError(error.what, where=error.where or str(path), why=error.why) from error
    return Contents(tree=builder.finish(), notes=(*owners.notes(), *notes))


def is_zip(archive: Path | FileRef) -> bool:
    """Tell a zip file by its first bytes."""
    if isinstance(archive, FileRef):
        return False
    with archive.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def stripped(path: str, strip: int) -> str:
    """Return a checked path without its leading parts."""
    return "/".join(safe_path(path).split("/")[strip:])


def members(path: Path, owners: Owners, notes: list[Note]) -> Iterable[Member]:
    """Yield the members of an uncompressed tar file, contents as references into it.

    Raises ``VerifyError`` for a damaged file and for sparse members.
    """
    size = path.stat().st_size
    try:
        with tarfile.open(path, "r:", encoding="utf-8", errors="surrogateescape") as tar:
            for info in tar:
                if info.issparse() or (info.isreg() and info.offset_data + info.size > size):
                    what = "sparse files are not supported" if info.issparse() else "truncated archive"
                    raise VerifyError(f"{what}: {info.name!r}")
                member = _member(path, info, owners)
                if member is None:
                    notes.append(_left_out(info))
                else:
                    yield member
                tar.members = []  # type: ignore[attr-defined] # never asked for, it would only grow
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        # Who reads knows what the user calls it: ``path`` is a spool file.
        raise VerifyError("damaged archive", why=str(error)) from error


def _left_out(info: tarfile.TarInfo) -> Note:
    kind = "device node" if info.ischr() or info.isblk() else "pipe" if info.isfifo() else "special file"
    return Note(verdict="left-out", where=info.name.lstrip("./"), text=f"a {kind}: bases make their own")


def _member(path: Path, info: tarfile.TarInfo, owners: Owners) -> Member | None:
    uid, gid, known = owners.ids(info)
    mtime = max(0, min(int(info.mtime), _LATEST))
    mode = info.mode & 0o7777
    if not known and not info.isdir():
        mode &= ~_SET_ID
    if info.isdir():
        return Member(path=info.name, node=directory(mode, uid=uid, gid=gid, mtime=mtime))
    if info.issym():
        target = os.fsencode(info.linkname)
        if not target or b"\0" in target:
            raise VerifyError(f"a link without a proper target: {info.name!r}")
        node = Node(mode=stat.S_IFLNK | 0o777, uid=uid, gid=gid, mtime=mtime, data=target)
        return Member(path=info.name, node=node)
    if not (info.isreg() or info.islnk()):
        return None
    data = FileRef(path, info.offset_data, info.size) if info.isreg() else b""
    node = Node(mode=stat.S_IFREG | mode, uid=uid, gid=gid, mtime=mtime, data=data)
    return Member(path=info.name, node=node, link=info.linkname if info.islnk() else None)


def _zip(path: Path, spool: Spool) -> Iterable[Member]:
    place = spool.new()
    try:
        with zipfile.ZipFile(path) as archive, place.open("wb") as sink:
            for info in archive.infolist():
                mode = info.external_attr >> 16
                mtime = min(zip_time(info), _LATEST)
                if info.is_dir():
                    bits = stat.S_IMODE(mode) or 0o755
                    yield Member(path=info.filename, node=directory(bits, mtime=mtime))
                    continue
                if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFLNK):
                    raise VerifyError(f"archive member is a device or a pipe: {info.filename!r}")
                if info.file_size + _SPARE > shutil.disk_usage(spool.folder).free:
                    raise NoSpaceError("no space left to unpack it", where=str(path))
                start = sink.tell()
                with archive.open(info) as content:
                    shutil.copyfileobj(content, sink, _BLOCK)
                sink.flush()
                data = FileRef(place, start, sink.tell() - start)
                if stat.S_ISLNK(mode):
                    node = Node(mode=stat.S_IFLNK | 0o777, mtime=mtime, data=data.read())
                else:
                    node = Node(mode=stat.S_IFREG | (stat.S_IMODE(mode) or 0o644), mtime=mtime, data=data)
                yield Member(path=info.filename, node=node)
    except (*DAMAGE, zlib.error, NotImplementedError, RuntimeError) as error:
        raise VerifyError("damaged archive", where=str(path), why=str(error)) from error
