"""The whole of it wired together: names in, builds in the right order and packages in load order out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tcz import companions, resolve, schedule, split
from tcz.apt import Apt
from tcz.build import Builder, Settings
from tcz.buildid import Need, content_id
from tcz.buildroot import BuildRoots
from tcz.errors import BuildError, ConfigError, Problem, ToolkitError
from tcz.hostroot import HostRoots
from tcz.names import KERNEL, follows_kernel
from tcz.recipe import Recipes
from tcz.roots import RecipeRoots
from tcz.run import processors
from tcz.sandbox import Sandbox
from tcz.sources import Sources
from tcz.store import Store
from tcz.tinycore import Mirror
from tcz.tinyroot import TinyCoreRoots

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from tcz.build import Ready
    from tcz.deb import Pins
    from tcz.model import Built, BuiltPackage, PackageSpec, Recipe
    from tcz.paths import Dirs
    from tcz.reporting import Reporter
    from tcz.run import Runner
    from tcz.tinycore import Remote
    from tcz.why import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A recipe that a wish leads to, whether it is built already, and if not why it is to be built."""

    recipe: Recipe
    version: str
    build_id: str
    cached: bool
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplied:
    """A package and the build it came from."""

    package: BuiltPackage
    built: Built


class Workshop:
    """Builds recipes with all they build upon, and hands out packages with all they need."""

    def __init__(self, recipes: Recipes, builder: Builder, reporter: Reporter) -> None:
        """Take parts that exist; ``open`` makes them."""
        self.recipes = recipes
        self.builder = builder
        self._reporter = reporter
        self._known: dict[str, Ready] = {}
        self._kernel: str | None = None

    def take_kernel(self, release: str) -> None:
        """Leave out what follows the kernel: it is of this release, and no recipe makes it.

        ``packages`` and ``supply`` then return what is needed beside that.
        """
        self._kernel = release

    def _left_out(self, name: str) -> bool:
        return self._kernel is not None and (follows_kernel(name) or name.endswith(f"-{self._kernel}"))

    @classmethod
    def open(  # noqa: PLR0913 - all that a user may choose
        cls,
        dirs: Dirs,
        runner: Runner,
        reporter: Reporter,
        recipe_folders: Sequence[Path],
        *,
        mirror: str | None = None,
        source_mirrors: Sequence[str] = (),
        update: bool = False,
        lock: Pins | None = None,
        tinycore_mirrors: Sequence[Remote] = (),
        settings: Settings | None = None,
    ) -> Workshop:
        """Wire a workshop for a user's folders; nothing is started and no network used.

        ``mirror`` is the address of a Debian archive (``None``: as the machine knows it);
        ``source_mirrors`` are base addresses of the user's own, asked first for release files; ``update``
        takes the newest Debian packages, ``lock`` holds versions that go before that; ``tinycore_mirrors``
        are mirrors of Tiny Core, for recipes that are built there. Raises
        ``ConfigError`` for recipe folders that are none.
        """
        store = Store(dirs.cache / "store")
        sandbox = Sandbox(runner)
        apt = Apt(dirs, store, runner, reporter, mirror=mirror, update=update, lock=lock)
        roots = BuildRoots(dirs, apt, reporter)
        sources = Sources(
            dirs, store, runner, reporter, apt=apt, roots=roots, sandbox=sandbox, mirrors=source_mirrors
        )
        tiny = Mirror(dirs, store, reporter, remotes=tinycore_mirrors, update=update)
        recipe_roots = RecipeRoots(
            roots,
            HostRoots(dirs),
            TinyCoreRoots(dirs, tiny, sandbox, reporter),
        )
        builder = Builder(
            dirs=dirs,
            sandbox=sandbox,
            roots=roots,
            recipe_roots=recipe_roots,
            sources=sources,
            reporter=reporter,
            settings=settings,
        )
        return cls(Recipes(recipe_folders), builder, reporter)

    # -- recipes --------------------------------------------------------------------------------

    def build(self, names: Sequence[str]) -> tuple[Built, ...]:
        """Build recipes, those they build upon and those whose packages theirs need.

        Returns all of them in the order of building. Raises ``ConfigError`` for unknown recipes and
        packages and for recipes that build upon each other, and what ``Builder`` raises.
        """
        builts = self._build(self._with_needs(names))
        self._refuse_empty(builts)
        return builts

    def _refuse_empty(self, builts: Sequence[Built]) -> None:
        """Refuse needs of what might have been split off a build, and was not."""
        made = {package.name for built in builts for package in built.packages}
        problems: list[Problem] = []
        for package in (package for built in builts for package in built.packages):
            for need in package.needs:
                recipe = None if need in made or follows_kernel(need) else self.recipes.find_package(need)
                if recipe is not None and not any(follows_kernel(spec.name) for spec in recipe.packages):
                    where = f"package {package.name}"
                    problems.append(Problem(where=where, message=f"needs {need}", hint=_empty(recipe)))
        if problems:
            raise ConfigError("packages that do not exist are needed", problems)

    def complete(self, builts: Sequence[Built], *, zsync: bool = True) -> None:
        """Write what lies beside finished packages and is no part of a build: .tree, .build.json, .zsync."""
        final = {
            spec.name: package.name
            for built in builts
            for spec, package in zip(self.recipes.get(built.recipe).packages, built.packages, strict=False)
        }
        needs = {
            package.name: tuple(final.get(need, need) for need in package.needs)
            for built in builts
            for package in built.packages
        }
        for built, package in ((one, package) for one in builts for package in one.packages):
            companions.write_tree(package, needs.get)
            companions.write_provenance(built, package)
            if zsync:
                companions.write_zsync(package, epoch=self.builder.settings.epoch)

    def plan(self, names: Sequence[str]) -> tuple[Planned, ...]:
        """Tell what ``build`` would build and what is there already; nothing is fetched for it."""
        return self._plan(self._with_needs(names))

    def plan_upon(self, name: str) -> tuple[Planned, ...]:
        """Tell of a recipe and of all that it builds upon, itself last; packages' needs have no say in it."""
        return self._plan(self._ordered([self.recipes.get(name)]))

    def prepared(self, name: str) -> tuple[Ready, tuple[Built, ...]]:
        """Return a recipe with all fetched for it, whether it is built or not, and what it builds upon."""
        recipe = self.recipes.get(name)
        made = {built.recipe: built for built in self._build(self._ordered([recipe])[:-1])}
        needs = tuple(made[need] for need in recipe.build.recipes)
        self.builder.check_host([recipe])
        return self.builder.fetch(recipe, self._needs(recipe)), needs

    def fetch(self, names: Sequence[str]) -> tuple[Planned, ...]:
        """Fetch and verify all that ``build`` would fetch; tell what is built already as ``plan`` does."""
        recipes = self._with_needs(names)
        self._ready(recipes)
        self._fetch(recipes)
        return self._plan(recipes)

    def plan_packages(self, names: Sequence[str]) -> tuple[Planned, ...]:
        """Tell what ``packages`` would build and what is there already."""
        return self._plan(self._makers(names))

    def _plan(self, recipes: Sequence[Recipe]) -> tuple[Planned, ...]:
        return tuple(
            Planned(
                recipe=one.inputs.recipe,
                version=one.inputs.version,
                build_id=one.id,
                cached=one.built is not None,
                reasons=self.builder.why(one),
            )
            for one in self._ready(recipes).values()
        )

    def _build(self, recipes: Sequence[Recipe]) -> tuple[Built, ...]:
        ready = self._ready(recipes)
        if any(one.built is None for one in ready.values()):
            self.builder.check_host(recipe for recipe in recipes if ready[recipe.name].built is None)
            ready = self._fetch(recipes)
        done = {name: one.built for name, one in ready.items() if one.built is not None}
        self._make([one for one in ready.values() if one.built is None], done)
        return tuple(done[name] for name in ready)

    def _make(self, missing: Sequence[Ready], done: dict[str, Built]) -> None:
        """Build all that is missing, what can be beside each other at the same time; fill ``done``."""
        settings = self.builder.settings
        places = {one.inputs.recipe.name: (n, one) for n, one in enumerate(missing, 1)}

        def work(name: str, jobs: int) -> None:
            place, one = places[name]
            needs = [done[need] for need in one.inputs.recipe.build.recipes]
            title = f"[{place}/{len(missing)}] {name} {one.inputs.version}"
            with self._reporter.step(title, recipe=name):
                done[name] = self.builder.make(one, needs, jobs=jobs)
            self._known[name] = replace(one, built=done[name])

        queue = schedule.Queue(
            (
                schedule.Task(name=name, after=one.inputs.recipe.build.recipes)
                for name, (_, one) in places.items()
            ),
            slots=processors(),
            at_once=1 if settings.debug_shell else None,
            keep_going=settings.keep_going,
        )
        _refuse_failures(schedule.run(queue, work, self.builder.halting), self._reporter)

    def _ready(self, recipes: Sequence[Recipe]) -> dict[str, Ready]:
        known = self._known
        for recipe in recipes:
            if recipe.name not in known:
                known[recipe.name] = self.builder.ready(recipe, self._needs(recipe))
        return {recipe.name: known[recipe.name] for recipe in recipes}

    def _fetch(self, recipes: Sequence[Recipe]) -> dict[str, Ready]:
        """Fetch for all that is to be built before the first build: what cannot be had is known early."""
        known = self._known
        with self._reporter.step("fetch sources", total=len(recipes)) as step:
            for count, recipe in enumerate(recipes):
                step.progress(count, len(recipes))
                step.detail(recipe.name)
                one = known[recipe.name]
                needs = self._needs(recipe)
                # A need that turned out newer when it was fetched changes the ids of what follows.
                if one.inputs.needs != needs:
                    one = self.builder.ready(recipe, needs)
                known[recipe.name] = one if one.built else self.builder.fetch(recipe, needs)
        return {recipe.name: known[recipe.name] for recipe in recipes}

    def _needs(self, recipe: Recipe) -> tuple[Need, ...]:
        return tuple(
            Need(recipe=name, content_id=content_id(self._known[name].inputs))
            for name in recipe.build.recipes
        )

    def _with_needs(self, names: Iterable[str]) -> tuple[Recipe, ...]:
        """Return recipes with all they lead to, ordered."""
        found: dict[str, Recipe] = {}
        waiting = [self.recipes.get(name) for name in names]
        while waiting:
            recipe = waiting.pop(0)
            if recipe.name in found:
                continue
            found[recipe.name] = recipe
            waiting += [self.recipes.get(name) for name in recipe.build.recipes]
            needs = dict.fromkeys(need for spec in recipe.packages for need in spec.needs)
            waiting += [self.recipes.providing(need) for need in needs]
        return self._ordered(found.values())

    def _ordered(self, recipes: Iterable[Recipe]) -> tuple[Recipe, ...]:
        """Put recipes after those they build upon, those included; what packages need has no say in it."""
        result = resolve.closure(
            [recipe.name for recipe in recipes], lambda name: self.recipes.get(name).build.recipes
        )
        if result.cycles:
            problems = [
                Problem(where=f"recipe {chain[0]}", message="builds upon itself: " + " -> ".join(chain))
                for chain in result.cycles
            ]
            raise ConfigError("recipes that build upon each other cannot be built", problems)
        return tuple(self.recipes.get(name) for name in result.order)

    # -- packages -------------------------------------------------------------------------------

    def packages(self, names: Sequence[str]) -> tuple[BuiltPackage, ...]:
        """Return packages and all they need in Tiny Core's load order, built where they were not.

        ``-KERNEL`` in names stands for the release of the kernel that the packages belong to. Raises
        ``ConfigError`` for packages that no recipe makes (with what needs them), for two kernels,
        and what ``build`` raises.
        """
        return tuple(supplied.package for supplied in self.supply(names))

    def supply(self, names: Sequence[str]) -> tuple[Supplied, ...]:
        """Do what ``packages`` does, and tell the build of each package."""
        return self._in_order(names, self.builds_of(names))

    def builds_of(self, names: Sequence[str]) -> tuple[Built, ...]:
        """Build the recipes behind packages and all that these need, nothing beyond.

        What packages need for their libraries shows only when they are built, and may lead to more.
        """
        builts = self._build(self._makers(names))
        while True:
            more = self._led_to(names, builts)
            if not more:
                return builts
            known = [self.recipes.get(built.recipe) for built in builts]
            builts = self._build(self._ordered((*known, *more)))

    def _led_to(self, names: Sequence[str], builts: Iterable[Built]) -> tuple[Recipe, ...]:
        """Return the recipes, not built yet, of what packages turned out to need when they were built."""
        done = {built.recipe: built for built in builts}
        made = {package.name: package.needs for built in done.values() for package in built.packages}
        missing = (one.name for one in resolve.closure(names, made.get).missing)
        found = (self.recipes.find_package(name) for name in missing if not self._left_out(name))
        more = {recipe.name: recipe for recipe in found if recipe is not None and recipe.name not in done}
        return tuple(more.values())

    def _makers(self, names: Sequence[str]) -> tuple[Recipe, ...]:
        found = resolve.closure(names, self._needs_of)
        self._refuse_missing(found)
        wanted = (name for name in found.order if not self._left_out(name))
        makers = {recipe.name: recipe for recipe in map(self.recipes.providing, wanted)}
        return self._ordered(makers.values())

    def _needs_of(self, name: str) -> Sequence[str] | None:
        if self._left_out(name):
            return ()
        recipe = self.recipes.find_package(name)
        if recipe is None:
            return None
        return self._spec(recipe, name).needs

    @staticmethod
    def _spec(recipe: Recipe, name: str) -> PackageSpec:
        exact = [spec for spec in split.products(recipe) if spec.name == name]
        follow = [
            spec
            for spec in recipe.packages
            if follows_kernel(spec.name) and name.startswith(spec.name.removesuffix("KERNEL"))
        ]
        return (exact or sorted(follow, key=lambda spec: -len(spec.name)))[0]

    def _refuse_missing(self, found: resolve.Resolution) -> None:
        if not found.missing:
            return
        problems: list[Problem] = []
        for missing in found.missing:
            where = f"package {missing.chain[0]}"
            recipe = self.recipes.find_package(missing.name)
            hint = None if recipe is None else _empty(recipe)
            if len(missing.chain) > 1:
                message = "needs " + " -> ".join(missing.chain[1:])
                problems.append(Problem(where=where, message=message, hint=hint))
                continue
            if hint is not None:
                problems.append(Problem(where=where, message="is empty", hint=hint))
                continue
            try:
                self.recipes.providing(missing.name)
            except ConfigError as error:
                # One alone is told as it is; a recipe with mistakes always is, for it has many.
                if len(found.missing) == 1 or error.problems:
                    raise
                problems.append(Problem(where=where, message="no recipe makes it", hint=error.hint))
        raise ConfigError("packages that do not exist are needed", problems)

    def _in_order(self, names: Sequence[str], builts: Iterable[Built]) -> tuple[Supplied, ...]:
        made: dict[str, Supplied] = {}
        releases: dict[str, str] = {}
        for built in builts:
            specs = self.recipes.get(built.recipe).packages
            made |= {package.name: Supplied(package=package, built=built) for package in built.packages}
            # Behind the packages that the recipe names come those split off, as many as hold something.
            for spec, package in zip(specs, built.packages, strict=False):
                if follows_kernel(spec.name):
                    releases[package.name.removeprefix(spec.name.removesuffix(KERNEL) + "-")] = built.recipe
        if len(releases) > 1:
            problems = [
                Problem(where=f"recipe {name}", message=release) for release, name in releases.items()
            ]
            raise ConfigError("packages for more than one kernel were asked for", problems)
        kernel = self._kernel or next(iter(releases), None)

        def needs(name: str) -> Sequence[str] | None:
            return () if self._left_out(name) else _needs_in(made, name)

        order = resolve.closure(names, needs, kernel)
        self._refuse_missing(order)
        return tuple(made[name] for name in order.order if name in made)


def _empty(recipe: Recipe) -> str:
    return f"the build of the recipe {recipe.name} has nothing that goes into it"


def _needs_in(made: Mapping[str, Supplied], name: str) -> Sequence[str] | None:
    supplied = made.get(name)
    return None if supplied is None else supplied.package.needs


def _refuse_failures(outcome: schedule.Outcome, reporter: Reporter) -> None:
    """Raise what went wrong: one failure as it is, several as one error."""
    if not outcome.failed:
        return
    if outcome.left:
        reporter.note(f"not built: {', '.join(outcome.left)}")
    errors = list(outcome.failed.values())
    strange = [error for error in errors if not isinstance(error, ToolkitError)]
    if strange or len(errors) == 1:
        raise (strange or errors)[0]
    told = "\n".join(line for error in errors if isinstance(error, ToolkitError) for line in error.lines())
    raise BuildError(f"{len(errors)} builds failed: {', '.join(outcome.failed)}", why=told) from errors[0]
