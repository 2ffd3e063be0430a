"""Unpack tar and zip files so that nothing outside the target folder can be touched.

Two policies. *Sources* (the default): a member that leaves the tree, goes through a symbolic link,
is a device, or is a link to the outside is refused. *System* packages: links may point anywhere,
because they are meant for another root; a path through a link is followed inside the target only.
Owners, set-id bits and folder times are never taken over; execute bits and file times are.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import posixpath
import shutil
import stat
import tarfile
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Literal

import zstandard

from tcz import lzip
from tcz.errors import VerifyError
from tcz.tree import FileRef, safe_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_ZIP = b"PK\x03\x04"
_MAX_LINKS = 40
_LATEST = 1 << 33
_LONGEST_LINK = 4096
_FOLDER = 0o755
_DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error,
    zstandard.ZstdError,
)  # fmt: skip
#: What reading from ``opened`` may raise for damaged bytes.
DAMAGE = _DAMAGE
#: How zipfile speaks of passwords and of ways to compress that it does not know.
_UNREADABLE = (RuntimeError, NotImplementedError, ValueError)

Kind = Literal["directory", "file", "symlink", "hardlink"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    path: str
    kind: Kind
    mode: int = 0o644
    mtime: int = 0
    target: str = ""


class _Region(io.RawIOBase):
    """A region of a file as a stream of its own."""

    def __init__(self, region: FileRef) -> None:
        self._file = region.path.open("rb")
        self._file.seek(region.offset)
        self._left = region.size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._file.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def unpack(
    archive: Path | FileRef,
    into: Path,
    *,
    strip: int = 0,
    system: bool = False,
    skip: tuple[str, ...] = (),
) -> int:
    """Unpack a tar (plain, gzip, bzip2, xz, zstd, lzip) or zip file into the folder ``into``.

    ``strip`` drops that many leading path parts; members with no more parts than that are left out,
    and so are those whose path then begins with one of ``skip``.
    Returns the number of members written. Raises ``VerifyError`` for damaged and hostile archives;
    members before the offending one may then lie in ``into`` already.
    """
    region = archive if isinstance(archive, FileRef) else _whole(archive)
    make_folder(into)
    writer = _Writer(root=into, system=system, skip=skip)
    try:
        with io.BufferedReader(_Region(region), 1 << 18) as raw:
            if raw.peek(4).startswith(_ZIP):
                return _unpack_zip(region, writer, strip)
            return _unpack_tar(raw, writer, strip)
    except VerifyError as error:
        raise VerifyError(error.what, where=error.where or str(region.path), why=error.why) from error
    except _UNREADABLE as error:
        raise VerifyError("an archive that cannot be read", where=str(region.path), why=str(error)) from error
    except _DAMAGE as error:
        raise VerifyError("damaged archive", where=str(region.path), why=str(error)) from error
    except OSError as error:
        # How bz2 speaks of damage, and zipfile of a place before the beginning.
        if error.errno not in (None, errno.EINVAL):
            raise
        raise VerifyError("damaged archive", where=str(region.path), why=str(error)) from error


def listing(archive: Path | FileRef) -> Iterator[str]:
    """Yield the paths of an archive's members as it has them, folders with a slash at their end.

    Raises ``VerifyError`` for damaged archives.
    """
    region = archive if isinstance(archive, FileRef) else _whole(archive)
    try:
        with io.BufferedReader(_Region(region), 1 << 18) as raw:
            if raw.peek(4).startswith(_ZIP):
                with zipfile.ZipFile(region.path) as found:
                    yield from found.namelist()
                return
            with _decompressed(raw) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
                for info in tar:
                    yield info.name.rstrip("/") + "/" * info.isdir()
                    tar.members = []  # type: ignore[attr-defined] # as in _unpack_tar
    except (*_DAMAGE, *_UNREADABLE) as error:
        raise VerifyError("damaged archive", where=str(region.path), why=str(error)) from error


def one_folder(archive: Path) -> str | None:
    """Return the name of the folder that holds all of an archive, or ``None`` where there is no such one."""
    tops: set[str] = set()
    for name in listing(archive):
        path = safe_path(name)
        if path:
            top, _, rest = path.partition("/")
            tops.add(top)
            if len(tops) > 1 or not (rest or name.endswith("/")):
                return None
    return tops.pop() if tops else None


def make_folder(path: Path) -> None:
    """Make a folder and its parents, with the same mode whatever the user's umask is."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        path.chmod(_FOLDER)


@contextmanager
def opened(archive: Path | FileRef) -> Iterator[IO[bytes]]:
    """Give the bytes of a file, decompressed when they are gzip, bzip2, xz or zstd; see ``DAMAGE``."""
    region = archive if isinstance(archive, FileRef) else _whole(archive)
    with io.BufferedReader(_Region(region), 1 << 18) as raw, _decompressed(raw) as stream:
        yield stream


def tar_member(archive: Path | FileRef, name: str) -> bytes | None:
    """Return the content of one small file of a tar file, or ``None`` when it is not there."""
    region = archive if isinstance(archive, FileRef) else _whole(archive)
    with (
        io.BufferedReader(_Region(region), 1 << 18) as raw,
        _decompressed(raw) as stream,
        tarfile.open(fileobj=stream, mode="r|") as tar,
    ):
        for info in tar:
            if safe_path(info.name) == name and info.isreg():
                file = tar.extractfile(info)
                return file.read() if file else None
    return None


def _whole(path: Path) -> FileRef:
    return FileRef(path=path, offset=0, size=path.stat().st_size)


@contextmanager
def _decompressed(raw: io.BufferedReader[_Region]) -> Iterator[IO[bytes]]:
    magic = raw.peek(6)
    stream: Any
    if magic.startswith(b"\x1f\x8b"):
        stream = gzip.GzipFile(fileobj=raw)
    elif magic.startswith(b"BZh"):
        stream = bz2.BZ2File(raw)
    elif magic.startswith((b"\xfd7zXZ", b"\x5d\x00\x00")):
        stream = lzma.LZMAFile(raw)  # noqa: SIM115 - closed below
    elif magic.startswith(b"\x28\xb5\x2f\xfd"):
        stream = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
    elif magic.startswith(lzip.MAGIC):
        stream = io.BufferedReader(lzip.LzipReader(raw), 1 << 18)
    else:
        stream = raw
    with stream:
        yield stream


def _unpack_tar(raw: io.BufferedReader[_Region], writer: _Writer, strip: int) -> int:
    count = 0
    with _decompressed(raw) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        for info in tar:
            entry = _tar_entry(info, strip)
            if entry is not None:
                writer.put(entry, lambda info=info: tar.extractfile(info))  # type: ignore[misc]
                count += 1
            tar.members = []  # type: ignore[attr-defined] # a stream is never asked for its list, which would only grow
    return count


def _tar_entry(info: tarfile.TarInfo, strip: int) -> _Entry | None:
    path = _stripped(info.name, strip)
    mtime = max(0, min(int(info.mtime), _LATEST))
    if info.isdir():
        return _Entry(path=path, kind="directory") if path else None
    if not (info.isreg() or info.issym() or info.islnk()):
        raise VerifyError(f"archive member is a device or a pipe: {info.name!r}")
    if not path:
        return None
    if info.issym():
        return _Entry(path=path, kind="symlink", target=info.linkname)
    if info.islnk():
        return _Entry(path=path, kind="hardlink", target=_stripped(info.linkname, strip))
    return _Entry(path=path, kind="file", mode=info.mode, mtime=mtime)


def _unpack_zip(region: FileRef, writer: _Writer, strip: int) -> int:
    count = 0
    with zipfile.ZipFile(region.path) as archive:
        for info in archive.infolist():
            path = _stripped(info.filename, strip)
            mode = info.external_attr >> 16
            if not path:
                continue
            if info.is_dir():
                entry = _Entry(path=path, kind="directory")
            elif stat.S_ISLNK(mode):
                entry = _Entry(path=path, kind="symlink", target=_zip_link(archive, info))
            elif stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise VerifyError(f"archive member is a device or a pipe: {info.filename!r}")
            else:
                entry = _Entry(path=path, kind="file", mode=mode, mtime=zip_time(info))
            writer.put(entry, lambda info=info: archive.open(info))  # type: ignore[misc]
            count += 1
    return count


def _zip_link(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
    if info.file_size > _LONGEST_LINK:
        raise VerifyError(f"archive member is a link without a proper target: {info.filename!r}")
    return archive.read(info).decode(errors="surrogateescape")


def zip_time(info: zipfile.ZipInfo) -> int:
    """Return a member's time as seconds since 1970, as if it had been written in UTC."""
    year, month, day, hour, minute, second = info.date_time
    # Days of the proleptic Gregorian calendar, counted without the machine's time zone.
    shifted = year - (month <= 2)  # noqa: PLR2004
    era, within = divmod(shifted, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    days = era * 146097 + within * 365 + within // 4 - within // 100 + day_of_year - 719468
    return max(0, days * 86400 + hour * 3600 + minute * 60 + second)


def _stripped(name: str, strip: int) -> str:
    if name.startswith("/"):
        raise VerifyError(f"archive member has an absolute path: {name!r}")
    return "/".join(safe_path(name).split("/")[strip:])


@dataclass(slots=True, kw_only=True)
class _Writer:
    """Puts entries below ``root``; ``_folders`` maps paths already seen to where they really are."""

    root: Path
    system: bool
    skip: tuple[str, ...] = ()
    _folders: dict[str, str] = field(default_factory=lambda: {"": ""})

    def put(self, entry: _Entry, content: Callable[[], IO[bytes] | None]) -> None:
        parent, _, name = entry.path.rpartition("/")
        if entry.path.startswith(self.skip):
            return
        if entry.kind == "directory":
            self._folder(entry.path)
            return
        if entry.kind == "symlink":
            _check_target(entry, outside=self.system)
        place = self.root / self._folder(parent) / name
        source = self._link_source(entry) if entry.kind == "hardlink" else None
        if source == place:
            return
        self._clear(place, entry)
        if entry.kind == "symlink":
            place.symlink_to(entry.target)
        elif source is not None:
            os.link(source, place, follow_symlinks=False)
        else:
            self._write(place, entry, content)

    def _write(self, place: Path, entry: _Entry, content: Callable[[], IO[bytes] | None]) -> None:
        data = content()
        # O_NOFOLLOW and O_EXCL: whatever appeared here meanwhile is not written through.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(place, flags, 0o600), "wb", buffering=0) as file:
            if data is not None:
                shutil.copyfileobj(data, file, 1 << 18)
            os.fchmod(file.fileno(), 0o755 if entry.mode & 0o100 else 0o644)
            os.utime(file.fileno(), (entry.mtime, entry.mtime))

    def _clear(self, place: Path, entry: _Entry) -> None:
        try:
            mode = place.lstat().st_mode
        except FileNotFoundError:
            return
        if stat.S_ISDIR(mode):
            raise VerifyError(f"archive member would replace a folder: {entry.path!r}")
        place.unlink()

    def _link_source(self, entry: _Entry) -> Path:
        parent, _, name = entry.target.rpartition("/")
        source = self.root / self._folder(parent) / name
        if not name or source.is_symlink() or not source.is_file():
            raise VerifyError(f"archive member {entry.path!r} links to what is not a file: {entry.target!r}")
        return source

    def _folder(self, path: str) -> str:
        """Return where the folder ``path`` really is below the root, made if need be."""
        known = self._folders.get(path)
        if known is not None:
            return known
        parent, _, name = path.rpartition("/")
        real = posixpath.join(self._folder(parent), name)
        place = self.root / real
        try:
            place.mkdir()
            place.chmod(_FOLDER)
        except FileExistsError:
            mode = place.lstat().st_mode
            if stat.S_ISLNK(mode) and self.system:
                real = self._through(real, _MAX_LINKS)
            elif not stat.S_ISDIR(mode):
                kind = "a symbolic link" if stat.S_ISLNK(mode) else "a file"
                raise VerifyError(f"archive member goes through {kind}: {path!r}") from None
        self._folders[path] = real
        return real

    def _through(self, link: str, budget: int) -> str:
        """Follow the link at ``link`` with the root as ``/``; make the folder it names."""
        if not budget:
            raise VerifyError(f"too many symbolic links: {link!r}")
        target = (self.root / link).readlink().as_posix()
        start = "/" if target.startswith("/") else "/" + posixpath.dirname(link)
        real = ""
        for part in posixpath.normpath(posixpath.join(start, target)).strip("/").split("/"):
            real = posixpath.join(real, part)
            place = self.root / real
            if place.is_symlink():
                real = self._through(real, budget - 1)
            elif not place.exists():
                make_folder(place)
            elif not place.is_dir():
                raise VerifyError(f"archive member goes through a file: {link!r}")
        return real


def _check_target(entry: _Entry, *, outside: bool) -> None:
    if not entry.target or "\0" in entry.target:
        raise VerifyError(f"archive member {entry.path!r} is a link without a proper target")
    outcome = posixpath.normpath(posixpath.join(posixpath.dirname(entry.path), entry.target))
    if not outside and (entry.target.startswith("/") or outcome.split("/")[0] == ".."):
        raise VerifyError(f"archive member {entry.path!r} links out of its tree: {entry.target!r}")
