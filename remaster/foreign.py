"""Bases that others made: Tiny Core's own images and files, remastered ones of unknown make, folders.

What such a base is comes from a survey, never from its name. Its root gets edits (``remaster.edit``), its
kernel stays or gives way to one of ours with its modules, and what lies on its medium beside the boot files
is kept.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remaster import base as bases
from remaster import edit, plan
from remaster.kept import Bases, Known
from remaster.kernels.choice import check_libc, check_modules
from remaster.menu import NORMAL, STANDARD, serial_line
from remaster.survey import look
from remaster.survey.medium import of_files, open_medium
from tcz import metadata
from tcz.errors import ConfigError, VerifyError
from tcz.names import KERNEL, follows_kernel
from tcz.squashfs.options import SquashOptions
from tcz.store import sha256_file
from tcz.tree import FileRef, Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from remaster.plan import MediumFile, Source
    from remaster.survey.look import Examined
    from remaster.survey.model import Loader
    from remaster.variant import Variant
    from tcz.model import BuiltPackage
    from tcz.paths import Dirs
    from tcz.tree import Node

#: Official packages have blocks of 4096 bytes and gzip: every kernel that mounts any reads these.
_SQUASHFS: Final = SquashOptions(compressor="gzip", block=131072, x86=False)
_FIRST_LARGE_BLOCKS: Final = 11
_HYBRID_SIGNATURE: Final = b"\xfb\xc0\x78\x70"
_MBR_CODE: Final = 432
_NEEDS_LDLINUX: Final = 5
_KEEP_KERNEL: Final = "base"
_IMAGE: Final = ".iso"
#: A package that prepares for containers, which no kernel of Tiny Core's is configured for.
_CONTAINERS: Final = "container-host"
_OWN: Final = ("floe",)
_ARCHITECTURES: Final = ("x86_64", "386")


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A base that was looked at. ``name`` is made of what was found, ``identity`` is a hash of all of it.

    ``files`` are those that it was made of, by name, and ``sums`` their sha256; a folder has none.
    """

    origin: str
    name: str
    examined: Examined
    identity: str
    files: tuple[tuple[str, Path], ...] = ()
    sums: tuple[tuple[str, str], ...] = ()

    @property
    def release(self) -> str:
        """The release of the distribution, empty where it is not told."""
        fact = self.examined.survey.release
        return "" if fact is None else fact.value

    @property
    def architecture(self) -> str:
        """The processor that its programs are for; ours where it is not told."""
        fact = self.examined.survey.architecture
        return _ARCHITECTURES[0] if fact is None else fact.value

    @property
    def kernel(self) -> str:
        """The release of its kernel, empty where it has none."""
        fact = self.examined.survey.kernel
        return "" if fact is None else fact.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A base ready to be built upon, the edits that made it so, and what the user should know."""

    base: bases.Base
    done: tuple[edit.Done, ...]
    kernel: str
    notes: tuple[str, ...]


def open_foreign(origin: str, files: dict[str, Path] | None = None, dirs: Dirs | None = None) -> Foreign:
    """Look at a base: a path, several with commas between them, or ``files`` by name (or one ISO image).

    With ``dirs`` what is found is kept in the user's cache, and not looked for again as long as the files
    are the same. Raises ``VerifyError`` for what has no root file system, or one that cannot be read.
    """
    if files is None and "," in origin and not Path(origin).exists():
        files = {Path(part).name: Path(part) for part in origin.split(",")}
    place, medium = Path(origin), None
    if files is not None and len(files) == 1 and next(iter(files)).endswith(_IMAGE):
        (place,) = files.values()
    elif files is not None:
        medium = of_files(origin, files)
    elif not place.is_file():
        medium = open_medium(place)  # a folder, or something that is not there
    alone = () if medium is not None else ((place.name, place),)
    given = tuple(alone if files is None else files.items())

    def look_at(sums: Mapping[Path, str]) -> Known:
        examined = look.examine_medium(medium or open_medium(place))
        return Known(examined=examined, identity=_identity(examined, sums))

    if dirs is None or not given:
        sums = tuple(sha256_file(path) for _, path in given)
        known = look_at({path: sha256 for (_, path), sha256 in zip(given, sums, strict=True)})
    else:
        known, sums = Bases.of_user(dirs).known(origin, given, look_at)
    return _of_known(origin, known, given, tuple(zip((name for name, _ in given), sums, strict=True)))


def _of_known(
    origin: str, known: Known, files: tuple[tuple[str, Path], ...], sums: tuple[tuple[str, str], ...]
) -> Foreign:
    examined = known.examined
    found = examined.survey
    if "init" not in examined.root:
        raise VerifyError(
            "no root file system to build upon: nothing in it has an /init",
            where=origin,
            why="\n".join(found.unread) or None,
            hint="an ISO image, an initrd such as corepure64.gz, or a folder was expected",
        )
    if found.architecture is not None and found.architecture.value not in _ARCHITECTURES:
        raise VerifyError(
            f"a base for {found.architecture.value}; images are built for x86 only",
            where=f"{origin}, {found.architecture.where}",
        )
    names = [fact.value for fact in (found.distribution, found.release) if fact is not None]
    name = re.sub(r"[^a-z0-9.]+", "-", "-".join(names).lower()).strip("-") or "unknown"
    return Foreign(
        origin=origin,
        name=name,
        examined=examined,
        identity=known.identity,
        files=files,
        sums=sums,
    )


def _identity(examined: Examined, sums: Mapping[Path, str]) -> str:
    """Return the hash of all that is given; a root that comes out of initrds follows from these.

    ``sums`` are of files that were hashed already.
    """
    digest, medium = hashlib.sha256(), examined.medium
    unpacked = medium.root is not None and medium.loaded is None
    for tree in (medium.files, examined.root) if unpacked else (medium.files,):
        digest.update(b"tree\n")
        for path, node in tree.items():
            digest.update(repr((path, node.mode, node.uid, node.gid, node.rdev, node.link)).encode())
            digest.update(_known_sha256(node, sums) or node.sha256())
    return digest.hexdigest()


def _known_sha256(node: Node, sums: Mapping[Path, str]) -> bytes | None:
    data = node.data
    if not isinstance(data, FileRef) or data.path not in sums or data.offset:
        return None
    return bytes.fromhex(sums[data.path]) if data.size == data.path.stat().st_size else None


# -- what is taken from packages ------------------------------------------------------------------


def kernel_package(foreign: Foreign, variant: Variant, option: str | None) -> str:
    """Return the kernel package that takes the base's kernel's place, empty to keep it.

    Without an option a variant that runs containers brings its kernel, any other keeps the base's.
    """
    if option == _KEEP_KERNEL:
        if not foreign.kernel:
            raise ConfigError(
                f"{foreign.origin} has no kernel to keep", hint="name its vmlinuz64 too, or another --kernel"
            )
        return ""
    if option is not None:
        return option
    wanted = _CONTAINERS in (*variant.onboot, *variant.optional)
    return variant.kernel if wanted or not foreign.kernel else ""


def spec_for(foreign: Foreign, kernel: str) -> bases.BaseSpec:
    """Return which packages the base still needs: boot loaders that it lacks, and the kernel's."""
    old = foreign.release.partition(".")[0]
    small = old.isdecimal() and int(old) < _FIRST_LARGE_BLOCKS and not kernel
    return bases.BaseSpec(
        name=foreign.name,
        summary=f"{foreign.origin}, as it was found",
        layers=(f"{kernel}-base",) if kernel else (),
        kernel=kernel,
        bios="" if _own_bios(foreign.examined) else "syslinux",
        uefi="" if _own_uefi(foreign.examined) else "grub-efi",
        squashfs=replace(_SQUASHFS, block=4096) if small else _SQUASHFS,
    )


def _loader(examined: Examined, program: str) -> Loader | None:
    return next((one for one in examined.survey.loaders if one.program == program), None)


def _own_bios(examined: Examined) -> tuple[Source, Source | None, Source] | None:
    """Return isolinux.bin, ldlinux.c32 and the MBR's code of a base that starts from CD and USB itself."""
    loader, iso, files = _loader(examined, "isolinux"), examined.medium.iso, examined.medium.files
    if loader is None or iso is None or not iso.hybrid or loader.where not in files:
        return None
    program, folder = files[loader.where], loader.where.rpartition("/")[0]
    if program.read()[0x40:0x44] != _HYBRID_SIGNATURE:
        return None
    mbr = FileRef(examined.medium.path, 0, _MBR_CODE).read()
    library = look.find(files, f"{folder}/ldlinux.c32")
    if not any(mbr) or (library is None and int(loader.version.partition(".")[0] or 0) >= _NEEDS_LDLINUX):
        return None
    return _source(program), None if library is None else _source(files[library]), mbr


def _own_uefi(examined: Examined) -> tuple[Source, str] | None:
    """Return the EFI image of a base and where its GRUB finds its menu."""
    loader = _loader(examined, "grub")
    menu = next((one.where for one in examined.survey.entries if one.program == "grub"), None)
    if loader is None or menu is None or loader.where not in examined.medium.files:
        return None
    return _source(examined.medium.files[loader.where]), menu


def _source(node: Node) -> Source:
    return node.data if isinstance(node.data, FileRef | bytes) else node.read()


# -- making ---------------------------------------------------------------------------------------


def make(
    foreign: Foreign, spec: bases.BaseSpec, variant: Variant, part: Callable[[str], BuiltPackage]
) -> Made:
    """Make the base. Raises ``ConfigError`` where an edit does not fit or the kernel is too old."""
    examined = foreign.examined
    notes: list[str] = []
    root, kernel, release = examined.root, examined.kernel, foreign.kernel
    image: Source
    if spec.kernel:
        package = part(spec.kernel)
        image, release = bases.kernel_image(package), bases.release_in(package)
        layers = bases.assemble(part(layer) for layer in spec.layers)
        check_modules(root, layers, spec.kernel)
        root = _with_modules(root, layers)
        notes += _stale(foreign)
    else:
        image = _source(examined.medium.files[kernel])
    check_kernel(foreign, release)
    edited, done = edits(foreign, root, spec, variant)
    own = [_source(examined.medium.files[path]) for path in examined.initrds]
    base = bases.Base(
        root=edited,
        kernel=image,
        loaders=_loaders(examined, spec, part),
        starts=_starts(foreign),
        keep=_kept(examined),
        initrds=tuple(own),
        unpacked=examined.root if own else None,
    )
    return Made(base=base, done=done, kernel=release, notes=tuple(notes))


def edits(
    foreign: Foreign, root: Tree, spec: bases.BaseSpec, variant: Variant
) -> tuple[Tree, tuple[edit.Done, ...]]:
    """Make the edits that a variant asks for. Raises ``ConfigError`` where one does not fit."""
    wanted = tuple(one for one in edit.shipped() if _applies(one, foreign, spec, variant))
    port, speed = _serial(variant) or (0, 115200)
    values = {"tty": f"ttyS{port}", "speed": str(speed)}
    return edit.apply(root, wanted, release=foreign.release, values=values, epoch=plan.EPOCH)


def _with_modules(root: Tree, layers: Tree) -> Tree:
    """Replace the base's modules by those of another kernel."""
    nodes = {path: node for path, node in root.items() if not path.startswith("lib/modules/")}
    return Tree(nodes).overlay(layers)


def _stale(foreign: Foreign) -> Iterator[str]:
    old = foreign.kernel
    names = [one.name for one in foreign.examined.survey.extensions if old and one.name.endswith(f"-{old}")]
    if names:
        yield f"packages for the base's kernel {old} are of no use with another one: {', '.join(names)}"


def unresolved(foreign: Foreign, release: str, names: Iterable[str]) -> Iterator[str]:
    """Tell what packages of the base's own need for its kernel, and is not there for another release.

    ``names`` are the packages that the image gets.
    """
    old, extensions = foreign.kernel, foreign.examined.survey.extensions
    there = {one.name for one in extensions} | set(names)
    for one in extensions:
        path = f"{one.where}/{one.name}.tcz.dep"
        node = foreign.examined.medium.files.get(path) or foreign.examined.root.get(path)
        if one.name.endswith(f"-{old}") or node is None or not node.is_file:
            continue
        for need in _needs(node):
            stem = need.removesuffix(KERNEL) if follows_kernel(need) else need.removesuffix(f"-{old}")
            if stem != need and f"{stem}-{release}" not in there:
                yield f"package {one.name} of the base needs {need}, and there is no {stem}-{release}"


def _needs(node: Node) -> tuple[str, ...]:
    try:
        return metadata.parse_dep(metadata.decode(node.read()))
    except ConfigError:
        return ()  # nothing that Tiny Core's loader may be given


def check_kernel(foreign: Foreign, release: str) -> None:
    """Raise ``ConfigError`` where the base's libc wants a newer kernel than ``release``."""
    check_libc(foreign.examined.root, release)


def _is_own(foreign: Foreign) -> bool:
    fact = foreign.examined.survey.distribution
    return fact is not None and fact.value in _OWN


def _applies(one: edit.Edit, foreign: Foreign, spec: bases.BaseSpec, variant: Variant) -> bool:
    if _is_own(foreign):
        return False  # our own base does all of this itself
    conditions = {
        "always": True,
        "services": bool(variant.services),
        "serial": _serial(variant) is not None,
        "containers": _CONTAINERS in (*variant.onboot, *variant.optional),
        "kernel": bool(spec.kernel),
    }
    return conditions[one.when]


def _serial(variant: Variant) -> tuple[int, int] | None:
    """Return the serial line that a variant's boot codes name, or those of an entry of its menu."""
    added = (word for entry in variant.entries for word in entry.add)
    return serial_line(variant.boot_codes) or serial_line(tuple(added))


def _loaders(examined: Examined, spec: bases.BaseSpec, part: Callable[[str], BuiltPackage]) -> plan.Loaders:
    bios = bases.bios_files(part(spec.bios)) if spec.bios else _own_bios(examined)
    uefi = (bases.efi_image(part(spec.uefi)), "boot/grub/grub.cfg") if spec.uefi else _own_uefi(examined)
    if bios is None or uefi is None:
        raise VerifyError("the base's boot loaders are gone", where=str(examined.medium.path))
    isolinux, ldlinux, mbr = bios
    image, menu = uefi
    return plan.Loaders(isolinux_bin=isolinux, ldlinux=ldlinux, mbr=mbr, efi_image=image, grub_cfg=menu)


def _starts(foreign: Foreign) -> plan.Starts:
    # Names of isolinux's entries are typed; GRUB's often have none.
    defaults = [one for one in foreign.examined.survey.entries if one.default]
    chosen = next((one for one in defaults if one.program == "isolinux"), next(iter(defaults), None))
    initrds, kernel = foreign.examined.initrds, foreign.examined.kernel
    roots = {one.path for one in foreign.examined.survey.initrds if one.root}
    named = [f"/{path}" for path in sorted(initrds, key=lambda path: path not in roots)]
    usual = plan.Starts()
    label = chosen.label if chosen is not None and re.fullmatch(r"[A-Za-z0-9_-]{1,16}", chosen.label) else ""
    own = {NORMAL, "help", *STANDARD}
    return plan.Starts(
        kernel=f"/{kernel}" if kernel.startswith("boot/") else usual.kernel,
        initrd=named[0] if named and named[0].startswith("/boot/") else "/boot/core.gz",
        label=label if label and label not in own else "core",
        words=() if chosen is None else chosen.words,
        serial=_is_own(foreign),
    )


def _kept(examined: Examined) -> tuple[MediumFile, ...]:
    """Return what stays of the base's medium: all but what boots it, and our own manifest."""
    survey, files = examined.survey, examined.medium.files
    menus = [one for one in survey.entries if one.program != "ipxe"]
    if examined.medium.iso is None and not menus and not survey.cde:
        return ()  # loose files, or those of a netboot folder, not a medium
    boot = {kernel.path for kernel in survey.kernels} | {initrd.path for initrd in survey.initrds}
    boot |= {loader.where for loader in survey.loaders} | {entry.where for entry in survey.entries}
    folders = {path.rpartition("/")[0] for path in boot if path.endswith((".bin", ".cfg", ".img"))}
    kept = []
    for path, node in files.items():
        if not node.is_file or path in boot or path == "manifest.json":
            continue
        if path.rpartition("/")[0] in folders or path.lower().startswith(("efi/", "boot/isolinux/")):
            continue
        held = files[node.link] if node.link is not None else node
        kept.append(plan.MediumFile(path=path, content=_source(held)))
    return tuple(kept)
