"""Recipes asked for what they would make, and built: see ``remaster.locked``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tcz.model import Built
    from tcz.workshop import Workshop


class WorkshopRemade:
    """A ``locked.Remade``; the workshop is opened when it is needed."""

    def __init__(self, opened: Callable[[], Workshop]) -> None:
        """Call ``opened`` once, when it is needed."""
        self._opened = opened
        self._workshop: Workshop | None = None

    def _open(self) -> Workshop:
        if self._workshop is None:
            self._workshop = self._opened()
        return self._workshop

    def _known(self, packages: Sequence[str]) -> list[str]:
        recipes = self._open().recipes
        return [name for name in packages if recipes.find_package(name) is not None]

    def build_ids(self, packages: Sequence[str]) -> Mapping[str, str]:
        """See ``Remade``."""
        known = self._known(packages)
        planned = self._open().plan_packages(known) if known else ()
        return {one.recipe.name: one.build_id for one in planned}

    def build(self, packages: Sequence[str]) -> Mapping[str, Built]:
        """See ``Remade``."""
        known = self._known(packages)
        return {one.built.recipe: one.built for one in self._open().supply(known)} if known else {}
