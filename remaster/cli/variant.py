"""The commands boot-codes and variant: what images can be made of."""

from __future__ import annotations

from pathlib import Path

import click

from remaster.cli import completing
from tcz import clikit


@click.command(
    "boot-codes",
    cls=clikit.Command,
    examples=[
        "remaster boot-codes            all of them, and what the kernel itself reads",
        "remaster boot-codes noembed    what it does, where, and what it cannot stand beside",
        "remaster boot-codes tce --json",
    ],
)
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
    """Look at variants, and begin new ones."""


@variants.command("list")
@clikit.json_option
def variant_list(as_json: bool) -> None:
    """List the variants that ship with the program."""
    from remaster import showing
    from remaster.variant import names

    found = [showing.linted(name) for name in names()]
    if as_json:
        clikit.echo_json([showing.shown(one) for one in found])
    else:
        clikit.echo_lines(clikit.columns([(one.name, one.summary) for one in found]))


@variants.command("show", examples=["remaster variant show docker"])
@click.argument("variant", shell_complete=completing.variant_names)
@clikit.json_option
def variant_show(variant: str, as_json: bool) -> None:
    """Show a variant with all that it extends."""
    from remaster import showing

    found = showing.linted(variant)
    clikit.echo_json(showing.shown(found)) if as_json else clikit.echo_lines(showing.variant_lines(found))


@variants.command("lint", examples=["remaster variant lint ./mine.toml"])
@click.argument(
    "files", nargs=-1, required=True, metavar="VARIANT...", shell_complete=completing.variant_names
)
@clikit.recipes_option
def variant_lint(files: tuple[str, ...], recipe_folders: tuple[Path, ...]) -> None:
    """Check variants: keys, boot codes, packages, services, and the container images that they bring."""
    from remaster import showing
    from tcz.paths import Dirs

    for file in files:
        showing.lint(file, recipe_folders, Dirs.from_env())
        click.echo(f"{file}: nothing to complain about")


@variants.command("schema", examples=["remaster variant schema > variant.schema.json"])
def variant_schema() -> None:
    """Print the JSON Schema of a variant's file, for editors."""
    from remaster.variant import schema

    click.echo(schema.text(), nl=False)


@variants.command(
    "new",
    examples=["remaster variant new mine", "remaster variant new lab --extends podman --output lab/lab.toml"],
)
@click.argument("name")
@click.option(
    "--extends",
    metavar="NAME|FILE",
    default="docker",
    show_default=True,
    shell_complete=completing.variant_names,
    help="What it builds upon.",
)
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Where the file goes.  [default: NAME.toml in the current folder]",
)
def variant_new(name: str, extends: str, output: Path | None) -> None:
    """Write a file to begin the variant NAME with, every key explained in it."""
    from remaster import showing

    click.echo(showing.begin(name, extends, output))
