"""Where each package of an image is kept, and when it is loaded. Pure.

Tiny Core's tce-setup loads the list of /tmp/builtin first and that of /cde last, and tce-load looks for
what a package needs beside it, or takes it for loaded when its mark is in /usr/local/tce.installed. So a
package's needs must be as near as it is: those of a package in the root in the root, those of one in
/tmp/builtin there or in the root. They are brought there; what a variant says against it is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from remaster.variant import ALL, PLACES
from tcz.errors import ConfigError, Problem
from tcz.toml import guess

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from remaster.variant import Place, Variant
    from tcz.model import BuiltPackage

#: ``boot``: a list names it; ``need``: one that is loaded at boot needs it; ``request``: by hand;
#: ``demand``: when its command is used first.
Load = Literal["boot", "need", "request", "demand"]
_KERNEL: Final = "-KERNEL"
#: The nearest first.
_NEARNESS: Final[tuple[Place, ...]] = ("root", "builtin", "cde")
_WHY: Final = "what a package needs must be at least as near as it is"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A package and its place. ``copied``: its files are copied when it is loaded, not mounted."""

    package: BuiltPackage
    place: Place
    load: Load
    copied: bool = False

    @property
    def name(self) -> str:
        """The package's name."""
        return self.package.name

    @property
    def at_boot(self) -> bool:
        """Whether it is there once the machine has booted."""
        return self.load in ("boot", "need")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """All packages in load order, and the names of the list that is loaded at boot (``onboot.lst``)."""

    packages: tuple[Placed, ...] = ()
    builtin_boot: tuple[str, ...] = ()
    cde_boot: tuple[str, ...] = ()

    def at(self, place: Place) -> tuple[Placed, ...]:
        """Return the packages of a place, in load order."""
        return tuple(one for one in self.packages if one.place == place)

    def boot_list(self, place: Place) -> tuple[str, ...]:
        """Return what a place's onboot.lst names; the root has none."""
        return {"root": (), "builtin": self.builtin_boot, "cde": self.cde_boot}[place]


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """What the base has itself: packages on its medium, in its /tmp/builtin, and marks of those loaded."""

    medium: frozenset[str] = frozenset()
    builtin: frozenset[str] = frozenset()
    installed: frozenset[str] = frozenset()


class _Names:
    """Finds packages by the names that others need them by: those of a kernel's end with its release."""

    def __init__(self, packages: Iterable[BuiltPackage]) -> None:
        self.all = {package.name: package for package in packages}

    def find(self, wanted: str) -> str | None:
        wanted = wanted.removesuffix(".tcz")
        if wanted in self.all:
            return wanted
        if not wanted.endswith(_KERNEL):
            return None
        start = wanted.removesuffix("KERNEL")
        return next((name for name in self.all if name.startswith(start)), None)

    def some(self, wanted: Iterable[str]) -> dict[str, str]:
        """Return what is found, by name, with the name that it was wanted by."""
        return {name: one for one in wanted if (name := self.find(one)) is not None}

    def needs(self, name: str) -> Iterator[str]:
        for need in self.all[name].needs:
            found = self.find(need)
            if found is not None:
                yield found

    def closure(self, names: Iterable[str]) -> set[str]:
        seen: set[str] = set()
        todo = list(names)
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo += self.needs(name)
        return seen


def _nearer(first: Place, second: Place) -> bool:
    return _NEARNESS.index(first) < _NEARNESS.index(second)


def arrange(
    packages: Sequence[BuiltPackage], variant: Variant, present: Present | None = None
) -> Arrangement:
    """Decide for ``packages``, which are in load order and have all they need among them.

    Raises ``ConfigError`` with everything that cannot be: places for packages that are not there, a need
    farther away than what needs it, a package in the root that shall be loaded later.
    """
    names, present = _Names(packages), present or Present()
    problems: list[Problem] = []
    places = _places(names, packages, variant, problems)
    rooted = [name for name, place in places.items() if place == "root"]
    boot = names.closure((*names.some(variant.onboot), *rooted))
    listed = names.some(variant.onboot)
    demanded = names.some(variant.ondemand)
    copied = names.some(variant.copy2fs)
    problems += _needless(names, variant)
    problems += _unknown(names, variant)
    problems += _out_of_reach(names, places, present, variant)
    if problems:
        raise ConfigError("packages cannot be placed like this", problems)

    def load(name: str) -> Load:
        if name in boot:
            return "boot" if name in listed else "need"
        return "demand" if name in demanded else "request"

    placed = tuple(
        Placed(
            package=one,
            place=places[one.name],
            load=load(one.name),
            copied=one.name in copied and places[one.name] != "root",
        )
        for one in packages
    )
    return _with_lists(placed, names, tuple(listed))


def _with_lists(placed: tuple[Placed, ...], names: _Names, listed: tuple[str, ...]) -> Arrangement:
    where = {one.name: one.place for one in placed}
    builtin = [name for name in listed if where[name] == "builtin"]
    reached = names.closure(builtin)
    # What something on the medium needs must be loaded by the list before it.
    asked = [
        need
        for one in placed
        if one.place == "cde"
        for need in names.needs(one.name)
        if where[need] == "builtin" and need not in reached
    ]
    builtin += dict.fromkeys(asked)
    forced = names.closure(builtin)
    packages = tuple(one if one.at_boot or one.name not in forced else _loaded(one, asked) for one in placed)
    cde = tuple(name for name in listed if where[name] == "cde")
    return Arrangement(packages=packages, builtin_boot=tuple(builtin), cde_boot=cde)


def _loaded(one: Placed, asked: Sequence[str]) -> Placed:
    load: Load = "boot" if one.name in asked else "need"
    return Placed(package=one.package, place=one.place, load=load, copied=one.copied)


def _places(
    names: _Names, packages: Sequence[BuiltPackage], variant: Variant, problems: list[Problem]
) -> dict[str, Place]:
    wished = dict(variant.places)
    usual = wished.pop(ALL, "cde")
    for name in wished:
        if names.find(name) is None:
            hint = guess(name, tuple(names.all)) or "only packages of the image have a place"
            where = variant.where("packages.place", name)
            problems.append(Problem(where=where, message=f"{name} is not in the image", hint=hint))
    said = {found: wished[wanted] for found, wanted in names.some(wished).items()}
    boot = names.closure(names.some(variant.onboot))
    listed = names.some((*variant.onboot, *variant.optional, *variant.ondemand))
    pulled: dict[str, tuple[Place, str]] = {}
    places: dict[str, Place] = {}
    for package in reversed(packages):
        name = package.name
        # What is not loaded at boot cannot be in the root; nobody said that it shall.
        fits = usual != "root" or name in boot
        place = said.get(name, usual if fits and (name in listed or name not in pulled) else "cde")
        near = pulled.get(name)
        if near is not None and _nearer(near[0], place):
            if name in said:
                message = f"{name} is placed in {place}, and {near[1]} in {near[0]} needs it"
                where = variant.where("packages.place", name)
                problems.append(Problem(where=where, message=message, hint=_WHY))
            place = near[0]
        places[name] = place
        for need in names.needs(name):
            if need not in pulled or _nearer(place, pulled[need][0]):
                pulled[need] = (place, name)
    return places


def _needless(names: _Names, variant: Variant) -> Iterator[Problem]:
    """Tell of packages that were placed in the root, and of which something else was said, too."""
    wished = dict(variant.places)
    onboot = names.some(variant.onboot)
    for key, wanted in (
        *(("optional", name) for name in variant.optional),
        *(("ondemand", name) for name in variant.ondemand),
        *(("copy2fs", name) for name in variant.copy2fs),
    ):
        if wished.get(wanted) != "root" or (key != "copy2fs" and names.find(wanted) in onboot):
            continue
        what = "nothing to copy" if key == "copy2fs" else "nothing to load later"
        message = f"{wanted} is unpacked into the root: there is {what}"
        where = variant.where(f"packages.{key}", wanted)
        yield Problem(where=where, message=message, hint=f"take it out of {key}")


def _unknown(names: _Names, variant: Variant) -> Iterator[Problem]:
    for name in variant.copy2fs:
        if names.find(name) is None:
            hint = guess(name, tuple(names.all)) or "name it in onboot as well"
            where = variant.where("packages.copy2fs", name)
            yield Problem(where=where, message=f"{name} is not in the image", hint=hint)


def _out_of_reach(
    names: _Names, places: dict[str, Place], present: Present, variant: Variant
) -> Iterator[Problem]:
    """Tell of needs that only the base's medium has, where it is not there yet."""
    for name, place in places.items():
        near = present.installed | (present.builtin if place == "builtin" else frozenset())
        for need in names.all[name].needs if place in PLACES[1:] else ():
            plain = need.removesuffix(".tcz")
            if names.find(plain) is None and plain not in near:
                yield Problem(
                    where=variant.where("packages.place", name),
                    message=f"{name} in {place} needs {plain}, which only the base's medium has",
                    hint=f"leave {name} in cde, or name the file of {plain} with --package",
                )


def also_copied(arrangement: Arrangement, place: Place) -> tuple[tuple[str, str], ...]:
    """Return packages that Tiny Core copies though nobody said so, each with the one it is taken for.

    tce-load looks for a package's name as a word anywhere in copy2fs.lst (``grep -w``), so that an entry
    ``nano-doc`` stands for ``nano`` as well.
    """
    asked = [one.name for one in arrangement.at(place) if one.copied]
    return tuple(
        (one.name, other)
        for one in arrangement.at(place)
        if not one.copied
        for other in asked
        if re.search(rf"(?<!\w){re.escape(one.name)}(?!\w)", other)
    )
