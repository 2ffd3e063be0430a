"""From the name of a recipe or package to its bill: builds what is not built, and looks into it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tcz import gobuild, recipe_graph, tar
from tcz.layout import read_back
from tcz.model import CargoLock, Crate, ResolvedSource
from tcz.sbom import bill
from tcz.sources.cargo import CRATES
from tcz.squashfs import image

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tcz.gobuild import CompiledModule
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
            found.append(_contents(workshop, built, order))
    return bill.make(name, wanted, order, found, workshop.builder.epoch)


def _contents(workshop: Workshop, built: Built, names: Sequence[str]) -> bill.Contents:
    programs = {
        package.name: _modules(package)
        for package in built.packages
        if package.name in names and _uses_go(built)
    }
    return bill.Contents(built=built, programs=programs, crates=tuple(_crates(workshop, built)))


def _uses_go(built: Built) -> bool:
    """Tell whether Go programs may be in it: by its sources, or by Debian's Go in its root."""
    return any(one.kind.startswith("go-") for one in built.sources) or any(
        one.name.startswith("golang-") for one in built.root
    )


def _modules(package: BuiltPackage) -> tuple[CompiledModule, ...]:
    """Return the Go modules that a package's programs were compiled from."""
    found: dict[CompiledModule, None] = {}
    tree = _tree(package)
    for node in map(tree.__getitem__, tree):
        if node.is_file and node.link is None:
            program = gobuild.inspect(node.read())
            found.update(dict.fromkeys(program.modules if program else ()))
    return tuple(found)


def _tree(package: BuiltPackage) -> Tree:
    match package.form:
        case "files":
            return read_back(package.path)
        case "layer":
            return tar.read(package.path)
        case "extension":
            return image.read(package.path)


def _crates(workshop: Workshop, built: Built) -> Iterator[ResolvedSource]:
    """Yield the crates that the locks of a recipe name; those among its own sources are told already."""
    recipe = workshop.recipes.get(built.recipe)
    if not any(isinstance(source, Crate | CargoLock) for source in recipe.sources):
        return
    ready, _ = workshop.prepared(recipe.name)
    own = {(one.name, one.version) for one in built.sources if one.kind == "crate"}
    binds = ready.fetched.binds if ready.fetched else ()
    for bind in (bind for bind in binds if bind.inside == CRATES):
        for folder in sorted(bind.host.iterdir()):
            digest = json.loads((folder / ".cargo-checksum.json").read_text())["package"]
            name, version = _name_and_version(folder.name)
            if (name, version) not in own:
                yield ResolvedSource(
                    kind="crate", name=name, version=version, hash=f"sha256:{digest}", origin=f"crate:{name}"
                )


def _name_and_version(folder: str) -> tuple[str, str]:
    """Split ``serde-json-1.0.2-rc.1``: the version begins at the first hyphen before a digit and a dot."""
    parts = folder.split("-")
    for n in range(1, len(parts)):
        if parts[n][:1].isdigit() and "." in parts[n]:
            return "-".join(parts[:n]), "-".join(parts[n:])
    return folder, ""
