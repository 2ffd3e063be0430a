"""What an ELF file says of itself: what it runs on, what it needs, what it offers.

The layouts are those of the System V ABI and of the Linux Standard Base (symbol versions); pyelftools
knows them by machine, class and byte order. Walking them is done here, as the dynamic loader does it:
by program headers, so that a file without section headers is read as well. Every walk is bounded by the
file's size and by limits far above any real file, so a hostile file costs an error and little time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tcz.errors import VerifyError
from tcz.tree import FileRef

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tcz.tree import Content

MAGIC = b"\x7fELF"
_SIGNED = b"~Module signature appended~\n"

#: Limits: more than any real file has, few enough to be read in a moment.
_MAX_SEGMENTS = 1024
_MAX_SECTIONS = 65_536
_MAX_TAGS = 8192
_MAX_VERSIONS = 8192
_MAX_STRING = 4096
_MAX_NAMES = 1 << 24
_WINDOW = 1 << 16

_DF_1_PIE = 0x08000000
_VER_FLG_BASE = 1
_NAME = "the name of its interpreter"
_PF_X = 1

Kind = Literal["executable", "shared", "object", "core"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Elf:
    """The facts of one file.

    ``machine`` is as in ``EM_*``, in lower case (``x86_64``, ``386``, ``aarch64``; ``0x1234`` where unknown).
    A position-independent program is an ``executable`` with ``pie`` set. ``versions_needed`` holds, per
    library, the symbol versions asked of it; ``versions_defined`` those that the file offers. ``stripped``
    says that there is neither a symbol table nor debugging information. ``signed`` is for kernel modules.
    ``interpreter_place`` is where the interpreter's name stands: offset and room in bytes, final NUL and all.
    """

    machine: str
    bits: int
    little_endian: bool
    kind: Kind
    interpreter: str | None = None
    interpreter_place: tuple[int, int] | None = None
    needed: tuple[str, ...] = ()
    soname: str | None = None
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()
    versions_needed: tuple[tuple[str, tuple[str, ...]], ...] = ()
    versions_defined: tuple[str, ...] = ()
    stripped: bool = True
    debug: bool = False
    pie: bool = False
    executable_stack: bool = False
    is_kernel_module: bool = False
    signed: bool = False

    @property
    def dynamic(self) -> bool:
        """Tell whether the dynamic loader has anything to do with it."""
        return self.interpreter is not None or bool(self.needed) or self.kind == "shared"


def inspect(source: bytes | Content | Path) -> Elf | None:
    """Return what an ELF file says of itself, ``None`` for a file that is no ELF file.

    Raises ``VerifyError`` for an ELF file that is truncated or makes no sense, and for one that cannot
    be read.
    """
    data = _Bytes(source)
    if data.at(0, 4) != MAGIC:
        return None
    try:
        return _Reader(data).elf()
    except VerifyError as error:
        raise VerifyError(
            error.what,
            where=error.where or data.name,
            why=error.why,
            hint="the file is damaged, or it is no program at all",
        ) from error


class _Bytes:
    """A file's bytes by region; a read beyond its end returns less."""

    def __init__(self, source: bytes | Content | Path) -> None:
        if not isinstance(source, bytes | Path | FileRef):
            source = source.read()
        self._data = source if isinstance(source, bytes) else None
        self._path = Path()
        self._start = 0
        self._window, self._window_at = b"", 0
        self.name: str | None = None
        if isinstance(source, bytes):
            self.size = len(source)
            return
        self._path = source if isinstance(source, Path) else source.path
        self.name = str(self._path)
        try:
            self.size = self._path.stat().st_size if isinstance(source, Path) else source.size
        except OSError as error:
            raise self._unreadable(error) from error
        self._start = 0 if isinstance(source, Path) else source.offset

    def _unreadable(self, error: OSError) -> VerifyError:
        return VerifyError("cannot be read", where=self.name, why=error.strerror or str(error))

    def at(self, offset: int, size: int) -> bytes:
        size = min(size, self.size - offset)
        if offset < 0 or size <= 0:
            return b""
        if self._data is not None:
            return self._data[offset : offset + size]
        start = offset - self._window_at
        if start < 0 or start + size > len(self._window):
            # Records lie side by side: one read serves many of them.
            wanted = min(max(size, _WINDOW), self.size - offset)
            try:
                with self._path.open("rb") as file:
                    file.seek(self._start + offset)
                    self._window, self._window_at, start = file.read(wanted), offset, 0
            except OSError as error:
                raise self._unreadable(error) from error
        return self._window[start : start + size]

    def exactly(self, offset: int, size: int, what: str) -> bytes:
        found = self.at(offset, size)
        if len(found) != size:
            raise VerifyError(f"ELF file: {what} lies beyond the end of the file")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Segment:
    kind: object
    offset: int
    address: int
    size: int
    flags: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    name: str
    kind: object


class _Reader:
    """Reads one file. Record layouts come from pyelftools, every offset and count is checked here."""

    def __init__(self, data: _Bytes) -> None:
        from elftools.elf.structs import ELFStructs  # noqa: PLC0415 - slow to import, and not always needed

        self._data = data
        ident = data.exactly(0, 16, "the header")
        if ident[4] not in (1, 2) or ident[5] not in (1, 2):
            raise VerifyError("ELF file: neither 32 nor 64 bits, or of no known byte order")
        self._versions_left = _MAX_VERSIONS
        self._bits = 32 * ident[4]
        self._little = ident[5] == 1
        self._structs: Any = ELFStructs(little_endian=self._little, elfclass=self._bits)
        self._structs.create_basic_structs()
        self._header = self._record(self._structs.Elf_Ehdr, 0, "the header")
        self._structs.create_advanced_structs(
            self._header["e_type"], self._header["e_machine"], self._header["e_ident"]["EI_OSABI"]
        )
        self._segments = tuple(self._read_segments())
        self._sections = tuple(self._read_sections())
        self._tags: Mapping[object, tuple[int, ...]] = self._read_tags()

    def elf(self) -> Elf:
        """Put it together."""
        tags = self._tags
        kinds = {section.kind for section in self._sections}
        names = {section.name for section in self._sections}
        debug = any(name.startswith((".debug_", ".zdebug_")) for name in names)
        place = self._interpreter_place()
        interpreter = None if place is None else _text(self._data.exactly(*place, _NAME).split(b"\0", 1)[0])
        soname = next(iter(self._strings("DT_SONAME")), None)
        pie = self._header["e_type"] == "ET_DYN" and (
            any(value & _DF_1_PIE for value in tags.get("DT_FLAGS_1", ()))
            or (interpreter is not None and soname is None)
        )
        module = self._header["e_type"] == "ET_REL" and ".modinfo" in names
        stack = [segment.flags for segment in self._segments if segment.kind == "PT_GNU_STACK"]
        return Elf(
            machine=_machine(self._header["e_machine"]),
            bits=self._bits,
            little_endian=self._little,
            kind="executable" if pie else _kind(self._header["e_type"]),
            interpreter=interpreter,
            interpreter_place=place,
            needed=tuple(dict.fromkeys(self._strings("DT_NEEDED"))),
            soname=soname,
            rpath=_folders(self._strings("DT_RPATH")),
            runpath=_folders(self._strings("DT_RUNPATH")),
            versions_needed=self._versions_needed(),
            versions_defined=self._versions_defined(),
            stripped="SHT_SYMTAB" not in kinds and not debug,
            debug=debug,
            pie=pie,
            executable_stack=any(flags & _PF_X for flags in stack),
            is_kernel_module=module,
            signed=module and self._data.at(self._data.size - len(_SIGNED), len(_SIGNED)) == _SIGNED,
        )

    def _record(self, layout: Any, offset: int, what: str) -> Any:  # noqa: ANN401 - a record of pyelftools
        from elftools.construct import ConstructError  # noqa: PLC0415 - as above

        try:
            return layout.parse(self._data.exactly(offset, layout.sizeof(), what))
        except (ConstructError, ValueError, KeyError) as error:
            raise VerifyError(f"ELF file: {what} cannot be read", why=str(error) or None) from error

    # -- headers

    def _table(self, prefix: str, layout: Any, count: int, most: int) -> range:  # noqa: ANN401 - as above
        """Return the offsets of a table's records, checked to lie within the file."""
        start, step = self._header[f"e_{prefix}off"], self._header[f"e_{prefix}entsize"]
        if not start or not count:
            return range(0)
        if step < layout.sizeof() or count > most:
            raise VerifyError(
                f"ELF file: its table of {prefix} headers makes no sense ({count} of {step} bytes)"
            )
        if start + count * step > self._data.size:
            raise VerifyError(
                f"ELF file: its table of {prefix} headers lies beyond the end of the file",
                why=f"it would end at byte {start + count * step}, the file has {self._data.size}",
            )
        return range(start, start + count * step, step)

    def _read_segments(self) -> Iterator[_Segment]:
        layout = self._structs.Elf_Phdr
        for offset in self._table("ph", layout, self._header["e_phnum"], _MAX_SEGMENTS):
            found = self._record(layout, offset, "a program header")
            yield _Segment(
                kind=found["p_type"],
                offset=found["p_offset"],
                address=found["p_vaddr"],
                size=found["p_filesz"],
                flags=found["p_flags"],
            )

    def _read_sections(self) -> Iterator[_Section]:
        layout = self._structs.Elf_Shdr
        if not self._header["e_shoff"]:
            return
        count, names = self._header["e_shnum"], self._header["e_shstrndx"]
        if count == 0 or names == "SHN_XINDEX":
            # More than fit into the header: the first section header holds the figures.
            first = self._record(layout, self._header["e_shoff"], "the first section header")
            count, names = count or first["sh_size"], first["sh_link"]
        found = [
            self._record(layout, offset, "a section header")
            for offset in self._table("sh", layout, count, _MAX_SECTIONS)
        ]
        text = b""
        if isinstance(names, int) and 0 < names < len(found):
            size = found[names]["sh_size"]
            if size > _MAX_NAMES:
                raise VerifyError("ELF file: its section names take more room than any real file's")
            text = self._data.exactly(found[names]["sh_offset"], size, "the table of section names")
        for section in found:
            start = section["sh_name"]
            name = text[start : start + 64].split(b"\0", 1)[0]
            yield _Section(name=name.decode(errors="replace"), kind=section["sh_type"])

    # -- what the loader reads

    def _interpreter_place(self) -> tuple[int, int] | None:
        for segment in self._segments:
            if segment.kind == "PT_INTERP":
                if not 0 < segment.size <= _MAX_STRING:
                    raise VerifyError("ELF file: the name of its interpreter makes no sense")
                return segment.offset, segment.size
        return None

    def _read_tags(self) -> dict[object, tuple[int, ...]]:
        found: dict[object, tuple[int, ...]] = {}
        layout = self._structs.Elf_Dyn
        step = layout.sizeof()
        for segment in self._segments:
            if segment.kind != "PT_DYNAMIC" or not segment.size:
                continue
            if segment.size // step > _MAX_TAGS:
                raise VerifyError("ELF file: its dynamic section is larger than any real file's")
            for offset in range(segment.offset, segment.offset + segment.size - step + 1, step):
                entry = self._record(layout, offset, "the dynamic section")
                if entry["d_tag"] == "DT_NULL":
                    break
                found[entry["d_tag"]] = (*found.get(entry["d_tag"], ()), entry["d_val"])
        return found

    def _offset(self, address: int, what: str) -> int:
        """Return where in the file an address of the loaded program is."""
        for segment in self._segments:
            if segment.kind == "PT_LOAD" and 0 <= address - segment.address < segment.size:
                return segment.offset + address - segment.address
        raise VerifyError(f"ELF file: {what} is at an address that nothing is loaded to")

    def _string(self, index: int) -> str:
        table = self._tags.get("DT_STRTAB")
        if table is None:
            raise VerifyError("ELF file: its dynamic section has names and no table of strings")
        start = self._offset(table[0], "the table of strings") + index
        found, end, _ = self._data.at(start, _MAX_STRING).partition(b"\0")
        if not end:
            raise VerifyError("ELF file: a name in its dynamic section does not end")
        return _text(found)

    def _strings(self, tag: str) -> tuple[str, ...]:
        return tuple(self._string(index) for index in self._tags.get(tag, ()))

    def _versions_needed(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        found: dict[str, tuple[str, ...]] = {}
        for offset, entry in self._chain("DT_VERNEED", self._structs.Elf_Verneed, "vn_next"):
            inner = self._linked(offset + entry["vn_aux"], self._structs.Elf_Vernaux, "vna_next")
            names = (self._string(item["vna_name"]) for _, item in inner)
            library = self._string(entry["vn_file"])
            found[library] = tuple(dict.fromkeys((*found.get(library, ()), *names)))
        return tuple(found.items())

    def _versions_defined(self) -> tuple[str, ...]:
        found = []
        for offset, entry in self._chain("DT_VERDEF", self._structs.Elf_Verdef, "vd_next"):
            if not entry["vd_flags"] & _VER_FLG_BASE:
                first = self._record(self._structs.Elf_Verdaux, offset + entry["vd_aux"], "a symbol version")
                found.append(self._string(first["vda_name"]))
        return tuple(dict.fromkeys(found))

    def _chain(self, tag: str, layout: Any, following: str) -> Iterator[tuple[int, Any]]:  # noqa: ANN401 - as above
        for address in self._tags.get(tag, ())[:1]:
            yield from self._linked(self._offset(address, "the symbol versions"), layout, following)

    def _linked(self, start: int, layout: Any, following: str) -> Iterator[tuple[int, Any]]:  # noqa: ANN401
        """Follow records that say how far on the next one is; these only ever lead forwards."""
        offset = start
        while self._versions_left:
            self._versions_left -= 1
            entry = self._record(layout, offset, "the symbol versions")
            yield offset, entry
            if not entry[following]:
                return
            offset += entry[following]
        raise VerifyError("ELF file: more symbol versions than any real file has")


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


def _folders(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(folder for value in values for folder in value.split(":") if folder)


def _machine(value: object) -> str:
    return f"{value:#x}" if isinstance(value, int) else str(value).removeprefix("EM_").lower()


def _kind(value: object) -> Kind:
    kinds: Mapping[object, Kind] = {
        "ET_REL": "object",
        "ET_EXEC": "executable",
        "ET_DYN": "shared",
        "ET_CORE": "core",
    }
    if value not in kinds:
        raise VerifyError(f"ELF file: of no known type ({value})")
    return kinds[value]
