"""What an image needs of memory, and what each package adds to it.

Measured with Linux 6.12 under QEMU, at 16 MiB steps; what is rounded is rounded up:

* The kernel unpacks the initrds into a tmpfs that takes half of the memory that is free by then, so beside
  the packed initrds and the kernel itself. What does not fit is left out, and the boot goes on without it.
* A copy of the root (``noembed``) takes as much once more, when the initrds are gone.
* Of a tmpfs half of the pages may be files: every path of the root, and every link that loading a package
  makes, is one.
* A package that is mounted takes a loop device and the buffers of squashfs, which are a few blocks long; zstd
  wants more. Each of its files becomes a link.

Services and what they start come on top; page cache that can be given back is not counted.
"""

from __future__ import annotations

import stat
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tcz.squashfs.image import Image

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from remaster.placement import Placed

MIB: Final = 1 << 20
_PAGE: Final = 4096
_STEP: Final = 16 * MIB
#: An entry of a tmpfs: an inode, a name, a link's text.
_ENTRY: Final = 1024
_LINK: Final = 1280
_MOUNT: Final = 128 << 10
_BLOCKS: Final = 5
_ZSTD: Final = 6
_ZSTD_WORKSPACE: Final = 512 << 10
#: What the kernel's own structures and the first processes take once the machine has booted; part of what
#: the kernel needs to unpack itself is free again by then.
_RUNNING: Final = 24 * MIB
_COPYING: Final = 12 * MIB
#: Pages are described by structures of a 64th of their size.
_DESCRIBED: Final = 64
#: Of a kernel whose header does not tell.
_KERNEL: Final = 56 * MIB
_INIT_SIZE: Final = 0x260
_SINCE_2_10: Final = 0x20A


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a package costs, in bytes.

    ``download`` is its size as a file, ``unpacked`` that of its files; ``initrd`` is what it takes of the
    root before anything is loaded, ``boot`` what it takes in all once the machine has booted. ``entries``
    are the paths that loading adds.
    """

    name: str
    place: str
    load: str
    copied: bool
    download: int
    unpacked: int
    initrd: int
    boot: int
    entries: int


def pages(size: int) -> int:
    """Return the bytes that a file takes in a tmpfs."""
    return (size + _PAGE - 1) // _PAGE * _PAGE


def cost(placed: Placed, *, in_memory: bool = False) -> Cost:
    """Return what a package costs; with ``in_memory`` there is no medium, and it is built in instead.

    Raises ``VerifyError`` for a package that is no squashfs image.
    """
    image = Image(placed.package.path)
    rows = image.rows()
    files = [row.size for row in rows if stat.S_ISREG(row.mode)]
    whole = sum(map(pages, files)) + _ENTRY * len(rows)
    held = pages(placed.package.size)
    rooted = placed.place == "root"
    initrd = whole if rooted else held if placed.place == "builtin" or in_memory else 0
    loaded = 0
    if placed.at_boot and not rooted:
        block = image.superblock.block * _BLOCKS
        workspace = _ZSTD_WORKSPACE if image.superblock.compression == _ZSTD else 0
        loaded = whole if placed.copied else _MOUNT + block + workspace + _LINK * len(rows)
    return Cost(
        name=placed.name,
        place=placed.place,
        load=placed.load,
        copied=placed.copied,
        download=placed.package.size,
        unpacked=sum(files),
        initrd=initrd,
        boot=initrd + loaded,
        entries=len(rows) if loaded else 0,
    )


def kernel_need(head: bytes) -> int:
    """Return the bytes that a kernel image needs to unpack itself, as its header tells (init_size).

    The header is that of the Linux/x86 boot protocol, Documentation/arch/x86/boot.rst.
    """
    if head[0x202:0x206] != b"HdrS" or len(head) < _INIT_SIZE + 4:
        return _KERNEL
    (version,) = struct.unpack_from("<H", head, 0x206)
    (size,) = struct.unpack_from("<I", head, _INIT_SIZE)
    return int(size) if version >= _SINCE_2_10 and MIB <= size < 1 << 30 else _KERNEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """The root as the initrds hold it: bytes of files in whole pages, number of paths, bytes packed."""

    files: int
    entries: int
    packed: int
    copied: bool


def least(root: Root, costs: Iterable[Cost], kernel: int = _KERNEL) -> tuple[int, str]:
    """Return the bytes of memory below which an image does not boot intact, and what wants as much.

    ``root`` holds packages that are built in or unpacked already.
    """
    listed = tuple(costs)
    loaded = sum(one.boot - one.initrd for one in listed)
    links = root.entries + sum(one.entries for one in listed)
    held = root.files + _ENTRY * root.entries
    needs = {
        "unpacking the initrd, which may take half": 2 * root.files + _ENTRY * root.entries + root.packed,
        "what is loaded at boot": held + loaded + _RUNNING,
        "as many files and links": 2 * _PAGE * links + root.packed,
    }
    if root.copied:
        needs["the copy of the root that noembed makes"] = 2 * held + _COPYING
    reason = max(needs, key=needs.__getitem__)
    need = (needs[reason] + kernel) * _DESCRIBED // (_DESCRIBED - 1)
    return (need + _STEP - 1) // _STEP * _STEP, reason


def biggest(costs: Sequence[Cost], count: int, *, on_medium: bool) -> tuple[Cost, ...]:
    """Return the packages that take most: of the medium, or of memory."""

    def size(one: Cost) -> int:
        return one.download if on_medium else one.initrd + one.boot

    return tuple(one for one in sorted(costs, key=size, reverse=True)[:count] if size(one))
