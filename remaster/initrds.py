"""The initrd of an image: what is in it, and how it is packed and kept."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

import remaster
import tcz
from remaster import manifest, plan
from remaster.variant import DATA_LABEL
from tcz import cpio
from tcz.paths import need_space
from tcz.store import replacing, sha256_file, sweep

if TYPE_CHECKING:
    from remaster.image import Job, Request
    from tcz.paths import Dirs
    from tcz.tree import Tree


def own_code() -> str:
    """Return the hash of this program: another version may write other bytes."""
    digest = hashlib.sha256()
    for package in (remaster, tcz):
        for file in sorted(Path(str(package.__file__)).parent.rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _content(job: Job) -> plan.Content:
    label = job.request.variant.data_label
    return plan.Content(
        services=job.request.variant.services,
        files=job.request.variant.files,
        keys=job.request.keys,
        manifest=manifest.document(job.facts, roots=False),
        epoch=job.facts.epoch,
        users=job.request.variant.settings.users,
        needed=job.request.variant.needed,
        data_label="" if label == DATA_LABEL else label,
    )


def root(job: Job) -> Tree:
    """Return the root file system of the machine as the initrd has it."""
    return plan.root_tree(job.root, _content(job))


def make_initrd(job: Job, dirs: Dirs) -> tuple[Path, int]:
    """Return the initrd, kept in the cache by the hash of its inputs, and its size unpacked."""
    request = job.request
    content = _content(job)
    tree = root(job)
    unpacked = plan.unpacked_size(tree)
    folder = dirs.cache_folder("initrds")
    sweep(folder)
    if request.mode == "append":
        return _appended(job, content, folder), unpacked
    return _packed(folder / job.key, tree, request, unpacked), unpacked


def _packed(place: Path, tree: Tree, request: Request, unpacked: int) -> Path:
    """Return a tree as a packed archive at ``place``, written unless it is there already."""
    sums = place.with_name(f"{place.name}.sha256")
    if not _is_as_written(place, sums):
        need_space(place.parent, unpacked, "the initrd")
        buffer = io.BytesIO()
        cpio.write(tree, file=buffer)
        with replacing(place) as temporary:
            temporary.write_bytes(cpio.compress(buffer.getvalue(), request.compressor, request.level))
        with replacing(sums) as temporary:
            temporary.write_text(sha256_file(place))
    return place


def _appended(job: Job, content: plan.Content, folder: Path) -> Path:
    """Return the base's initrds as they are and our own archive behind them, as one file.

    Our own base's layers are packed once, and kept by the hash of what they are made from.
    """
    request, base = job.request, job.base
    parts = base.initrds
    before = base.unpacked
    if before is None:
        before = base.root.with_mtime(job.facts.epoch)
        inputs = [part.package.sha256 for part in job.facts.parts if part.role == "layer"]
        found = request.foreign.identity if request.foreign is not None else ""
        told = repr((own_code(), request.compressor, request.level, inputs, found))
        key = hashlib.sha256(told.encode()).hexdigest()
        parts = (_packed(folder / f"base-{key}", before, request, plan.unpacked_size(before)),)
    after = plan.laid_over(job.root, content)
    if base.unpacked is None:
        after = after.with_mtime(job.facts.epoch)
    segment = cpio.dumps(plan.segment(before, after))
    place = folder / f"whole-{job.key}"
    with replacing(place) as temporary, temporary.open("wb") as file:
        for part in parts:
            file.write(bytes(-file.tell() % 4))
            file.write(plan.bytes_of(part))
        # A lz4 member has no end of its own: a block of no bytes tells that there is no more of it.
        file.write(bytes(-file.tell() % 4 + 4))
        file.write(cpio.compress(segment, request.compressor, request.level))
    return place


def _is_as_written(file: Path, sums: Path) -> bool:
    try:
        return sums.read_bytes() == sha256_file(file).encode()
    except OSError:
        return False
