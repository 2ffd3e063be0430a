"""Two builds of the same recipe, compared: what differs is told by package, member and field."""

from __future__ import annotations

import stat
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tcz import tar
from tcz.layout import read_back
from tcz.store import sha256_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tcz.model import Built, BuiltPackage
    from tcz.tree import Node, Tree

Field = Literal["presence", "type", "mode", "owner", "size", "time", "target", "device", "content", "packing"]

_SHOWN = 16
_BLOCK = 1 << 16
_ELF64 = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """``member`` is a path in the package (empty: the package as a whole); ``one`` and ``two`` as text."""

    package: str
    member: str
    field: Field
    one: str
    two: str

    @property
    def text(self) -> str:
        """Return it as a line."""
        where = f"{self.package}: {self.member}" if self.member else self.package
        return f"{where}: {self.field}: {self.one} | {self.two}"


def builds(one: Built, two: Built, read: Callable[[Path], Tree]) -> tuple[Difference, ...]:
    """Return all differences between the products of two builds; ``read`` reads an extension."""
    before, after = ({package.name: package for package in built.packages} for built in (one, two))
    found: list[Difference] = []
    for name in dict.fromkeys((*before, *after)):
        if name in before and name in after:
            found += _packages(before[name], after[name], read)
        else:
            found.append(_presence(name, "", there=name in before))
    return tuple(found)


def _presence(package: str, member: str, *, there: bool) -> Difference:
    one, two = ("there", "absent") if there else ("absent", "there")
    return Difference(package=package, member=member, field="presence", one=one, two=two)


def _packages(one: BuiltPackage, two: BuiltPackage, read: Callable[[Path], Tree]) -> Iterator[Difference]:
    if one.form == "files":
        yield from trees(one.name, read_back(one.path), read_back(two.path))
        return
    if sha256_file(one.path) != sha256_file(two.path):
        reader = tar.read if one.form == "layer" else read
        inside = tuple(trees(one.name, reader(one.path), reader(two.path)))
        yield from inside
        if not inside:
            yield from _bytes(one.path.name, "", "packing", one.path.read_bytes(), two.path.read_bytes())
    names = {path.name for built in (one, two) for path in built.path.parent.glob(f"{one.path.name}.*")}
    for name in sorted(names):
        first, second = one.path.with_name(name), two.path.with_name(name)
        if first.exists() and second.exists():
            yield from _bytes(name, "", "content", first.read_bytes(), second.read_bytes())
        else:
            yield _presence(name, "", there=first.exists())


def trees(package: str, one: Tree, two: Tree) -> Iterator[Difference]:
    """Yield the differences of two trees, by path."""
    for path in sorted({*one, *two}):
        before, after = one.get(path), two.get(path)
        if before is None or after is None:
            yield _presence(package, path, there=before is not None)
        else:
            yield from _nodes(package, path or ".", before, after)


def _nodes(package: str, path: str, one: Node, two: Node) -> Iterator[Difference]:
    def differ(field: Field, before: object, after: object) -> Iterator[Difference]:
        if before != after:
            yield Difference(package=package, member=path, field=field, one=str(before), two=str(after))

    if stat.S_IFMT(one.mode) != stat.S_IFMT(two.mode):
        yield from differ("type", stat.filemode(one.mode), stat.filemode(two.mode))
        return
    yield from differ("mode", f"{stat.S_IMODE(one.mode):04o}", f"{stat.S_IMODE(two.mode):04o}")
    yield from differ("owner", f"{one.uid}:{one.gid}", f"{two.uid}:{two.gid}")
    yield from differ("time", one.mtime, two.mtime)
    yield from differ("device", one.rdev, two.rdev)
    if one.link != two.link:
        yield from differ("target", f"hard link to {one.link}", f"hard link to {two.link}")
    elif one.is_link:
        yield from differ("target", one.read().decode(errors="replace"), two.read().decode(errors="replace"))
    elif one.is_file and one.link is None:
        yield from differ("size", one.size, two.size)
        yield from _bytes(package, path, "content", one.read(), two.read())


def _bytes(package: str, member: str, field: Field, one: bytes, two: bytes) -> Iterator[Difference]:
    if one == two:
        return
    at = first_difference(one, two)
    place = f"byte {at}"
    section = elf_section(one, at)
    if section:
        place += f" in {section}"
    yield Difference(
        package=package, member=member, field=field, one=f"{place}: {_shown(one, at)}", two=_shown(two, at)
    )


def first_difference(one: bytes, two: bytes) -> int:
    """Return the offset of the first byte that differs, or the shorter length."""
    shorter = min(len(one), len(two))
    for start in range(0, shorter, _BLOCK):
        if one[start : start + _BLOCK] != two[start : start + _BLOCK]:
            pairs = zip(one[start : start + _BLOCK], two[start : start + _BLOCK], strict=False)
            return next((start + n for n, (a, b) in enumerate(pairs) if a != b), shorter)
    return shorter


def _shown(data: bytes, at: int) -> str:
    """Return some bytes as text where they are, else in hexadecimal."""
    part = data[at : at + _SHOWN]
    if not part:
        return "ends"
    return repr(part.decode()) if part.isascii() and part.decode().isprintable() else part.hex(" ")


def elf_section(data: bytes, at: int) -> str | None:
    """Return the name of the section that holds offset ``at`` of a 64-bit little-endian ELF file.

    ``None`` for other files and between sections (System V ABI, chapter 4).
    """
    if len(data) < _ELF64.size or data[:6] != b"\x7fELF\x02\x01":
        return None
    header = _ELF64.unpack_from(data)
    start, size, count, names = header[6], header[11], header[12], header[13]
    if size != _SECTION.size or start + count * size > len(data) or names >= count:
        return None
    rows = [_SECTION.unpack_from(data, start + n * size) for n in range(count)]
    table = rows[names][4]
    for row in rows:
        name, kind, offset, length = row[0], row[1], row[4], row[5]
        if kind != 8 and offset <= at < offset + length:  # noqa: PLR2004 - SHT_NOBITS takes no room
            end = data.find(b"\0", table + name)
            return data[table + name : end].decode("ascii", "replace") or None
    return None
