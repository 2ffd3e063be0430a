"""Trees as tar archives: owners, devices and hard links without root, the same bytes each time.

GNU's tar format: names are plain bytes whatever their encoding, long ones go into extra members,
and nothing of the host (user names, clocks) gets in.
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
from typing import IO, TYPE_CHECKING

from tcz.errors import VerifyError
from tcz.store import replacing
from tcz.tree import FileRef, Node, Tree, safe_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from _typeshed import WriteableBuffer

_TYPES = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
}
_BLOCK = tarfile.BLOCKSIZE
_ZEROS = bytes(_BLOCK)
#: Where mode, owner, group, size, time and the sum of a header are, and the numbers of a device.
_NUMBERS = ((100, 108), (108, 116), (116, 124), (124, 136), (136, 148), (148, 156))
_DEVICE = (329, 337)
_LONGER = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_LONGEST = 1 << 16
_PLAIN = frozenset((*_TYPES.values(), tarfile.LNKTYPE))
_MODES = {kind: mode for mode, kind in _TYPES.items()} | {tarfile.AREGTYPE: stat.S_IFREG}


def write(tree: Tree, path: Path) -> None:
    """Write ``tree`` to ``path`` (a temporary file beside it first, then renamed)."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        write_to(tree, file)


def write_to(tree: Tree, file: IO[bytes]) -> None:
    """Write ``tree`` to an open file. Hard links come last, after what they link to."""
    with tarfile.open(
        fileobj=file, mode="w", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape"
    ) as archive:
        for path, node in tree.items():
            if node.link is None:
                _add(archive, _member(path, node), node)
        for path, node in tree.items():
            if node.link is not None:
                _add(archive, _member(path, node), node)


def _member(path: str, node: Node) -> tarfile.TarInfo:
    kind = _TYPES.get(stat.S_IFMT(node.mode))
    if kind is None:
        raise VerifyError(f"a tar archive cannot hold this kind of file: {path}")
    # "./" for the root: a bare "" would be dropped by every reader.
    member = tarfile.TarInfo(path or "./")
    member.type = tarfile.LNKTYPE if node.link is not None else kind
    member.mode = stat.S_IMODE(node.mode)
    member.uid, member.gid = node.uid, node.gid
    member.mtime = node.mtime
    member.devmajor, member.devminor = node.rdev
    if node.link is not None:
        member.linkname = node.link
    elif node.is_link:
        member.linkname = os.fsdecode(node.read())
    elif node.is_file:
        member.size = node.size
    return member


def _add(archive: tarfile.TarFile, member: tarfile.TarInfo, node: Node) -> None:
    if not member.isreg():
        archive.addfile(member)
        return
    archive.addfile(member, io.BufferedReader(_Pieces(node.pieces())))


class _Pieces(io.RawIOBase):
    """Content as a file object."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        if not self._left:
            self._left = memoryview(next(self._pieces, b""))
        count = min(len(view), len(self._left))
        view[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def read(path: Path) -> Tree:
    """Return the tree of an uncompressed tar archive; files are references into it, nothing is copied.

    Raises ``VerifyError`` for a damaged archive, for names that leave the tree, for sparse files
    and for hard links to what the archive has not.
    """
    try:
        nodes = _own(path)
        if nodes is None:
            with tarfile.open(path, "r:", encoding="utf-8", errors="surrogateescape") as archive:
                nodes = dict(_nodes(archive, path))
    except (tarfile.TarError, EOFError) as error:
        raise VerifyError("not a whole tar archive", where=str(path), why=str(error)) from error
    for name, node in nodes.items():
        if node.link is not None and (node.link not in nodes or not nodes[node.link].is_file):
            raise VerifyError(f"hard link {name} to {node.link}, which is not there", where=str(path))
    return Tree(nodes)


def _own(path: Path) -> dict[str, Node] | None:
    """Read an archive such as ``write`` makes in less than half of tarfile's time; ``None`` for any other."""
    nodes: dict[str, Node] = {}
    longer: dict[bytes, bytes] = {}
    with path.open("rb", buffering=0) as file:
        end, at = os.fstat(file.fileno()).st_size, 0
        while True:
            head = os.pread(file.fileno(), _BLOCK, at)
            if head == _ZEROS:
                return nodes
            try:
                mode, uid, gid, size, mtime, told = (
                    int(head[a:b].rstrip(b"\0 ") or b"0", 8) for a, b in _NUMBERS
                )
                major, minor = (int(head[a : a + 8].rstrip(b"\0 ") or b"0", 8) for a in _DEVICE)
            except ValueError:
                return None
            if head[257:265] != tarfile.GNU_MAGIC or sum(head) - sum(head[148:156]) + 256 != told:
                return None
            kind, begin = head[156:157], at + _BLOCK
            at = begin + (size + _BLOCK - 1) // _BLOCK * _BLOCK
            if at > end:
                return None
            if kind in _LONGER and size <= _LONGEST:
                longer[kind] = os.pread(file.fileno(), size, begin).rstrip(b"\0")
                continue
            if kind not in _PLAIN or (size and kind != tarfile.REGTYPE):
                return None
            raw = longer.pop(tarfile.GNUTYPE_LONGNAME, None) or head[:100].partition(b"\0")[0]
            target = longer.pop(tarfile.GNUTYPE_LONGLINK, None) or head[157:257].partition(b"\0")[0]
            is_device = kind in (tarfile.CHRTYPE, tarfile.BLKTYPE)
            is_link, is_shared = kind == tarfile.SYMTYPE, kind == tarfile.LNKTYPE
            nodes[safe_path(os.fsdecode(raw))] = Node(
                mode=_MODES.get(kind, stat.S_IFREG) | (0o777 if is_link else stat.S_IMODE(mode)),
                uid=uid,
                gid=gid,
                mtime=mtime,
                data=target if is_link else FileRef(path, begin, size) if kind == tarfile.REGTYPE else b"",
                rdev=(major, minor) if is_device else (0, 0),
                link=safe_path(os.fsdecode(target)) if is_shared else None,
            )


def _nodes(archive: tarfile.TarFile, path: Path) -> Iterator[tuple[str, Node]]:
    size = path.stat().st_size
    for member in archive:
        name = safe_path(member.name)
        kind = _MODES.get(member.type, stat.S_IFREG if member.islnk() else None)
        if kind is None or member.issparse():
            raise VerifyError(f"member of a kind that is not supported: {member.name}", where=str(path))
        if member.isreg() and member.offset_data + member.size > size:
            raise VerifyError("not a whole tar archive", where=str(path))
        data: bytes | FileRef = b""
        if member.issym():
            data = os.fsencode(member.linkname)
        elif member.isreg():
            data = FileRef(path, member.offset_data, member.size)
        yield (
            name,
            Node(
                mode=kind | (0o777 if member.issym() else stat.S_IMODE(member.mode)),
                uid=member.uid,
                gid=member.gid,
                mtime=int(member.mtime),
                data=data,
                rdev=(member.devmajor, member.devminor) if member.isdev() and not member.isfifo() else (0, 0),
                link=safe_path(member.linkname) if member.islnk() else None,
            ),
        )
