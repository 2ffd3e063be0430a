"""Stand-ins for what an image is made of: a base, a kernel, loaders of this machine, real .tcz files."""

from __future__ import annotations

import functools
import hashlib
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.data import program, root_tree
from bench.harness import Skipped, shell
from tcz import cpio
from tcz.model import Built, BuiltPackage, ResolvedSource
from tcz.store import sha256_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tcz.model import Form

LOADERS: Final = {
    "isolinux.bin": Path("/usr/lib/ISOLINUX/isolinux.bin"),
    "isohdpfx.bin": Path("/usr/lib/ISOLINUX/isohdpfx.bin"),
    "ldlinux.c32": Path("/usr/lib/syslinux/modules/bios/ldlinux.c32"),
}
EXTENSIONS: Final = ("engine", "daemon", "runtime", "client")
LOADER_PACKAGES: Final = ("syslinux", "grub-efi")
_BASE: Final = 16 << 20
_EXTENSION: Final = 20 << 20
_PROGRAMS: Final = (Path("/usr/bin"), Path("/usr/lib/x86_64-linux-gnu"))
_LARGE: Final = 300_000
_KERNEL: Final = 6 << 20
_SUMS: Final = "SHA256SUMS"


def need_loaders() -> None:
    """Raise ``Skipped`` where ISOLINUX is not installed."""
    for path in LOADERS.values():
        if not path.is_file():
            raise Skipped(f"{path.name} not installed (packages isolinux and syslinux-common)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """A package and where it came from."""

    package: BuiltPackage
    built: Built


class Shelf:
    """A supplier of the packages that were put on it, all of which it supplies."""

    def __init__(self) -> None:
        """Nothing is on it."""
        self._stands: dict[str, Stand] = {}

    def put(self, name: str, form: Form, path: Path) -> None:
        """Add a package that needs no other, or put it in the place of one of its name."""
        files = [path] if path.is_file() else sorted(one for one in path.iterdir() if one.name != _SUMS)
        if form == "files":
            (path / _SUMS).write_text("".join(f"{sha256_file(one)}  {one.name}\n" for one in files))
        digest = sha256_file(path / _SUMS if form == "files" else path)
        size = sum(one.stat().st_size for one in files)
        package = BuiltPackage(
            name=name, form=form, path=path, sha256=digest, size=size, installed=2 * size, needs=()
        )
        source = ResolvedSource(
            kind="local", name=name, version="1", hash=f"sha256:{digest}", origin="made by the benchmark"
        )
        built = Built(
            recipe=name,
            version="1",
            build_id=digest,
            content_id=digest,
            folder=path.parent,
            packages=(package,),
            sources=(source,),
            root=(),
            license="Apache-2.0",
            homepage="https://example.net",
            summary=name,
        )
        self._stands[name] = Stand(package=package, built=built)

    def packages(self, names: Sequence[str]) -> tuple[BuiltPackage, ...]:
        """See ``image.Supplier``."""
        return tuple(one.package for name, one in self._stands.items() if name in names)

    def built(self, package: str) -> Built:
        """See ``image.Supplier``."""
        return self._stands[package].built


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """The shelf, and the same content in the form that peers start from."""

    folder: Path
    shelf: Shelf
    base: Path
    kernel: Path
    extensions: tuple[Path, ...]

    def change(self, number: int) -> None:
        """Put one of the two versions of the last extension there."""
        path = self.extensions[-1]
        shutil.copyfile(path.with_suffix(f".{number % 2}"), path)
        self.shelf.put(path.stem, "extension", path)


def stock(folder: Path) -> Stock:
    """Make all packages below ``folder``; needs mksquashfs. Raises ``Skipped`` without ISOLINUX."""
    need_loaders()
    folder.mkdir(parents=True)
    base = root_tree(_BASE, 6)
    (folder / "core.gz").write_bytes(cpio.compress(cpio.dumps(base), "gzip", 9))
    (folder / "vmlinuz").write_bytes(_kernel())
    for name in LOADER_PACKAGES:
        (folder / name).mkdir()
    (folder / "grub-efi/efiboot.img").write_bytes(bytes(1 << 20))
    for name, path in LOADERS.items():
        shutil.copyfile(path, folder / "syslinux" / name)
    for number, name in enumerate(EXTENSIONS):
        _extension(folder / f"{name}.tcz", name, number)
    last = folder / f"{EXTENSIONS[-1]}.tcz"
    shutil.copyfile(last, last.with_suffix(".0"))
    _extension(last.with_suffix(".1"), EXTENSIONS[-1], len(EXTENSIONS))
    return stocked(folder)


def stocked(folder: Path) -> Stock:
    """Return what ``stock`` made."""
    shelf = Shelf()
    for name in LOADER_PACKAGES:
        shelf.put(name, "files", folder / name)
    for name in EXTENSIONS:
        shelf.put(name, "extension", folder / f"{name}.tcz")
    return Stock(
        folder=folder,
        shelf=shelf,
        base=folder / "core.gz",
        kernel=folder / "vmlinuz",
        extensions=tuple(folder / f"{name}.tcz" for name in EXTENSIONS),
    )


def _kernel() -> bytes:
    """Return what has a kernel's header (the boot protocol of Linux/x86), with content like a program's."""
    made = bytearray(program(_KERNEL, 7))
    made[510:512], made[0x202:0x206] = b"\x55\xaa", b"HdrS"
    struct.pack_into("<HIHH", made, 0x206, 0x20F, 0, 0, 0x600)
    struct.pack_into("<H", made, 0x236, 1)
    text = b"6.12.0-bench (b@b) #1\0"
    made[0x800 : 0x800 + len(text)] = text
    return bytes(made)


def _extension(tcz: Path, name: str, number: int) -> None:
    tree = tcz.with_suffix(".tree")
    (tree / "usr/local/bin").mkdir(parents=True)
    for program_name, data in _programs(name, number):
        (tree / "usr/local/bin" / program_name).write_bytes(data)
    options = "-comp gzip -no-xattrs -all-root -noappend -no-progress -quiet"
    shell(f'mksquashfs "$1" "$2" {options}; rm -r "$1"', tree, tcz)
    digest = hashlib.md5(tcz.read_bytes()).hexdigest()  # noqa: S324 - Tiny Core's own check
    Path(f"{tcz}.md5.txt").write_text(f"{digest}  {tcz.name}\n")


def _programs(name: str, number: int) -> Iterator[tuple[str, bytes]]:
    """Give programs and libraries of this machine, other ones for each number, and what is like them."""
    left = _EXTENSION
    for path in _large()[number :: len(EXTENSIONS) + 1]:
        data = path.read_bytes()
        if data.startswith(b"\x7fELF") and len(data) <= left:
            yield path.name, data
            left -= len(data)
    yield name, program(left, 20 + number)


@functools.cache
def _large() -> tuple[Path, ...]:
    files = [path for folder in _PROGRAMS for path in folder.glob("*") if path.is_file()]
    sizes = {path.resolve(): path.stat().st_size for path in files}
    return tuple(sorted((path for path, size in sizes.items() if size > _LARGE), key=lambda p: -sizes[p]))
