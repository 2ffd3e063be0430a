"""What the programs and libraries of a tree ask of the system they run on."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tcz import elf
from tcz.errors import VerifyError
from tcz.importing.draft import Note
from tcz.tree import FileRef

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tcz.bases import Base
    from tcz.tree import Node, Tree

_GLIBC = re.compile(r"GLIBC_(\d+(?:\.\d+)+)\Z")
_SHEBANG = re.compile(rb"#![ \t]*(/[^\s\0]+)(?:[ \t]+([^\s\0]+))?")
_HEAD = 256


@dataclass(slots=True, kw_only=True)
class Programs:
    """What was found, each with the first path that says so.

    ``needed``: sonames; ``offered``: sonames and file names of libraries. ``loaders``: ELF interpreters.
    ``scripts``: interpreters of scripts. ``foreign``: programs for other machines.
    """

    needed: dict[str, str] = field(default_factory=dict)
    offered: dict[str, str] = field(default_factory=dict)
    glibc: tuple[int, ...] = (0,)
    glibc_path: str = ""
    loaders: dict[str, str] = field(default_factory=dict)
    scripts: dict[str, str] = field(default_factory=dict)
    foreign: dict[str, str] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)

    def add(self, path: str, found: elf.Elf) -> None:
        """Take in what an ELF file says."""
        if found.is_kernel_module or found.kind == "object":
            return
        if (found.machine, found.bits) != ("x86_64", 64):
            self.foreign.setdefault(f"{found.machine}, {found.bits} bit", path)
            return
        for soname in (found.soname, posixpath.basename(path) if ".so" in path else None):
            if soname:
                self.offered.setdefault(soname, path)
        if found.interpreter:
            self.loaders.setdefault(found.interpreter, path)
        for soname in found.needed:
            self.needed.setdefault(soname, path)
        if (version := _glibc(found)) > self.glibc:
            self.glibc, self.glibc_path = version, path


def examine(tree: Tree) -> Programs:
    """Read the ELF files and the first lines of the scripts of a tree."""
    result = Programs()
    for path, node in tree.items():
        if node.is_link and ".so" in posixpath.basename(path):
            result.offered.setdefault(posixpath.basename(path), path)
        if not node.is_file or node.link is not None:
            continue
        head = _head(node)
        if node.mode & 0o111 and (match := _SHEBANG.match(head)):
            result.scripts.setdefault(_interpreter(match), path)
        if head.startswith(elf.MAGIC):
            try:
                found = elf.inspect(node.data if isinstance(node.data, FileRef) else node.read())
            except VerifyError:
                result.damaged.append(path)
                continue
            if found is not None:
                result.add(path, found)
    return result


def check_glibc(found: Programs, base: Base, name: str) -> None:
    """Raise ``VerifyError`` where programs need a newer libc than the base has."""
    if found.glibc > base.glibc:
        wanted, there = (".".join(map(str, version)) for version in (found.glibc, base.glibc))
        raise VerifyError(
            f"{name} does not run on {base.name}: it needs a newer libc",
            where=found.glibc_path,
            why=f"it asks for symbols of GLIBC_{wanted}, the base has {there}",
            hint="import an older version, or build it from source with tcz build",
        )


def notes_of(found: Programs) -> tuple[Note, ...]:
    """Tell what cannot run at all."""
    foreign = [
        Note(verdict="by-hand", where=path, text=f"a program for another machine: {machine}")
        for machine, path in found.foreign.items()
    ]
    damaged = [
        Note(verdict="by-hand", where=path, text="a damaged program or library") for path in found.damaged
    ]
    return (*foreign, *damaged)


def missing(all_found: Iterable[Programs], base: Base) -> dict[str, str]:
    """Return sonames that neither the base nor any of these offers, with a path that needs each."""
    found = tuple(all_found)
    offered = {soname for one in found for soname in one.offered} | base.sonames
    return {
        soname: path for one in found for soname, path in sorted(one.needed.items()) if soname not in offered
    }


def _glibc(found: elf.Elf) -> tuple[int, ...]:
    versions = (version for _, versions in found.versions_needed for version in versions)
    numbers = (_GLIBC.match(version) for version in versions)
    return max((tuple(map(int, one[1].split("."))) for one in numbers if one), default=(0,))


def _interpreter(match: re.Match[bytes]) -> str:
    program = match[1].decode(errors="replace")
    if posixpath.basename(program) == "env" and match[2]:
        return match[2].decode(errors="replace")
    return program


def _head(node: Node) -> bytes:
    if not isinstance(node.data, FileRef):
        return node.read()[:_HEAD]
    return FileRef(node.data.path, node.data.offset, min(_HEAD, node.size)).read()
