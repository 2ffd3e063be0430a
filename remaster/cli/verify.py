"""The command verify: whether an image is the one that was written, and by whom it was signed."""

from __future__ import annotations

from pathlib import Path

import click

from tcz import clikit


@click.command(
    cls=clikit.Command,
    codes=[5],
    examples=[
        "remaster verify out/floe-docker.iso --key release.pub",
        "remaster verify out/floe-docker.netboot --key release.pub --json",
        "remaster verify out/floe-docker.iso              the sums alone: no key, no proof of who made it",
        "minisign -Vm out/floe-docker.iso -p release.pub  the same by another program",
    ],
)
@click.argument("image", type=click.Path(path_type=Path))
@click.option(
    "--key",
    "keys",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A public key of minisign's that must have signed it (repeatable: any of them).",
)
@clikit.json_option
def verify(image: Path, keys: tuple[Path, ...], as_json: bool) -> None:
    """Check IMAGE against the sums and the signatures beside it.

    With --key a signature must vouch for every file: its own X.iso.minisig, or that of X.sha256. To prove
    what an image is made of, see `remaster rebuild --verify`.
    """
    from remaster import signatures

    found = signatures.check(image, signatures.public(keys))
    clikit.echo_json(found) if as_json else clikit.echo_lines(signatures.lines(found))
