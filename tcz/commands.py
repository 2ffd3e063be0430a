"""What the commands of ``tcz`` do, without the command line: values in, values and lines out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcz import lock as locks
from tcz import recipe_graph, recipe_lint, split
from tcz.errors import ConfigError, Problem
from tcz.recipe import Recipes, standard_folders
from tcz.store import replacing
from tcz.toml import guess

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tcz.build import Settings
    from tcz.lint.report import Report
    from tcz.lint.work import Wish
    from tcz.mirror.known import Chosen
    from tcz.model import Built, BuiltPackage, Recipe, ResolvedSource
    from tcz.paths import Dirs
    from tcz.reporting import Reporter
    from tcz.run import Runner
    from tcz.tinycore import Remote
    from tcz.workshop import Planned, Workshop


def open_recipes(folders: Sequence[Path]) -> Recipes:
    """Return the recipes of the user's folders and those that ship. Raises ``ConfigError``."""
    return Recipes(standard_folders(folders))


def open_workshop(  # noqa: PLR0913 - all that a user may choose
    dirs: Dirs,
    runner: Runner,
    reporter: Reporter,
    folders: Sequence[Path],
    *,
    update: bool = False,
    lock: locks.Lock | None = None,
    tinycore_mirror: str | None = None,
    tinycore_keys: Sequence[Path] = (),
    settings: Settings | None = None,
    source_mirrors: Sequence[str] = (),
) -> Workshop:
    """Return a workshop as the commands use it.

    Mirrors may come from TCZ_DEBIAN_MIRROR, TCZ_MIRROR and the user's configuration (``tinycore_keys`` are
    files with keys for ``tinycore_mirror``), and TCZ_SOURCE_MIRRORS names mirrors of release
    files beside ``source_mirrors``, separated by spaces. Raises ``ConfigError`` for one that is no URL.
    """
    from tcz.deb import Pin, Pins  # noqa: PLC0415 - slow to import, and not needed for --help
    from tcz.workshop import Workshop  # noqa: PLC0415

    pins = None
    if lock is not None:
        pins = Pins(debian=tuple(Pin(name=d.name, version=d.version, sha256=d.sha256) for d in lock.debian))
    return Workshop.open(
        dirs,
        runner,
        reporter,
        standard_folders(folders),
        mirror=os.environ.get("TCZ_DEBIAN_MIRROR") or None,
        source_mirrors=_checked_mirrors(source_mirrors),
        update=update,
        lock=pins,
        tinycore_mirrors=_tinycore_mirrors(tinycore_mirror, tinycore_keys, dirs),
        settings=settings,
    )


def _tinycore_mirrors(given: str | None, key_files: Sequence[Path], dirs: Dirs) -> tuple[Remote, ...]:
    """Return the mirrors that Tiny Core's own files come from, each with what it is verified by."""
    from tcz.mirror import known  # noqa: PLC0415 - see open_workshop

    usual = os.environ.get("TCZ_MIRROR", "")
    chosen = known.chosen([given] if given else [], key_files, dirs, usual)
    web = ("http://", "https://")
    return remotes([one for one in chosen if given or usual or one.address.startswith(web)], dirs)


def remotes(mirrors: Sequence[Chosen], dirs: Dirs) -> tuple[Remote, ...]:
    """Return mirrors as those that Tiny Core's own files come from, each with what it is verified by."""
    from functools import partial  # noqa: PLC0415 - see open_workshop

    from tcz.mirror import opening  # noqa: PLC0415
    from tcz.tinycore import Remote  # noqa: PLC0415

    return tuple(
        Remote(
            address=one.address,
            keys=tuple(key.name for key in one.keys),
            sums=partial(opening.sums, one, dirs) if one.keys else None,
            authorities=one.authorities,
        )
        for one in mirrors
    )


def _checked_mirrors(given: Sequence[str]) -> tuple[str, ...]:
    from tcz.recipe_checks import url  # noqa: PLC0415 - see open_workshop

    found = tuple(dict.fromkeys((*given, *os.environ.get("TCZ_SOURCE_MIRRORS", "").split())))
    problems = [
        Problem(where="--source-mirror or TCZ_SOURCE_MIRRORS", message=complaint)
        for mirror in found
        if (complaint := url(mirror)) is not None
    ]
    if problems:
        raise ConfigError("a mirror of release files cannot be used", problems)
    return found


def recipes_named(recipes: Recipes, names: Sequence[str], *, everything: bool = False) -> tuple[str, ...]:
    """Return the recipes a user means: recipes by name, or packages by theirs.

    ``everything`` leaves out those that are built on request only, unless they are named too; see
    ``on_request``. Raises one ``ConfigError`` for all names that are neither, and when nothing is named.
    """
    if everything:
        left = {recipe.name for recipe in on_request(recipes)}
        named = recipes_named(recipes, names) if names else ()
        return tuple(name for name in recipes.names() if name not in left or name in named)
    if not names:
        raise ConfigError("nothing was named", hint="name recipes, or give --all; tcz recipe list shows them")
    found: list[str] = []
    problems: list[Problem] = []
    for name in names:
        maker = None if name in recipes.names() else recipes.find_package(name)
        if name in recipes.names():
            found.append(name)
        elif maker is not None:
            found.append(maker.name)
        else:
            problems.append(unknown(recipes, name))
    if problems:
        raise ConfigError("no such recipe or package", problems, hint="tcz recipe list shows all there are")
    return tuple(dict.fromkeys(found))


def on_request(recipes: Recipes) -> tuple[Recipe, ...]:
    """Return the recipes that are built only for who names them; those with mistakes are passed over."""
    return tuple(recipe for recipe in recipes.readable()[0] if recipe.on_request is not None)


def unknown(recipes: Recipes, name: str) -> Problem:
    """Return the problem of a name that is neither a recipe nor a package."""
    readable, broken = recipes.readable()
    known = {*recipes.names(), *(spec.name for recipe in readable for spec in split.products(recipe))}
    message = "neither a recipe nor a package"
    if broken:
        message += " of a recipe that can be read (tcz recipe lint tells more)"
    return Problem(where=name, message=message, hint=guess(name, known))


def wanted_packages(recipes: Recipes, names: Sequence[str]) -> tuple[str, ...]:
    """Return the packages that names of packages and recipes stand for. Raises ``ConfigError``."""
    strange = [
        unknown(recipes, name)
        for name in names
        if recipes.find_package(name) is None and name not in recipes.names()
    ]
    if strange:
        raise ConfigError("no such recipe or package", strange)
    return tuple(package for name in names for package in recipe_graph.packages_named(recipes, name))


def lint(recipes: Recipes, names: Sequence[str], runner: Runner) -> tuple[Problem, ...]:
    """Return every mistake in recipes (none named: all), in their folders and between them.

    Raises ``ConfigError`` for unknown names.
    """
    problems: list[Problem] = []
    right = []
    for name in names or recipes.names():
        recipes.folder(name)
        try:
            right.append(recipes.get(name))
        except ConfigError as error:
            problems += error.problems or (Problem(where=name, message=error.what),)
    inside = (problem for recipe in right for problem in recipe_lint.complaints(recipe, runner))
    return (*problems, *inside, *recipe_graph.misfits(recipes, right))


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What ``tcz recipe show --resolve`` tells: everything that goes into a build, exactly."""

    recipe: Recipe
    version: str
    sources: tuple[ResolvedSource, ...]
    root: tuple[ResolvedSource, ...]


def resolved(recipe: Recipe, workshop: Workshop) -> Resolved:
    """Return what a build of a recipe would be made from; nothing but Debian's lists is fetched for it."""
    ready = workshop.builder.ready(recipe)
    return Resolved(
        recipe=recipe, version=ready.inputs.version, sources=ready.inputs.sources, root=ready.root.contents
    )


def resolved_lines(told: Resolved) -> tuple[str, ...]:
    """Return them as a table: kind, name, version, hash."""
    rows = [(s.kind, s.name, s.version, s.hash) for s in (*told.sources, *told.root)]
    widths = [max((len(row[n]) for row in rows), default=0) for n in range(3)]
    lines = ("  ".join((*map(str.ljust, row[:3], widths), row[3])) for row in rows)
    return (f"{told.recipe.name} {told.version}", *lines)


def advice(recipes: Recipes, names: Sequence[str]) -> tuple[Problem, ...]:
    """Return what would make recipes better (none named: all); those with mistakes are passed over."""
    readable, _ = recipes.readable()
    wanted = [recipe for recipe in readable if not names or recipe.name in names]
    return tuple(problem for recipe in wanted for problem in recipe_lint.advice(recipe))


def lint_packages(what: Sequence[str], wish: Wish, folders: Sequence[Path], reporter: Reporter) -> Report:
    """Look at packages; see ``tcz.lint.work.lint``. Nothing is built for it."""
    from tcz.lint import work  # noqa: PLC0415 - slow to import
    from tcz.paths import Dirs  # noqa: PLC0415
    from tcz.run import HostRunner  # noqa: PLC0415

    dirs, runner = Dirs.from_env(), HostRunner()
    workshop = open_workshop(dirs, runner, reporter, folders)
    return work.lint(
        what,
        wish,
        recipes=workshop.recipes,
        built=lambda name: built_packages(workshop, dirs, name),
        runner=runner,
        reporter=reporter,
    )


def built_packages(
    workshop: Workshop, dirs: Dirs, name: str
) -> tuple[tuple[BuiltPackage, ...], tuple[BuiltPackage, ...]]:
    """Return the extensions that a name stands for, a package's or a recipe's, and all built that they need.

    Raises ``ConfigError`` for a name that is neither, for one that is no .tcz, and what is not built yet.
    """
    from tcz import record  # noqa: PLC0415

    if workshop.recipes.find_package(name) is None and name not in workshop.recipes.names():
        raise ConfigError("no such file, recipe or package", hint=unknown(workshop.recipes, name).hint)
    wanted = recipe_graph.packages_named(workshop.recipes, name)
    found: list[BuiltPackage] = []
    for planned in workshop.plan_packages(wanted):
        built = record.read(dirs.cache / "builds" / planned.build_id) if planned.cached else None
        found += built.packages if built is not None else ()
    mine = tuple(package for package in found if any(_is(package, one) for one in wanted))
    if not mine:
        raise ConfigError("it is not built", hint=f"tcz build {name}")
    extensions = tuple(package for package in mine if package.form == "extension")
    if not extensions:
        raise ConfigError("it is no .tcz", hint=f"its recipe makes it as {mine[0].form}")
    return extensions, tuple(found)


def _is(package: BuiltPackage, name: str) -> bool:
    """Tell whether a package has this name; NAME-KERNEL is known by its stem until it is built."""
    return package.name == name or (
        name.endswith("-KERNEL") and package.name.startswith(name.removesuffix("KERNEL"))
    )


def newest_log(dirs: Dirs, name: str) -> Path:
    """Return the log of a recipe's last build. Raises ``ConfigError`` when there is none."""
    folder = dirs.state / "logs"
    logs = [
        path for path in folder.glob("*.log") if path.stem == name or path.stem.rpartition("-")[0] == name
    ]
    if not logs:
        raise ConfigError(f"there is no log of {name!r} in {folder}", hint="it is written by tcz build")
    return max(logs, key=lambda path: path.stat().st_mtime)


def last_lines(path: Path, count: int) -> tuple[str, ...]:
    """Return the end of a text file."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 400 * count - 4096))
        return tuple(file.read().decode(errors="replace").splitlines()[-count:]) if count else ()


def limit_processors(count: int) -> None:
    """Let this process and all it starts use at most ``count`` processors."""
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, allowed[: max(1, count)])


def write_lock(path: Path, builds: Sequence[Built], wanted: Sequence[str]) -> None:
    """Write the lock of finished builds."""
    from tcz.build import DEFAULT_EPOCH  # noqa: PLC0415 - slow to import

    with replacing(path) as temporary:
        temporary.write_text(locks.dumps(locks.of_builds(builds, recipes=wanted, epoch=DEFAULT_EPOCH)))


def why_lines(planned: Sequence[Planned]) -> tuple[str, ...]:
    """Return for each recipe, the one that was asked for first, what has changed since it was built."""
    said = []
    for one in reversed(planned):
        if one.cached:
            if one is planned[-1]:
                said.append(f"{one.recipe.name} {one.version}: it is built, and nothing has changed since")
            continue
        said.append(f"{one.recipe.name} {one.version}: to be built")
        said += [f"  {reason.text}" for reason in one.reasons]
    return tuple(said)


def built_lines(builds: Sequence[Built]) -> tuple[str, ...]:
    """Return the path of each package that was made."""
    return tuple(str(package.path) for built in builds for package in built.packages)
