"""``tcz mirror files``: what a mirror shows beside packages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tcz import clikit
from tcz.cli import mirror_options as options

if TYPE_CHECKING:
    from tcz.mirror.others import Outcome
    from tcz.reporting import Reporter


@click.group(cls=clikit.Group)
def files() -> None:
    """Publish files that are no packages: releases of Tiny Core, their initrds and kernels, sources."""


@files.command(
    "add",
    examples=[
        "tcz mirror files add CorePure64-17.0.iso --to release",
        "tcz mirror files add corepure64.gz vmlinuz64 --to release/distribution_files",
        "tcz mirror files add nano-8.0/ --to tcz/src/nano     all that the folder holds",
    ],
    codes=[5, 7, 9],
)
@click.argument("what", nargs=-1, required=True, metavar="FILE|FOLDER...", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "place",
    metavar="FOLDER",
    required=True,
    help="Where in the branch: release, release_candidates, archive, tcz/src, or below.",
)
@options.mirror_option
@options.branch_option
@click.option("--replace", "replacing", is_flag=True, help="Let a path have other bytes than before.")
@options.unsigned_option
@options.dry_run_option
@clikit.progress_option
@clikit.json_option
def add(
    what: tuple[Path, ...],
    place: str,
    folder: Path,
    branch: str | None,
    replacing: bool,
    unsigned: bool,
    dry_run: bool,
    progress: Reporter,
    as_json: bool,
) -> None:
    """Publish files, those of a release with their md5. All or none."""
    from tcz.mirror import config, others
    from tcz.mirror.repository import Mirror

    opened = Mirror.open(folder)
    done = others.add(
        opened,
        what,
        config.read(folder).branch(branch),
        place.strip("/"),
        progress,
        replacing=replacing,
        dry_run=dry_run,
        sign=options.signing(folder, unsigned=unsigned),
    )
    _show(done, dry_run=dry_run, as_json=as_json)


@files.command("remove", examples=["tcz mirror files remove 17.x/x86_64/release/CorePure64-16.0.iso"])
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@options.mirror_option
@options.unsigned_option
@options.dry_run_option
@clikit.progress_option
@clikit.json_option
def remove(
    paths: tuple[str, ...], folder: Path, unsigned: bool, dry_run: bool, progress: Reporter, as_json: bool
) -> None:
    """Take files out, or folders of them. Snapshots that have them keep them."""
    from tcz.mirror import others
    from tcz.mirror.repository import Mirror

    opened = Mirror.open(folder)
    sign = options.signing(folder, unsigned=unsigned)
    done = others.remove(opened, paths, progress, dry_run=dry_run, sign=sign)
    _show(done, dry_run=dry_run, as_json=as_json)


@files.command("list", examples=["tcz mirror files list --json"], codes=[5])
@options.mirror_option
@clikit.json_option
def list_(folder: Path, as_json: bool) -> None:
    """Show all of them."""
    from tcz.mirror import others
    from tcz.mirror.repository import Mirror

    found = others.listing(Mirror.open(folder).catalogue())
    if as_json:
        clikit.echo_json(
            [{"path": path, "sha256": blob.sha256, "size": blob.size} for path, blob in found.items()]
        )
    else:
        clikit.echo_lines(
            clikit.columns([(path, clikit.size_text(blob.size)) for path, blob in found.items()])
        )


def _show(done: Outcome, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        clikit.echo_json(done)
        return
    for one in done.files:
        click.echo(f"{one.change:<10} {one.path}")
    if dry_run:
        click.echo("nothing was changed (--dry-run)")
    else:
        click.echo(
            f"published as {done.serial}" if done.published else f"nothing has changed since {done.serial}"
        )
