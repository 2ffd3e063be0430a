"""The command ``tcz``: parses, calls one function, shows what comes back.

Modules are imported by the command that needs them, so that ``tcz --version`` and completion are quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tcz import __version__, clikit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tcz.reporting import Reporter
    from tcz.workshop import Planned

_SHELLS = ("bash", "zsh", "fish")


def _complete_recipe(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    from tcz.commands import open_recipes
    from tcz.errors import ToolkitError

    try:
        names = open_recipes(ctx.params.get("recipe_folders") or ()).names()
    except ToolkitError:
        return []
    return [name for name in names if name.startswith(incomplete)]


_names = click.argument("names", nargs=-1, metavar="NAME...", shell_complete=_complete_recipe)
_name = click.argument("name", shell_complete=_complete_recipe)


@click.group(cls=clikit.Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Build Tiny Core extensions (.tcz) from recipes, from source, without root."""


@cli.command(
    examples=[
        "tcz build runc                   build one recipe and all that its packages need",
        "tcz build --all --jobs 2         build everything on two processors",
        "tcz build docker --dry-run       say what would be built",
        "tcz build docker --lock my.lock  with the Debian packages that a lock names",
    ],
    codes=[4, 5, 6, 7, 8],
)
@_names
@click.option("--all", "everything", is_flag=True, help="Build every recipe there is.")
@click.option("--dry-run", is_flag=True, help="Say what would be built, in order; build and fetch nothing.")
@click.option(
    "--update", is_flag=True, help="Take the newest Debian packages instead of those taken last time."
)
@click.option(
    "--lock", "lock_file", metavar="FILE", type=click.Path(path_type=Path), help="Take versions from FILE."
)
@click.option(
    "--write-lock", metavar="FILE", type=click.Path(path_type=Path), help="Write what was used to FILE."
)
@click.option("--jobs", type=click.IntRange(min=1), help="Use at most this many processors.")
@clikit.recipes_option
@clikit.progress_option
@clikit.json_option
def build(
    names: tuple[str, ...],
    everything: bool,
    dry_run: bool,
    update: bool,
    lock_file: Path | None,
    write_lock: Path | None,
    jobs: int | None,
    recipe_folders: tuple[Path, ...],
    progress: Reporter,
    as_json: bool,
) -> None:
    """Build recipes; what is built already is not built again.

    A NAME is a recipe or one of its packages. The paths of the finished packages go to standard output.
    """
    from tcz import commands, lock
    from tcz.paths import Dirs, check_writable
    from tcz.run import HostRunner

    recipes = commands.open_recipes(recipe_folders)
    wanted = commands.recipes_named(recipes, names, everything=everything)
    locked = lock.read(lock_file) if lock_file else None
    if write_lock is not None:
        check_writable(write_lock)
    if jobs is not None:
        commands.limit_processors(jobs)
    workshop = commands.open_workshop(
        Dirs.from_env(), HostRunner(), progress, recipe_folders, update=update, lock=locked
    )
    if dry_run:
        _echo_planned(workshop.plan(wanted), as_json=as_json)
        return
    builds = workshop.build(wanted)
    if write_lock is not None:
        commands.write_lock(write_lock, builds, wanted)
    if as_json:
        clikit.echo_json(builds)
    else:
        _echo_lines(commands.built_lines(builds))


@cli.command(
    examples=["tcz fetch --all                  fetch all sources, to build without a network later"],
    codes=[4, 5, 6, 7],
)
@_names
@click.option("--all", "everything", is_flag=True, help="Fetch the sources of every recipe.")
@click.option(
    "--update", is_flag=True, help="Take the newest Debian packages instead of those taken last time."
)
@clikit.recipes_option
@clikit.progress_option
@clikit.json_option
def fetch(
    names: tuple[str, ...],
    everything: bool,
    update: bool,
    recipe_folders: tuple[Path, ...],
    progress: Reporter,
    as_json: bool,
) -> None:
    """Fetch and verify the sources and build roots of recipes, without building."""
    from tcz import commands
    from tcz.paths import Dirs
    from tcz.run import HostRunner

    wanted = commands.recipes_named(commands.open_recipes(recipe_folders), names, everything=everything)
    workshop = commands.open_workshop(Dirs.from_env(), HostRunner(), progress, recipe_folders, update=update)
    _echo_planned(workshop.fetch(wanted), as_json=as_json)


@cli.group()
def recipe() -> None:
    """Look at recipes."""


@recipe.command("list", examples=["tcz recipe list --json | jq -r '.[].name'"])
@clikit.recipes_option
@clikit.json_option
def recipe_list(recipe_folders: tuple[Path, ...], as_json: bool) -> None:
    """List all recipes with version and summary."""
    from tcz.commands import open_recipes
    from tcz.errors import ConfigError

    found, problems = open_recipes(recipe_folders).readable()
    if as_json:
        clikit.echo_json(found)
    else:
        _echo_lines(clikit.columns([(r.name, r.version, r.summary) for r in found]))
    if problems:
        raise ConfigError("some recipes have mistakes and are not listed", problems)


@recipe.command("show", examples=["tcz recipe show runc"])
@_name
@clikit.recipes_option
@clikit.json_option
def recipe_show(name: str, recipe_folders: tuple[Path, ...], as_json: bool) -> None:
    """Show a recipe as it is understood, with versions filled in."""
    from tcz.commands import open_recipes
    from tcz.recipe_text import render

    found = open_recipes(recipe_folders).get(name)
    if as_json:
        clikit.echo_json(found)
    else:
        click.echo(f"# {found.folder}\n{render(found)}", nl=False)


@recipe.command(
    "lint",
    examples=[
        "tcz recipe lint                       check all recipes",
        "tcz recipe lint --recipes mine hello  check one of your own",
    ],
)
@_names
@clikit.recipes_option
def recipe_lint(names: tuple[str, ...], recipe_folders: tuple[Path, ...]) -> None:
    """Check recipes, each by itself and how they fit together; none named: all."""
    from tcz import commands
    from tcz.errors import ConfigError

    recipes = commands.open_recipes(recipe_folders)
    problems = commands.lint(recipes, names)
    if problems:
        raise ConfigError(f"{len(problems)} mistakes" if len(problems) > 1 else "a mistake", problems)
    count = len(names or recipes.names())
    click.echo("1 recipe is right" if count == 1 else f"{count} recipes are right")


@cli.command(
    examples=[
        "tcz deps docker               the load order",
        "tcz deps docker --tree        as a tree",
        "tcz deps docker --why runc    how docker comes to need runc",
    ]
)
@_name
@click.option("--tree", is_flag=True, help="Draw a tree instead of listing the load order.")
@click.option("--why", metavar="PACKAGE", help="Show the shortest chain that leads to PACKAGE.")
@clikit.recipes_option
@clikit.json_option
def deps(name: str, tree: bool, why: str | None, recipe_folders: tuple[Path, ...], as_json: bool) -> None:
    """Show what a package (or all packages of a recipe) needs, in the order Tiny Core loads it."""
    from tcz import commands
    from tcz.errors import ConfigError

    found, problems = commands.dependencies(commands.open_recipes(recipe_folders), name)
    if as_json:
        clikit.echo_json(commands.told(found, why))
    elif why is not None:
        _echo_lines([commands.chain_text(found, why)])
    elif tree:
        _echo_lines(commands.tree(found))
    else:
        _echo_lines(found.order)
    for cycle in found.cycles:
        click.echo(f"warning: goes round: {' -> '.join(cycle)}", err=True)
    if problems:
        raise ConfigError("something that is needed is not to be had", problems)


@cli.command(examples=["tcz doctor --json"], codes=[6])
@clikit.json_option
def doctor(as_json: bool) -> None:
    """Look whether this machine can build and boot images, and say what to install."""
    clikit.run_doctor(as_json=as_json)


@cli.command(examples=["tcz log runc -n 100", "less $(tcz log runc --path)"])
@_name
@click.option("-n", "--lines", "count", type=click.IntRange(min=0), default=40, show_default=True)
@click.option("--path", "path_only", is_flag=True, help="Write only where the log is.")
def log(name: str, count: int, path_only: bool) -> None:
    """Show the end of the log of a recipe's last build."""
    from tcz import commands
    from tcz.paths import Dirs

    path = commands.newest_log(Dirs.from_env(), name)
    if path_only:
        click.echo(path)
    else:
        click.echo(f"{path}:", err=True)
        _echo_lines(commands.last_lines(path, count))


@cli.command(
    examples=[
        "tcz completion bash > ~/.local/share/bash-completion/completions/tcz",
        "tcz completion zsh > ~/.zfunc/_tcz",
        "tcz completion fish > ~/.config/fish/completions/tcz.fish",
    ]
)
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Write the script that completes tcz's commands and recipe names in a shell."""
    clikit.echo_completion(cli, "tcz", shell)


@cli.group()
def cache() -> None:
    """Look at the cache, or empty it; all in it can be made again."""


@cache.command("status", examples=["tcz cache status"])
@clikit.json_option
def cache_status(as_json: bool) -> None:
    """Show what each part of the cache takes."""
    from tcz import cachefiles
    from tcz.paths import Dirs

    dirs = Dirs.from_env()
    found = cachefiles.parts(dirs)
    if as_json:
        clikit.echo_json(found)
    else:
        click.echo(dirs.cache)
        rows = [(part.name, clikit.size_text(part.size), f"{part.files} files") for part in found]
        total = sum(part.size for part in found)
        _echo_lines(clikit.columns([*rows, ("all", clikit.size_text(total), "")]))


@cache.command(
    "clean",
    examples=[
        "tcz cache clean               everything",
        "tcz cache clean builds        one part, by its name in tcz cache status",
    ],
)
@click.argument("parts", nargs=-1, metavar="[PART]...")
def cache_clean(parts: tuple[str, ...]) -> None:
    """Delete parts of the cache; none named: all of it."""
    from tcz import cachefiles
    from tcz.paths import Dirs

    deleted = cachefiles.clean(Dirs.from_env(), parts)
    click.echo(f"{clikit.size_text(sum(part.size for part in deleted))} freed")


def _echo_lines(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)


def _echo_planned(planned: Sequence[Planned], *, as_json: bool) -> None:
    if as_json:
        clikit.echo_json(planned)
    else:
        states = {True: "built already", False: "to be built"}
        _echo_lines(clikit.columns([(p.recipe.name, p.version, states[p.cached]) for p in planned]))


def main() -> None:
    """Run ``tcz``."""
    clikit.run(cli, "tcz")
