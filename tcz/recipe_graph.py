"""How recipes and their packages hang together: closures, and what does not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcz import resolve, split, toml
from tcz.errors import Problem
from tcz.names import follows_kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tcz.model import PackageSpec, Recipe
    from tcz.recipe import Recipes


def package_spec(recipes: Recipes, package: str) -> PackageSpec | None:
    """Return what recipes say of a package, or ``None`` when none makes it."""
    recipe = recipes.find_package(package)
    if recipe is None:
        return None
    exact = [spec for spec in split.products(recipe) if spec.name == package]
    return (exact or [spec for spec in recipe.packages if spec.name.endswith("-KERNEL")])[0]


def package_closure(recipes: Recipes, wanted: Sequence[str], kernel: str | None = None) -> resolve.Resolution:
    """Return all packages that ``wanted`` need, in load order."""

    def needs(name: str) -> tuple[str, ...] | None:
        spec = package_spec(recipes, name)
        return None if spec is None else spec.needs

    return resolve.closure(wanted, needs, kernel)


def packages_named(recipes: Recipes, name: str) -> tuple[str, ...]:
    """Return the packages that a user means by ``name``: a package, or all of a recipe.

    Raises ``ConfigError`` when there is neither.
    """
    if recipes.find_package(name) is not None:
        return (name,)
    if name in recipes.names():
        return tuple(spec.name for spec in recipes.get(name).packages)
    recipes.providing(name)
    return ()


def misfits(recipes: Recipes, among: Sequence[Recipe]) -> tuple[Problem, ...]:
    """Return what is wrong between recipes that are each right by themselves.

    Unknown recipes and packages in ``needs``, a package that two recipes make, recipes that need one
    another. Recipes that cannot be read are passed over.
    """
    problems: list[Problem] = []
    everything, _ = recipes.readable()
    known = {spec.name for recipe in everything for spec in split.products(recipe)}
    for recipe in among:
        where = str(recipe.folder / "recipe.toml")
        for name in recipe.build.recipes:
            if name not in recipes.names():
                hint = toml.guess(name, recipes.names())
                problems.append(Problem(where=where, message=f"needs.recipes: no recipe {name!r}", hint=hint))
        for spec in recipe.packages:
            for need in spec.needs:
                if recipes.find_package(need) is None:
                    message = f"package {spec.name}: no recipe makes {need!r}, which it needs"
                    problems.append(Problem(where=where, message=message, hint=toml.guess(need, known)))
        for spec in split.products(recipe):
            # Each kernel has its own: the recipe of the kernel that is taken makes them.
            if follows_kernel(spec.name):
                continue
            others = [
                other.name
                for other in everything
                if other.name != recipe.name and any(theirs.name == spec.name for theirs in other.packages)
            ]
            if others:
                message = f"package {spec.name} is also made by the recipe {', '.join(others)}"
                problems.append(Problem(where=where, message=message))
    upon = {recipe.name: recipe.build.recipes for recipe in everything}
    packages = [spec.name for recipe in among for spec in recipe.packages]
    cycles = (
        *resolve.closure([recipe.name for recipe in among], upon.get).cycles,
        *package_closure(recipes, packages).cycles,
    )
    rounds = (Problem(where=cycle[0], message="goes round: " + " -> ".join(cycle)) for cycle in cycles)
    return (*problems, *rounds)
