"""What a root file system says of itself: release, architecture, libc, modules, packages unpacked in it."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remaster.survey.model import Fact
from tcz import elf
from tcz.errors import VerifyError
from tcz.rootlinks import resolved

if TYPE_CHECKING:
    from tcz.tree import Node, Tree

_OS_RELEASE: Final = ("etc/os-release", "usr/lib/os-release")
_RELEASE_TXT: Final = "usr/share/doc/tc/release.txt"
_ELFS: Final = ("bin/busybox", "bin/sh", "sbin/init", "lib/libc.so.6", "init")
_LIBCS: Final = (
    "lib/libc.so.6",
    "lib64/libc.so.6",
    "usr/lib/libc.so.6",
    "lib/x86_64-linux-gnu/libc.so.6",
    "usr/lib/x86_64-linux-gnu/libc.so.6",
    "lib/i386-linux-gnu/libc.so.6",
    "lib/aarch64-linux-gnu/libc.so.6",
    "lib/ld-musl-x86_64.so.1",
    "lib/ld-musl-i386.so.1",
)
_GLIBC = re.compile(rb"GNU C Library \([^)\0]{0,80}\) \S{1,20} release version (\d{1,4}(?:\.\d{1,4}){1,2})")
_MUSL: Final = b"musl libc ("
_MUSL_VERSION = re.compile(rb"\0(1\.\d{1,3}\.\d{1,3})\0")
#: The note that names the oldest kernel a libc starts on (.note.ABI-tag of the System V ABI for Linux).
_ABI_NOTE: Final = b"\x04\0\0\0\x10\0\0\0\x01\0\0\0GNU\0\0\0\0\0"
_TEXT_MAX: Final = 16 << 20
_LIBC_MAX: Final = 64 << 20
_KEY = re.compile(r"^([A-Z_]+)=(.*)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class RootFacts:
    """What was found; ``contradictions`` are sentences."""

    distribution: Fact | None
    release: Fact | None
    architecture: Fact | None
    libc: Fact | None
    libc_kernel: Fact | None
    modules: tuple[Fact, ...]
    installed: tuple[str, ...]
    contradictions: tuple[str, ...]


def node_at(tree: Tree, path: str) -> Node | None:
    """Return what a path leads to, links followed within the tree; hard links give their content."""
    real = resolved(tree, path)
    node = None if real is None else tree.get(real)
    if node is not None and node.link is not None:
        return tree.get(node.link)
    return node


def text_at(tree: Tree, path: str) -> str | None:
    """Return a file's text, ``None`` where there is no such file, or one larger than any text is."""
    node = node_at(tree, path)
    if node is None or not node.is_file or node.size > _TEXT_MAX:
        return None
    return node.read().decode(errors="replace")


def facts(tree: Tree) -> RootFacts:
    """Look at a root."""
    problems: list[str] = []
    release_path, keys = _os_release(tree)
    release = Fact(value=keys["VERSION_ID"], where=release_path) if keys.get("VERSION_ID") else None
    old = text_at(tree, _RELEASE_TXT)
    if old is not None and old.strip():
        told = Fact(value=old.split()[0], where=_RELEASE_TXT)
        if release is not None and release.value != told.value:
            problems.append(f"{release.where} says {release.value}, {told.where} says {told.value}")
        release = release or told
    name = keys.get("NAME") or keys.get("ID")
    libc, libc_kernel = _libc(tree)
    return RootFacts(
        distribution=Fact(value=name, where=release_path) if name else None,
        release=release,
        architecture=_architecture(tree),
        libc=libc,
        libc_kernel=libc_kernel,
        modules=modules(tree),
        installed=tuple(path.rpartition("/")[2] for path in tree if _is_mark(path)),
        contradictions=tuple(problems),
    )


def _is_mark(path: str) -> bool:
    return path.startswith("usr/local/tce.installed/") and path.count("/") == 3  # noqa: PLR2004


def _os_release(tree: Tree) -> tuple[str, dict[str, str]]:
    for path in _OS_RELEASE:
        text = text_at(tree, path)
        if text is not None:
            found = (_KEY.match(line.strip()) for line in text.splitlines())
            return path, {one[1]: one[2].strip().strip("\"'") for one in found if one}
    return "", {}


def _architecture(tree: Tree) -> Fact | None:
    for path in _ELFS:
        node = node_at(tree, path)
        if node is None or not node.is_file:
            continue
        try:
            found = elf.inspect(node.data)
        except VerifyError:
            continue
        if found is not None:
            return Fact(value=found.machine, where=path)
    return None


def _libc(tree: Tree) -> tuple[Fact | None, Fact | None]:
    for path in _LIBCS:
        node = node_at(tree, path)
        if node is None or not node.is_file or node.size > _LIBC_MAX:
            continue
        data = node.read()
        glibc = _GLIBC.search(data)
        oldest = None
        at = data.find(_ABI_NOTE)
        if 0 <= at <= len(data) - len(_ABI_NOTE) - 12:
            numbers = struct.unpack_from("<3I", data, at + len(_ABI_NOTE))
            oldest = Fact(value=".".join(map(str, numbers)), where=path)
        if glibc:
            return Fact(value=f"glibc {glibc[1].decode()}", where=path), oldest
        if _MUSL in data:
            version = _MUSL_VERSION.search(data)
            return Fact(value=f"musl {version[1].decode()}" if version else "musl", where=path), None
        if oldest:
            return None, oldest
    return None, None


def libc_kernel(tree: Tree) -> Fact | None:
    """Return the oldest kernel that a root's libc starts on, where it says so."""
    return _libc(tree)[1]


def modules(tree: Tree) -> tuple[Fact, ...]:
    """Return the kernel releases that a root has modules for; each says how many there are."""
    counts: dict[str, int] = {}
    for path in tree:
        parts = path.split("/")
        if parts[:2] == ["usr", "lib"]:
            parts = parts[1:]
        if parts[:2] == ["lib", "modules"] and len(parts) > 2:  # noqa: PLR2004 - lib/modules/RELEASE
            is_module = re.search(r"\.ko(?:\.(?:gz|xz|zst))?\Z", path) is not None
            counts[parts[2]] = counts.get(parts[2], 0) + is_module
    return tuple(
        Fact(value=release, where=f"lib/modules/{release} ({count} modules)")
        for release, count in sorted(counts.items())
    )
