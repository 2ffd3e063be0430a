"""Whether programs of packages start with a base's libc: the newest symbol version they ask for decides."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tcz import bases, elf
from tcz.errors import ConfigError, Problem, VerifyError
from tcz.squashfs import image as squashfs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tcz.model import BuiltPackage
    from tcz.tree import Node

_GLIBC = re.compile(r"GLIBC_(\d+(?:\.\d+)+)")


def check(libc: str, packages: Iterable[BuiltPackage]) -> None:
    """Raise ``ConfigError`` with every package that needs a newer glibc than ``glibc 2.34``, the base's.

    A base as new as ours is taken at its word: everything here is built with that one. Another libc, or
    one whose version is not known, is not checked.
    """
    name, _, version = libc.partition(" ")
    there = _numbers(version)
    if name != "glibc" or not there or there >= bases.load(bases.DEFAULT).glibc:
        return
    problems = []
    for package in packages:
        if package.form != "extension":
            continue
        newest, path = _newest(package)
        if newest > there:
            told = ".".join(map(str, newest))
            problems.append(Problem(where=f"package {package.name}", message=f"/{path} needs glibc {told}"))
    if problems:
        raise ConfigError(
            f"the base has {libc}, which is too old for what is to run on it",
            problems,
            hint="take packages that were built for the base's release, or a newer base",
        )


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else ()


def _newest(package: BuiltPackage) -> tuple[tuple[int, ...], str]:
    newest: tuple[int, ...] = ()
    where = ""
    for path, node in squashfs.Image(package.path).items():
        if not node.is_file or node.link is not None or not _is_elf(node):
            continue
        try:
            found = elf.inspect(node.data)
        except VerifyError:
            continue
        wanted = () if found is None else (v for _, versions in found.versions_needed for v in versions)
        for version in wanted:
            match = _GLIBC.fullmatch(version)
            if match and _numbers(match[1]) > newest:
                newest, where = _numbers(match[1]), path
    return newest, where


def _is_elf(node: Node) -> bool:
    return next(iter(node.pieces()), b"")[:4] == elf.MAGIC
