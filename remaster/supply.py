"""The packages of an image, from a workshop that builds what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tcz.model import Built, BuiltPackage
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
