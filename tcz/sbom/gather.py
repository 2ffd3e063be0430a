"""From the name of a recipe or package to its bill: builds what is not built, and looks into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcz import gobuild, recipe_graph, tar
from tcz.layout import read_back
from tcz.sbom import bill
from tcz.squashfs import image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tcz.model import Built, BuiltPackage
    from tcz.reporting import Reporter
    from tcz.tree import Tree
    from tcz.workshop import Workshop


def bill_of(workshop: Workshop, name: str, reporter: Reporter, *, closure: bool) -> bill.Bill:
    """Return the bill of a recipe or package; with ``closure`` of all packages that it needs as well.

    Raises ``ConfigError`` for a name that is neither, and what building raises.
    """
    recipes = workshop.recipes
    supplied = workshop.supply(recipe_graph.packages_named(recipes, name))
    own = name if name in recipes.names() else recipes.providing(name).name
    wanted = [one.package.name for one in supplied if one.built.recipe == own]
    if recipes.find_package(name) is not None:
        exact = [one for one in wanted if one == name]
        wanted = exact or wanted
    order = [one.package.name for one in supplied] if closure else wanted
    builds = {one.built.recipe: one.built for one in supplied if one.package.name in order}
    with reporter.step(f"look into what {name} is made of", total=len(builds)) as step:
        found = []
        for count, built in enumerate(builds.values()):
            step.progress(count, len(builds))
            step.detail(built.recipe)
            found.append(_contents(built, order))
    return bill.make(name, wanted, order, found, workshop.builder.epoch)


def _contents(built: Built, names: Sequence[str]) -> bill.Contents:
    programs = {
        package.name: gobuild.modules_of(_tree(package))
        for package in built.packages
        if package.name in names and _uses_go(built)
    }
    return bill.Contents(built=built, programs=programs, crates=built.libraries)


def _uses_go(built: Built) -> bool:
    """Tell whether Go programs may be in it: by its sources, or by Debian's Go in its root."""
    return any(one.kind.startswith("go-") for one in built.sources) or any(
        one.name.startswith("golang-") for one in built.root
    )


def _tree(package: BuiltPackage) -> Tree:
    match package.form:
        case "files":
            return read_back(package.path)
        case "layer":
            return tar.read(package.path)
        case "extension":
            return image.read(package.path)
