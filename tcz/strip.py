"""What a running system has no use for is taken out of programs, libraries and kernel modules."""

from __future__ import annotations

import stat
import struct
from typing import TYPE_CHECKING, Literal

from tcz import elf
from tcz.errors import VerifyError
from tcz.sandbox import Bind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tcz.package import Packing
    from tcz.stage import Entry

#: Linked files lose all that the loader does not read, others only what debuggers read.
Kind = Literal["linked", "module", "archive"]

_OPTIONS: Mapping[Kind, tuple[str, ...]] = {
    "linked": ("--strip-unneeded",),
    "module": ("--strip-debug",),
    "archive": ("--strip-debug", "--enable-deterministic-archives"),
}
_ELF_HEADER = struct.Struct("<4sBB10xHH")
_ET_REL, _ET_EXEC, _ET_DYN = 1, 2, 3
_EM_386, _EM_X86_64 = 3, 62
_AT_ONCE = 200
_AR_MAGIC = b"!<arch>\n"
_AR_HEADER_SIZE = 60
_MAX_MEMBERS = 100_000


def kind_of(path: Path) -> Kind | None:
    """Tell how a file is stripped: x86 programs and libraries, unsigned modules, archives of such objects.

    ``None`` for all others: a signed module would no longer match its signature, and an object file by
    itself is a part of something that only its maker knows.
    """
    with path.open("rb") as file:
        head = file.read(_ELF_HEADER.size)
    if head.startswith(_AR_MAGIC):
        return "archive" if _holds_objects(path) else None
    kind = _elf_type(head)
    if kind in (_ET_EXEC, _ET_DYN):
        return "linked"
    if kind == _ET_REL and path.suffix == ".ko":
        try:
            facts = elf.inspect(path)
        except VerifyError:
            return None
        return "module" if facts is not None and facts.is_kernel_module and not facts.signed else None
    return None


def _elf_type(head: bytes) -> int | None:
    if len(head) < _ELF_HEADER.size:
        return None
    magic, _, order, kind, machine = _ELF_HEADER.unpack(head[: _ELF_HEADER.size])
    return kind if magic == elf.MAGIC and order == 1 and machine in (_EM_386, _EM_X86_64) else None


def _holds_objects(path: Path) -> bool:
    """Tell an archive whose members are all x86 object files: Go's and others are of their own kind."""
    with path.open("rb") as file:
        file.seek(len(_AR_MAGIC))
        objects = 0
        for _ in range(_MAX_MEMBERS):
            header = file.read(_AR_HEADER_SIZE)
            if not header:
                return objects > 0
            if len(header) != _AR_HEADER_SIZE or header[58:] != b"`\n" or not header[48:58].strip().isdigit():
                return False
            size = int(header[48:58])
            start = file.tell()
            # The tables of symbols and of long names are no members.
            if header[:16].rstrip() not in (b"/", b"//", b"/SYM64/"):
                if _elf_type(file.read(_ELF_HEADER.size)) != _ET_REL:
                    return False
                objects += 1
            file.seek(start + size + size % 2)
    return False


def strip(dest: Path, entries: Iterable[Entry], how: Packing) -> bool:
    """Strip staged files in place, each inode once; tell whether there were any."""
    found: dict[tuple[int, int], tuple[str, Kind]] = {}
    for entry in entries:
        status = entry.status
        if stat.S_ISREG(status.st_mode) and (kind := kind_of(dest / entry.path)) is not None:
            found.setdefault((status.st_dev, status.st_ino), (entry.path, kind))
    for path, _ in found.values():
        target = dest / path
        target.chmod(stat.S_IMODE(target.stat().st_mode) | 0o200)
    for kind, options in _OPTIONS.items():
        paths = [path for path, of in found.values() if of == kind]
        for start in range(0, len(paths), _AT_ONCE):
            how.sandbox.run(
                how.root,
                ("strip", *options, *(f"/build/dest/{path}" for path in paths[start : start + _AT_ONCE])),
                binds=(Bind(host=dest, inside="/build/dest", writable=True),),
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                cwd="/build/dest",
            )
    return bool(found)
