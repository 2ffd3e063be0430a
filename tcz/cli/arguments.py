"""Arguments that several commands share."""

from __future__ import annotations

import click


def complete_recipe(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the names of recipes to a shell."""
    from tcz.commands import open_recipes
    from tcz.errors import ToolkitError

    try:
        names = open_recipes(ctx.params.get("recipe_folders") or ()).names()
    except ToolkitError:
        return []
    return [name for name in names if name.startswith(incomplete)]


names = click.argument("names", nargs=-1, metavar="NAME...", shell_complete=complete_recipe)
name = click.argument("name", shell_complete=complete_recipe)
