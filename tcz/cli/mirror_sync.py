"""``tcz mirror sync``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tcz import clikit
from tcz.cli import mirror_options as options

if TYPE_CHECKING:
    from tcz.mirror.config import Config
    from tcz.mirror.sync import Synced
    from tcz.reporting import Reporter


@click.command(
    cls=clikit.Command,
    examples=[
        "tcz mirror sync nano alsa --from http://mirror.example.net/tc",
        "tcz mirror sync --all --from rsync://mirror.example.net/tc",
        "tcz mirror sync --all --from https://tc.example.org --key release.pub    signed, or refused",
        "tcz mirror sync alsa --kernel 6.18.2-tinycore64 --dry-run   say what would be copied",
        "tcz mirror sync               what is there from upstream already, brought up to date",
    ],
    codes=[4, 5, 7, 9],
)
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option("--all", "everything", is_flag=True, help="Copy every package of the branch.")
@click.option(
    "--from",
    "address",
    metavar="UPSTREAM",
    help="An address (http, https, rsync), a folder, or the name of an upstream in mirror.toml.",
)
@click.option(
    "--key",
    "key_files",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Refuse UPSTREAM unless this public key signs it (repeatable: any of them).",
)
@options.mirror_option
@options.branch_option
@click.option("--kernel", metavar="RELEASE", help="Copy modules for this kernel only, as uname -r has it.")
@click.option("--allow-missing", "lenient", is_flag=True, help="Go on where the upstream lacks something.")
@click.option("--replace", "replacing", is_flag=True, help="Replace packages that were added by other means.")
@click.option("--jobs", type=click.IntRange(1, 32), default=4, show_default=True, help="Downloads at a time.")
@options.unsigned_option
@options.dry_run_option
@clikit.progress_option
@clikit.json_option
def sync(
    names: tuple[str, ...],
    everything: bool,
    address: str | None,
    key_files: tuple[Path, ...],
    folder: Path,
    branch: str | None,
    kernel: str | None,
    lenient: bool,
    replacing: bool,
    jobs: int,
    unsigned: bool,
    dry_run: bool,
    progress: Reporter,
    as_json: bool,
) -> None:
    """Copy packages with all they need from an upstream: all of it is right and is shown at once, or
    nothing changes.
    """  # noqa: D205 - one sentence
    from tcz.mirror import config as configs
    from tcz.mirror import known
    from tcz.mirror import sync as syncing
    from tcz.mirror.repository import Mirror
    from tcz.mirror.several import Several
    from tcz.mirror.upstream import open_signed
    from tcz.paths import Dirs
    from tcz.run import HostRunner

    sign = options.signing(folder, unsigned=unsigned)
    mirror = Mirror.open(folder)
    config = configs.read(folder)
    chosen = config.branch(branch)
    if not names and not everything:
        names = syncing.brought_before(mirror, chosen)
    wish = syncing.Wish(
        names=names,
        everything=everything,
        kernel=kernel,
        lenient=lenient,
        replacing=replacing,
        jobs=jobs,
    )
    dirs = Dirs.from_env()
    sources = [known.upstream(one, config.upstreams, key_files, dirs) for one in _addresses(address, config)]
    opened = [open_signed(one, chosen, dirs, HostRunner()) for one in sources]
    upstream = opened[0] if len(opened) == 1 else Several(opened)
    done = syncing.sync(mirror, upstream, chosen, wish, progress, dry_run=dry_run, sign=sign)
    for warning in done.warnings:
        progress.warn(warning)
    if as_json:
        clikit.echo_json(done)
    else:
        clikit.echo_lines(_lines(done, dry_run=dry_run))


def _addresses(address: str | None, config: Config) -> list[str]:
    """Return whom to ask: who is named, else all of the configuration, the highest priority first."""
    from tcz.errors import ConfigError

    if address is not None:
        return [address]
    if not config.upstreams:
        raise ConfigError("no upstream is named", hint="--from ADDRESS, or [[upstream]] in mirror.toml")
    return [one.url for one in sorted(config.upstreams, key=lambda one: -one.priority)]


def _lines(done: Synced, *, dry_run: bool) -> list[str]:
    said = [f"{'would copy' if dry_run else 'copied'} {name}" for name in done.fetched]
    count = f"{len(done.fetched)} to copy" if dry_run else f"{len(done.fetched)} copied"
    state = f"state {done.serial} is shown" if done.published else "nothing published"
    return [*said, f"{done.branch}: {count}, {done.same} as they were; {state}"]
