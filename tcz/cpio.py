"""Initrds as values: newc archives, read with the kernel's rules and written always the same.

Format and semantics: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst and
init/initramfs.c. An initrd is any sequence of members, plain or compressed; each decompresses to
one or several newc archives (magic 070701, or 070702 with a checksum), NUL padded.
"""

from __future__ import annotations

import stat
import struct
from binascii import Error as HexError
from binascii import unhexlify
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, Final

from tcz.compress import DEFAULT_LIMIT, Compression, compress, expand
from tcz.errors import ToolkitError, VerifyError
from tcz.rootfs import Entry, RootFs, bad, encoded
from tcz.tree import FileRef, Node, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Compression", "compress", "dumps", "read", "write"]

_HEADER: Final = 110
_TRAILER: Final = "TRAILER!!!"
_PATH_MAX: Final = 4096
_FIELD_MAX: Final = 0xFFFFFFFF
_BLOCK: Final = 1 << 20
_TYPES: Final = frozenset(
    {stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK}
)


# -- reading --------------------------------------------------------------------------------------


def _padded(offset: int) -> int:
    return (offset + 3) & ~3


def _cut(data: bytes, start: int, size: int, what: str, header: int) -> bytes:
    part = data[start : start + size]
    if len(part) != size:
        raise bad(header, f"{what} is truncated: {size} bytes announced, {len(part)} there")
    return part


def _entry(data: bytes, offset: int) -> tuple[Entry, int]:
    """Parse the header, name and content at ``offset``; return the entry and the next offset."""
    header = _cut(data, offset, _HEADER, "the header", offset)
    magic = header[:6]
    if magic not in (b"070701", b"070702"):
        raise bad(offset, f"no newc header: {magic!r}")
    try:
        values = struct.unpack(">13I", unhexlify(header[6:]))
    except HexError as error:
        raise bad(offset, "a header field is not hexadecimal") from error
    ino, mode, uid, gid, nlink, mtime, size, major, minor, rmajor, rminor, namesize, check = values
    if not 1 < namesize <= _PATH_MAX:
        raise bad(offset, f"a name of {namesize} bytes")
    raw = _cut(data, offset + _HEADER, namesize, "the name", offset)
    if raw.find(0) != namesize - 1:
        raise bad(offset, f"the name does not end where it should: {raw[:80]!r}")
    name = raw[:-1].decode(errors="surrogateescape")
    start = _padded(offset + _HEADER + namesize)
    body = _cut(data, start, size, f"the content of {name!r}", offset)
    if magic == b"070702" and body and stat.S_ISREG(mode) and sum(body) & _FIELD_MAX != check:
        raise bad(offset, f"wrong checksum for {name!r}")
    if name != _TRAILER:
        body = _checked_body(offset, name, mode, body)
    entry = Entry(
        offset, name, (major, minor, ino), mode & 0xFFFF, uid, gid, nlink, mtime, (rmajor, rminor), body
    )
    return entry, _padded(start + size)


def _checked_body(offset: int, name: str, mode: int, body: bytes) -> bytes:
    kind = stat.S_IFMT(mode)
    if kind not in _TYPES:
        raise bad(offset, f"{name!r} has no known file type: mode {mode:o}")
    if kind == stat.S_IFLNK:
        target = body.partition(b"\0")[0]
        if not target or len(body) > _PATH_MAX:
            raise bad(offset, f"the symbolic link {name!r} has a target of {len(body)} bytes")
        return target
    if body and kind != stat.S_IFREG:
        raise bad(offset, f"{name!r} has content and is no file")
    return body


def _archive(root: RootFs, data: bytes, offset: int) -> int:
    """Apply the archive at ``offset``; return the offset behind its trailer."""
    while True:
        if offset >= len(data):
            raise bad(offset, f"the archive ends without {_TRAILER}")
        entry, offset = _entry(data, offset)
        if entry.name == _TRAILER:
            root.end_of_archive()
            return offset
        root.add(entry)


def _skip_nuls(data: bytes, offset: int) -> int:
    while offset < len(data) and data[offset] == 0:
        block = data[offset : offset + 4096]
        offset += len(block) - len(block.lstrip(b"\0"))
    return offset


def read(data: bytes, *, limit: int = DEFAULT_LIMIT) -> Tree:
    """Return the tree that the kernel would make of an initrd.

    Every member and every archive is read; later entries replace earlier ones, a file lands where
    the symbolic links of its path lead, and a directory entry over a directory sets its mode and
    owner. Names that are not UTF-8 carry surrogate escapes. Names with ``..``, and whatever is
    truncated, inconsistent or unpacks to more than ``limit`` bytes, raise ``VerifyError`` with the
    offset; inside a compressed member it counts from that member's first unpacked byte.
    """
    root = RootFs()
    offset, found = _skip_nuls(data, 0), False
    while offset < len(data):
        found = True
        if data[offset : offset + 1] == b"0" and offset % 4 == 0:
            offset = _archive(root, data, offset)
        else:
            start = offset
            plain, offset = expand(data, offset, limit=limit)
            limit -= len(plain)
            _packed(root, plain, start)
        offset = _skip_nuls(data, offset)
    if not found:
        raise VerifyError("not an initrd: it holds no archive")
    return root.tree()


def _packed(root: RootFs, plain: bytes, start: int) -> None:
    try:
        offset = _skip_nuls(plain, 0)
        while offset < len(plain):
            if offset % 4:
                raise bad(offset, "the next archive does not start at a multiple of 4")
            offset = _skip_nuls(plain, _archive(root, plain, offset))
    except VerifyError as error:
        error.where = f"compressed member at offset {start}"
        raise


# -- writing --------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Sink:
    """A file object that knows how far it is."""

    file: BinaryIO
    size: int = 0

    def put(self, data: bytes) -> None:
        self.file.write(data)
        self.size += len(data)

    def pad(self, multiple: int) -> None:
        self.put(bytes(-self.size % multiple))


def _blocks(node: Node, name: str) -> Iterator[bytes]:
    data = node.data
    if not isinstance(data, FileRef):
        yield from node.pieces()
        return
    left = data.size
    with data.path.open("rb") as file:
        file.seek(data.offset)
        while left:
            block = file.read(min(_BLOCK, left))
            if not block:
                raise VerifyError(f"the file behind {name!r} became shorter", where=str(data.path))
            left -= len(block)
            yield block


def _header(sink: _Sink, name: str, node: Node, *, ino: int, nlink: int, size: int) -> None:
    raw = encoded(name) + b"\0"
    fields = (ino, node.mode, node.uid, node.gid, nlink, node.mtime, size, 0, 0, *node.rdev, len(raw), 0)
    if len(raw) > _PATH_MAX or not all(0 <= value <= _FIELD_MAX for value in fields):
        raise ToolkitError(f"{name!r} does not fit the newc format", why=f"size {size}, time {node.mtime}")
    sink.put(b"070701" + b"%08X" * 13 % fields + raw)
    sink.pad(4)


def _links(tree: Tree) -> dict[str, list[str]]:
    """Return every path that shares its content: the holder's path and all names, in order."""
    groups: dict[str, list[str]] = {}
    for path, node in tree.items():
        if node.link is None:
            continue
        holder = tree.get(node.link)
        if holder is None or holder.link is not None or not _may_share(holder):
            raise ToolkitError(f"{path!r} is a hard link to {node.link!r}, which is no file of this tree")
        groups.setdefault(node.link, [node.link]).append(path)
    return {holder: sorted(names, key=encoded) for holder, names in groups.items()}


def _may_share(node: Node) -> bool:
    return not node.is_dir and not node.is_link


def write(tree: Tree, *, file: BinaryIO, root: bool = False, pad: int = 512) -> int:
    """Write ``tree`` as one newc archive and return its size; content is streamed.

    Entries are sorted bytewise (so parents come first), inodes are numbered from 1, names that
    share content come with an inode in common and the content at the last of them. The root
    itself is left out unless ``root`` is true: an archive laid over others must not touch it. The
    end is padded to a multiple of ``pad`` (at least 4: the next archive must start at one).
    Raises ``ToolkitError`` for what the format cannot hold.
    """
    groups = _links(tree)
    inodes: dict[str, int] = {}
    sink = _Sink(file)
    for path, node in tree.items():
        if path == _TRAILER:
            raise ToolkitError(f"no file can be named {_TRAILER} in a newc archive")
        if not path and not root:
            continue
        holder = node.link or path
        names = groups.get(holder, [path])
        ino = inodes.setdefault(holder, len(inodes) + 1)
        shared = tree[holder]
        has_content = path == names[-1]
        size = shared.size if has_content else 0
        nlink = 2 if node.is_dir else len(names)
        _header(sink, path or ".", shared, ino=ino, nlink=nlink, size=size)
        if size:
            for block in _blocks(shared, path):
                sink.put(block)
            sink.pad(4)
    _header(sink, _TRAILER, Node(mode=0), ino=0, nlink=1, size=0)
    sink.pad(max(4, pad))
    return sink.size


def dumps(tree: Tree, *, root: bool = False, pad: int = 512) -> bytes:
    """Return what ``write`` writes."""
    buffer = BytesIO()
    write(tree, file=buffer, root=root, pad=pad)
    return buffer.getvalue()
