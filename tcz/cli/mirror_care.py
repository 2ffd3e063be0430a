"""Commands of ``tcz mirror`` that look after it: repair, snapshot, gc, diff."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tcz import clikit
from tcz.cli import mirror_options as options

if TYPE_CHECKING:
    from tcz.mirror.model import Branch
    from tcz.mirror.upstream import Upstream
    from tcz.reporting import Reporter


@click.command(
    cls=clikit.Command,
    examples=[
        "tcz mirror repair                        from other states and from upstreams",
        "tcz mirror repair --from https://tc.example.org    what another mirror has in the same bytes",
        "tcz mirror repair --from /mnt/backup     a folder of packages, or of a mirror's layout",
        "tcz mirror repair --drop                 give up what cannot be mended",
    ],
    codes=[5, 7, 9],
)
@options.mirror_option
@click.option(
    "--from",
    "sources",
    metavar="PLACE",
    multiple=True,
    help="A folder, or the address of a mirror (http, https, rsync), to look for lost files in (repeatable).",
)
@click.option("--drop", is_flag=True, help="Give up packages, states and snapshots that cannot be mended.")
@options.unsigned_option
@options.dry_run_option
@clikit.progress_option
@clikit.json_option
def repair(
    folder: Path,
    sources: tuple[str, ...],
    drop: bool,
    unsigned: bool,
    dry_run: bool,
    progress: Reporter,
    as_json: bool,
) -> None:
    """Mend what verify finds wrong. Exit code 9: something is left."""
    from tcz.errors import ConfigError
    from tcz.mirror import config, known, publish
    from tcz.mirror import repair as work
    from tcz.mirror.repository import Mirror
    from tcz.mirror.upstream import open_upstream
    from tcz.paths import Dirs
    from tcz.run import HostRunner

    missing = [place for place in sources if "://" not in place and not Path(place).is_dir()]
    if missing:
        raise ConfigError(f"there is no folder {missing[0]}", hint="name a folder or an address")
    opened = Mirror.open(folder)
    if dry_run:
        found = work.outlook(opened, progress)
    else:
        try:
            sign = options.signing(folder, unsigned=unsigned)
        except ConfigError:
            sign = publish.unsigned  # refused where something must be published; the rest needs no key
        upstreams, dirs = config.read(folder).upstreams, Dirs.from_env()

        def reach(address: str, branch: Branch) -> Upstream:
            return open_upstream(
                known.upstream(address, upstreams, (), dirs), branch, dirs.cache, HostRunner()
            )

        found = work.repair(opened, progress, sources=sources, drop=drop, reach=reach, sign=sign)
    if as_json:
        clikit.echo_json(found)
    else:
        clikit.echo_lines(work.lines(found))
    if found.verified.damage:
        click.get_current_context().exit(9)


@click.group(cls=clikit.Group)
def snapshot() -> None:
    """Keep states of a mirror under names: they never change and share their bytes."""


@snapshot.command(examples=["tcz mirror snapshot create", "tcz mirror snapshot create release-1"], codes=[7])
@click.argument("name", required=False)
@options.mirror_option
@options.dry_run_option
@clikit.progress_option
@clikit.json_option
def create(name: str | None, folder: Path, dry_run: bool, progress: Reporter, as_json: bool) -> None:
    """Name the state that is shown now; today's date if no NAME is given."""
    from datetime import UTC, datetime

    from tcz.mirror import snapshots
    from tcz.mirror.repository import Mirror

    today = datetime.now(UTC).date()
    made = snapshots.create(Mirror.open(folder), name, today, progress, dry_run=dry_run)
    if as_json:
        clikit.echo_json(made)
    else:
        click.echo(f"{made.name}: state {made.serial}, {made.packages} packages")


@snapshot.command("list", examples=["tcz mirror snapshot list --json"], codes=[5])
@options.mirror_option
@clikit.json_option
def list_(folder: Path, as_json: bool) -> None:
    """Show all snapshots."""
    from tcz.mirror import snapshots
    from tcz.mirror.repository import Mirror

    found = snapshots.listing(Mirror.open(folder))
    if as_json:
        clikit.echo_json(found)
    else:
        rows = [
            (one.name, str(one.serial), f"{one.packages} packages", clikit.size_text(one.size))
            for one in found
        ]
        clikit.echo_lines(clikit.columns(rows))


@snapshot.command("remove", examples=["tcz mirror snapshot remove 2026-01-31"])
@click.argument("name")
@options.mirror_option
@options.dry_run_option
@clikit.progress_option
def remove(name: str, folder: Path, dry_run: bool, progress: Reporter) -> None:
    """Forget a snapshot. Its bytes stay until tcz mirror gc."""
    from tcz.mirror import snapshots
    from tcz.mirror.repository import Mirror

    for state in snapshots.remove(Mirror.open(folder), name, progress, dry_run=dry_run):
        click.echo(f"{'would remove' if dry_run else 'removed'} the state {state}")


@click.command(cls=clikit.Command, examples=["tcz mirror gc --dry-run", "tcz mirror gc"], codes=[5])
@options.mirror_option
@options.dry_run_option
@clikit.progress_option
@clikit.json_option
def gc(folder: Path, dry_run: bool, progress: Reporter, as_json: bool) -> None:
    """Remove bytes that no state, snapshot or lock names."""
    from tcz.mirror import snapshots
    from tcz.mirror.repository import Mirror

    found = snapshots.collect(Mirror.open(folder), progress, dry_run=dry_run)
    if as_json:
        clikit.echo_json(found)
    else:
        done = "would be removed" if dry_run else "removed"
        size = clikit.size_text(found.bytes)
        click.echo(f"{found.objects} objects ({size}) {done}, {found.kept} stay")


@click.command(
    cls=clikit.Command,
    examples=[
        "tcz mirror diff 2026-01-31 now      since a snapshot",
        "tcz mirror diff 6 7                 between two states",
        "tcz mirror diff now /srv/other      between two mirrors",
    ],
    codes=[5],
)
@click.argument("old")
@click.argument("new")
@options.mirror_option
@clikit.json_option
def diff(old: str, new: str, folder: Path, as_json: bool) -> None:
    """Show what changed between two snapshots, states or mirrors (``now``: what is shown)."""
    from tcz.mirror import differences as work

    found = tuple(work.differences(work.catalogue_of(folder, old), work.catalogue_of(folder, new)))
    if as_json:
        clikit.echo_json(found)
    else:
        clikit.echo_lines(work.lines(found))
