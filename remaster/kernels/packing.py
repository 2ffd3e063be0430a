"""Packages of a kernel that a user brings, as a kernel's recipe makes them.

``kernel-RELEASE`` holds the image, ``kernel-RELEASE-base`` what a base's root has, ``modules-RELEASE`` the
other modules; packages that lie beside the kernel come as they are.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remaster.kernels import placing
from tcz import companions, metadata, record, stage, tar
from tcz.buildroot import remove_tree
from tcz.layout import lay_out
from tcz.model import Built, BuiltPackage, ResolvedSource
from tcz.reporting import SilentReporter
from tcz.squashfs import writer as squashfs
from tcz.store import sha256_file
from tcz.tree import Tree, directory, regular, symlink
from tcz.workplace import locked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remaster.kernels.given import Given
    from remaster.kernels.placing import Placed
    from tcz.kmod.reads import Modprobe
    from tcz.paths import Dirs
    from tcz.squashfs.options import SquashOptions
    from tcz.tree import Node

#: 2025-01-01T00:00:00Z, as in all that is built.
_EPOCH: Final = 1735689600
#: Counts up when other packages come to be made of the same kernel.
_FORM: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """The packages of a kernel and the build that stands for them; ``unpacked``: see ``placing.Placed``."""

    release: str
    packages: tuple[BuiltPackage, ...]
    built: Built
    unpacked: bool


def pack(given: Given, modprobe: Modprobe, options: SquashOptions, dirs: Dirs) -> Packed:
    """Make the packages, or take them from the cache. Raises ``VerifyError`` for damaged modules."""
    chosen = placing.root_list()
    how = (_FORM, given.identity, chosen, modprobe, options, given.config)
    wanted = hashlib.sha256(repr(how).encode()).hexdigest()
    folder = dirs.cache_folder("kernels") / wanted
    mark = folder / "unpacked"
    with locked(folder.with_name(f".{wanted}.lock"), SilentReporter(), given.name):
        built = record.read(folder)
        if built is None or built.build_id != wanted or not record.is_whole(built):
            if folder.exists():
                remove_tree(folder)
            folder.mkdir()
            placed = placing.place(given.modules, modprobe, chosen, binary=modprobe.make == "kmod")
            built = _built(given, folder, wanted, tuple(_packages(given, placed, options, folder)))
            if placed.unpacked:
                mark.touch()
            # Written last: a folder without it was left by a process that was ended.
            record.write(built)
    return Packed(release=given.release, packages=built.packages, built=built, unpacked=mark.is_file())


def _built(given: Given, folder: Path, wanted: str, packages: tuple[BuiltPackage, ...]) -> Built:
    source = ResolvedSource(
        kind="file",
        name=given.name,
        version=given.release,
        hash=f"sha256:{given.identity}",
        origin=given.origin.rstrip("/").rpartition("/")[2],
    )
    return Built(
        # No recipe has a colon in its name.
        recipe=f"file:{given.name}",
        version=given.release,
        build_id=wanted,
        content_id=wanted,
        folder=folder,
        packages=packages,
        sources=(source,),
        root=(),
        license="GPL-2.0-only",
        homepage="https://www.kernel.org",
        summary=f"Linux {given.release}, from {source.origin}",
    )


def _packages(given: Given, placed: Placed, options: SquashOptions, folder: Path) -> Iterator[BuiltPackage]:
    yield _image(given, folder / given.name)
    path = folder / f"{given.name}-base.tar"
    tree = _root(given, placed)
    tar.write(tree, path)
    yield _package(f"{given.name}-base", "layer", path, tree)
    path = folder / f"modules-{given.release}.tcz"
    tree = _extension(given, placed)
    squashfs.write(tree, path, options, epoch=_EPOCH)
    companions.write(path, tree, needs=(), info=_info(given, path))
    yield _package(f"modules-{given.release}", "extension", path, tree)


def _package(name: str, form: str, path: Path, tree: Tree) -> BuiltPackage:
    return BuiltPackage(
        name=name,
        form="layer" if form == "layer" else "extension",
        path=path,
        sha256=sha256_file(path),
        size=path.stat().st_size,
        installed=tree.content_size(),
        needs=(),
    )


def _image(given: Given, folder: Path) -> BuiltPackage:
    nodes = {"vmlinuz": given.image, "release": regular(f"{given.release}\n".encode())}
    if given.config:
        nodes["config"] = regular(given.config)
    tree = Tree(nodes)
    lay_out(tree, folder)
    sums = "".join(f"{sha256_file(folder / path)}  {path}\n" for path, node in tree.items() if node.is_file)
    (folder / "SHA256SUMS").write_text(sums)
    return BuiltPackage(
        name=given.name,
        form="files",
        path=folder,
        sha256=hashlib.sha256(sums.encode()).hexdigest(),
        size=tree.content_size(),
        installed=tree.content_size(),
        needs=(),
    )


def _root(given: Given, placed: Placed) -> Tree:
    base = f"lib/modules/{given.release}"
    nodes: dict[str, Node] = {f"{base}/{path}": _file(node) for path, node in _files(placed.root)}
    for index in placed.indexes:
        nodes[f"{base}/{index.name}"] = regular(index.data, mtime=_EPOCH)
    # The extension's modules are in modules.dep already: no depmod is needed when it is loaded.
    covered = f"modules-{given.release}\n".encode()
    nodes[f"{base}/modules.covered"] = regular(covered, mtime=_EPOCH)
    target = f"/usr/local/{base}/kernel"
    nodes[f"{base}/{placing.LINK}"] = symlink(target, mtime=_EPOCH)
    return _with_folders(nodes, extension=False)


def _extension(given: Given, placed: Placed) -> Tree:
    base = f"usr/local/lib/modules/{given.release}/kernel"
    nodes: dict[str, Node] = {
        f"{base}/{path.removeprefix(f'{placing.LINK}/')}": _file(node)
        for path, node in _files(placed.extension)
    }
    nodes.setdefault(base, directory(mtime=_EPOCH))
    return _with_folders(nodes, extension=True)


def _files(tree: Tree) -> Iterator[tuple[str, Node]]:
    return ((path, node) for path, node in tree.items() if node.is_file)


def _file(node: Node) -> Node:
    return regular(node.data, mtime=_EPOCH)


def _with_folders(nodes: dict[str, Node], *, extension: bool) -> Tree:
    """Add the folders on the way; in an extension those are as every base has them."""
    made = dict(nodes)
    for path in nodes:
        parent = path
        while parent:
            parent = parent.rpartition("/")[0]
            mode, gid = (stage.base_folder(parent) if extension else None) or (0o755, 0)
            made.setdefault(parent, directory(mode, gid=gid, mtime=_EPOCH))
    return Tree(made)


def _info(given: Given, path: Path) -> metadata.Info:
    entry = f"{companions.day(_EPOCH)} {given.release}"
    return metadata.Info(
        title=path.name,
        description=f"Kernel modules of Linux {given.release}",
        version=given.release,
        author="see Original-site",
        original_site="https://www.kernel.org",
        copying_policy="GPL-2.0-only",
        size=metadata.human_size(path.stat().st_size),
        extension_by="remaster",
        tags="kernel modules",
        comments="Made from the kernel that an image was given.",
        change_log=entry,
        current=entry,
    )
