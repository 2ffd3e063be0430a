"""Packages exactly as a lock or a manifest names them: found by hash, or built again and compared.

Nothing is resolved. A package of a recipe is looked for among the finished builds by its build id, then built
from the recipe if that still has the id. Any package's file is looked for by its sha256: in the store, among
what was brought from mirrors before, in the mirrors (a folder's objects and what they show), among the files
that were given. What cannot be had, or turns out to be something else, is told all at once.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from remaster.asked import hash_of
from tcz import record
from tcz.errors import VerifyError
from tcz.metadata import Md5, dep_text, md5_text
from tcz.model import Built, BuiltPackage
from tcz.names import KERNEL, file_name
from tcz.store import Store, replacing, sha256_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from remaster.manifest import Part
    from remaster.recorded import BuildTold, PackageTold, Recorded
    from remaster.variant import FileSpec
    from tcz.paths import Dirs


class Remade(Protocol):
    """What builds from recipes: a workshop with the Debian packages of the lock."""

    def build_ids(self, packages: Sequence[str]) -> Mapping[str, str]:
        """Return the build id that each recipe behind packages has now, by its name; nothing is built."""
        ...

    def build(self, packages: Sequence[str]) -> Mapping[str, Built]:
        """Return the builds behind packages by recipe, built where need be."""
        ...


class Fetching(Protocol):
    """What brings a package's file from a mirror by its sha256."""

    def fetched(self, name: str, sha256: str, origin: str) -> Path | None:
        """Return the file, checked, or ``None`` where it cannot be had; ``origin`` is where it came from."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where packages are looked for: the user's folders, files that were given by name of the package."""

    dirs: Dirs
    files: Mapping[str, Path]
    remade: Remade
    mirrors: Fetching
    present: frozenset[str] = frozenset()


class LockedSupplier:
    """An ``image.Supplier`` that has what ``told`` names and nothing else."""

    def __init__(self, told: Recorded, places: Places) -> None:
        """Nothing is looked for before it is asked for."""
        self._told = told
        self._places = places
        self._store = Store(places.dirs.cache / "store")
        self._had: dict[str, tuple[BuiltPackage, Built]] = {}
        self._wrong: tuple[str, ...] = ()

    def built(self, package: str) -> Built:
        """Return the build that a package of an earlier answer came from."""
        return self._had[package][1]

    def packages(self, names: Sequence[str]) -> tuple[BuiltPackage, ...]:
        """Return all packages, in the order in which they were locked.

        Raises ``VerifyError`` with every package that cannot be had as it was, and for names that are not
        locked, or no longer wanted.
        """
        wrong = [*unlike(self._told, names, self._places.present), *self.gather()]
        if wrong:
            raise VerifyError("what is locked cannot be had as it was", why="\n".join(wrong))
        return tuple(self._had[one.name][0] for one in self._told.packages)

    def gather(self) -> tuple[str, ...]:
        """Find every package, once; return what cannot be had as it was."""
        if not self._had:
            self._wrong = tuple(self._gather())
        return self._wrong

    def _gather(self) -> list[str]:
        wrong: list[str] = []
        recipes: dict[str, list[PackageTold]] = {}
        for package in self._told.packages:
            build = self._told.build(package.recipe)
            if ":" not in build.name:
                recipes.setdefault(build.name, []).append(package)
                continue
            path = self._found(package, build)
            if path is None:
                wrong.append(
                    f"package {package.name}: no file with sha256 {package.sha256} ({_whence(build)})"
                )
            else:
                wrong += self._file(path, package, build)
        missing = [name for name, packages in recipes.items() if not self._finished(name, packages)]
        if missing:
            wrong += self._again({name: recipes[name] for name in missing})
        return wrong

    # -- recipes ------------------------------------------------------------------------------------

    def _finished(self, recipe: str, packages: Sequence[PackageTold]) -> bool:
        """Take packages from a finished build; tell whether it is there, whole."""
        build = self._told.build(recipe)
        built = record.read(self._places.dirs.cache / "builds" / build.build_id)
        if built is None or built.build_id != build.build_id or not record.is_whole(built, thorough=True):
            return False
        return not self._take(replace(built, libraries=build.libraries), packages)

    def _take(self, built: Built, packages: Iterable[PackageTold]) -> list[str]:
        """Take packages of a build; return what is not as it was."""
        made = {one.name: one for one in built.packages}
        wrong = []
        for package in packages:
            one = made.get(package.name)
            if one is None:
                wrong.append(f"package {package.name}: the recipe {built.recipe} makes it no longer")
            elif one.sha256 != package.sha256:
                wrong.append(
                    f"package {package.name}: built again it is {one.sha256}, not {package.sha256} "
                    f"(recipe {built.recipe})"
                )
            else:
                self._had[package.name] = (one, built)
        return wrong

    def _again(self, recipes: Mapping[str, Sequence[PackageTold]]) -> list[str]:
        """Build what is not there, unless its recipe has changed."""
        names = [package.name for packages in recipes.values() for package in packages]
        now = self._places.remade.build_ids(names)
        wrong = []
        for name in recipes:
            told = self._told.build(name)
            if now.get(name) != told.build_id:
                state = f"has the build id {now[name]} now" if name in now else "is not there any more"
                wrong.append(f"recipe {name} {told.version}: {state}; locked is {told.build_id}")
        if wrong:
            return wrong
        for name, built in self._places.remade.build(names).items():
            wrong += self._take(built, recipes.get(name, ()))
        return wrong

    # -- files --------------------------------------------------------------------------------------

    def _file(self, path: Path, package: PackageTold, build: BuildTold) -> list[str]:
        """Take a package that no recipe made, in a folder of its own with its companions beside it."""
        folder = self._places.dirs.cache_folder("locked") / _digest(package)
        place = folder / file_name(package.name)
        if not place.is_file() or sha256_file(place) != package.sha256:
            with replacing(place) as new:
                new.write_bytes(path.read_bytes())
        given = self._places.files.get(package.name)
        wrong = _companions(place, package, self._store, given, mirror=build.name.startswith("mirror:"))
        made = BuiltPackage(
            name=package.name,
            form="extension",
            path=place,
            sha256=package.sha256,
            size=place.stat().st_size,
            installed=package.installed,
            needs=package.needs,
        )
        built = Built(
            recipe=build.name,
            version=build.version,
            build_id=build.build_id,
            content_id=build.build_id,
            folder=folder,
            packages=(made,),
            sources=build.sources,
            root=(),
            license=build.license,
            homepage=build.homepage,
            summary=build.summary,
        )
        self._had[package.name] = (made, built)
        return wrong

    def _found(self, package: PackageTold, build: BuildTold) -> Path | None:
        folders, file = self._places.dirs.cache, file_name(package.name)
        places = [folders / "locked" / _digest(package) / file]
        places += (folders / "mirrors" / "packages").glob(f"*/{file}")
        places += (folders / "preloaded").glob(f"*/{file}")
        if package.name in self._places.files:
            places.insert(0, self._places.files[package.name])
        for path in places:
            if path.is_file() and sha256_file(path) == package.sha256:
                return path
        stored = self._store.sound(package.sha256)
        if stored is not None:
            return stored
        origin = build.sources[0].origin if build.name.startswith("mirror:") and build.sources else ""
        return self._places.mirrors.fetched(package.name, package.sha256, origin)


def _digest(package: PackageTold) -> str:
    told = (package.name, package.sha256, *package.needs, *map(str, package.beside))
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


def _companions(
    place: Path, package: PackageTold, store: Store, given: Path | None, *, mirror: bool
) -> list[str]:
    """Put what lay beside the package: what a mirror had is known, a file's by hash; return what is gone."""
    md5 = hashlib.md5(place.read_bytes(), usedforsecurity=False).hexdigest()
    needs = dep_text(package.needs)
    usual = {".md5.txt": md5_text(Md5(md5=md5, name=place.name)).encode()}
    if needs is not None:
        usual[".dep"] = needs.encode()
    if mirror:
        for suffix, data in usual.items():
            place.with_name(f"{place.name}{suffix}").write_bytes(data)
        return []
    wrong: list[str] = []
    for suffix, sha256 in package.beside:
        near = None if given is None else given.with_name(f"{given.name}{suffix}")
        found = [usual[suffix]] if suffix in usual else []
        found += [
            path.read_bytes() for path in (near, store.sound(sha256)) if path is not None and path.is_file()
        ]
        same = next((one for one in found if hashlib.sha256(one).hexdigest() == sha256), None)
        if same is None:
            wrong.append(f"package {package.name}: no {package.name}.tcz{suffix} with sha256 {sha256}")
        else:
            place.with_name(f"{place.name}{suffix}").write_bytes(same)
    return wrong


def _whence(build: BuildTold) -> str:
    kind, _, name = build.name.partition(":")
    origin = build.sources[0].origin if build.sources else name
    return f"it came from the mirror {origin}" if kind == "mirror" else f"it was the file {origin}"


def unlike(told: Recorded, names: Sequence[str], present: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Return what is asked for and not locked, and what is locked and not asked for any more.

    ``present`` are packages that the base has on its own medium.
    """
    known = {one.name: one.needs for one in told.packages}
    new = [
        f"package {name}: is wanted, and not locked"
        for name in names
        if _meant(name, known) is None and name not in present
    ]
    reached: dict[str, None] = {}
    waiting = list(names)
    while waiting:
        name = _meant(waiting.pop(), known)
        if name is not None and name not in reached:
            reached[name] = None
            waiting += known[name]
    gone = [
        f"package {name}: is locked, and nothing needs it any more" for name in known if name not in reached
    ]
    return (*new, *gone)


def _meant(name: str, known: Mapping[str, object]) -> str | None:
    """Return the package that a name stands for; ``-KERNEL`` at its end for whatever release is there."""
    stem = name.removesuffix(KERNEL)
    if name in known or stem == name:
        return name if name in known else None
    return next((one for one in known if one.startswith(f"{stem}-")), None)


def kept(files: Iterable[FileSpec], parts: Iterable[Part], store: Store) -> None:
    """Keep what came from files of the user in the store, so that it can be built again from a lock.

    What not everybody may read is not kept.
    """
    for spec in files:
        if hash_of(spec.content, spec.mode, spec.path).startswith("sha256:"):
            store.add_bytes(spec.content)
    for part in parts:
        if part.built.recipe.startswith("file:"):
            path = part.package.path
            if store.root.parent in path.parents:
                continue  # made here: it is in the cache already
            for file in (path, *(path.with_name(f"{path.name}{suffix}") for suffix in (".dep", ".md5.txt"))):
                if file.is_file() and not store.has(sha256_file(file)):
                    with replacing(store.path(sha256_file(file))) as new:
                        shutil.copyfile(file, new)
