"""The command rebuild: an image made again from its own manifest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remaster.cli import build
from tcz import clikit

if TYPE_CHECKING:
    from tcz.reporting import Reporter

_OPTIONS = (
    "variant",
    "base",
    "packages",
    "files",
    "mirrors",
    "mirror_keys",
    "mirror_branch",
    "recipe_folders",
    "progress",
    "as_json",
)


@click.command(
    cls=clikit.Command,
    codes=[4, 5, 6, 7, 8, 9],
    examples=[
        "remaster rebuild --verify out/floe-docker.iso",
        "remaster rebuild --verify host.qcow2 --mirror https://tc.example.org --package ./mytool.tcz",
        "remaster rebuild host.iso --output again.iso     make it again, compare nothing",
        "remaster rebuild --verify host.iso --dry-run     say whether all that it was made of is here",
    ],
)
@click.argument("image", type=click.Path(path_type=Path))
@click.option("--verify", is_flag=True, help="Compare what was made with IMAGE, bit for bit.")
@click.option(
    "--output", "-o", metavar="FILE", type=click.Path(path_type=Path), help="Keep what was made at FILE."
)
@click.option(
    "--manifest",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The copy of the manifest that lay beside IMAGE.  [default: X.manifest.json, where it is there]",
)
@click.option(
    "--differences", metavar="N", type=click.IntRange(0), default=20, show_default=True, help="Show N."
)
@click.option("--dry-run", is_flag=True, help="Look whether all inputs are here, and write nothing.")
@build.request_options(only=_OPTIONS)
def rebuild(**options: Any) -> None:  # noqa: ANN401 - handed on as they are
    """Make IMAGE again from what its manifest names: recipes, mirrors, base, variant, all by hash.

    IMAGE is an ISO image, a disk, a netboot folder or a tar archive that remaster wrote. With --verify the
    exit code is 0 when both are the same byte for byte and 9 when they are not; it is 4 when something that
    the image was made of is not here, which is told with its hash.
    """
    _rebuild(**options)


def _rebuild(
    *,
    image: Path,
    verify: bool,
    output: Path | None,
    manifest: Path | None,
    differences: int,
    dry_run: bool,
    progress: Reporter,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    from remaster import rebuild as again
    from remaster.lockwish import Here
    from remaster.wish import Wish
    from tcz.errors import ConfigError
    from tcz.paths import Dirs
    from tcz.run import HostRunner

    if not verify and output is None and not dry_run:
        raise ConfigError("nothing to do", hint="--verify compares, --output keeps what is made")
    wanted = Wish(**{**options, "variant": options["variant"] or "", "output": output})
    here = Here(dirs=Dirs.from_env(), runner=HostRunner(), reporter=progress)
    found = again.verify(image, wanted, here, beside=manifest, shown=differences, dry_run=dry_run)
    if as_json:
        clikit.echo_json(found)
    elif verify or dry_run:
        clikit.echo_lines(again.lines(found))
    else:
        click.echo(found.kept)
    if verify:
        again.require(found)
