"""The commands inspect, diff and extract: what is in images."""

from __future__ import annotations

from pathlib import Path

import click

from tcz import clikit


@click.command(
    cls=clikit.Command,
    codes=[5],
    examples=[
        "remaster inspect out/floe-docker.iso",
        "remaster inspect CorePure64-17.0.iso --json",
        "remaster inspect corepure64.gz                   an initrd: its members, its root",
        "remaster inspect out/floe-docker.qcow2           a disk: its partitions, and what is on them",
    ],
)
@click.argument("image", type=click.Path(path_type=Path))
@click.option("--manifest", is_flag=True, help="Write the whole manifest of an image that remaster made.")
@clikit.json_option
def inspect(image: Path, manifest: bool, as_json: bool) -> None:
    """Tell what IMAGE is, by looking into it.

    IMAGE is an ISO image of any make, a disk (raw or qcow2), a tar archive of a root file system, an initrd,
    or a folder of files or with a root file system.
    """
    from remaster.survey import look, text
    from tcz.errors import VerifyError

    found = look.survey(image)
    if manifest and found.manifest is None:
        raise VerifyError("this image has no manifest: remaster did not make it", where=str(image))
    if manifest and found.manifest is not None:
        click.echo(found.manifest.text, nl=False)
    elif as_json:
        clikit.echo_json(found)
    else:
        clikit.echo_lines(text.lines(found))


@click.command(
    cls=clikit.Command,
    codes=[5],
    examples=[
        "remaster diff old.iso new.iso",
        "remaster diff CorePure64-16.1.iso CorePure64-17.0.iso --json",
    ],
)
@click.argument("first", metavar="A", type=click.Path(path_type=Path))
@click.argument("second", metavar="B", type=click.Path(path_type=Path))
@clikit.json_option
@click.pass_context
def diff(ctx: click.Context, first: Path, second: Path, as_json: bool) -> None:
    """Compare two images: facts, boot entries, files, packages and what is in them.

    As with diff(1), the exit code is 0 when they are the same and 1 when they differ. Times are not
    compared.
    """
    from remaster import differ

    found = differ.compare(first, second)
    clikit.echo_json(found) if as_json else clikit.echo_lines(differ.lines(found))
    ctx.exit(0 if found.same else 1)


@click.command(
    cls=clikit.Command,
    codes=[5, 7],
    examples=[
        "remaster extract CorePure64-17.0.iso --output unpacked          medium and root",
        "remaster extract out/floe-docker.iso docker-engine -o unpacked  a package",
        "remaster build --variant linux --base unpacked                  and the way back",
    ],
)
@click.argument("image", type=click.Path(path_type=Path))
@click.argument("part", required=False)
@click.option(
    "--output", "-o", metavar="DIR", required=True, type=click.Path(path_type=Path), help="Where it goes."
)
@clikit.json_option
def extract(image: Path, part: str | None, output: Path, as_json: bool) -> None:
    """Unpack IMAGE, or PART of it: root, medium, or the name of a package.

    No privileges are needed: owners, modes and devices are recorded in a file beside each folder, which
    `--base DIR` reads. Nothing outside of DIR is written.
    """
    from remaster import extract as extraction

    parts = extraction.extract(image, part, output)
    if as_json:
        clikit.echo_json(parts)
    else:
        clikit.echo_lines(
            f"{one.folder}: {one.entries} entries, {clikit.size_text(one.size)}; owners in {one.owners.name}"
            for one in parts
        )
