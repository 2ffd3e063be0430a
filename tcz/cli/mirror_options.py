"""Options that the commands of ``tcz mirror`` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tcz.mirror.publish import Sign

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
unsigned_option = click.option(
    "--unsigned",
    is_flag=True,
    help="Publish without a signature, though the mirror is signed: who trusts its key refuses that.",
)
dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing.")


def signing(folder: Path, *, unsigned: bool) -> Sign:
    """Return what the mirror in a folder is signed with; raises ``ConfigError`` without its secret key."""
    from tcz.mirror.publish import is_signed, stripped
    from tcz.mirror.publish import unsigned as nothing
    from tcz.mirror.repository import Mirror

    mirror = Mirror.open(folder)
    if unsigned:
        return stripped
    from tcz.mirror import config

    if not is_signed(mirror, config.read(folder)):
        return nothing  # and no cryptography is loaded
    from tcz.mirror.keyring import KeyRing
    from tcz.mirror.signing import signing as chosen
    from tcz.paths import Dirs

    return chosen(mirror, KeyRing(Dirs.from_env()))
