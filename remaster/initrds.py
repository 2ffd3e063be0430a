"""The initrd of an image: what is in it, and how it is packed and kept."""

from __future__ import annotations

import functools
import hashlib
import io
import re
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from remaster import base as bases
from remaster import early, folders, imagelock, plan
from remaster.program import own_code
from remaster.survey import kernels
from remaster.variant import DATA_LABEL
from tcz import compress, cpio
from tcz.paths import need_space
from tcz.squashfs.pipeline import Pipeline
from tcz.store import copy_by_kernel, passing, replacing, sha256_file, sweep
from tcz.sums import Sums
from tcz.tree import FileRef

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remaster.image import Job, Request
    from tcz.compress import Compression
    from tcz.paths import Dirs
    from tcz.tree import Tree

_PACKED = re.compile(r"packed-[0-9a-f]{64}")


def _content(job: Job) -> plan.Content:
    label = job.request.variant.data_label
    return plan.Content(
        services=job.request.variant.services,
        files=job.request.variant.files,
        keys=job.request.keys,
        manifest=job.short,
        epoch=job.facts.epoch,
        users=job.request.variant.settings.users,
        needed=job.request.variant.needed,
        data_label="" if label == DATA_LABEL else label,
        kernel_config=_kernel_config(job),
    )


def _kernel_config(job: Job) -> tuple[str, bytes] | None:
    """Return release and packed configuration of the image's kernel, unless it holds or has none."""
    package = next((part.package for part in job.facts.parts if part.role == "kernel"), None)
    if package is None or not (package.path / "config").is_file():
        return None
    text, image = (package.path / "config").read_bytes(), bases.kernel_image(package)
    if b"\nCONFIG_IKCONFIG=y\n" in text:
        return None
    with image.open("rb") as file:
        head = file.read(kernels.HEAD)
    release = kernels.read(image.name, image.stat().st_size, head).release if kernels.is_kernel(head) else ""
    return (release, cpio.compress(text, "gzip")) if release else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Laid:
    """The root file system of the machine: with the base's own times, and as the initrd has it.

    ``unpacked`` is what it takes in memory.
    """

    over: Tree
    tree: Tree
    unpacked: int


def laid(job: Job) -> Laid:
    """Lay what the image adds over the job's root."""
    content = _content(job)
    over = plan.laid_over(job.root, content)
    return Laid(over=over, tree=over.with_mtime(content.epoch), unpacked=plan.unpacked_size(over))


def root(job: Job) -> Tree:
    """Return the root file system of the machine as the initrd has it."""
    return laid(job).tree


@contextmanager
def making(job: Job, dirs: Dirs, machine: Laid) -> Iterator[Path]:
    """Give the initrd for a while; its members are kept in the cache by what they are made of."""
    folder = dirs.cache_folder("initrds")
    sweep(folder)
    if job.request.mode != "repack":
        with passing(folder / "whole") as place:
            _layered(job, machine, place, Sums.of_user(dirs))
            yield place
        return
    front, rest = early.split(machine.tree)
    packed = _packed(folder / job.key, rest, job.request, Sums.of_user(dirs))
    first = early.archive(front)
    if not first:
        yield packed
        return
    with passing(folder / "whole") as place, place.open("wb") as file:
        _append(first, file)
        _append(packed, file)
        file.flush()
        yield place


def sum_of(initrd: Path) -> str:
    """Return the sha256 of an initrd, which several ask for while an image is made."""
    status = initrd.stat()
    return _sum(initrd, status.st_ino, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _sum(initrd: Path, *_: int) -> str:
    return sha256_file(initrd)


def _packed(place: Path, tree: Tree, request: Request, known: Sums) -> Path:
    """Return a tree as a packed archive, made unless it is there already.

    ``place`` stands for what it is made of, and holds the file's name, which stands for its content: packing
    takes most of the time, and the same content comes of other things, too, as of another version of us.
    """
    packed = _named_in(place)
    if packed is not None and _is_as_written(packed, known):
        return packed
    need_space(place.parent, plan.unpacked_size(tree), "the initrd")
    buffer = io.BytesIO()
    cpio.write(tree, file=buffer)
    packed = place.with_name(f"packed-{_content_key(buffer, request)}")
    if not _is_as_written(packed, known):
        with replacing(packed) as temporary:
            temporary.write_bytes(cpio.compress(buffer.getvalue(), request.compressor, request.level))
        with replacing(_sums(packed)) as temporary:
            temporary.write_text(sum_of(packed))
    with replacing(place) as temporary:
        temporary.write_text(packed.name)
    return packed


def _named_in(place: Path) -> Path | None:
    try:
        name = place.read_bytes().decode("ascii", "replace")
    except FileNotFoundError:
        return None
    return place.with_name(name) if _PACKED.fullmatch(name) else None


def _content_key(archive: io.BytesIO, request: Request) -> str:
    """Return the hash of an archive and of all that decides how it is packed."""
    code = sha256_file(Path(compress.__file__))
    how = (request.compressor, request.level, imagelock.libraries(request.compressor), code)
    digest = hashlib.sha256(repr(how).encode())
    digest.update(archive.getbuffer())
    return digest.hexdigest()


def _layered(job: Job, machine: Laid, place: Path, known: Sums) -> None:
    """Write the initrd as members one after the other: what did not change is not packed again.

    First what the kernel takes early, if anything; the base, packed once and kept, or with ``append`` its
    initrds as they are; then each package that is unpacked in the root, kept as well; then those in
    /tmp/builtin, which are packed already; and in the end what the image itself adds.
    """
    request, base = job.request, job.base
    parts: list[plan.Source] = list(base.initrds)
    before, after = base.unpacked, machine.over
    wanted: list[tuple[Tree, tuple[str, ...]]] = []
    if request.mode == "layers" or before is None:
        before, after = base.root.with_mtime(job.facts.epoch), machine.tree
        front, after = early.split(after)
        before = early.split(before)[1]
        layers = tuple(part.package.sha256 for part in job.facts.parts if part.role == "layer")
        found = () if request.foreign is None else (request.foreign.identity,)
        parts, wanted = [], [(before, (*found, *layers))]
    else:
        # Those of the base come with its own initrds.
        (had, before), (has, after) = early.split(before), early.split(after)
        front = plan.segment(had, has)
    first = early.archive(front)
    with Pipeline[Path](None) as pipeline:
        for tree, sources in (*wanted, *_packages(job, before, after)):
            pipeline.put(partial(_member, place.parent, tree, request, sources, known), parts.append)
        pipeline.finish()
    with place.open("wb") as file:
        for part in (*((first,) if first else ()), *parts):
            # A lz4 member has no end of its own: a block of no bytes tells that there is no more of it.
            file.write(bytes(-file.tell() % 4 + 4) if file.tell() else b"")
            _append(part, file)
        for tree, compressor in _own(job, before, after):
            file.write(bytes(-file.tell() % 4 + 4))
            file.write(cpio.compress(cpio.dumps(tree), compressor, request.level))


def _append(part: plan.Source, file: BinaryIO) -> None:
    """Write a member; the kernel copies what lies in a file, where it can."""
    whole = FileRef(part, 0, part.stat().st_size) if isinstance(part, Path) else part
    if isinstance(whole, bytes) or not copy_by_kernel(whole.path, whole.offset, whole.size, file):
        file.write(plan.bytes_of(whole))


def _packages(job: Job, before: Tree, after: Tree) -> Iterator[tuple[Tree, tuple[str, ...]]]:
    """Give each package that is unpacked in the root, with its hash."""
    for part in job.facts.parts:
        if part.place == "root":
            paths = {path for path, owner in job.owners.items() if owner == part.package.name}
            tree = plan.segment(before, after, paths.__contains__)
            if len(tree) > 1:
                yield tree, (part.package.sha256,)


def _own(job: Job, before: Tree, after: Tree) -> Iterator[tuple[Tree, Compression]]:
    """Give the packages in /tmp/builtin, and the rest."""

    def is_builtin(path: str) -> bool:
        return path.startswith(f"{folders.BUILTIN}/") and path not in job.base.root

    packed = plan.segment(before, after, is_builtin)
    if len(packed) > 1:
        yield packed, "none"
    own = plan.segment(before, after, lambda path: path not in job.owners and not is_builtin(path))
    yield own, job.request.compressor


def _member(folder: Path, tree: Tree, request: Request, sources: tuple[str, ...], known: Sums) -> Path:
    """Return a tree as a packed archive, which is kept by what it is made of.

    ``sources`` are hashes of what contents come from that are not in memory.
    """
    digest = hashlib.sha256(repr((own_code(), request.compressor, request.level, sources)).encode())
    for path, node in tree.items():
        told = (path, node.mode, node.uid, node.gid, node.mtime, node.rdev, node.link, node.size)
        digest.update(repr(told).encode())
        if isinstance(node.data, bytes):
            digest.update(node.data)
    return _packed(folder / f"member-{digest.hexdigest()}", tree, request, known)


def _sums(file: Path) -> Path:
    return file.with_name(f"{file.name}.sha256")


def _is_as_written(file: Path, known: Sums) -> bool:
    try:
        return _sums(file).read_bytes() == known.of(file).encode()
    except OSError:
        return False
