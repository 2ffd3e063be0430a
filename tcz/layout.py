"""Trees laid out on disk as one plain user: contents and links, no owners and no devices."""

from __future__ import annotations

import os
import shutil
import stat
from typing import TYPE_CHECKING

from tcz.tree import FileRef, Tree, directory, regular, symlink

if TYPE_CHECKING:
    from pathlib import Path

    from tcz.tree import Node


def lay_out(tree: Tree, folder: Path, *, share: bool = False) -> None:
    """Write a tree below ``folder``, which is made; device nodes and pipes are left out.

    Modes are kept without set-uid bits and always let the owner write, so that the folder can be
    removed again. With ``share`` whole files are hard-linked to where they are, not copied, where
    the file system allows it: for readers only.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path, node in tree.items():
        if node.link is None:
            _put(node, folder / path, share=share)
    for path, node in tree.items():
        if node.link is not None:
            os.link(folder / node.link, folder / path)


def read_back(folder: Path) -> Tree:
    """Return what lies below a folder: the other way round, with the owner left out and devices as well.

    Files are referred to where they are.
    """
    nodes: dict[str, Node] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        mode, mtime = stat.S_IMODE(status.st_mode), max(0, int(status.st_mtime))
        inside = path.relative_to(folder).as_posix()
        if stat.S_ISLNK(status.st_mode):
            nodes[inside] = symlink(os.readlink(path))  # noqa: PTH115 - as it is written
        elif stat.S_ISDIR(status.st_mode):
            nodes[inside] = directory(mode)
        elif stat.S_ISREG(status.st_mode):
            nodes[inside] = regular(FileRef(path=path, offset=0, size=status.st_size), mode, mtime=mtime)
    return Tree(nodes)


def _put(node: Node, target: Path, *, share: bool) -> None:
    if node.is_dir:
        target.mkdir(exist_ok=True)
        target.chmod(stat.S_IMODE(node.mode) & 0o777 | 0o700)
    elif node.is_link:
        target.symlink_to(os.fsdecode(node.read()))
    elif node.is_file and not (share and _linked(node, target)):
        _copy(node, target)
        target.chmod(stat.S_IMODE(node.mode) & 0o777 | 0o200)


def _linked(node: Node, target: Path) -> bool:
    ref = node.data
    if not isinstance(ref, FileRef) or ref.offset != 0 or ref.path.stat().st_size != ref.size:
        return False
    try:
        os.link(ref.path, target)
    except OSError:
        # Another file system, or one without hard links.
        return False
    return True


def _copy(node: Node, target: Path) -> None:
    ref = node.data
    if isinstance(ref, FileRef) and ref.offset == 0 and ref.path.stat().st_size == ref.size:
        shutil.copyfile(ref.path, target)
        return
    with target.open("wb") as sink:
        for piece in node.pieces():
            sink.write(piece)
