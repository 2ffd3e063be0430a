"""The command sbom."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tcz import clikit
from tcz.cli import arguments

if TYPE_CHECKING:
    from tcz.reporting import Reporter

_FORMATS = ("cyclonedx", "spdx")


@click.command(
    cls=clikit.Command,
    examples=[
        "tcz sbom runc                                       CycloneDX 1.6 to standard output",
        "tcz sbom docker --closure --format spdx --output docker.spdx.json",
        "tcz sbom runc | jq -r '.components[].purl'",
    ],
    codes=[4, 5, 6, 7, 8],
)
@arguments.name
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMATS),
    default="cyclonedx",
    show_default=True,
    help="Which format.",
)
@click.option("--closure", is_flag=True, help="Tell of all packages that it needs, too.")
@click.option("--output", metavar="FILE", type=click.Path(path_type=Path), help="Write to FILE.")
@clikit.recipes_option
@clikit.progress_option
def sbom(
    name: str,
    form: str,
    closure: bool,
    output: Path | None,
    recipe_folders: tuple[Path, ...],
    progress: Reporter,
) -> None:
    """Write a bill of materials: packages, their sources, what is compiled in, what they were built with.

    NAME is a recipe or one of its packages; what is not built is built first.
    """
    from tcz import commands
    from tcz.paths import Dirs, check_writable
    from tcz.run import HostRunner
    from tcz.sbom import cyclonedx, spdx
    from tcz.sbom.gather import bill_of
    from tcz.store import replacing

    if output is not None:
        check_writable(output)
    dirs = Dirs.from_env()
    commands.recipes_named(commands.open_recipes(recipe_folders), [name])
    workshop = commands.open_workshop(dirs, HostRunner(), progress, recipe_folders)
    bill = bill_of(workshop, name, progress, closure=closure)
    text = (cyclonedx if form == "cyclonedx" else spdx).dumps(bill)
    if output is None:
        click.echo(text, nl=False)
    else:
        with replacing(output) as temporary:
            temporary.write_text(text)
