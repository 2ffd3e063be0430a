"""Opens whatever an image can be: an ISO image, an initrd, a folder. What is in it stays where it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remaster import isofs, owners
from tcz import cpio
from tcz.compress import kind as compression_of
from tcz.cpio_entries import FORMATS
from tcz.errors import VerifyError
from tcz.tree import FileRef, Tree, regular

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remaster.isofs import IsoImage
    from remaster.survey.model import Kind

#: What a compressed or plain archive, a kernel or a list can be: nothing here is a disk.
INITRD_MAX: Final = 2 << 30
_DISK: Final = b"\x55\xaa"
_HINT: Final = "an ISO image, an initrd, or a folder with one of them or with a root file system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """What was opened: files of the medium, the root where it lies open, the ISO image where it is one.

    An initrd is a medium of one file; ``loaded`` is what came out of it.
    """

    path: Path
    kind: Kind
    size: int
    files: Tree
    root: Tree | None = None
    iso: IsoImage | None = None
    loaded: cpio.Loaded | None = None


def open_medium(path: Path) -> Medium:
    """Look what is at ``path`` and open it. Raises ``VerifyError`` for what is none of these, or damaged."""
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
    except OSError as error:
        raise VerifyError(f"cannot be read: {error.strerror}", where=str(path)) from error
    what = "a disk image, which cannot be read yet" if head[510:] == _DISK else "nothing that can be read"
    raise VerifyError(f"this is {what}", where=str(path), hint=_HINT)


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
