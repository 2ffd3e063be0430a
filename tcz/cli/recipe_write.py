"""Commands of ``tcz recipe`` that write: checksum, bump, new."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tcz import clikit
from tcz.cli import arguments

if TYPE_CHECKING:
    from tcz.authoring import Change
    from tcz.newrecipe import Kind
    from tcz.reporting import Reporter
    from tcz.sources import Sources

_dry_run = click.option("--dry-run", is_flag=True, help="Show what would change; write nothing.")


@click.command(
    cls=clikit.Command,
    examples=[
        "tcz recipe checksum mine --recipes recipes      after a change of url or version",
        "tcz recipe checksum mine --dry-run              show the difference only",
    ],
    codes=[4, 5, 6],
)
@arguments.name
@_dry_run
@clikit.source_mirror_option
@clikit.recipes_option
@clikit.progress_option
def checksum(
    name: str,
    dry_run: bool,
    source_mirrors: tuple[str, ...],
    recipe_folders: tuple[Path, ...],
    progress: Reporter,
) -> None:
    """Fetch what a recipe names, and write the hashes of what came into its recipe.toml.

    Sources may lack their hashes before. Comments stay. Whoever runs this trusts what is fetched now.
    """
    from tcz import authoring, commands

    folder = commands.open_recipes(recipe_folders).folder(name)
    _finish(authoring.checksum(folder, _sources(recipe_folders, source_mirrors, progress)), dry_run=dry_run)


@click.command(
    cls=clikit.Command,
    examples=[
        "tcz recipe bump runc                 to the newest release",
        "tcz recipe bump runc 1.4.0           to this one",
        "tcz recipe bump runc --dry-run       show the difference only",
    ],
    codes=[4, 5, 6],
)
@arguments.name
@click.argument("version", required=False)
@_dry_run
@clikit.source_mirror_option
@clikit.recipes_option
@clikit.progress_option
def bump(
    name: str,
    version: str | None,
    dry_run: bool,
    source_mirrors: tuple[str, ...],
    recipe_folders: tuple[Path, ...],
    progress: Reporter,
) -> None:
    """Raise a recipe's version and write the hashes of what belongs to it; its release begins anew.

    The newest release is asked of the Go proxy, the crate registry, git's tags, Debian, or the folder
    that upstream's files are in.
    """
    from tcz import authoring, commands

    folder = commands.open_recipes(recipe_folders).folder(name)
    sources = _sources(recipe_folders, source_mirrors, progress)
    _finish(authoring.bump(folder, sources, version), dry_run=dry_run)


@click.command(
    cls=clikit.Command,
    examples=[
        "tcz recipe new --from-url https://example.org/hello-2.12.tar.gz",
        "tcz recipe new --from-debian bzip2 --into mine",
        "tcz recipe new stringer --go golang.org/x/tools",
        "tcz recipe new --crate ripgrep",
    ],
    codes=[4, 5, 6],
)
@click.argument("name", required=False)
@click.option("--from-url", "url", metavar="URL", help="An upstream release file.")
@click.option("--from-debian", "debian", metavar="PKG", help="A Debian source package, with its patches.")
@click.option("--go", "go", metavar="MODULE", help="A Go module.")
@click.option("--crate", "crate", metavar="NAME", help="A Rust program from its registry.")
@click.option(
    "--into",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("recipes"),
    show_default=True,
    help="Make the recipe's folder in DIR.",
)
@click.option("--dry-run", is_flag=True, help="Show the files; write nothing.")
@clikit.recipes_option
@clikit.progress_option
def new(
    name: str | None,
    url: str | None,
    debian: str | None,
    go: str | None,
    crate: str | None,
    into: Path,
    dry_run: bool,
    recipe_folders: tuple[Path, ...],
    progress: Reporter,
) -> None:
    """Make a recipe: how it is built, its licence and what it needs are guessed from its sources.

    Read what was written, and finish it.
    """
    from tcz import commands, newrecipe

    kinds: dict[Kind, str | None] = {"url": url, "debian": debian, "go": go, "crate": crate}
    given = [(kind, what) for kind, what in kinds.items() if what is not None]
    if len(given) != 1:
        raise click.UsageError("one of --from-url, --from-debian, --go and --crate says where it comes from")
    ((kind, what),) = given
    known, _ = commands.open_recipes(recipe_folders).readable()
    sources = _sources(recipe_folders, (), progress)
    made = newrecipe.draft(kind, what, into, sources, name=name, known=known)
    if dry_run:
        for file, text in made.files.items():
            click.echo(f"--- {made.recipe.folder / file}\n{text}")
        return
    folder = made.write()
    newrecipe.check(made)
    clikit.echo_lines(str(folder / file) for file in made.files)


def _sources(folders: tuple[Path, ...], mirrors: tuple[str, ...], progress: Reporter) -> Sources:
    from tcz import commands
    from tcz.paths import Dirs
    from tcz.run import HostRunner

    workshop = commands.open_workshop(
        Dirs.from_env(), HostRunner(), progress, folders, source_mirrors=mirrors
    )
    return workshop.builder.sources


def _finish(change: Change, *, dry_run: bool) -> None:
    lines = change.diff()
    clikit.echo_lines(lines)
    if not lines:
        click.echo(f"{change.path} is right as it is: version {change.version}", err=True)
    elif dry_run:
        click.echo("nothing was written", err=True)
    else:
        change.write()
        click.echo(f"{change.path} written", err=True)
