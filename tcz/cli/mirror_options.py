"""Options that the commands of ``tcz mirror`` share."""

from __future__ import annotations

from pathlib import Path

import click

mirror_option = click.option(
    "-m",
    "--mirror",
    "folder",
    metavar="DIR",
    envvar="TCZ_MIRROR_DIR",
    default=".",
    type=click.Path(path_type=Path),
    help="The mirror's folder: this one, unless TCZ_MIRROR_DIR names another.",
)
branch_option = click.option(
    "-b",
    "--branch",
    metavar="RELEASE/ARCH",
    help="The branch, such as 17.x/x86_64; needless if there is one.",
)
