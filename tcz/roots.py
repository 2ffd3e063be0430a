"""The build root of a recipe, of whatever kind it asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

if TYPE_CHECKING:
    from tcz.buildroot import BuildRoot, BuildRoots
    from tcz.hostroot import HostRoots
    from tcz.model import Recipe
    from tcz.tinyroot import TinyCoreRoots


class RecipeRoots:
    """Chooses between the kinds of roots."""

    def __init__(self, debian: BuildRoots, host: HostRoots, tinycore: TinyCoreRoots) -> None:
        """Take the makers of roots; nothing is made yet."""
        self._debian = debian
        self._host = host
        self._tinycore = tinycore

    def resolve(self, recipe: Recipe) -> BuildRoot:
        """Say which root ``get`` would return, without making it."""
        kind = recipe.build.root
        match kind:
            case "debian":
                return self._debian.resolve(recipe.build.debian)
            case "host":
                return self._host.resolve(recipe)
            case "tinycore":
                return self._tinycore.resolve(recipe)
            case _:
                assert_never(kind)

    def get(self, recipe: Recipe) -> BuildRoot:
        """Return the root, made the first time."""
        kind = recipe.build.root
        match kind:
            case "debian":
                return self._debian.get(recipe.build.debian)
            case "host":
                return self._host.get(recipe)
            case "tinycore":
                return self._tinycore.get(recipe)
            case _:
                assert_never(kind)
