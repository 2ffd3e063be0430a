"""The licence texts of what is compiled into programs: Go modules and Rust crates.

A Go program lists its modules itself (the format is that of Go's package debug/buildinfo); of crates all
that the build was given count. Each text stands once, below the names it applies to, in one file that
goes into NAME-doc: the texts of a large program's parts may weigh more than those of a whole system.
"""

from __future__ import annotations

import mmap
import re
from typing import TYPE_CHECKING

from tcz import elf, split
from tcz.crates import CRATES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tcz.sandbox import Bind

#: Where builds find what was fetched for them.
GO_MODULES = "/build/gomodcache"
NAME = "THIRD-PARTY.txt"

_MAGIC = b"\xff Go buildinf:"
_INLINE = 2
_ALIGNED = 16
_HEADER = 32
_SENTINEL = 16
_LARGEST = 1 << 20
_MOST = 1 << 22
_SAFE = re.compile(r"[A-Za-z0-9._~+-]+(?:/[A-Za-z0-9._~+-]+)*\Z")
_RULE = "=" * 78


def write(dest: Path, package: str, src: Path, binds: Iterable[Bind]) -> bool:
    """Write the texts into ``dest`` for what is staged there; tell whether there were any."""
    hosts = {bind.inside: bind.host for bind in binds}
    texts: dict[str, list[str]] = {}
    for name, text in (*_of_modules(dest, src, hosts), *_of_crates(hosts)):
        names = texts.setdefault(text, [])
        if name not in names:
            names.append(name)
    if not texts:
        return False
    parts = sorted((sorted(names), text) for text, names in texts.items())
    content = "\n".join(
        f"{_RULE}\n{chr(10).join(names)}\n{_RULE}\n\n{text.strip()}\n" for names, text in parts
    )
    file = dest / split.LICENCE_FOLDER / package / NAME
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, encoding="utf-8")
    return True


def _of_modules(dest: Path, src: Path, hosts: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    cache = hosts.get(GO_MODULES)
    if cache is None:
        return
    modules = {module for path in sorted(dest.rglob("*")) for module in go_modules(path)}
    for module, version in sorted(modules):
        if not _SAFE.match(module) or not _SAFE.match(version) or ".." in module.split("/"):
            continue
        escaped = re.sub("[A-Z]", lambda found: "!" + found[0].lower(), f"{module}@{version}")
        for folder in (cache / escaped, src / "vendor" / module):
            texts = list(_texts(folder))
            yield from ((f"{module} {version}", text) for text in texts)
            if texts:
                break


def _of_crates(hosts: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    crates = hosts.get(CRATES)
    for folder in sorted(crates.iterdir()) if crates is not None else ():
        yield from ((folder.name, text) for text in _texts(folder))


def _texts(folder: Path) -> Iterator[str]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if (
            split.is_licence(path.name)
            and not path.is_symlink()
            and path.is_file()
            and 0 < path.stat().st_size <= _LARGEST
        ):
            yield path.read_bytes().decode(errors="replace").replace("\r\n", "\n")


def go_modules(path: Path) -> Sequence[tuple[str, str]]:
    """Return module and version of all that a Go program was made of but its own; nothing for other files."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size < _HEADER:
        return ()
    with path.open("rb") as file:
        if file.read(len(elf.MAGIC)) != elf.MAGIC:
            return ()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            at = data.find(_MAGIC)
            while at != -1:
                if at % _ALIGNED == 0 and (told := _told(data[at : at + _MOST])) is not None:
                    return _listed(told)
                at = data.find(_MAGIC, at + 1)
    return ()


def _told(data: bytes) -> str | None:
    """Return the text of a build's information, ``None`` where there is none."""
    if len(data) <= _HEADER or not data[len(_MAGIC) + 1] & _INLINE:
        return None
    at = _HEADER
    text = b""
    for _ in range(2):
        size, at = _varint(data, at)
        text = data[at : at + size]
        if len(text) != size:
            return None
        at += size
    inner = text[_SENTINEL:-_SENTINEL]
    return inner.decode(errors="replace") if inner.startswith((b"path\t", b"mod\t")) else None


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(data[at : at + 5]):
        value |= (byte & 0x7F) << 7 * place
        if not byte & 0x80:
            return value, at + place + 1
    return _MOST, at


def _listed(text: str) -> Sequence[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        kind, *fields = line.split("\t")
        if kind == "=>" and found:
            found.pop()
        if kind in ("dep", "=>") and len(fields) > 1:
            found.append((fields[0], fields[1]))
    return tuple(found)
