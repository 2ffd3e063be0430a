"""The command import: packages from elsewhere made into extensions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from tcz import clikit

if TYPE_CHECKING:
    from tcz.reporting import Reporter


def _layer(_ctx: click.Context, _param: click.Parameter, value: str) -> int | Literal["all"]:
    if value == "all":
        return "all"
    if not value.isdigit() or int(value) < 1:
        raise click.BadParameter("the number of a layer, counted from 1, or all")
    return int(value)


@click.command(
    name="import",
    cls=clikit.Command,
    examples=[
        "tcz import jq                              a Debian package and all it needs",
        "tcz import jq --dry-run                    say what would be made, and what the base has",
        "tcz import jq --merge jq                   all of it as one extension",
        "tcz import ./tool_1.0_amd64.deb            one .deb file alone",
        "tcz import tool-1.0.tar.gz --strip 1 --prefix usr-local",
        "tcz import ./layout --layer 2 --name part  one layer of an OCI image",
    ],
    codes=[4, 5, 6, 7],
)
@click.argument("what", nargs=-1, required=True, metavar="DEB|NAME|ARCHIVE|IMAGE...")
@click.option("--output", metavar="DIR", type=click.Path(path_type=Path), default=".", help="Write to DIR.")
@click.option("--base", default="floe", show_default=True, help="The base that the extensions are for.")
@click.option(
    "--name", metavar="NAME", help="Name the extension; otherwise its name follows from its source."
)
@click.option("--version", metavar="VERSION", help="The version of an archive or image.")
@click.option(
    "--prefix",
    default="keep",
    show_default=True,
    metavar="keep|usr-local|DIR",
    help="Leave files where they are, or move them below /usr/local; archives and images go below any DIR.",
)
@click.option(
    "--closure/--no-closure",
    default=None,
    help="With all that Debian packages need, or without (default: with for names, without for files).",
)
@click.option("--merge", metavar="NAME", help="Make one extension of a Debian package and all it needs.")
@click.option("--prefer-recipes", is_flag=True, help="Take what recipes make instead of Debian's packages.")
@click.option(
    "--docs",
    type=click.Choice(("split", "keep", "drop")),
    default="split",
    show_default=True,
    help="Manuals and translations: extensions NAME-doc and NAME-locale, part of NAME, or nothing.",
)
@click.option("--strip", type=click.IntRange(min=0), default=0, help="Drop leading path parts of an archive.")
@click.option(
    "--layer",
    default="all",
    show_default=True,
    callback=_layer,
    metavar="N|all",
    help="One layer of an image.",
)
@click.option("--image", metavar="REFERENCE", help="Which image, where there are several.")
@click.option(
    "--block", type=int, default=131072, show_default=True, help="Block size; 4096 for Tiny Core before 11."
)
@click.option("--compressor", default="gzip", show_default=True, help="gzip, xz, zstd or lz4.")
@click.option("--dry-run", is_flag=True, help="Read everything, write nothing.")
@clikit.recipes_option
@clikit.progress_option
@clikit.json_option
def import_(
    what: tuple[str, ...],
    output: Path,
    base: str,
    name: str | None,
    version: str | None,
    prefix: str,
    closure: bool | None,
    merge: str | None,
    prefer_recipes: bool,
    docs: Literal["split", "keep", "drop"],
    strip: int,
    layer: int | Literal["all"],
    image: str | None,
    block: int,
    compressor: str,
    dry_run: bool,
    recipe_folders: tuple[Path, ...],
    progress: Reporter,
    as_json: bool,
) -> None:
    """Make extensions of Debian packages (with what they need), tar and zip files, or OCI images.

    Nothing that is imported is run: what its scripts would do is translated where that is known, and
    told where it is not.
    """
    from tcz import importing_commands
    from tcz.importing.job import Request

    request = Request(
        what=what,
        base=base,
        name=name,
        version=version,
        prefix=prefix,
        closure=closure,
        docs=docs,
        merge=merge,
        strip=strip,
        layer=layer,
        image=image,
    )
    recipes = recipe_folders if prefer_recipes else None
    options = importing_commands.squash_options(compressor, block)
    result = importing_commands.run(request, None if dry_run else options, output, progress, recipes)
    if as_json:
        clikit.echo_json(importing_commands.told(result))
        return
    clikit.echo_lines(importing_commands.lines(result))
    for line in importing_commands.note_lines(result):
        click.echo(line, err=True)
