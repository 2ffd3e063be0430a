"""Trees to squashfs images: mksquashfs from a pinned build root, without root, the same bytes each time.

What the disk cannot say without root (owners, set-uid bits, device nodes) is said by a pseudo file
that names every path. See mksquashfs(1) of squashfs-tools 4.6.
"""

from __future__ import annotations

import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from tcz.errors import ConfigError, VerifyError
from tcz.layout import lay_out
from tcz.sandbox import Bind
from tcz.store import replacing

if TYPE_CHECKING:
    from tcz.sandbox import Sandbox
    from tcz.tree import Node, Tree

Compressor = Literal["gzip", "xz", "zstd", "lz4", "lzo"]
COMPRESSORS: Final[tuple[Compressor, ...]] = ("gzip", "xz", "zstd", "lz4", "lzo")

_LEVELS: dict[str, range] = {"gzip": range(1, 10), "zstd": range(1, 23), "lzo": range(1, 10)}
_SMALLEST, _LARGEST = 4096, 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SquashOptions:
    """How an image is compressed: what the kernel that is to mount it can read.

    gzip in blocks of 128 KiB mounts on every Tiny Core from 11 on; older ones take 4 KiB only.
    ``x86`` filters programs before xz sees them, which makes those a tenth smaller.
    """

    compressor: Compressor = "gzip"
    block: int = 131072
    level: int | None = None
    x86: bool = False

    def __post_init__(self) -> None:
        """Raise ``ConfigError`` for a block size or a level that mksquashfs would refuse."""
        if self.block & (self.block - 1) or not _SMALLEST <= self.block <= _LARGEST:
            raise ConfigError(f"squashfs blocks are a power of two from 4096 to 1048576, not {self.block}")
        if self.level is not None and self.level not in _LEVELS.get(self.compressor, ()):
            raise ConfigError(f"{self.compressor} has no compression level {self.level}")
        if self.x86 and self.compressor != "xz":
            raise ConfigError(f"only xz has a filter for programs, not {self.compressor}")

    def argv(self) -> tuple[str, ...]:
        """Return the options for mksquashfs."""
        level = () if self.level is None else ("-Xcompression-level", str(self.level))
        bcj = ("-Xbcj", "x86") if self.x86 else ()
        return ("-b", str(self.block), "-comp", self.compressor, *level, *bcj)


def pseudo_file(tree: Tree) -> bytes:
    """Return the pseudo file for ``tree``: owner and mode of every path, and its device nodes.

    The root is left to options. Raises ``VerifyError`` for a name with a line break.
    """
    lines = []
    for path, node in tree.items():
        if not path or node.link is not None:
            continue
        name = path.encode(errors="surrogateescape")
        if b"\n" in name or b"\r" in name:
            raise VerifyError(f"a file name with a line break cannot be packed: {path!r}")
        quoted = b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
        lines.append(quoted + b" " + _definition(node).encode() + b"\n")
    return b"".join(lines)


def _definition(node: Node) -> str:
    owner = f"{stat.S_IMODE(node.mode):o} {node.uid} {node.gid}"
    if stat.S_ISCHR(node.mode) or stat.S_ISBLK(node.mode):
        kind = "c" if stat.S_ISCHR(node.mode) else "b"
        return f"{kind} {owner} {node.rdev[0]} {node.rdev[1]}"
    if stat.S_ISFIFO(node.mode):
        return f"i {owner} f"
    return f"m {owner}"


class Squasher:
    """Packs trees with the mksquashfs of a build root (made with the package squashfs-tools)."""

    def __init__(self, sandbox: Sandbox, root: Path, work: Path) -> None:
        """``work`` is a folder for scratch space, best on the file system of what is packed."""
        self._sandbox = sandbox
        self._root = root
        self._work = work

    def pack(self, tree: Tree, output: Path, options: SquashOptions, *, epoch: int) -> None:
        """Write ``tree`` as a squashfs image; ``output`` appears when it is whole.

        All times become ``epoch``. Raises ``CommandError`` with what mksquashfs said.
        """
        with tempfile.TemporaryDirectory(prefix="squash-", dir=self._work) as name:
            scratch = Path(name)
            lay_out(tree, scratch / "tree", share=True)
            (scratch / "out").mkdir()
            (scratch / "out/owners").write_bytes(pseudo_file(tree))
            self._sandbox.run(
                self._root,
                _argv(options, tree[""], epoch),
                binds=(
                    Bind(host=scratch / "tree", inside="/build/tree", writable=False),
                    Bind(host=scratch / "out", inside="/build/out", writable=True),
                ),
                # No SOURCE_DATE_EPOCH: mksquashfs refuses it beside its own options for time.
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                cwd="/build/out",
            )
            with replacing(output) as temporary:
                shutil.move(scratch / "out/image", temporary)

    def unpack(self, image: Path, folder: Path) -> None:
        """Lay the files of an image out below ``folder`` (made anew), owners left aside."""
        folder.mkdir(parents=True)
        self._sandbox.run(
            self._root,
            # Owners cannot be set without root: that alone must not end in an error.
            (
                "unsquashfs",
                "-no-progress",
                "-quiet",
                "-no-xattrs",
                "-no-exit-code",
                "-f",
                "-d",
                "/build/tree",
                "/build/image",
            ),
            binds=(
                Bind(host=image, inside="/build/image", writable=False),
                Bind(host=folder, inside="/build/tree", writable=True),
            ),
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
            cwd="/build",
        )


def _argv(options: SquashOptions, root: Node, epoch: int) -> tuple[str, ...]:
    return (
        "mksquashfs",
        "/build/tree",
        "/build/out/image",
        *("-pf", "/build/out/owners"),
        *options.argv(),
        *("-mkfs-time", str(epoch)),
        *("-all-time", str(epoch)),
        *("-root-time", str(epoch)),
        *("-root-mode", f"{stat.S_IMODE(root.mode):04o}"),
        *("-root-uid", str(root.uid)),
        *("-root-gid", str(root.gid)),
        "-no-xattrs",
        "-noappend",
        "-no-progress",
        "-quiet",
    )
