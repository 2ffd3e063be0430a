"""Whether programs of packages run on a base: its processor, and the newest glibc that they ask for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tcz import bases, elf
from tcz.errors import ConfigError, Problem, VerifyError
from tcz.squashfs import image as squashfs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tcz.model import BuiltPackage
    from tcz.tree import Node

_OURS: Final = "x86_64"
_GLIBC = re.compile(r"GLIBC_(\d+(?:\.\d+)+)")


def check(libc: str, machine: str, packages: Iterable[BuiltPackage]) -> None:
    """Raise ``ConfigError`` with every package that does not run on a base.

    ``libc`` is such as ``glibc 2.34``, ``machine`` such as ``386``. A 64-bit base with a glibc as new as
    ours is taken at its word: everything here is built with that one. Another libc, or one whose version
    is not known, is not compared.
    """
    name, _, version = libc.partition(" ")
    there = _numbers(version) if name == "glibc" else ()
    if machine == _OURS and (not there or there >= bases.load(bases.DEFAULT).glibc):
        return
    problems = []
    for package in packages:
        if package.form != "extension":
            continue
        newest, path, foreign = _newest(package, machine)
        where = f"package {package.name}"
        if foreign:
            problems.append(Problem(where=where, message=f"/{foreign} is not for {machine}"))
        elif there and newest > there:
            told = ".".join(map(str, newest))
            problems.append(Problem(where=where, message=f"/{path} needs glibc {told}"))
    if problems:
        raise ConfigError(
            f"the base has {libc or 'a libc of unknown version'} for {machine}, "
            "on which not all that it is to have can run",
            problems,
            hint="take packages that were built for the base's release, or another base",
        )


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else ()


def _newest(package: BuiltPackage, machine: str) -> tuple[tuple[int, ...], str, str]:
    """Return the newest glibc wanted and by which file, and a file that is for another machine."""
    newest: tuple[int, ...] = ()
    where, foreign = "", ""
    for path, node in squashfs.Image(package.path).items():
        if not node.is_file or node.link is not None or not _is_elf(node):
            continue
        try:
            found = elf.inspect(node.data)
        except VerifyError:
            continue
        if found is not None and found.machine != machine and found.kind in ("executable", "shared"):
            foreign = foreign or path
        wanted = () if found is None else (v for _, versions in found.versions_needed for v in versions)
        for version in wanted:
            match = _GLIBC.fullmatch(version)
            if match and _numbers(match[1]) > newest:
                newest, where = _numbers(match[1]), path
    return newest, where, foreign


def _is_elf(node: Node) -> bool:
    return next(iter(node.pieces()), b"")[:4] == elf.MAGIC
