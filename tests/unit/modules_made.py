"""Kernel modules made for tests: ELF files with the sections that depmod looks at, and nothing to run."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a module is to say."""

    exports: tuple[str, ...] = ()
    wants: tuple[str, ...] = ()
    info: tuple[str, ...] = ()
    versions: bool = False
    release: str = "6.12.0-test"
    padding: int = field(default=0)


def elf(made: Made) -> bytes:
    """Return an ELF file of a 64-bit machine: symbols, .modinfo, exported names."""
    names = b"\0"
    symbols = struct.pack("<IBBHQQ", 0, 0, 0, 0, 0, 0)
    wanted = [(name, 0, 0x10) for name in made.wants]
    exported = [(f"__crc_{name}", 0xFFF1, 0x10) for name in made.exports] if made.versions else []
    for name, section, info in (("local_thing", 1, 0), *wanted, *exported):
        symbols += struct.pack("<IBBHQQ", len(names), info, 0, section, 0, 0)
        names += name.encode() + b"\0"
    info = (*made.info, "license=GPL", f"vermagic={made.release} SMP mod_unload ")
    parts = {
        b".modinfo": b"".join(text.encode() + b"\0" for text in info),
        b"__ksymtab_strings": b"".join(name.encode() + b"\0" for name in made.exports),
        b".symtab": symbols,
        b".strtab": names,
    }
    texts, at = b"\0", 64 + made.padding
    rows = [struct.pack("<IIQQQQIIQQ", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)]
    body = bytes(made.padding)
    kinds = {b".symtab": 2, b".strtab": 3}
    for name, data in parts.items():
        link = 4 if name == b".symtab" else 0
        size = 24 if name == b".symtab" else 0
        rows.append(
            struct.pack("<IIQQQQIIQQ", len(texts), kinds.get(name, 1), 0, 0, at, len(data), link, 1, 1, size)
        )
        texts += name + b"\0"
        body += data
        at += len(data)
    name_at = len(texts)
    texts += b".shstrtab\0"
    rows.append(struct.pack("<IIQQQQIIQQ", name_at, 3, 0, 0, at, len(texts), 0, 0, 1, 0))
    body += texts
    start = 64 + len(body)
    head = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\2\1\1",
        1,
        62,
        1,
        0,
        0,
        start,
        0,
        64,
        0,
        0,
        64,
        len(rows),
        len(rows) - 1,
    )
    return head + body + b"".join(rows)
