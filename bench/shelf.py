"""Stand-in packages for an image: a base in layers, a kernel, loaders of this machine, real .tcz files."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.data import program, root_tree
from bench.harness import Skipped, shell
from tcz import cpio, tar
from tcz.model import Built, BuiltPackage, ResolvedSource
from tcz.store import sha256_file
from tcz.tree import Tree, regular

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tcz.model import Form

LOADERS: Final = {
    "isolinux.bin": Path("/usr/lib/ISOLINUX/isolinux.bin"),
    "isohdpfx.bin": Path("/usr/lib/ISOLINUX/isohdpfx.bin"),
    "ldlinux.c32": Path("/usr/lib/syslinux/modules/bios/ldlinux.c32"),
}
EXTENSIONS: Final = ("engine", "daemon", "runtime", "client")
_BASE: Final = 8 << 20
_EXTENSION: Final = 10 << 20
_KERNEL: Final = 4 << 20
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
        self._stands: list[Stand] = []

    def put(self, name: str, form: Form, path: Path) -> None:
        """Add a package that needs no other."""
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
        self._stands.append(Stand(package=package, built=built))

    def packages(self, names: Sequence[str]) -> tuple[BuiltPackage, ...]:
        """See ``image.Supplier``."""
        return tuple(one.package for one in self._stands if one.package.name in names)

    def built(self, package: str) -> Built:
        """See ``image.Supplier``."""
        return next(one.built for one in self._stands if one.package.name == package)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """The shelf, and the same content in the form that peers start from."""

    shelf: Shelf
    base: Path
    kernel: Path
    extensions: tuple[Path, ...]


def stock(folder: Path) -> Stock:
    """Make all packages below ``folder``; needs mksquashfs. Raises ``Skipped`` without ISOLINUX."""
    need_loaders()
    folder.mkdir(parents=True)
    shelf = Shelf()
    base = root_tree(_BASE, 6)
    layers = {"floe-base": base, "kernel-base": Tree({"lib/modules/6.1/modules.dep": regular(b"")})}
    layers |= {name: Tree({f"lib/{name}": regular(name.encode())}) for name in ("glibc", "busybox", "sudo")}
    for name, tree in layers.items():
        tar.write(tree, folder / f"{name}.tar")
        shelf.put(name, "layer", folder / f"{name}.tar")
    for name in ("kernel", "syslinux", "grub-efi"):
        (folder / name).mkdir()
    (folder / "kernel/vmlinuz").write_bytes(program(_KERNEL, 7))
    (folder / "grub-efi/efiboot.img").write_bytes(bytes(1 << 20))
    for name, path in LOADERS.items():
        shutil.copyfile(path, folder / "syslinux" / name)
    for name in ("kernel", "syslinux", "grub-efi"):
        shelf.put(name, "files", folder / name)
    for number, name in enumerate(EXTENSIONS):
        _extension(folder, name, number)
        shelf.put(name, "extension", folder / f"{name}.tcz")
    (folder / "core.gz").write_bytes(cpio.compress(cpio.dumps(base), "gzip", 9))
    return Stock(
        shelf=shelf,
        base=folder / "core.gz",
        kernel=folder / "kernel/vmlinuz",
        extensions=tuple(folder / f"{name}.tcz" for name in EXTENSIONS),
    )


def _extension(folder: Path, name: str, number: int) -> None:
    tree, tcz = folder / f"{name}.tree", folder / f"{name}.tcz"
    (tree / "usr/local/bin").mkdir(parents=True)
    (tree / "usr/local/bin" / name).write_bytes(program(_EXTENSION, 20 + number))
    options = "-comp gzip -no-xattrs -all-root -noappend -no-progress -quiet"
    shell(f'mksquashfs "$1" "$2" {options}; rm -r "$1"', tree, tcz)
    digest = hashlib.md5(tcz.read_bytes()).hexdigest()  # noqa: S324 - Tiny Core's own check
    Path(f"{tcz}.md5.txt").write_text(f"{digest}  {tcz.name}\n")
