"""Packages for a kernel that no recipe makes: one that a user brings, or the base's own."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from tcz import resolve
from tcz.errors import ConfigError, Problem
from tcz.names import follows_kernel
from tcz.walk import plain_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from remaster.supply import WorkshopSupplier
    from tcz.model import Built, BuiltPackage
    from tcz.workshop import Planned, Supplied


class KernelSupplier:
    """A ``supply.Own``: packages ``made`` for a kernel go before recipes, whose own kernels have no say.

    What follows the kernel and is neither made nor ``elsewhere`` (names of files that a user gave, of what
    lies on the base's medium) is missing: with a mirror behind it (``alone`` is false) that is the mirror's
    business, else ``absent`` is told, once for all of it.
    """

    def __init__(
        self,
        own: WorkshopSupplier,
        release: str,
        names: Iterable[str] = (),
        make: Callable[[], Iterable[Supplied]] = tuple,
        *,
        elsewhere: frozenset[str] = frozenset(),
        alone: bool,
        absent: Callable[[Sequence[Problem]], None],
    ) -> None:
        """``make`` is asked for the packages of these names when they are needed, once."""
        own.take_kernel(release)
        self._own = own
        self._release = release
        self._names = frozenset(names)
        self._make = make
        self._elsewhere = elsewhere
        self._alone = alone
        self._absent = absent

    @cached_property
    def _made(self) -> dict[str, Supplied]:
        return {one.package.name: one for one in self._make()}

    def _plain(self, name: str) -> str:
        return plain_name(name, self._release)

    def makes(self, name: str) -> bool:
        """Tell whether a package is of this kernel, or a recipe makes it, whatever the kernel."""
        if self._plain(name) in self._names:
            return True
        return not self._follows(name) and self._own.makes(name)

    def _follows(self, name: str) -> bool:
        return follows_kernel(name) or name.endswith(f"-{self._release}")

    def kernel(self) -> str | None:
        """Return the kernel's release."""
        return self._release

    def built(self, package: str) -> Built:
        """Return the build of a package, or what stands for it."""
        return self._made[package].built if package in self._names else self._own.built(package)

    def planned(self, names: Sequence[str]) -> tuple[Planned, ...]:
        """Tell which recipes the packages lead to."""
        left = [name for name in names if not self._follows(name) and name not in self._names]
        return self._own.planned(left)

    def packages(self, names: Sequence[str]) -> tuple[BuiltPackage, ...]:
        """Return the closure of packages in load order, without what is missing for the kernel."""
        found = {name: one.package for name, one in self._made.items()}
        recipes = [name for name in names if not self._follows(name) and name not in self._names]

        def needs(name: str) -> Sequence[str] | None:
            return found[name].needs if name in found else None

        while True:
            found |= {one.name: one for one in self._own.packages(recipes)} if recipes else {}
            closure = resolve.closure(names, needs, self._release)
            # Packages beside the kernel may need what recipes make.
            more = [one.name for one in closure.missing if self.makes(one.name) and one.name not in recipes]
            if not more:
                break
            recipes += more
        problems = [
            Problem(where=" -> ".join(one.chain), message=f"there is no package {one.name}")
            for one in closure.missing
            if one.name not in self._elsewhere and one.name.endswith(f"-{self._release}")
        ]
        if problems and self._alone:
            self._absent(problems)
        return tuple(found[name] for name in closure.order if name in found)


def refuse(release: str) -> Callable[[Sequence[Problem]], None]:
    """Return what raises ``ConfigError`` with all that is missing for a kernel."""

    def absent(problems: Sequence[Problem]) -> None:
        raise ConfigError(
            f"packages for the kernel {release} are missing",
            problems,
            hint=f"put NAME-{release}.tcz beside the kernel, give --package its path, or name a mirror",
        )

    return absent
