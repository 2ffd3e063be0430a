"""What a Go program says of itself: its main module, and all modules that were compiled in.

The linker writes it into every program; the layout is that of Go's package debug/buildinfo since Go 1.18:
a marked header of 32 bytes, then two strings, each after its length as a varint. The second lists modules
as lines of words between tabs, framed by 16 bytes on either side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tcz.tree import Tree

_ELF = b"\x7fELF"
_MAGIC = b"\xff Go buildinf:"
_HEADER = 32
_ALIGN = 16
_INLINE = 0x2
_FRAME = 16
_LONGEST = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledModule:
    """A module by path and version; ``sum`` is its ``h1:`` hash, empty where go had none.

    A module that was replaced stands here as what replaced it.
    """

    path: str
    version: str
    sum: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GoProgram:
    """The version of Go, the main package's path, and the modules, the main one left out."""

    go: str
    path: str
    modules: tuple[CompiledModule, ...]


def inspect(data: bytes) -> GoProgram | None:
    """Read a program's build information; ``None`` where there is none, or it is damaged or older."""
    if not data.startswith(_ELF):
        return None
    at = data.find(_MAGIC)
    while at >= 0:
        found = _read(data, at) if at % _ALIGN == 0 else None
        if found is not None:
            return found
        at = data.find(_MAGIC, at + 1)
    return None


def modules_of(tree: Tree) -> tuple[CompiledModule, ...]:
    """Return the modules that the programs of a tree were compiled from, each once."""
    found: dict[CompiledModule, None] = {}
    for node in map(tree.__getitem__, tree):
        if node.is_file and node.link is None and next(node.pieces(), b"").startswith(_ELF):
            program = inspect(node.read())
            found.update(dict.fromkeys(program.modules if program else ()))
    return tuple(found)


def _read(data: bytes, at: int) -> GoProgram | None:
    if at + _HEADER > len(data) or not data[at + 15] & _INLINE:
        return None
    try:
        version, after = _string(data, at + _HEADER)
        listing, _ = _string(data, after)
        go = version.decode()
        text = listing[_FRAME:-_FRAME].decode()
    except (IndexError, UnicodeDecodeError):
        return None
    return _parse(go, text) if go.startswith(("go1", "devel")) else None


def _string(data: bytes, at: int) -> tuple[bytes, int]:
    length = shift = 0
    while True:
        byte = data[at]
        at += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
    if length > _LONGEST or at + length > len(data):
        raise IndexError
    return data[at : at + length], at + length


def _parse(go: str, text: str) -> GoProgram:
    path = ""
    modules: list[CompiledModule] = []
    for line in text.split("\n"):
        key, *words = line.split("\t")
        if key == "path" and words:
            path = words[0]
        elif key in ("dep", "=>") and len(words) >= 2:  # noqa: PLR2004 - path and version
            if key == "=>" and modules:
                modules.pop()
            sum_ = words[2] if len(words) > 2 else ""  # noqa: PLR2004
            modules.append(CompiledModule(path=words[0], version=words[1], sum=sum_))
    return GoProgram(go=go, path=path, modules=tuple(modules))
