"""What ``--kernel`` means for an image: a package, a folder or a file, or the base's own kernel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from remaster import base as bases
from remaster import compressors, kconfig
from remaster.kernels import given as opening
from remaster.kernels import packing, placing, supply
from remaster.supply import FileSupplier, local, named
from remaster.survey.look import too_old
from remaster.survey.rootfacts import libc_kernel, node_at
from tcz.errors import ConfigError, VerifyError
from tcz.kmod import reads
from tcz.workshop import Supplied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from remaster.image import Request
    from remaster.kernels.given import Given
    from remaster.supply import Own, WorkshopSupplier
    from tcz.compress import Compression
    from tcz.errors import Problem
    from tcz.kmod.reads import Modprobe
    from tcz.paths import Dirs
    from tcz.squashfs.options import SquashOptions
    from tcz.tree import Tree

_MODPROBES: Final = ("sbin/modprobe", "usr/sbin/modprobe", "bin/modprobe", "bin/busybox")
_OUR_ARCHITECTURE: Final = "x86_64"


def given(option: str | None, dirs: Dirs) -> Given | None:
    """Return the kernel of a folder or file that an option names, ``None`` where it names a package."""
    if option is None or not opening.is_given(option, Path(option)):
        return None
    return opening.open_given(Path(option), dirs)


def own_kernel(option: str) -> str:
    """Return the package that an option names, for a base of our own, which has no kernel to keep."""
    if option == "base":
        raise ConfigError("--kernel base is for bases that bring a kernel; floe has none of its own")
    return option


def modprobe_of(root: Tree) -> Modprobe:
    """Tell which modprobe a root has."""
    for path in _MODPROBES:
        node = node_at(root, path)
        if node is not None and node.is_file:
            return reads.of_program(node.read())
    return reads.Modprobe(make="")


def check_modules(root: Tree, layer: Tree, package: str) -> None:
    """Raise ``ConfigError`` where the modprobe of a root cannot read the modules of a layer."""
    modprobe = modprobe_of(root)
    unread = sorted(suffix for suffix in placing.suffixes(layer) if not modprobe.reads(suffix))
    if unread:
        can = ", ".join(f".ko.{suffix}" for suffix in modprobe.packed) or "plain ones only"
        raise ConfigError(
            f"the modules of {package} are packed as .ko.{unread[0]}, which the base's modprobe "
            f"({modprobe.make}) cannot read: it reads {can}",
            hint="give the kernel's folder to --kernel: its modules are unpacked then",
        )


def check_libc(root: Tree, release: str) -> None:
    """Raise ``ConfigError`` where a root's libc wants a newer kernel than ``release``."""
    oldest = libc_kernel(root)
    if oldest is not None and release and too_old(release, oldest.value):
        raise ConfigError(
            f"the base's libc wants Linux {oldest.value} or newer, and the kernel is {release}",
            hint="give another one with --kernel",
        )


def check_given(kernel: Given, architecture: str, options: SquashOptions) -> None:
    """Raise ``ConfigError`` for a kernel that cannot run a base, or is known not to mount its packages."""
    if architecture == _OUR_ARCHITECTURE and kernel.architecture != _OUR_ARCHITECTURE:
        raise ConfigError(
            f"{kernel.origin} is a kernel for {kernel.architecture}, and the base is for {architecture}"
        )
    config = config_of(kernel)
    if config is None or options.compressor == "gzip":
        return
    symbol = f"SQUASHFS_{options.compressor.upper()}"
    if config.value(symbol) == "n":
        raise ConfigError(
            f"packages of this base are packed by {options.compressor}, "
            f"which {kernel.origin} does not read: CONFIG_{symbol} is not set"
        )


def config_of(kernel: Given) -> kconfig.KernelConfig | None:
    """Return a kernel's configuration: the file beside it, or what the image holds."""
    for data in (kernel.config, kernel.image.read()):
        try:
            return kconfig.find(data)
        except VerifyError:
            continue
    return None


def compressor_for(kernel: Given) -> Compression:
    """Return the compressor for an initrd that packs smallest of those that a kernel is known to read."""
    config = config_of(kernel)
    return compressors.USUAL if config is None else compressors.smallest(config)


def supplier(
    asked: Request,
    own: WorkshopSupplier,
    dirs: Dirs,
    tell: Callable[[str], None],
    *,
    files: Mapping[str, Path],
    alone: bool,
) -> Own:
    """Return what supplies packages: first ``files`` by name, then recipes and what is for the kernel.

    See ``supply.KernelSupplier``. A kernel's recipe brings its own modules; a kernel that a user brings
    becomes packages; for a base that keeps its kernel, what follows it and is missing is told and not
    refused, for the base may do without.
    """
    found = asked.foreign
    there = () if found is None else (one.name for one in found.examined.survey.extensions)
    present = frozenset(there)
    elsewhere = present | set(files)
    if asked.given is not None:
        supplied = _of_given(asked, asked.given, own, dirs, tell, elsewhere=elsewhere, alone=alone)
    elif found is None or asked.needs().kernel:
        own.prefer(asked.needs().kernel)
        supplied = own
    else:
        supplied = _of_kept(found.kernel, own, tell, elsewhere=elsewhere, alone=alone)
    if found is None and not files:
        return supplied
    kernel = "" if found is None or asked.needs().kernel else found.kernel
    return FileSupplier(supplied, files, kernel=kernel, present=present, alone=alone)


def _of_kept(
    release: str,
    own: WorkshopSupplier,
    tell: Callable[[str], None],
    *,
    elsewhere: frozenset[str],
    alone: bool,
) -> Own:
    def absent(problems: Sequence[Problem]) -> None:
        for problem in problems:
            tell(f"{problem.where}: {problem.message}, and the base keeps its kernel")

    return supply.KernelSupplier(own, release, elsewhere=elsewhere, alone=alone, absent=absent)


def _of_given(
    asked: Request,
    kernel: Given,
    own: WorkshopSupplier,
    dirs: Dirs,
    tell: Callable[[str], None],
    *,
    elsewhere: frozenset[str],
    alone: bool,
) -> Own:
    spec = asked.needs()

    def make() -> Iterable[Supplied]:
        if asked.foreign is not None:
            root = asked.foreign.examined.root
        else:
            layers = [name for name in spec.layers if name != f"{kernel.name}-base"]
            root = bases.assemble(own.packages(layers))
        modprobe = modprobe_of(root)
        packed = packing.pack(kernel, modprobe, spec.squashfs, dirs)
        if packed.unpacked:
            tell(f"the base's modprobe ({modprobe.make}) cannot read the kernel's modules packed: unpacked")
        if not kernel.count:
            tell(f"{kernel.origin} has no modules: all that is needed must be built in")
        made = [Supplied(package=package, built=packed.built) for package in packed.packages]
        beside = (Supplied(package=package, built=built) for package, built in map(local, kernel.packages))
        # What lies beside the kernel takes the place of what is made of its modules.
        return {one.package.name: one for one in (*made, *beside)}.values()

    names = (kernel.name, f"{kernel.name}-base", f"modules-{kernel.release}", *map(named, kernel.packages))
    refuse = supply.refuse(kernel.release)
    return supply.KernelSupplier(
        own, kernel.release, names, make, elsewhere=elsewhere, alone=alone, absent=refuse
    )
