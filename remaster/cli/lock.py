"""The command lock: exactly what an image would be made of, as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remaster.cli import build, completing
from tcz import clikit

if TYPE_CHECKING:
    from tcz.reporting import Reporter


@click.command(
    cls=clikit.Command,
    codes=[4, 5, 6, 7, 8],
    examples=[
        "remaster lock docker                             out/floe-docker.lock",
        "remaster lock ./mine.toml -o mine.lock --package htop --ssh-key ~/.ssh/id_ed25519.pub",
        "remaster lock docker --dry-run                   say what would be built for it",
        "remaster build --locked mine.lock                the image, from that and nothing else",
    ],
)
@click.argument("variant", metavar="VARIANT", shell_complete=completing.variant_names)
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Where the lock goes  [default: out/floe-VARIANT.lock]",
)
@build.request_options(without=("variant", "output", "locked", "sign"))
def lock(variant: str, **options: Any) -> None:  # noqa: ANN401 - handed on as they are
    """Resolve all of an image without building it: packages, base, kernel, tools, settings, each by hash.

    VARIANT is a name or the path of a file. Packages are built where they are not yet. The lock is text,
    sorted, one item a line; the options are those of `remaster build`.
    """
    _lock(variant=variant, **options)


def _lock(
    *,
    variant: str,
    output: Path | None,
    dry_run: bool,
    progress: Reporter,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    from remaster import lockwish, outline, wish
    from tcz.paths import Dirs
    from tcz.run import HostRunner

    wanted = wish.Wish(variant=variant, **options)
    dirs, runner = Dirs.from_env(), HostRunner()
    if dry_run:
        told = outline.outline(wanted, dirs, runner, progress)
        clikit.echo_json(told) if as_json else clikit.echo_lines(outline.lines(told))
        return
    made = lockwish.make(wanted, output, lockwish.Here(dirs=dirs, runner=runner, reporter=progress))
    clikit.echo_json(made) if as_json else clikit.echo_lines(lockwish.made_lines(made))
