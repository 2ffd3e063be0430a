"""The commands boot-codes and variant: what images can be made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from remaster.cli import completing
from tcz import clikit

if TYPE_CHECKING:
    from pathlib import Path


@click.command("boot-codes", cls=clikit.Command, examples=["remaster boot-codes noembed"])
@click.argument("name", required=False, shell_complete=completing.code_names)
@clikit.json_option
def boot_codes(name: str | None, as_json: bool) -> None:
    """Explain the boot code NAME, or list all."""
    from remaster.bootcode import BootCodes, explain

    codes = BootCodes.load()
    wanted = codes.all() if name is None else (codes.get(name),)
    if as_json:
        clikit.echo_json(wanted)
    elif name is not None:
        click.echo(explain(wanted[0]), nl=False)
    else:
        marks = {"none": "", "optional": "[=...]", "required": "=..."}
        rows = [
            (
                code.name + marks[code.value],
                "kernel" if code.kernel else "floe" if code.floe else "-",
                code.effect,
            )
            for code in wanted
        ]
        clikit.echo_lines(clikit.columns(rows))


@click.group("variant", cls=clikit.Group)
def variants() -> None:
    """Look at variants."""


@variants.command("list")
@clikit.json_option
def variant_list(as_json: bool) -> None:
    """List the variants that ship with the program."""
    from remaster import wish
    from remaster.variant import names

    found = [wish.linted(name) for name in names()]
    if as_json:
        clikit.echo_json([wish.shown(one) for one in found])
    else:
        clikit.echo_lines(clikit.columns([(one.name, one.summary) for one in found]))


@variants.command("show", examples=["remaster variant show docker"])
@click.argument("variant", shell_complete=completing.variant_names)
@clikit.json_option
def variant_show(variant: str, as_json: bool) -> None:
    """Show a variant with all that it extends."""
    from remaster import wish

    found = wish.linted(variant)
    clikit.echo_json(wish.shown(found)) if as_json else clikit.echo_lines(wish.variant_lines(found))


@variants.command("lint", examples=["remaster variant lint ./mine.toml"])
@click.argument(
    "files", nargs=-1, required=True, metavar="VARIANT...", shell_complete=completing.variant_names
)
@clikit.recipes_option
def variant_lint(files: tuple[str, ...], recipe_folders: tuple[Path, ...]) -> None:
    """Check variants, and that recipes make their packages."""
    from remaster import wish

    for file in files:
        found = wish.linted(file)
        wish.check_packages(found, recipe_folders)
        click.echo(f"{file}: nothing to complain about")
