"""What a base provides, as data that ships: paths with owners and modes, libraries, libc, users, groups.

One pair of files a base below ``data/bases``: NAME.toml, and NAME.list with one path a line (type and
mode as ``ls`` shows them, uid, gid, path, target of a link). A base may name another one whose list
stands in for its own.
"""

from __future__ import annotations

import re
import stat
import tomllib
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tcz.errors import ConfigError
from tcz.toml import guess
from tcz.tree import Node, Tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DEFAULT: Final = "floe"
_FOLDER: Final = Path(__file__).parent / "data" / "bases"
_LINE = re.compile(r"([-dlcbps])([-rwxsStT]{9}) (\d+) (\d+) (.+)")
_KINDS = {"-": stat.S_IFREG, "d": stat.S_IFDIR, "l": stat.S_IFLNK}
#: By architecture: what ELF files call it, and its dynamic loader.
_MACHINES: Final = {
    "x86": ("386", "ld-linux.so.2"),
    "x86_64": ("x86_64", "ld-linux-x86-64.so.2"),
    "armv6": ("arm", "ld-linux-armhf.so.3"),
    "armv7": ("arm", "ld-linux-armhf.so.3"),
    "aarch64": ("aarch64", "ld-linux-aarch64.so.1"),
}
_SONAME = re.compile(r"(?:ld-linux.*|lib.+)\.so(?:\.[0-9.]+)?\Z")


@dataclass(frozen=True, kw_only=True)
class Base:
    """A base. ``libraries`` are the folders where its loader looks; files of ``tree`` have no content.

    ``compressors`` and ``largest_block`` are what its loader mounts. ``own_listing`` is false where the
    paths are those of another release that stands in for it. ``machine`` is what its programs are for, as
    ``tcz.elf`` calls it.
    """

    name: str
    summary: str
    glibc: tuple[int, ...]
    libraries: tuple[str, ...]
    users: Mapping[str, int]
    groups: Mapping[str, int]
    tree: Tree
    compressors: tuple[str, ...] = ("gzip", "xz", "lzo", "lz4", "zstd")
    largest_block: int = 1 << 20
    own_listing: bool = True
    machine: str = "x86_64"

    @cached_property
    def sonames(self) -> frozenset[str]:
        """Names of the shared libraries that the base's loader finds."""
        return frozenset(
            path.rpartition("/")[2]
            for path, node in self.tree.items()
            if not node.is_dir
            and path.rpartition("/")[0] in self.libraries
            and _SONAME.match(path.rpartition("/")[2])
        )

    @cached_property
    def programs(self) -> frozenset[str]:
        """Names of the programs in the base's bin and sbin folders."""
        return frozenset(
            path.rpartition("/")[2]
            for path, node in self.tree.items()
            if not node.is_dir and re.fullmatch(r"(?:usr/)?s?bin/[^/]+", path)
        )

    def has(self, path: str) -> bool:
        """Tell whether a path is there, links to folders followed (``lib64/ld-linux-x86-64.so.2``)."""
        return self.real(path) in self.tree

    def real(self, path: str) -> str:
        """Return where a path really is in the base: linked folders on the way replaced by their targets."""
        real = ""
        for count, part in enumerate(path.split("/")):
            real = f"{real}/{part}" if real else part
            node = self.tree.get(real)
            if node is not None and node.is_link and count < path.count("/"):
                target = node.read().decode()
                start = [] if target.startswith("/") else real.split("/")[:-1]
                for step in target.strip("/").split("/"):
                    start = start[:-1] if step == ".." else [*start, step]
                real = "/".join(start)
        return real


def names() -> tuple[str, ...]:
    """Return the names of the bases that are known."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


@cache
def load(name: str) -> Base:
    """Return a base by name. Raises ``ConfigError`` for an unknown one."""
    if name not in names():
        hint = guess(name, names()) or f"known bases: {', '.join(names())}"
        raise ConfigError(f"there is no base {name!r}", hint=hint)
    facts = tomllib.loads((_FOLDER / f"{name}.toml").read_text())
    listed = facts.get("paths-of", name)
    return Base(
        name=name,
        summary=facts["summary"],
        glibc=tuple(int(part) for part in facts["glibc"].split(".")),
        libraries=tuple(facts["libraries"]),
        users=facts["users"],
        groups=facts["groups"],
        tree=parse_listing((_FOLDER / f"{listed}.list").read_text()),
        largest_block=facts.get("largest-block", 1 << 20),
        own_listing=listed == name,
    )


def for_architecture(base: Base, arch: str) -> Base:
    """Return a base of x86_64 as it is for another architecture of Tiny Core, as far as that is known.

    Tiny Core builds its bases from the same sources: files, users and libraries have the same names, but
    for the dynamic loader. Raises ``ConfigError`` for an unknown architecture.
    """
    if arch not in _MACHINES:
        raise ConfigError(f"there is no architecture {arch!r}", hint=f"one of: {', '.join(_MACHINES)}")
    machine, loader = _MACHINES[arch]
    if machine == base.machine:
        return base
    theirs = f"lib/{_MACHINES['x86_64'][1]}"
    nodes = {f"lib/{loader}" if path == theirs else path: node for path, node in base.tree.items()}
    name = f"{base.name} ({arch})"
    return replace(base, name=name, machine=machine, tree=Tree(nodes), own_listing=False)


def listing(tree: Tree) -> str:
    """Return the text form of a tree's paths; see the module."""
    lines = []
    for path, node in tree.items():
        target = f" -> {node.read().decode(errors='surrogateescape')}" if node.is_link else ""
        lines.append(f"{stat.filemode(node.mode)} {node.uid} {node.gid} {path or '.'}{target}\n")
    return "".join(lines)


def parse_listing(text: str) -> Tree:
    """Read what ``listing`` writes; files have no content. Raises ``ConfigError`` with the line."""
    return Tree(_parse_lines(text.splitlines()))


def _parse_lines(lines: Iterable[str]) -> Iterable[tuple[str, Node]]:
    for number, line in enumerate(lines, 1):
        found = _LINE.fullmatch(line)
        if found is None or found[1] not in _KINDS:
            raise ConfigError(f"line {number} is not of a listing: {line!r}")
        path, _, target = found[5].partition(" -> ")
        mode = _KINDS[found[1]] | _bits(found[2])
        node = Node(mode=mode, uid=int(found[3]), gid=int(found[4]), data=target.encode())
        yield ("" if path == "." else path), node


def _bits(shown: str) -> int:
    bits = 0
    for index, char in enumerate(shown):
        place = 1 << (8 - index)
        if char in "rwxst":
            bits |= place
        if char in "sS":
            bits |= stat.S_ISUID if index < 3 else stat.S_ISGID  # noqa: PLR2004 - the owner's three bits
        elif char in "tT":
            bits |= stat.S_ISVTX
    return bits
