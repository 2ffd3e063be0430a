"""Bases: what an image's root file system is made from before anything of its own is laid over it.

``Base`` is what an image is built upon, whoever made it. There are two makers: ``floe`` lays layers (tar
files built from recipes) over each other in the order of bases/floe.toml; ``remaster.foreign`` takes what
it finds in an image or in files of Tiny Core, or of anybody who remastered it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remaster.plan import Loaders, MediumFile, Source, Starts
from tcz import tar, toml
from tcz.errors import ConfigError, VerifyError
from tcz.squashfs.options import COMPRESSORS, SquashOptions
from tcz.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tcz.model import BuiltPackage
    from tcz.paths import Dirs

SHIPPED: Final = Path(__file__).parent / "bases"
DEFAULT: Final = "floe"
_SERIES = re.compile(r"corepure64-([1-9]\d{0,2}\.x)")
_VERSION = re.compile(r"(core|tinycore)pure64-(([1-9]\d{0,2})(?:\.\d{1,2}){1,2})")
#: How Tiny Core spells its editions in the names of ISO images.
_EDITIONS: Final = {"core": "CorePure64", "tinycore": "TinyCorePure64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What can be fetched from a mirror of Tiny Core: the newest of a series, or one version's ISO image."""

    name: str
    series: str
    version: str = ""
    image: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseSpec:
    """A base's file: names of packages, ``{kernel}`` already filled in."""

    name: str
    summary: str
    layers: tuple[str, ...]
    kernel: str
    bios: str
    uefi: str
    squashfs: SquashOptions
    skeleton: str = ""

    def packages(self) -> tuple[str, ...]:
        """Return every package the base needs; what it has itself is empty."""
        return tuple(name for name in (*self.layers, self.kernel, self.bios, self.uefi) if name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What an image is built upon.

    ``root`` has the edits made. ``keep`` are files of the base's medium that stay. ``initrds`` are the
    base's own, byte for byte, and ``unpacked`` is the tree that they make: where they are there, an image
    can leave them as they are and append to them.
    """

    root: Tree
    kernel: Source
    loaders: Loaders
    starts: Starts = field(default_factory=Starts)
    keep: tuple[MediumFile, ...] = ()
    initrds: tuple[Source, ...] = ()
    unpacked: Tree | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The base that was chosen, and the reason in words for the user."""

    name: str
    why: str


def names() -> tuple[str, ...]:
    """Return the bases that can be built upon."""
    return tuple(sorted(file.stem for file in SHIPPED.glob("*.toml")))


def choose(option: str | None, dirs: Dirs) -> Choice:
    """Apply the rule: the option, else ``base`` in the user's config.toml, else floe.

    Raises ``ConfigError`` for a base that is unknown or cannot be built upon yet.
    """
    config = dirs.config / "config.toml"
    configured = _configured(config)
    if option is not None:
        choice = Choice(name=option, why="as --base says")
    elif configured:
        choice = Choice(name=configured, why=f"as {config} says")
    else:
        choice = Choice(name=DEFAULT, why="no other is given or configured")
    _check_known(choice)
    return choice


def _configured(config: Path) -> str:
    if not config.is_file():
        return ""
    document = toml.read(config)
    value = document.root.string("base", "")
    document.root.ignore_rest()
    document.finish("the configuration")
    return value


def release_of(name: str) -> Release | None:
    """Return the release that a base such as ``corepure64-17.x`` or ``tinycorepure64-17.1`` names."""
    if found := _SERIES.fullmatch(name):
        return Release(name=name, series=found[1])
    if found := _VERSION.fullmatch(name):
        edition, version, series = found.groups()
        return Release(
            name=name, series=f"{series}.x", version=version, image=f"{_EDITIONS[edition]}-{version}.iso"
        )
    return None


def is_foreign(name: str) -> bool:
    """Tell a base that is not one of ours: a file, a folder, several files, a release of Tiny Core."""
    if name in names():
        return False
    return release_of(name) is not None or "/" in name or any(Path(part).exists() for part in name.split(","))


def _check_known(choice: Choice) -> None:
    if choice.name in names():
        return
    if is_foreign(choice.name):
        absent = [part for part in choice.name.split(",") if not Path(part).exists()]
        if release_of(choice.name) is None and absent:
            raise ConfigError(f"there is no base at {', '.join(absent)} ({choice.why})", hint=_HINT)
        return
    raise ConfigError(
        f"there is no base {choice.name!r} ({choice.why})",
        hint=toml.guess(choice.name, (*names(), "corepure64-17.x")) or _HINT,
    )


_HINT: Final = (
    "a base is floe, an ISO image, a folder, files such as rootfs64.gz,modules64.gz,vmlinuz64, "
    "or a release such as corepure64-17.x or tinycorepure64-17.1"
)


def load(name: str, kernel: str) -> BaseSpec:
    """Read a base's file for a variant's kernel package."""
    document = toml.read(SHIPPED / f"{name}.toml")
    table = document.root
    table.integer("schema", low=1, high=1)
    table.string("name")

    def filled(text: str) -> str:
        return text.replace("{kernel}", kernel)

    extensions = table.table("squashfs")
    spec = BaseSpec(
        name=name,
        summary=table.string("summary"),
        layers=tuple(filled(layer) for layer in table.strings("layers")),
        kernel=filled(table.string("kernel")),
        bios=table.string("bios"),
        uefi=table.string("uefi"),
        squashfs=SquashOptions(
            compressor=extensions.choice("compressor", COMPRESSORS),
            block=extensions.integer("block"),
            x86=extensions.boolean("x86"),
        ),
        skeleton=table.string("skeleton", ""),
    )
    document.finish(f"base {name}")
    return spec


def assemble(layers: Iterable[BuiltPackage], read: Callable[[Path], Tree] = tar.read) -> Tree:
    """Lay the layers over each other.

    Raises ``VerifyError`` where one puts a file over another's: layers are meant to be disjoint, and
    which one won would be chance.
    """
    tree = Tree()
    owner: dict[str, str] = {}
    for layer in layers:
        if layer.form != "layer":
            raise VerifyError(f"package {layer.name} is of form {layer.form}; a base is made of layers")
        over = read(layer.path)
        for path, node in over.items():
            here = tree.get(path)
            if here is not None and not (node.is_dir and (here.is_dir or here.is_link)):
                raise VerifyError(
                    f"the layers {owner[path]} and {layer.name} both have /{path}",
                    hint="keep it in one of the two recipes",
                )
            owner.setdefault(path, layer.name)
        tree = tree.overlay(over)
    return tree


def floe(spec: BaseSpec, part: Callable[[str], BuiltPackage]) -> Base:
    """Make a base of our own: layers over each other, kernel and boot loaders from packages."""
    return Base(
        root=assemble(part(name) for name in spec.layers),
        kernel=kernel_image(part(spec.kernel)),
        loaders=loaders(part(spec.bios), part(spec.uefi)),
    )


def kernel_image(package: BuiltPackage) -> Path:
    """Return the kernel image of a ``files`` package."""
    return _file(package, "vmlinuz", "vmlinuz64", "bzImage")


def release_in(package: BuiltPackage) -> str:
    """Return the release that a kernel's package tells, or an empty text."""
    file = package.path / "release"
    return file.read_text().strip() if file.is_file() else ""


def loaders(bios: BuiltPackage, uefi: BuiltPackage) -> Loaders:
    """Return the boot loaders' files."""
    isolinux, ldlinux, mbr = bios_files(bios)
    return Loaders(isolinux_bin=isolinux, ldlinux=ldlinux, mbr=mbr, efi_image=efi_image(uefi))


def bios_files(package: BuiltPackage) -> tuple[Path, Path, Path]:
    """Return isolinux.bin, ldlinux.c32 and the MBR's code."""
    return _file(package, "isolinux.bin"), _file(package, "ldlinux.c32"), _file(package, "isohdpfx.bin")


def efi_image(package: BuiltPackage) -> Path:
    """Return the EFI system partition."""
    return _file(package, "efiboot.img")


def named_file(package: BuiltPackage, name: str) -> Path:
    """Return a file of a ``files`` package."""
    return _file(package, name)


def _file(package: BuiltPackage, *wanted: str) -> Path:
    """Find a file by its name, wherever in the package's folder it is."""
    if package.form != "files":
        raise VerifyError(f"package {package.name} is of form {package.form}; plain files were expected")
    for name in wanted:
        found = sorted(package.path.rglob(name), key=lambda path: (len(path.parts), path))
        if found:
            return found[0]
    raise VerifyError(f"package {package.name} has no {wanted[0]}", where=str(package.path))
