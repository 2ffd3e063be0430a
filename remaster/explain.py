"""Where a file of an image comes from: everything that has it, in the order in which one covers the other.

The root is laid in this order: the base's layers (or a base of others), packages that are unpacked into it,
edits to the base, the image's own files. Packages that are loaded at boot come over it, in load order. What
is on the medium is told beside that.
"""

from __future__ import annotations

import stat
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, Literal

from remaster import hooks, packages
from tcz import gobuild, record, tar
from tcz.errors import VerifyError
from tcz.squashfs import image as squashfs
from tcz.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from remaster.packages import Opened
    from remaster.recorded import PackageTold, Recorded
    from remaster.survey.look import Examined
    from tcz.gobuild import CompiledModule
    from tcz.model import ResolvedSource
    from tcz.tree import Node

Kind = Literal["layer", "base", "unpacked", "edit", "file", "generated", "package", "medium"]
_GENERATED: Final = {
    hooks.SERVICES: "the names of the services, from the variant",
    hooks.MANIFEST: "the manifest of the image",
    hooks.AUTHORIZED_KEYS: "the public keys of --ssh-key",
}
_NEAR_MAX: Final = 6
_UNPACKED: Final = "root"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """What has the path: ``name`` is that of a package, an edit, a base.

    ``sha256`` is that of the file as it is there, empty where that cannot be known; ``modules`` are the Go
    modules that were compiled into it, ``entries`` counts what a folder holds there.
    """

    kind: Kind
    name: str
    what: str
    type: str = ""
    mode: str = ""
    owner: str = ""
    size: int | None = None
    sha256: str = ""
    target: str = ""
    entries: int = 0
    recipe: str = ""
    version: str = ""
    license: str = ""
    build_id: str = ""
    package_sha256: str = ""
    sources: tuple[ResolvedSource, ...] = ()
    go: str = ""
    modules: tuple[CompiledModule, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """The answer: ``owners`` in order, the last one counts. ``near`` are like paths where there is none."""

    path: str
    image: str
    owners: tuple[Owner, ...]
    near: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What is known of an image: manifest if it has one, root, medium, names of packages in load order."""

    title: str
    told: Recorded | None
    root: Tree
    medium: Tree
    loaded: tuple[str, ...]
    opened: Opened
    layers: Opened
    absent: list[str] = field(default_factory=list)


def of_image(examined: Examined, told: Recorded | None, builds: Path) -> Ground:
    """Return the ground of an image; finished builds in ``builds`` tell which layer a file is of."""
    nodes = packages.nodes(examined)
    names = [one.name for one in told.packages if one.name in nodes] if told is not None else []
    return Ground(
        title=examined.survey.path,
        told=told,
        root=examined.root,
        medium=examined.medium.files if examined.survey.kind != "initrd" else Tree(),
        loaded=tuple(dict.fromkeys((*names, *nodes))),
        opened=packages.opener(examined),
        layers=_built(told, builds),
    )


def of_told(title: str, told: Recorded, root: Tree, places: dict[str, Path], builds: Path) -> Ground:
    """Return the ground of an image that is not written: its extensions lie at ``places``."""
    over = tuple(one.name for one in told.packages if one.role == "package" and one.place != _UNPACKED)
    return Ground(
        title=title,
        told=told,
        root=root,
        medium=Tree(),
        loaded=over,
        opened=packages.opener_of_files(places),
        layers=_built(told, builds),
    )


def _built(told: Recorded | None, builds: Path) -> Opened:
    """Return what opens packages out of finished builds."""

    @contextmanager
    def opened(name: str) -> Iterator[Tree | None]:
        package = None if told is None else told.package(name)
        built = (
            None
            if told is None or package is None
            else record.read(builds / told.build(package.recipe).build_id)
        )
        made = None if built is None else next((one for one in built.packages if one.name == name), None)
        if made is None or package is None or made.sha256 != package.sha256:
            yield None
        elif made.form == "layer":
            yield tar.read(made.path)
        else:
            yield squashfs.read(made.path) if made.form == "extension" else None

    return opened


def explain(path: str, ground: Ground) -> Explained:
    """Tell where ``path`` comes from, with a leading slash or not; an unknown one has no owners."""
    wanted = "/".join(part for part in path.split("/") if part not in ("", "."))
    inside = tuple(_of_root(wanted, ground))
    owners = (
        *inside,
        *_changed(wanted, inside, ground),
        *_of_packages(wanted, ground),
        *_of_medium(wanted, ground),
    )
    near = () if owners else tuple(_near(wanted, ground))
    return Explained(
        path=f"/{wanted}",
        image=ground.title,
        owners=owners,
        near=near,
        notes=tuple(dict.fromkeys(ground.absent)),
    )


# -- the root -------------------------------------------------------------------------------------


def _of_root(path: str, ground: Ground) -> Iterator[Owner]:
    told, found = ground.told, False
    for owner in _layers(path, ground):
        found = True
        yield owner
    own = tuple(_own(path, ground))
    node = ground.root.get(path)
    if not found and node is not None and path and not any(one.kind in ("file", "generated") for one in own):
        base = "this image" if told is None else told.base
        seen = replace(_seen(Owner(kind="base", name=base, what=f"the base {base}"), node, ground.root, path))
        yield seen if told is None else _of_base(seen, told, edited=bool(own))
    yield from own


def _changed(path: str, owners: Sequence[Owner], ground: Ground) -> Iterator[Owner]:
    """Give what remaster made of a file that no owner has as it is in the root."""
    node = ground.root.get(path)
    if not owners or node is None or not node.is_file or not owners[-1].sha256:
        return
    seen = _seen(
        Owner(kind="generated", name="remaster", what="made for this image"), node, ground.root, path
    )
    if seen.sha256 != owners[-1].sha256:
        yield seen


def _layers(path: str, ground: Ground) -> Iterator[Owner]:
    for package in () if ground.told is None else ground.told.packages:
        unpacked = package.place == _UNPACKED
        if package.form != "layer" and not unpacked:
            continue
        with ground.layers(package.name) as tree:
            if tree is None:
                ground.absent.append(
                    f"the files of {package.name} are not here: build it, and they are told apart"
                )
            elif path in tree:
                what = "unpacked into the root" if unpacked else "a layer of the base"
                owner = _package(package, ground.told, "unpacked" if unpacked else "layer", what)
                yield _seen(owner, tree[path], tree, path)


def _of_base(owner: Owner, told: Recorded, *, edited: bool) -> Owner:
    origin = told.origin
    if origin is None:
        layers = ", ".join(one.name for one in told.packages if one.form == "layer")
        return replace(owner, note=f"one of its layers: {layers}")
    files = ", ".join(f"{name} (sha256 {sha256})" for name, sha256 in origin.files)
    note = f"release {origin.release or 'unknown'}; {files or f'content {origin.sha256}'}"
    if edited:
        return replace(owner, sha256="", size=None, note=note)
    return replace(owner, note=note)


def _own(path: str, ground: Ground) -> Iterator[Owner]:
    """Give what the image itself put there, over the base."""
    told, node = ground.told, ground.root.get(path)
    if told is None:
        return
    for edit in told.edits:
        if path in edit.files:
            owner = Owner(kind="edit", name=edit.name, what="an edit to the base")
            yield owner if node is None else _seen(owner, node, ground.root, path)
    for one in () if told.asked is None else told.asked.files:
        if one.path == path:
            what = "given with --file" if one.given else f"[[file]] of the variant {told.variant}"
            owner = Owner(kind="file", name=told.variant, what=what, note=one.hash)
            yield owner if node is None else _seen(owner, node, ground.root, path)
    made = (
        "the configuration of the kernel" if path.startswith(hooks.KERNEL_CONFIGS) else _GENERATED.get(path)
    )
    if made is not None and node is not None:
        owner = Owner(kind="generated", name="remaster", what=made)
        yield _seen(owner, node, ground.root, path)


# -- packages and the medium ----------------------------------------------------------------------


def _of_packages(path: str, ground: Ground) -> Iterator[Owner]:
    for name in ground.loaded:
        try:
            with ground.opened(name) as tree:
                if tree is None or path not in tree or not path:
                    continue
                package = None if ground.told is None else ground.told.package(name)
                if package is None:
                    owner = Owner(kind="package", name=name, what="a package of the base's medium")
                else:
                    owner = _package(package, ground.told, "package", "a package")
                yield _seen(owner, tree[path], tree, path)
        except VerifyError as error:
            ground.absent.append(f"the package {name} cannot be read: {error.what}")


def _of_medium(path: str, ground: Ground) -> Iterator[Owner]:
    node = ground.medium.get(path)
    if node is None or not path:
        return
    told = ground.told
    name = path.rpartition("/")[2].partition(".tcz")[0]
    package = None if told is None or not path.startswith("cde/optional/") else told.package(name)
    kernel = next((one for one in told.packages if one.role == "kernel"), None) if told is not None else None
    if package is not None:
        owner = _package(package, told, "medium", "on the medium")
    elif kernel is not None and path == "boot/vmlinuz64":
        owner = _package(kernel, told, "medium", "on the medium: the kernel")
    else:
        owner = Owner(kind="medium", name="remaster" if told is not None else "", what="on the medium")
    yield _seen(owner, node, ground.medium, path)


def _package(package: PackageTold, told: Recorded | None, kind: Kind, what: str) -> Owner:
    assert told is not None  # noqa: S101 - for the type checker: packages are told by a manifest
    build = told.build(package.recipe)
    return Owner(
        kind=kind,
        name=package.name,
        what=what,
        recipe=build.name,
        version=build.version,
        license=build.license,
        build_id=build.build_id,
        package_sha256=package.sha256,
        sources=build.sources,
    )


def _seen(owner: Owner, node: Node, tree: Tree, path: str) -> Owner:
    """Add what the path is there: type, mode, hash, what is compiled into it."""
    held = tree[node.link] if node.link is not None and node.link in tree else node
    found = replace(
        owner,
        type=_type(node),
        mode=f"{stat.S_IMODE(node.mode):o}",
        owner=f"{node.uid}:{node.gid}",
        note=owner.note if node.link is None else f"a hard link of /{node.link}",
    )
    if node.is_dir:
        below = f"{path}/" if path else ""
        return replace(found, entries=sum(1 for one in tree if one.startswith(below) and one != path))
    if node.is_link:
        return replace(found, target=node.read().decode(errors="replace"))
    if not held.is_file:
        return found
    first = next(held.pieces(), b"")
    program = gobuild.inspect(held.read()) if first.startswith(b"\x7fELF") else None
    return replace(
        found,
        size=held.size,
        sha256=held.sha256().hex(),
        go="" if program is None else program.go,
        modules=() if program is None else program.modules,
    )


def _type(node: Node) -> str:
    letters = {"d": "directory", "l": "link", "c": "device", "b": "device", "p": "pipe", "s": "socket"}
    return letters.get(stat.filemode(node.mode)[0], "file")


# -- paths that are not there ---------------------------------------------------------------------


def _near(path: str, ground: Ground) -> Sequence[str]:
    known: dict[str, None] = dict.fromkeys((*ground.root, *ground.medium))
    for name in ground.loaded:
        try:
            with ground.opened(name) as tree:
                known.update(dict.fromkeys(() if tree is None else tree))
        except VerifyError:
            continue
    known.pop("", None)
    last = path.rpartition("/")[2]
    same = [one for one in known if one.rpartition("/")[2] == last]
    if len(same) < _NEAR_MAX:
        names = {one.rpartition("/")[2].lower(): one for one in known}
        like = get_close_matches(last.lower(), list(names), n=_NEAR_MAX, cutoff=0.75)
        same += [names[one] for one in like]
    return [f"/{one}" for one in dict.fromkeys(same)][:_NEAR_MAX]
