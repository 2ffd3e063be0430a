"""Squashfs images read and written with the machine's squashfs-tools.

unsquashfs writes an image as a pseudo file: one line a path with type, time, mode and owner, then the
contents of all files. Format: squashfs-tools 4.5, USAGE-MKSQUASHFS, "pseudo file definitions".
"""

from __future__ import annotations

import re
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tcz.errors import VerifyError
from tcz.layout import lay_out
from tcz.run import CommandError
from tcz.squash import pseudo_file
from tcz.store import replacing
from tcz.tree import FileRef, Node, Tree, safe_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcz.lint.subject import Subject
    from tcz.run import Runner

_DATA = b"#\n# START OF DATA - DO NOT MODIFY\n#\n"
_KINDS = {
    "D": stat.S_IFDIR,
    "R": stat.S_IFREG,
    "S": stat.S_IFLNK,
    "C": stat.S_IFCHR,
    "B": stat.S_IFBLK,
    "I": 0,
}
_FIELDS = re.compile(r"((?:[^\\ ]|\\.)+) ([DRSCBIL]) (.*)\Z", re.DOTALL)
_PIPE, _SOCKET = "f", "s"


class SquashFiles:
    """Reads images into a scratch folder, where the contents of their files stay while they are looked at."""

    def __init__(self, runner: Runner, scratch: Path) -> None:
        """``scratch`` must have room for the unpacked contents."""
        self._runner = runner
        self._scratch = scratch

    def read(self, image: Path) -> Tree:
        """Return an image's tree. Raises ``VerifyError`` for a damaged one."""
        folder = Path(tempfile.mkdtemp(prefix="image-", dir=self._scratch))
        pseudo = folder / "pseudo"
        try:
            self._runner.run(("unsquashfs", "-no-progress", "-pf", str(pseudo), str(image.absolute())))
        except CommandError as error:
            raise VerifyError("the image cannot be unpacked", where=str(image), why=error.why) from error
        return parse_pseudo(pseudo)

    def write(self, subject: Subject, target: Path) -> None:
        """Pack a package with the block size and compressor that it asks for."""
        with tempfile.TemporaryDirectory(prefix="pack-", dir=self._scratch) as name:
            scratch = Path(name)
            lay_out(subject.tree, scratch / "tree")
            (scratch / "owners").write_bytes(pseudo_file(subject.tree))
            image, root = subject.image, subject.tree[""]
            with replacing(target) as temporary:
                self._runner.run(
                    (
                        "mksquashfs",
                        *(str(scratch / "tree"), str(temporary)),
                        *("-pf", str(scratch / "owners")),
                        *("-b", str(image.block if image else 4096)),
                        *("-comp", image.compressor if image else "gzip"),
                        *("-root-mode", f"{stat.S_IMODE(root.mode):04o}"),
                        *("-root-uid", str(root.uid)),
                        *("-root-gid", str(root.gid)),
                        *("-no-xattrs", "-noappend", "-no-progress", "-quiet"),
                    )
                )


def parse_pseudo(path: Path) -> Tree:
    """Read what ``unsquashfs -pf`` wrote. Raises ``VerifyError`` for anything else."""
    data = path.read_bytes()
    head, mark, _ = data.partition(_DATA)
    start = len(head) + len(mark)
    return Tree(_nodes(head.decode(errors="surrogateescape"), path, start))


def _nodes(head: str, path: Path, start: int) -> Iterator[tuple[str, Node]]:
    for line in re.findall(r"(?:[^\\\n]|\\.)+", head, re.DOTALL):
        found = _FIELDS.match(line)
        if found is None:
            raise VerifyError(f"unsquashfs wrote a line that is not understood: {line!r}")
        name = safe_path(re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL))
        if found[2] == "L":
            target = safe_path(re.sub(r"\\(.)", r"\1", found[3], flags=re.DOTALL))
            yield name, Node(mode=stat.S_IFREG | 0o644, link=target)
            continue
        yield name, _node(found[2], found[3], path, start)


def _node(kind: str, rest: str, path: Path, start: int) -> Node:
    time, mode, uid, gid, *more = rest.split(" ", 4)
    fields = more[0] if more else ""
    data: bytes | FileRef = b""
    rdev = (0, 0)
    type_bits = _KINDS[kind]
    match kind:
        case "R":
            size, offset = fields.split()[:2]
            data = FileRef(path, start + int(offset), int(size))
        case "S":
            data = fields.encode(errors="surrogateescape")
        case "C" | "B":
            major, minor = fields.split()[:2]
            rdev = (int(major), int(minor))
        case "I":
            type_bits = stat.S_IFSOCK if fields.strip() == _SOCKET else stat.S_IFIFO
        case _:
            pass
    return Node(
        mode=type_bits | (0o777 if kind == "S" else int(mode, 8)),
        uid=int(uid),
        gid=int(gid),
        mtime=int(time),
        data=data,
        rdev=rdev,
    )
