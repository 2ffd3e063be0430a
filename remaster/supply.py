"""The packages of an image: from a workshop that builds what is missing, from files, from a mirror."""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tcz.errors import ConfigError, Problem
from tcz.metadata import Md5, decode, dep_text, md5_text, parse_dep, parse_info
from tcz.model import Built, BuiltPackage, ResolvedSource
from tcz.names import file_name, is_package_name
from tcz.resolve import closure
from tcz.squashfs.image import Image
from tcz.store import replacing, sha256_file
from tcz.walk import plain_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tcz.paths import Dirs
    from tcz.tinycore import Mirror
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

    def makes(self, package: str) -> bool:
        """Tell whether a recipe makes a package."""
        return self._workshop.recipes.find_package(package) is not None

    def planned(self, names: Sequence[str]) -> tuple[Planned, ...]:
        """Tell which recipes the packages lead to, and which of them are built already."""
        return self._workshop.plan_packages(names)


class Recipes(Protocol):
    """What ``Mixed`` asks a workshop for."""

    def packages(self, names: Sequence[str]) -> tuple[BuiltPackage, ...]:
        """Return the closure of packages in load order."""
        ...

    def built(self, package: str) -> Built:
        """Return the build of a package."""
        ...

    def makes(self, package: str) -> bool:
        """Tell whether a recipe makes a package."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorBranch:
    """A release's extensions on a mirror of Tiny Core."""

    mirror: Mirror
    release: str


class Mixed:
    """An ``image.Supplier``: files that were named come first, then recipes, then the mirror.

    ``kernel`` is the release that ``-KERNEL`` stands for where no package of a recipe tells another one.
    What the base has on its medium (``present``) may be missing elsewhere.
    """

    def __init__(
        self,
        recipes: Recipes,
        *,
        files: Mapping[str, Path],
        mirror: MirrorBranch | None,
        kernel: str,
        present: frozenset[str],
        dirs: Dirs,
    ) -> None:
        """``files`` maps names to .tcz files."""
        self._recipes = recipes
        self._files = files
        self._mirror = mirror
        self._kernel = kernel
        self._present = present
        self._dirs = dirs
        self._own: dict[str, tuple[BuiltPackage, Built]] = {}

    def packages(self, names: Sequence[str]) -> tuple[BuiltPackage, ...]:
        """Return the closure of packages in load order.

        Raises ``ConfigError`` for packages that nobody has, and what each source raises.
        """
        made = [name for name in names if name not in self._files and self._recipes.makes(name)]
        others = [name for name in names if name not in made]
        built = {package.name: package for package in self._recipes.packages(made)} if made else {}
        kernel = next((release for one in built.values() if (release := _release(one))), self._kernel)
        todo = [plain_name(name, kernel) for name in others]
        absent: list[str] = []
        while todo:
            name = todo.pop(0)
            if name in built or name in self._own or name in absent:
                continue
            if name in self._present and name not in others:
                continue  # the base's own will do
            found = self._find(name)
            if found is not None:
                self._own[name] = found
                todo += [plain_name(need, kernel) for need in found[0].needs]
            elif self._recipes.makes(name):
                built |= {package.name: package for package in self._recipes.packages([*made, name])}
            else:
                absent.append(name)
        if absent:
            self._refuse(absent)
        known = built | {name: package for name, (package, _) in self._own.items()}

        def needs(name: str) -> Sequence[str] | None:
            package = known.get(name)
            return () if package is None else package.needs

        order = closure(names, needs, kernel).order
        return tuple(known[name] for name in order if name in known)

    def built(self, package: str) -> Built:
        """Return the build that a package of an earlier answer came from."""
        return self._own[package][1] if package in self._own else self._recipes.built(package)

    def _refuse(self, absent: Sequence[str]) -> None:
        where = "" if self._mirror is None else f", and the mirror has none for {self._mirror.release}"
        problems = [Problem(where=f"package {name}", message=f"no recipe makes it{where}") for name in absent]
        hint = "name a mirror with --tinycore-mirror, or its file with --package ./NAME.tcz"
        raise ConfigError("packages are missing", problems, hint=None if self._mirror else hint)

    def _find(self, name: str) -> tuple[BuiltPackage, Built] | None:
        file = self._files.get(name)
        if file is not None:
            return local(file)
        if self._mirror is None or self._recipes.makes(name):
            return None
        found = self._mirror.mirror.extension(self._mirror.release, name)
        if found is None:
            return None
        _, needs, path = found
        return self._kept(name, path, needs)

    def _kept(self, name: str, path: Path, needs: Sequence[str]) -> tuple[BuiltPackage, Built]:
        """Lay a package and its companions side by side under its name."""
        folder = self._dirs.cache_folder("extensions") / path.name
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / file_name(name)
        if not file.is_file() or file.stat().st_size != path.stat().st_size:
            with replacing(file) as temporary:
                shutil.copyfile(path, temporary)
        md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        file.with_name(f"{file.name}.md5.txt").write_text(md5_text(Md5(md5=md5, name=file.name)))
        text = dep_text(needs)
        if text:
            file.with_name(f"{file.name}.dep").write_text(text)
        return local(file, origin=f"a mirror, {file.name}")


def _release(package: BuiltPackage) -> str:
    """Return the release of a kernel package, empty for any other."""
    file = package.path / "release"
    return file.read_text().strip() if package.form == "files" and file.is_file() else ""


def named(path: Path) -> str:
    """Return the name of the package in a file. Raises ``ConfigError`` for one that is no .tcz."""
    name = path.name.removesuffix(".tcz")
    if not path.name.endswith(".tcz") or not is_package_name(name) or not path.is_file():
        raise ConfigError(f"{path} is no package", hint="--package takes a name, or the path of a .tcz file")
    return name


def local(path: Path, origin: str = "") -> tuple[BuiltPackage, Built]:
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
        kind="extension", name=name, version=version, hash=f"sha256:{digest}", origin=origin or path.name
    )
    built = Built(
        recipe=name,
        version=version,
        build_id=digest[:40],
        content_id=digest[:40],
        folder=path.parent,
        packages=(package,),
        sources=(source,),
        root=(),
        license=info.copying_policy,
        homepage=info.original_site,
        summary=info.description,
    )
    return package, built
