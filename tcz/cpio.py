"""Initrds as values: newc archives, read with the kernel's rules and written always the same.

Format and semantics: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst and
init/initramfs.c. An initrd is any sequence of members, plain or compressed; each decompresses to
one or several archives, NUL padded.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass, replace
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, Final

from tcz.compress import DEFAULT_LIMIT, Compression, compress, expand, kind, most
from tcz.cpio_entries import FIELD_MAX, NEWC_HEADER, PATH_MAX, TRAILER, Format, parse
from tcz.errors import ToolkitError, VerifyError
from tcz.rootfs import RootFs, bad, encoded
from tcz.tree import FileRef, Node, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Archive", "Compression", "Loaded", "Member", "compress", "dumps", "load", "read", "write"]

_BLOCK: Final = 1 << 20
_MICROCODE: Final = "kernel/x86/microcode/"
_ACPI: Final = "kernel/firmware/acpi/"
#: What the kernel takes from plain archives at the very front, long before it unpacks anything: see
#: Documentation/arch/x86/microcode.rst, Documentation/admin-guide/acpi/initrd_table_override.rst.
EARLY: Final = (_MICROCODE, _ACPI)
#: Processors want their microcode at such addresses.
EARLY_ALIGNMENT: Final = 16


# -- reading --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """One archive: ``offset`` counts from the first unpacked byte of its member."""

    offset: int
    size: int
    format: Format
    entries: int
    #: Processor microcode, which the kernel takes before it unpacks anything.
    microcode: bool = False
    #: Tables that take the place of the firmware's, taken just as early.
    acpi: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One piece of an initrd: where it lies, how it is packed, and the archives in it.

    Plain archives one after the other are a member each; ``unpacked`` counts NUL padding within.
    """

    offset: int
    size: int
    compressor: str
    unpacked: int
    archives: tuple[Archive, ...]

    @property
    def entries(self) -> int:
        """How many entries there are, trailers not counted."""
        return sum(archive.entries for archive in self.archives)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """An initrd read: the tree that the kernel would make of it, and the shape it came in."""

    tree: Tree
    members: tuple[Member, ...]


def _archive(root: RootFs, data: bytes, offset: int) -> Archive:
    """Apply the archive at ``offset``."""
    start, count, microcode, acpi = offset, 0, False, False
    while True:
        if offset >= len(data):
            raise bad(offset, f"the archive ends without {TRAILER}")
        entry, offset, form = parse(data, offset)
        if entry.name == TRAILER:
            root.end_of_archive()
            return Archive(
                offset=start,
                size=offset - start,
                format=form,
                entries=count,
                microcode=microcode,
                acpi=acpi,
            )
        count += 1
        if stat.S_ISREG(entry.mode):
            microcode = microcode or entry.name.startswith(_MICROCODE)
            acpi = acpi or entry.name.startswith(_ACPI)
        root.add(entry)


def _skip_nuls(data: bytes, offset: int) -> int:
    while offset < len(data) and data[offset] == 0:
        block = data[offset : offset + 4096]
        offset += len(block) - len(block.lstrip(b"\0"))
    return offset


def read(data: bytes, *, limit: int = DEFAULT_LIMIT) -> Tree:
    """Return the tree that the kernel would make of an initrd; see ``load``."""
    return load(data, limit=limit).tree


def load(data: bytes, *, limit: int = DEFAULT_LIMIT) -> Loaded:
    """Return the tree that the kernel would make of an initrd, and the initrd's shape.

    Every member and every archive is read; later entries replace earlier ones, a file lands where
    the symbolic links of its path lead, and a directory entry over a directory sets its mode and
    owner. Names that are not UTF-8 carry surrogate escapes. Names with ``..``, and whatever is
    truncated, inconsistent or unpacks to more than ``limit`` bytes, or to more than 64 times its size
    and 256 MiB, raise ``VerifyError`` with the offset; inside a compressed member it counts from that
    member's first unpacked byte.
    """
    limit = min(limit, most(len(data)))
    root = RootFs()
    members: list[Member] = []
    offset = _skip_nuls(data, 0)
    while offset < len(data):
        start = offset
        if data[offset : offset + 1] == b"0" and offset % 4 == 0:
            archive = replace(_archive(root, data, offset), offset=0)
            offset += archive.size
            name, unpacked = "none", archive.size
            archives: tuple[Archive, ...] = (archive,)
        else:
            name = kind(data, offset) or "none"
            plain, offset = expand(data, offset, limit=limit)
            limit -= len(plain)
            unpacked, archives = len(plain), _packed(root, plain, start)
        members.append(
            Member(offset=start, size=offset - start, compressor=name, unpacked=unpacked, archives=archives)
        )
        offset = _skip_nuls(data, offset)
    if not members:
        raise VerifyError("not an initrd: it holds no archive")
    return Loaded(tree=root.tree(), members=tuple(members))


def _packed(root: RootFs, plain: bytes, start: int) -> tuple[Archive, ...]:
    archives = []
    try:
        offset = _skip_nuls(plain, 0)
        while offset < len(plain):
            if offset % 4:
                raise bad(offset, "the next archive does not start at a multiple of 4")
            archives.append(_archive(root, plain, offset))
            offset = _skip_nuls(plain, offset + archives[-1].size)
    except VerifyError as error:
        error.where = f"compressed member at offset {start}"
        raise
    return tuple(archives)


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


def _header(sink: _Sink, name: str, node: Node, *, ino: int, nlink: int, size: int, align: int = 4) -> None:
    raw = encoded(name) + b"\0"
    raw += bytes(-(sink.size + NEWC_HEADER + len(raw)) % align if size else 0)
    fields = (ino, node.mode, node.uid, node.gid, nlink, node.mtime, size, 0, 0, *node.rdev, len(raw), 0)
    if len(raw) > PATH_MAX or not all(0 <= value <= FIELD_MAX for value in fields):
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


def write(tree: Tree, *, file: BinaryIO, root: bool = False, pad: int = 512, align: int = 4) -> int:
    """Write ``tree`` as one newc archive and return its size; content is streamed.

    Entries are sorted bytewise (so parents come first), inodes are numbered from 1, names that
    share content come with an inode in common and the content at the last of them. The root
    itself is left out unless ``root`` is true: an archive laid over others must not touch it. The
    end is padded to a multiple of ``pad`` (at least 4: the next archive must start at one). Contents begin
    at multiples of ``align``, a multiple of 4; more than 4 takes NULs behind names, as iucode_tool has them.
    Raises ``ToolkitError`` for what the format cannot hold.
    """
    groups = _links(tree)
    inodes: dict[str, int] = {}
    sink = _Sink(file)
    for path, node in tree.items():
        if path == TRAILER:
            raise ToolkitError(f"no file can be named {TRAILER} in a newc archive")
        if not path and not root:
            continue
        holder = node.link or path
        names = groups.get(holder, [path])
        ino = inodes.setdefault(holder, len(inodes) + 1)
        shared = tree[holder]
        has_content = path == names[-1]
        size = shared.size if has_content else 0
        nlink = 2 if node.is_dir else len(names)
        _header(sink, path or ".", shared, ino=ino, nlink=nlink, size=size, align=align)
        if size:
            for block in _blocks(shared, path):
                sink.put(block)
            sink.pad(4)
    _header(sink, TRAILER, Node(mode=0), ino=0, nlink=1, size=0)
    sink.pad(max(4, pad))
    return sink.size


def dumps(tree: Tree, *, root: bool = False, pad: int = 512, align: int = 4) -> bytes:
    """Return what ``write`` writes."""
    buffer = BytesIO()
    write(tree, file=buffer, root=root, pad=pad, align=align)
    return buffer.getvalue()
