"""The command sbom: what an image is made of, in two standard formats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remaster.cli import build
from tcz import clikit

if TYPE_CHECKING:
    from tcz.reporting import Reporter

_FORMATS = ("cyclonedx", "spdx")


@click.command(
    cls=clikit.Command,
    codes=[4, 5, 6, 7, 8],
    examples=[
        "remaster sbom out/floe-docker.iso                CycloneDX 1.6 to standard output",
        "remaster sbom host.qcow2 --form spdx --output host.spdx.json",
        "remaster sbom podman                             of a variant: its packages are built first",
        "remaster sbom docker | jq -r '.components[].purl'",
    ],
)
@click.argument("what", metavar="IMAGE|VARIANT")
@click.option(
    "--form",
    type=click.Choice(_FORMATS),
    default="cyclonedx",
    show_default=True,
    help="Which standard: CycloneDX 1.6 or SPDX 2.3, both as JSON.",
)
@click.option("--output", "-o", metavar="FILE", type=click.Path(path_type=Path), help="Write to FILE.")
@build.request_options(without=("variant", "output", "locked", "sign", "dry_run", "as_json"))
def sbom(**options: Any) -> None:  # noqa: ANN401 - handed on as they are
    """Write a bill of materials: packages, their sources, what is compiled in, the kernel, the base.

    Of an IMAGE that remaster made, by its manifest and by what is in its packages; of a VARIANT, a name or
    the path of a .toml file, with the options of `remaster build`.
    """
    _sbom(**options)


def _sbom(
    *,
    what: str,
    form: str,
    output: Path | None,
    progress: Reporter,
    **options: Any,  # noqa: ANN401
) -> None:
    from remaster import bill
    from tcz.paths import check_writable
    from tcz.sbom import cyclonedx, spdx
    from tcz.store import replacing

    if output is not None:
        check_writable(output)
    made = bill.of(what, options, progress)
    text = (cyclonedx if form == "cyclonedx" else spdx).dumps(made)
    if output is None:
        click.echo(text, nl=False)
        return
    with replacing(output) as temporary:
        temporary.write_text(text)
