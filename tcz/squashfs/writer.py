"""A tree to an image: contents first, then inodes and listings, then the tables that lead to them.

The same tree, options and time give the same bytes, on any machine and with any number of threads.
"""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING

from tcz.errors import VerifyError
from tcz.squashfs.codec import packer, stored_options
from tcz.squashfs.data import DataWriter, Packed
from tcz.squashfs.inodes import InodeWriter
from tcz.squashfs.layout import (
    COMPRESSION_IDS,
    FLAG_DUPLICATES,
    FLAG_NO_XATTRS,
    FLAG_OPTIONS,
    FRAGMENT,
    INVALID,
    PADDING,
    SUPERBLOCK_SIZE,
    Superblock,
)
from tcz.squashfs.metadata import MetadataWriter, indexed_table
from tcz.squashfs.pipeline import Pipeline
from tcz.store import replacing

if TYPE_CHECKING:
    from pathlib import Path

    from tcz.squashfs.options import SquashOptions
    from tcz.tree import Tree

_TIME_MAX = 0xFFFFFFFF


def write(
    tree: Tree, output: Path, options: SquashOptions, *, epoch: int | None, threads: int | None = None
) -> None:
    """Write ``tree`` as an image; ``output`` appears when it is whole.

    All times become ``epoch``; with ``None`` they stay as the tree has them. ``threads`` (``None``: one
    on each processor) decides nothing but the time it takes. Raises ``VerifyError`` for what the format
    cannot hold, and for files that changed since the tree was made.
    """
    with replacing(output) as temporary, temporary.open("wb") as file:
        write_to(tree, file, options, epoch=epoch, threads=threads)


def write_to(
    tree: Tree, file: IO[bytes], options: SquashOptions, *, epoch: int | None, threads: int | None = None
) -> None:
    """Write ``tree`` as an image to an empty file that can seek; see ``write``."""
    time = _time(tree, epoch)
    pack = packer(options)
    extra = MetadataWriter(lambda block: block)
    extra.write(stored_options(options))
    file.write(bytes(SUPERBLOCK_SIZE) + extra.finish())
    pipeline: Pipeline[Packed] = Pipeline(threads)
    with pipeline:
        data = DataWriter(file, options.block, pack, pipeline)
        places = data.write((path, node) for path, node in tree.items() if node.is_file and node.link is None)
    inodes = InodeWriter(tree, places, pack, epoch)
    root = inodes.write()
    start = file.tell()
    inode_table, directory_table = inodes.tables()
    fragment_start = start + len(inode_table) + len(directory_table)
    fragments, fragment_index = indexed_table(data.fragments, fragment_start, pack)
    ids, id_index = indexed_table(inodes.ids, fragment_start + len(fragments), pack)
    used = fragment_start + len(fragments) + len(ids)
    file.write(b"".join((inode_table, directory_table, fragments, ids, bytes(-used % PADDING))))
    count = len(data.fragments) // FRAGMENT.size
    superblock = Superblock(
        inodes=inodes.count,
        time=time,
        block=options.block,
        fragments=count,
        compression=COMPRESSION_IDS[options.compressor],
        block_log=options.block.bit_length() - 1,
        flags=FLAG_DUPLICATES | FLAG_NO_XATTRS | (FLAG_OPTIONS if stored_options(options) else 0),
        ids=len(inodes.ids) // 4,
        major=4,
        minor=0,
        root=root,
        used=used,
        id_table=id_index,
        xattr_table=INVALID,
        inode_table=start,
        directory_table=start + len(inode_table),
        fragment_table=fragment_index if count else INVALID,
        export_table=INVALID,
    )
    file.seek(0)
    file.write(superblock.pack())
    file.seek(0, os.SEEK_END)


def _time(tree: Tree, epoch: int | None) -> int:
    """Return the time of the image; raises ``VerifyError`` for times that 32 bits cannot hold."""
    times = (epoch,) if epoch is not None else tuple(node.mtime for _, node in tree.items())
    if not all(0 <= time <= _TIME_MAX for time in times):
        raise VerifyError("squashfs has no times before 1970 or after 2106")
    return max(times)
