"""Recipes: ``recipe.toml`` (schema 1) read strictly, and the folders in which recipes are found.

The format is described in docs/reference/recipe.md; ``tcz.recipe_text`` writes it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tcz import buildtools, recipe_packages, recipe_sources, split, toml
from tcz import recipe_checks as check
from tcz.errors import ConfigError, Problem
from tcz.model import BuildSpec, DebianBinary, DebianSource, Recipe
from tcz.paths import shipped
from tcz.recipe_sources import DEBIAN_VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROOTS: tuple[Literal["debian", "host", "tinycore"], ...] = ("debian", "host", "tinycore")


def load(folder: Path) -> Recipe:
    """Read and check the recipe in ``folder``. Raises ``ConfigError`` with every mistake in it."""
    return _load(toml.read(folder / "recipe.toml"), folder)


def loads(text: str, folder: Path) -> Recipe:
    """Read and check ``text`` as the recipe.toml of ``folder``; raises as ``load`` does."""
    return _load(toml.parse(text, str(folder / "recipe.toml")), folder)


def _load(document: toml.Document, folder: Path) -> Recipe:
    recipe = _Loader(document, folder).recipe()
    if not (folder / "build.sh").is_file():
        document.fail_elsewhere(str(folder / "build.sh"), "is missing", "it holds the build's commands")
    document.finish(f"recipe {folder.resolve().name}")
    return recipe


def _tool(text: str) -> str | None:
    return None if text in buildtools.TOOLS else f"{text!r} is not one of {', '.join(buildtools.TOOLS)}"


class _Loader:
    """Reads one document; mistakes are left in it."""

    def __init__(self, document: toml.Document, folder: Path) -> None:
        self.root = document.root
        self.folder = folder
        self.name = ""
        self.version = ""

    def recipe(self) -> Recipe:
        root = self.root
        schema = root.integer("schema")
        if schema != 1 and not root.document.failed:
            root.fail("schema", f"schema {schema} is not known: this version reads schema 1")
        self.name = root.string("name", check=self._own_name)
        self.version = root.string("version", check=check.version)
        recipe = Recipe(
            name=self.name,
            version=self.version,
            summary=root.string("summary", check=check.one_line),
            license=root.string("license", check=check.license_expression),
            homepage=root.string("homepage", check=check.url),
            folder=self.folder,
            release=root.integer("release", 1, low=1),
            build=self._build(),
            sources=recipe_sources.load(root, self.folder, self.version),
            packages=recipe_packages.load(root, self.folder),
            irreproducible=root.maybe_string("irreproducible", check=check.one_line),
            on_request=root.maybe_string("on-request", check=check.one_line),
        )
        debian = any(isinstance(source, DebianBinary | DebianSource) for source in recipe.sources)
        if self.version == DEBIAN_VERSION and not debian:
            root.fail(
                "version",
                "'debian' needs a source of the kind debian-binary or debian-source to take it from",
            )
        return recipe

    def _own_name(self, text: str) -> str | None:
        complaint = check.name(text)
        if complaint is None and text != self.folder.resolve().name:
            return f"{text!r} is not the name of its folder, {self.folder.resolve().name!r}"
        return complaint

    def _build(self) -> BuildSpec:
        table = self.root.table("build")
        needs = table.table("needs")
        recipes = needs.strings("recipes", (), check=check.name)
        if self.name and self.name in recipes:
            needs.fail("recipes", f"{self.name!r} needs itself")
        root = table.choice("root", _ROOTS, "debian")
        release = table.maybe_string("tinycore", check=check.tinycore_release)
        if (root == "tinycore") != (release is not None):
            message = 'needs a release, such as "17.x"' if root == "tinycore" else 'is for root = "tinycore"'
            table.fail("tinycore", message)
        return BuildSpec(
            root=root,
            debian=needs.strings("debian", (), check=check.debian),
            recipes=recipes,
            strip=table.boolean("strip", default=True),
            split=table.boolean("split", default=True),
            tinycore=needs.strings("tinycore", (), check=check.package_name),
            tinycore_release=release,
            tools=table.strings("tools", (), check=_tool),
        )


def standard_folders(extra: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Return where recipes are looked for: the user's own folders, then what ships with the toolkit."""
    ours = shipped(Path(__file__).parent, "recipes")
    return (*extra, ours) if ours.is_dir() else tuple(extra)


class Recipes:
    """The recipes of several folders; of two with the same name the first folder's is used."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Look for ``NAME/recipe.toml`` in ``folders``. Raises ``ConfigError`` when one is no folder."""
        self.folders = tuple(folders)
        absent = [folder for folder in self.folders if not folder.is_dir()]
        if absent:
            problems = [Problem(where=str(folder), message="is not a folder") for folder in absent]
            raise ConfigError("recipes cannot be looked for", problems)
        found: dict[str, Path] = {}
        for folder in self.folders:
            for file in sorted(folder.glob("*/recipe.toml")):
                found.setdefault(file.parent.name, file.parent)
        self._found = found
        self._loaded: dict[str, Recipe | ConfigError] = {}
        self._first = ""

    def names(self) -> tuple[str, ...]:
        """Return the names of all recipes, sorted; none of them is read."""
        return tuple(sorted(self._found))

    def folder(self, name: str) -> Path:
        """Return a recipe's folder. Raises ``ConfigError`` with a guess when there is none."""
        if name not in self._found:
            where = ", ".join(str(folder) for folder in self.folders) or "no folder at all"
            hint = toml.guess(name, self._found) or "tcz recipe list shows all there are"
            raise ConfigError(f"there is no recipe {name!r} in {where}", hint=hint)
        return self._found[name]

    def get(self, name: str) -> Recipe:
        """Return a recipe. Raises ``ConfigError`` when it is unknown (with a guess) or wrong."""
        if name not in self._loaded:
            folder = self.folder(name)
            try:
                self._loaded[name] = load(folder)
            except ConfigError as error:
                self._loaded[name] = error
        loaded = self._loaded[name]
        if isinstance(loaded, ConfigError):
            raise loaded
        return loaded

    def all(self) -> tuple[Recipe, ...]:
        """Return every recipe. Raises one ``ConfigError`` with the mistakes of all of them."""
        recipes, problems = self.readable()
        if problems:
            raise ConfigError("recipes have mistakes", problems)
        return recipes

    def readable(self) -> tuple[tuple[Recipe, ...], tuple[Problem, ...]]:
        """Return the recipes that are right, and the mistakes of the others."""
        recipes: list[Recipe] = []
        problems: list[Problem] = []
        for name in self.names():
            try:
                recipes.append(self.get(name))
            except ConfigError as error:
                problems += error.problems or (Problem(where=name, message=error.what),)
        return tuple(recipes), tuple(problems)

    def prefer(self, name: str) -> None:
        """Let a recipe's packages go before those of the same name that others make.

        That is for kernels: each has its own ``modules-KERNEL``. Raises ``ConfigError`` when unknown.
        """
        self.folder(name)
        self._first = name

    def find_package(self, package: str) -> Recipe | None:
        """Return the recipe that makes a package, or ``None``; broken recipes are passed over.

        Packages that come of splitting count as made: whether they hold anything shows in the build.
        ``NAME-KERNEL`` is also found by its final name, such as ``NAME-6.12.48-amd64``.
        """
        recipes = sorted(self.readable()[0], key=lambda recipe: recipe.name != self._first)
        # What a recipe names goes before what another might leave.
        for recipe in recipes:
            if any(spec.name == package for spec in recipe.packages):
                return recipe
        for matches in (lambda name: name == package, lambda name: _follows_kernel(name, package)):
            for recipe in recipes:
                if any(matches(spec.name) for spec in split.products(recipe)):
                    return recipe
        return None

    def providing(self, package: str) -> Recipe:
        """Return the recipe that makes a package.

        Raises ``ConfigError`` when no recipe does, with a guess; when recipes could not be read, with
        their mistakes, for one of them may be the one.
        """
        recipe = self.find_package(package)
        if recipe is not None:
            return recipe
        recipes, problems = self.readable()
        known = {spec.name for recipe in recipes for spec in split.products(recipe)}
        message = f"no recipe makes the package {package!r}"
        if problems:
            message += ", but some recipes cannot be read"
        raise ConfigError(message, problems, hint=toml.guess(package, known))


def _follows_kernel(name: str, package: str) -> bool:
    stem = name.removesuffix("KERNEL")
    return stem != name and package.startswith(stem) and package[len(stem) :][:1].isdigit()
