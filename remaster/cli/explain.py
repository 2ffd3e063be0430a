"""The command explain: where a file of an image comes from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remaster.cli import build
from tcz import clikit

if TYPE_CHECKING:
    from tcz.reporting import Reporter


@click.command(
    cls=clikit.Command,
    codes=[4, 5, 6, 7, 8],
    examples=[
        "remaster explain /usr/local/bin/dockerd --image out/floe-docker.iso",
        "remaster explain etc/passwd --image host.qcow2 --json",
        "remaster explain /usr/local/etc --variant ./mine.toml   a folder: who has something in it",
        "remaster explain /cde/optional/runc.tcz --image x.iso   what is on the medium, too",
    ],
)
@click.argument("path")
@click.option("--image", metavar="IMAGE", type=click.Path(path_type=Path), help="The image that it is in.")
@build.request_options(without=("output", "locked", "sign", "dry_run"))
def explain(**options: Any) -> None:  # noqa: ANN401 - handed on as they are
    """Tell which package, recipe, source and hash the file PATH comes from, in an image or of a variant.

    Where several have it they are told in the order in which one covers the other: layers of the base, what
    is unpacked into the root, edits, the image's own files, then packages in load order. For an image give
    --image, else --variant with the options of `remaster build`. Exit code 2 for a path that is not there.
    """
    _explain(**options)


def _explain(
    *,
    path: str,
    image: Path | None,
    variant: str | None,
    progress: Reporter,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    from remaster import explaining
    from remaster.wish import Wish
    from tcz.errors import ConfigError
    from tcz.paths import Dirs
    from tcz.run import HostRunner

    dirs = Dirs.from_env()
    if (image is None) == (variant is None):
        raise ConfigError(
            "neither an image nor a variant is named, or both", hint="--image FILE or --variant NAME"
        )
    if image is not None:
        found = explaining.in_image(path, image, dirs)
    else:
        found = explaining.in_variant(
            path, Wish(variant=variant or "", **options), dirs, HostRunner(), progress
        )
    if as_json:
        clikit.echo_json(found)
    explaining.require(found)
    if not as_json:
        clikit.echo_lines(explaining.lines(found))
