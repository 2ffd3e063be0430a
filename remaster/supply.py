"""The packages of an image: from a workshop that builds what is missing, from files, and from mirrors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from remaster.manifest import mirror_address
from tcz import resolve
from tcz.errors import ConfigError, Problem
from tcz.metadata import decode, parse_dep, parse_info
from tcz.model import Built, BuiltPackage, ResolvedSource
from tcz.names import KERNEL, follows_kernel, is_package_name
from tcz.squashfs.image import Image
from tcz.store import sha256_file
from tcz.walk import plain_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tcz.mirror.parcels import Parcel, Parcels
    from tcz.workshop import Planned, Workshop


class WorkshopSupplier:
    """An ``image.Supplier``."""

    def __init__(self, workshop: Workshop) -> None:
        """Nothing is built before it is asked for."""
        self._workshop = workshop
        self._built: dict[str, Built] = {}

    def packages(self, names: Sequence[str]) -> tuple[BuiltPackage, ...]:
        """Return the closure of packages in load order, built where need be."""
        supplied = self._workshop.supply(names)
        self._built |= {one.package.name: one.built for one in supplied}
        return tuple(one.package for one in supplied)

    def built(self, package: str) -> Built:
        """Return the build that a package of an earlier answer came from."""
        return self._built[package]

    def planned(self, names: Sequence[str]) -> tuple[Planned, ...]:
        """Tell which recipes the packages lead to, and which of them are built already."""
        return self._workshop.plan_packages(names)

    def makes(self, name: str) -> bool:
        """Tell whether a recipe makes a package."""
        return self._workshop.recipes.find_package(name) is not None

    def prefer(self, kernel: str) -> None:
        """Let the recipe of a kernel's package make what follows the kernel."""
        recipe = self._workshop.recipes.find_package(kernel)
        if recipe is not None:
            self._workshop.recipes.prefer(recipe.name)

    def take_kernel(self, release: str) -> None:
        """Leave out what follows the kernel, which is of this release and of no recipe."""
        self._workshop.take_kernel(release)

    def kernel(self) -> str | None:
        """Return the release of the kernel among the packages of earlier answers."""
        for built in dict.fromkeys(self._built.values()):
            specs = self._workshop.recipes.get(built.recipe).packages
            for spec, package in zip(specs, built.packages, strict=False):
                if follows_kernel(spec.name):
                    return package.name.removeprefix(f"{spec.name.removesuffix(KERNEL)}-")
        return None


class Own(Protocol):
    """What makes packages here: a ``WorkshopSupplier``."""

    def packages(self, names: Sequence[str]) -> tuple[BuiltPackage, ...]:
        """Return the closure of packages in load order."""
        ...

    def built(self, package: str) -> Built:
        """Return the build of a package."""
        ...

    def planned(self, names: Sequence[str]) -> tuple[Planned, ...]:
        """Tell what would be built."""
        ...

    def makes(self, name: str) -> bool:
        """Tell whether a recipe makes a package."""
        ...

    def kernel(self) -> str | None:
        """Return the kernel's release once it is there."""
        ...


class FileSupplier:
    """An ``image.Supplier`` and an ``Own``: .tcz files that were named come first, then recipes.

    ``kernel`` is the release that ``-KERNEL`` stands for where no recipe's kernel is taken. With a mirror
    behind it (``alone`` is false) what neither has is not its business; what the base has on its own medium
    (``present``) is nobody's.
    """

    def __init__(
        self, own: Own, files: Mapping[str, Path], *, kernel: str, present: frozenset[str], alone: bool
    ) -> None:
        """``files`` maps names of packages to where they lie."""
        self._own = own
        self._files = files
        self._kernel = kernel
        self._present = present
        self._alone = alone
        self._local: dict[str, tuple[BuiltPackage, Built]] = {}

    def makes(self, name: str) -> bool:
        """Tell whether a package is a file, or a recipe makes it."""
        return name in self._files or self._own.makes(name)

    def kernel(self) -> str | None:
        """Return the release of the kernel that packages belong to, once it is known."""
        return self._own.kernel() or self._kernel or None

    def built(self, package: str) -> Built:
        """Return the build that a package came from, or what stands for it."""
        return self._local[package][1] if package in self._local else self._own.built(package)

    def planned(self, names: Sequence[str]) -> tuple[Planned, ...]:
        """Tell which recipes the packages lead to."""
        known = [name for name in names if name not in self._files]
        return self._own.planned([name for name in known if self._alone or self._own.makes(name)])

    def packages(self, names: Sequence[str]) -> tuple[BuiltPackage, ...]:
        """Return the closure of packages in load order.

        Raises ``ConfigError`` for what is no package, or for what nobody has.
        """
        made: dict[str, BuiltPackage] = {}
        recipes = [name for name in names if name not in self._files]
        todo = [name for name in names if name in self._files]
        made |= {one.name: one for one in self._own.packages(recipes)} if recipes else {}
        todo += self._wanted(made)
        absent = []
        while todo:
            name = plain_name(todo.pop(0), self.kernel())
            if name in made:
                continue
            if name in self._files:
                self._local[name] = local(self._files[name])
                made[name] = self._local[name][0]
                todo += made[name].needs
            elif self._own.makes(name):
                recipes.append(name)
                made |= {one.name: one for one in self._own.packages(recipes)}
                todo += self._wanted(made)
            elif self._alone and name not in self._present:
                absent.append(Problem(where=f"package {name}", message="no recipe makes it"))
        if absent:
            hint = "name a mirror with --mirror, or its file with --package ./NAME.tcz"
            raise ConfigError("packages are missing", absent, hint=hint)

        def needs(name: str) -> Sequence[str]:
            return made[name].needs if name in made else ()

        order = resolve.closure(names, needs, self.kernel()).order
        return tuple(made[name] for name in order if name in made)

    def _wanted(self, made: Mapping[str, BuiltPackage]) -> list[str]:
        """Return the files that packages of recipes need."""
        needs = (plain_name(need, self.kernel()) for one in made.values() for need in one.needs)
        return [need for need in needs if need in self._files and need not in made]


def named(path: Path) -> str:
    """Return the name of the package in a file. Raises ``ConfigError`` for one that is no .tcz."""
    name = path.name.removesuffix(".tcz")
    if not path.name.endswith(".tcz") or not is_package_name(name) or not path.is_file():
        raise ConfigError(f"{path} is no package", hint="--package takes a name, or the path of a .tcz file")
    return name


def local(path: Path) -> tuple[BuiltPackage, Built]:
    """Return the package in a .tcz file, with what its .dep and .info beside it say.

    Raises ``VerifyError`` for a file that is no squashfs image.
    """
    name = named(path)
    beside = {suffix: path.with_name(f"{path.name}{suffix}") for suffix in (".dep", ".info")}
    texts = {key: decode(file.read_bytes()) if file.is_file() else "" for key, file in beside.items()}
    info = parse_info(texts[".info"])
    digest = sha256_file(path)
    package = BuiltPackage(
        name=name,
        form="extension",
        path=path,
        sha256=digest,
        size=path.stat().st_size,
        installed=sum(row.size for row in Image(path).rows()),
        needs=tuple(parse_dep(texts[".dep"])),
    )
    version = re.sub(r"\s+", " ", info.version).strip()
    source = ResolvedSource(
        kind="file", name=name, version=version, hash=f"sha256:{digest}", origin=path.name
    )
    built = Built(
        # No recipe has a colon in its name.
        recipe=f"file:{name}",
        version=version,
        build_id=digest,
        content_id=digest,
        folder=path.parent,
        packages=(package,),
        sources=(source,),
        root=(),
        license=info.copying_policy,
        homepage=info.original_site,
        summary=info.description,
    )
    return package, built


class MirrorSupplier:
    """An ``image.Supplier``: what no recipe makes comes from mirrors, with all that it needs."""

    def __init__(self, own: Own, parcels: Parcels) -> None:
        """Ask a mirror only for what no recipe makes, and only then."""
        self._own = own
        self._parcels = parcels
        self._made: dict[str, BuiltPackage] = {}
        self._brought: dict[str, Built] = {}

    def built(self, package: str) -> Built:
        """Return the build that a package came from, or what stands for it where a mirror had it."""
        return self._brought.get(package) or self._own.built(package)

    def planned(self, names: Sequence[str]) -> tuple[Planned, ...]:
        """Tell which recipes the packages lead to. Mirrors are asked, and verified, for the others."""
        found = self._closure(names, None)
        return self._own.planned([name for name in found.order if self._own.makes(name)])

    def packages(self, names: Sequence[str]) -> tuple[BuiltPackage, ...]:
        """Return the closure of packages in load order: brought first, then built where need be.

        Raises ``ConfigError`` for what neither a recipe makes nor a mirror has.
        """
        if not names:
            return ()
        kernel = self._own.kernel()
        while True:
            found = self._closure(names, kernel)
            self._bring([name for name in found.order if not self._is_own(name)])
            lead = [name for name in found.order if self._is_own(name)]
            if self._made and all(name in self._made for name in lead):
                return tuple(self._made[name] for name in found.order)
            made = self._own.packages(lead)
            self._made |= {package.name: package for package in made}
            kernel = self._own.kernel()

    def _is_own(self, name: str) -> bool:
        return self._own.makes(name) and name not in self._brought

    def _closure(self, names: Sequence[str], kernel: str | None) -> resolve.Resolution:
        def needs(name: str) -> Sequence[str] | None:
            if name in self._made:
                return self._made[name].needs
            if self._own.makes(name) or (kernel is None and follows_kernel(name)):
                return ()
            return self._parcels.shelf.needs(name)

        found = resolve.closure(names, needs, kernel)
        if found.missing:
            known = self._parcels.shelf.names()
            problems = []
            for one in found.missing:
                near = resolve.near(one.name, known)
                hint = f"near: {', '.join(near)}" if near else None
                message = "no recipe makes it, and no mirror has it"
                problems.append(Problem(where=" -> ".join(one.chain), message=message, hint=hint))
            raise ConfigError("packages that do not exist are needed", problems)
        return found

    def _bring(self, names: Sequence[str]) -> None:
        new = [name for name in names if name not in self._brought and not follows_kernel(name)]
        for parcel in self._parcels.bring(new) if new else ():
            package = _package(parcel)
            self._made[parcel.name] = package
            self._brought[parcel.name] = _built(parcel, package)


def _package(parcel: Parcel) -> BuiltPackage:
    return BuiltPackage(
        name=parcel.name,
        form="extension",
        path=parcel.path,
        sha256=parcel.sha256,
        size=parcel.size,
        installed=parcel.installed,
        needs=parcel.needs,
    )


def _built(parcel: Parcel, package: BuiltPackage) -> Built:
    source = ResolvedSource(
        kind="mirror",
        name=parcel.name,
        version=parcel.version,
        hash=f"sha256:{parcel.sha256}",
        origin=mirror_address(parcel.mirror, parcel.serial),
    )
    return Built(
        # No recipe has a colon in its name.
        recipe=f"mirror:{parcel.name}",
        version=parcel.version,
        build_id=parcel.sha256,
        content_id=parcel.sha256,
        folder=parcel.path.parent,
        packages=(package,),
        sources=(source,),
        root=(),
        license=parcel.license,
        summary=parcel.summary,
    )
