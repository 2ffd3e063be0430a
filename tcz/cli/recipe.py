"""The group ``tcz recipe``: look at recipes and write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tcz import clikit
from tcz.cli import arguments, recipe_write

if TYPE_CHECKING:
    from pathlib import Path

    from tcz.reporting import Reporter


@click.group(cls=clikit.Group)
def recipe() -> None:
    """Look at recipes, and write them."""


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
        clikit.echo_lines(clikit.columns([(r.name, r.version, r.summary) for r in found]))
    if problems:
        raise ConfigError("some recipes have mistakes and are not listed", problems)


@recipe.command(
    "show",
    examples=[
        "tcz recipe show runc",
        "tcz recipe show runc --resolve     with the version and hash of every source and of the build root",
    ],
    codes=[4],
)
@arguments.name
@click.option("--resolve", is_flag=True, help="Tell exact versions and hashes, those from Debian too.")
@clikit.recipes_option
@clikit.progress_option
@clikit.json_option
def recipe_show(
    name: str, resolve: bool, recipe_folders: tuple[Path, ...], progress: Reporter, as_json: bool
) -> None:
    """Show a recipe as it is understood, with versions filled in."""
    from tcz import commands
    from tcz.recipe_text import render

    found = commands.open_recipes(recipe_folders).get(name)
    if resolve:
        from tcz.paths import Dirs
        from tcz.run import HostRunner

        workshop = commands.open_workshop(Dirs.from_env(), HostRunner(), progress, recipe_folders)
        told = commands.resolved(found, workshop)
        if as_json:
            clikit.echo_json(told)
        else:
            clikit.echo_lines(commands.resolved_lines(told))
    elif as_json:
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
@arguments.names
@clikit.recipes_option
def recipe_lint(names: tuple[str, ...], recipe_folders: tuple[Path, ...]) -> None:
    """Check recipes, their folders, and how they fit together; none named: all.

    Scripts are checked by shellcheck where it is installed.
    """
    from tcz import commands
    from tcz.errors import ConfigError
    from tcz.run import HostRunner

    recipes = commands.open_recipes(recipe_folders)
    problems = commands.lint(recipes, names, HostRunner())
    for one in commands.advice(recipes, names):
        click.echo(f"advice: {one.where}: {one.message}" + (f" ({one.hint})" if one.hint else ""), err=True)
    if problems:
        raise ConfigError(f"{len(problems)} mistakes" if len(problems) > 1 else "a mistake", problems)
    count = len(names or recipes.names())
    click.echo("1 recipe is right" if count == 1 else f"{count} recipes are right")


for _command in (recipe_write.checksum, recipe_write.bump, recipe_write.new):
    recipe.add_command(_command)
