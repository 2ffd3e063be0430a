"""Opens whatever an image can be: an ISO image, a disk, an initrd, a tar archive, a folder.

What is in it stays where it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remaster import isofs, owners
from remaster.disks import filesystems, partitions
from remaster.disks.blocks import QCOW2, open_blocks
from remaster.survey.model import PartitionFound
from tcz import cpio, tar
from tcz.compress import kind as compression_of
from tcz.cpio_entries import FORMATS
from tcz.errors import ConfigError, VerifyError
from tcz.tree import FileRef, Tree, regular

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remaster.disks.blocks import Blocks
    from remaster.isofs import IsoImage
    from remaster.survey.model import Kind

#: What a compressed or plain archive, a kernel or a list can be: nothing here is a disk.
INITRD_MAX: Final = 2 << 30
_DISK: Final = b"\x55\xaa"
_TAR_AT: Final = 257
_HINT: Final = (
    "an image is an ISO image, a disk, a tar archive, an initrd, "
    "or a folder with one of them or with a root file system"
)
_STARTER_MAX: Final = 1 << 20
#: What tells the partition that a machine starts from, the surest first.
_SYSTEM: Final = ("manifest.json", "boot", "cde", "tce", "extlinux.conf", "syslinux.cfg", "EFI")


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """What was opened: files of the medium, the root where it lies open, the ISO image where it is one.

    An initrd is a medium of one file; ``loaded`` is what came out of it. Of a disk ``files`` are those of the
    partition that it is started from; ``starter`` is what a BIOS loads before any file system is read.
    """

    path: Path
    kind: Kind
    size: int
    files: Tree
    root: Tree | None = None
    iso: IsoImage | None = None
    loaded: cpio.Loaded | None = None
    table: str = ""
    partitions: tuple[PartitionFound, ...] = ()
    starter: bytes = b""
    notes: tuple[str, ...] = ()


def open_medium(path: Path) -> Medium:
    """Look what is at ``path`` and open it.

    Raises ``ConfigError`` where nothing is, ``VerifyError`` for what is none of these, or damaged.
    """
    if not path.exists():
        raise ConfigError(f"there is no {path}", hint=_HINT)
    if path.is_dir():
        return _folder(path)
    try:
        with path.open("rb") as file:
            head = file.read(512)
        if isofs.is_iso(path):
            iso = isofs.read(path)
            return Medium(path=path, kind="iso", size=iso.size, files=iso.tree, iso=iso)
        if is_archive(head):
            return _initrd(path)
        if head[_TAR_AT:][:5] == b"ustar":
            return _tar(path)
        if head[:4] == QCOW2 or head[510:] == _DISK or _has_gpt(path):
            return _disk(path, "qcow2" if head[:4] == QCOW2 else "disk")
    except OSError as error:
        raise VerifyError(f"cannot be read: {error.strerror}", where=str(path)) from error
    raise VerifyError("this is nothing that can be read", where=str(path), hint=_HINT)


def is_image(head: bytes) -> bool:
    """Tell by its first KiB what is an archive, a disk or a plain initrd, and neither a kernel nor a text."""
    kernel = head[0x202:0x206] == b"HdrS"
    disk = head[:4] == QCOW2 or head[510:512] == _DISK or head[512:520] == b"EFI PART"
    return not kernel and (disk or head[:6] in FORMATS or head[_TAR_AT:][:5] == b"ustar")


def _has_gpt(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(520)[512:] == b"EFI PART"


def _tar(path: Path) -> Medium:
    root = tar.read(path)
    return Medium(path=path, kind="tar", size=path.stat().st_size, files=Tree(), root=root)


def _disk(path: Path, kind: Kind) -> Medium:
    blocks = open_blocks(path)
    table = partitions.read(blocks)
    held = [filesystems.look(blocks, part.offset, part.size) for part in table.partitions]
    if table.scheme == "none" and not held[0].kind:
        raise VerifyError("this is a disk without partitions and file systems", where=str(path), hint=_HINT)
    trees = [one.tree for one in held if one.tree is not None and len(one.tree) > 1]
    chosen = next((tree for sign in _SYSTEM for tree in trees if sign in tree), trees[0] if trees else None)
    files = chosen or Tree()
    is_root = looks_like_root(files)
    return Medium(
        path=path,
        kind=kind,
        size=path.stat().st_size,
        files=Tree() if is_root else files,
        root=files if is_root else None,
        table=table.scheme,
        partitions=tuple(
            PartitionFound(
                number=part.number,
                name=part.name,
                kind=part.kind,
                offset=part.offset,
                size=part.size,
                file_system=one.kind,
                label=one.label,
                uuid=one.uuid,
                files=None if one.tree is None else sum(not node.is_dir for _, node in one.tree.items()),
                chosen=one.tree is not None and one.tree is chosen,
                fault=one.fault,
            )
            for part, one in zip(table.partitions, held, strict=True)
        ),
        starter=_starter(blocks, table),
        notes=table.notes,
    )


def _starter(blocks: Blocks, table: partitions.Table) -> bytes:
    """Return the MBR's code and what it goes on with: a BIOS boot partition, or the sectors behind it."""
    for part in table.partitions:
        if part.kind == "BIOS boot" and part.offset + part.size <= blocks.size:
            return blocks.read(0, 440) + blocks.read(part.offset, min(part.size, _STARTER_MAX))
    first = min((part.offset for part in table.partitions), default=0)
    return blocks.read(0, min(max(512, first), _STARTER_MAX, blocks.size))


def of_files(title: str, files: Mapping[str, Path]) -> Medium:
    """Return a medium of loose files by name. Raises ``VerifyError`` for one that is not there."""
    nodes = {}
    for name, path in files.items():
        if not path.is_file():
            raise VerifyError("there is no such file", where=str(path))
        size = path.stat().st_size
        nodes[name] = regular(FileRef(path, 0, size) if size else b"")
    tree = Tree(nodes)
    return Medium(path=Path(title), kind="folder", size=tree.content_size(), files=tree)


def is_archive(head: bytes) -> bool:
    """Tell by its first bytes what may be an initrd."""
    return head[:6] in FORMATS or compression_of(head) is not None


def _initrd(path: Path) -> Medium:
    size = path.stat().st_size
    if size > INITRD_MAX:
        raise VerifyError(f"an initrd of {size} bytes cannot be read", where=str(path))
    try:
        loaded = cpio.load(path.read_bytes())
    except VerifyError as error:
        where = f"{path}, {error.where}" if error.where else str(path)
        raise VerifyError(error.what, where=where, why=error.why, hint=error.hint) from error
    files = Tree({path.name: regular(FileRef(path, 0, size))})
    return Medium(path=path, kind="initrd", size=size, files=files, root=loaded.tree, loaded=loaded)


def _folder(path: Path) -> Medium:
    inner = path / "root"
    if inner.is_dir() and not inner.is_symlink() and owners.beside(inner).is_file():
        root = owners.read(inner)
        medium = path / "medium"
        files = owners.read(medium) if medium.is_dir() and not medium.is_symlink() else Tree()
    else:
        files, root = owners.read(path), None
        if looks_like_root(files):
            files, root = Tree(), files
    size = files.content_size() + (0 if root is None else root.content_size())
    return Medium(
        path=path,
        kind="folder" if root is None or len(files) > 1 else "root",
        size=size,
        files=files,
        root=root,
    )


def looks_like_root(tree: Tree) -> bool:
    """Tell an unpacked root file system from a folder of files."""
    return {"etc", "bin"} <= set(tree) and bool({"init", "sbin/init", "bin/busybox"} & set(tree))
