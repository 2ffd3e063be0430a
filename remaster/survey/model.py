"""The facts of an image. Each says where it was found, so that a reader can look for himself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["iso", "initrd", "folder", "root", "disk", "qcow2", "tar"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that was found, and where."""

    value: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveShape:
    """One archive in a member of an initrd."""

    format: str
    entries: int
    microcode: bool
    acpi: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberShape:
    """One member of an initrd: where it lies, how it is packed, what is in it."""

    offset: int
    size: int
    unpacked: int
    compressor: str
    archives: tuple[ArchiveShape, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InitrdFile:
    """An initrd: its path, its shape, and what it holds by kind.

    ``root`` says that it has an /init, ``modules`` names the kernel releases it has modules for.
    """

    path: str
    size: int
    members: tuple[MemberShape, ...]
    entries: int
    unpacked: int
    root: bool
    modules: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelFile:
    """A kernel image, by its own header."""

    path: str
    size: int
    release: str
    architecture: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Loader:
    """A boot loader: for which firmware, which program, its version where it tells one."""

    firmware: str
    program: str
    version: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BootEntry:
    """One entry of a boot menu: what is started, with which initrds and which words.

    ``elsewhere`` says that its files are on another device, or that where they are cannot be told from here.
    """

    program: str
    label: str
    title: str
    kernel: str
    initrds: tuple[str, ...]
    words: tuple[str, ...]
    default: bool
    where: str
    elsewhere: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionFound:
    """A partition of a disk: what the table says, and the file system that is in it.

    ``chosen`` is the one whose files were looked at; ``fault`` says why its files could not be read.
    """

    number: int
    name: str
    kind: str
    offset: int
    size: int
    file_system: str
    label: str
    uuid: str
    files: int | None
    chosen: bool
    fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """A package: its version where one is told, and where it lies."""

    name: str
    version: str
    size: int
    where: str
    onboot: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cde:
    """A folder of packages that is loaded at boot: /cde of a medium, or /tmp/builtin of a root.

    ``lists`` pairs the names of list files with the packages they name; ``flags`` are other files there.
    """

    where: str
    lists: tuple[tuple[str, tuple[str, ...]], ...]
    packages: int
    size: int
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageLine:
    """A package as our manifest lists it."""

    name: str
    version: str
    role: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnManifest:
    """The manifest of an image that this toolkit made; ``text`` is the whole of it."""

    where: str
    variant: str
    version: str
    base: str
    kernel: str
    boot_codes: tuple[str, ...]
    services: tuple[str, ...]
    packages: tuple[PackageLine, ...]
    edits: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """All that was found; ``None`` and empty for what was not.

    ``libc_kernel`` is the oldest kernel that the libc starts on. ``contradictions`` are sentences on
    facts that do not fit together, ``unread`` on parts that could not be read.
    """

    path: str
    kind: Kind
    size: int
    volume_id: Fact | None = None
    table: str = ""
    partitions: tuple[PartitionFound, ...] = ()
    names: str = ""
    hybrid: bool = False
    distribution: Fact | None = None
    release: Fact | None = None
    architecture: Fact | None = None
    libc: Fact | None = None
    libc_kernel: Fact | None = None
    kernel: Fact | None = None
    modules: tuple[Fact, ...] = ()
    kernels: tuple[KernelFile, ...] = ()
    initrds: tuple[InitrdFile, ...] = ()
    loaders: tuple[Loader, ...] = ()
    entries: tuple[BootEntry, ...] = ()
    timeout: Fact | None = None
    cde: tuple[Cde, ...] = ()
    extensions: tuple[Extension, ...] = ()
    installed: tuple[str, ...] = ()
    manifest: OwnManifest | None = None
    files: int = 0
    root_entries: int = 0
    root_size: int = 0
    contradictions: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
