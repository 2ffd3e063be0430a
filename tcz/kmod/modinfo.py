"""What a kernel module says of itself: the section .modinfo, what it exports and what it asks others for.

Of ELF only as much is read as depmod reads: sections by name, and the symbol table. Exports are the symbols
``__crc_NAME``, or the texts of ``__ksymtab_strings`` in a kernel without versions of symbols.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tcz.compress import expand, kind
from tcz.errors import VerifyError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Names of modules in files.
SUFFIX: Final = re.compile(r"\.ko(?:\.(gz|xz|zst))?\Z")
_LARGEST: Final = 256 << 20
_SHT_NOBITS: Final = 8
_CRC: Final = b"__crc_"
_MOST_SECTIONS: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A module: ``path`` is below the release's folder; ``wants`` are symbols in the order of its table."""

    path: str
    exports: tuple[str, ...]
    wants: tuple[str, ...]
    aliases: tuple[str, ...]
    softdeps: tuple[str, ...]
    weakdeps: tuple[str, ...]
    vermagic: str

    @property
    def name(self) -> str:
        """What modprobe calls it."""
        return name_of(self.path)

    @property
    def release(self) -> str:
        """The kernel that it was compiled for, empty where it does not say."""
        return self.vermagic.partition(" ")[0]


def name_of(path: str) -> str:
    """Return the name of the module in a file."""
    return path.rpartition("/")[2].partition(".")[0].replace("-", "_")


def plain_path(path: str) -> str:
    """Return a module's path as it is where nothing is packed, as modules.order has it."""
    return SUFFIX.sub(".ko", path)


def unpacked(data: bytes, path: str) -> bytes:
    """Return a module without its compression. Raises ``VerifyError`` for one that is damaged."""
    if data[:4] == b"\x7fELF":
        return data
    if kind(data) is None:
        raise VerifyError("this is no kernel module", where=path)
    try:
        return expand(data, limit=_LARGEST)[0]
    except VerifyError as error:
        raise VerifyError(error.what, where=path, why=error.why) from error


def read(path: str, data: bytes) -> Module:
    """Read a module, packed or not; raises ``VerifyError`` for one that is damaged."""
    try:
        return _read(path, unpacked(data, path))
    except (struct.error, IndexError, OverflowError, ValueError) as error:
        raise VerifyError("this is no kernel module, or it is damaged", where=path) from error


def _read(path: str, data: bytes) -> Module:
    sections = dict(_sections(data))
    info = [text.partition(b"=") for text in sections.get(b".modinfo", b"").split(b"\0") if text]
    exported, wanted = _symbols(data, sections)
    if not exported:
        exported = [name for name in sections.get(b"__ksymtab_strings", b"").split(b"\0") if name]

    def said(key: bytes) -> tuple[str, ...]:
        return tuple(value.decode(errors="replace") for name, _, value in info if name == key)

    return Module(
        path=path,
        exports=tuple(name.decode(errors="replace") for name in exported),
        wants=tuple(name.decode(errors="replace").removeprefix(".") for name in wanted),
        aliases=said(b"alias"),
        softdeps=said(b"softdep"),
        weakdeps=said(b"weakdep"),
        vermagic=next(iter(said(b"vermagic")), ""),
    )


def _sections(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    if data[:4] != b"\x7fELF" or data[4] not in (1, 2) or data[5] != 1:
        raise ValueError("no ELF file of a machine that is known")
    wide = data[4] == 2  # noqa: PLR2004 - ELFCLASS64
    (start,) = struct.unpack_from("<Q" if wide else "<I", data, 40 if wide else 32)
    size, count, names_at = struct.unpack_from("<3H", data, 58 if wide else 46)
    rows = [_section(data, start + number * size, wide=wide) for number in range(min(count, _MOST_SECTIONS))]
    names = _cut(data, rows[names_at])
    for row in rows:
        name = names[row[0] : names.index(b"\0", row[0])]
        yield name, b"" if row[1] == _SHT_NOBITS else _cut(data, row)


def _section(data: bytes, at: int, *, wide: bool) -> tuple[int, int, int, int]:
    """Return a section's name, type, offset and size."""
    name, kind_ = struct.unpack_from("<2I", data, at)
    offset, size = (
        struct.unpack_from("<2Q", data, at + 24) if wide else struct.unpack_from("<2I", data, at + 16)
    )
    return name, kind_, offset, size


def _cut(data: bytes, row: tuple[int, int, int, int]) -> bytes:
    _, _, offset, size = row
    if offset + size > len(data):
        raise ValueError("a section ends behind the file")
    return data[offset : offset + size]


def _symbols(data: bytes, sections: dict[bytes, bytes]) -> tuple[list[bytes], list[bytes]]:
    """Return what is exported with a version, and what is asked for."""
    table, texts = sections.get(b".symtab", b""), sections.get(b".strtab", b"")
    exported, wanted = [], []
    # Name and section of a symbol, as they lie in 64 and in 32 bits.
    form = struct.Struct("<IBBH16x") if data[4] == 2 else struct.Struct("<I8xBBH")  # noqa: PLR2004
    for number, (name_at, _, _, section) in enumerate(form.iter_unpack(table)):
        if not number or (section and not texts.startswith(_CRC, name_at)):
            continue
        name = texts[name_at : texts.index(b"\0", name_at)]
        if name.startswith(_CRC):
            exported.append(name.removeprefix(_CRC))
        elif not section and name:
            wanted.append(name)
    return exported, wanted


def moved(module: Module, path: str) -> Module:
    """Return a module at another path."""
    return replace(module, path=path)
