"""The group ``tcz mirror``: the commands that change and look at a mirror."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tcz import clikit
from tcz.cli import mirror_care
from tcz.cli import mirror_options as options

if TYPE_CHECKING:
    from tcz.mirror.changes import Outcome
    from tcz.reporting import Reporter


@click.group(cls=clikit.Group)
def mirror() -> None:
    """Keep a private mirror of Tiny Core packages: complete, verified, never half-written."""


@mirror.command(
    examples=[
        "tcz mirror init /srv/tc --branch 17.x/x86_64",
        "tcz mirror init /srv/tc --branch 17.x/x86_64 --branch 17.x/x86 --title 'Our packages'",
        "tcz mirror init /srv/tc --key release       signed from the beginning",
    ],
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--branch",
    "branches",
    metavar="RELEASE/ARCH",
    multiple=True,
    default=("17.x/x86_64",),
    show_default=True,
    help="A branch that it has (repeatable).",
)
@click.option("--title", default="", help="What it is called.")
@click.option("--keep", type=click.IntRange(1, 10_000), default=3, show_default=True, help="States to keep.")
@click.option("--key", metavar="NAME", help="Sign it with this key of yours (tcz mirror keys list).")
@clikit.progress_option
def init(
    folder: Path, branches: tuple[str, ...], title: str, keep: int, key: str | None, progress: Reporter
) -> None:
    """Begin a mirror in a folder."""
    from tcz.mirror import changes
    from tcz.mirror.config import Config
    from tcz.mirror.model import Branch
    from tcz.mirror.publish import unsigned

    config = Config(
        title=title,
        branches=tuple(dict.fromkeys(Branch.parse(text) for text in branches)),
        keep=keep,
        latest={},
    )
    if key is None:
        made = changes.init(folder, config, progress, unsigned)
    else:
        from tcz.mirror import signing
        from tcz.mirror.keyring import KeyRing
        from tcz.paths import Dirs

        config, sign = signing.begun(config, KeyRing(Dirs.from_env()), key)
        made = changes.init(folder, config, progress, sign)
    click.echo(made.public)


@mirror.command(
    examples=[
        "tcz mirror add thing.tcz                     with what lies beside it",
        "tcz mirror add out/ --branch 17.x/x86_64     all packages of a folder",
        "tcz mirror add podman --needs                what a recipe made, and what that needs",
        "tcz mirror add thing.tcz --replace --dry-run",
    ],
    codes=[5, 7, 9],
)
@click.argument("what", nargs=-1, required=True, metavar="FILE.tcz|FOLDER|NAME...", type=click.Path())
@options.mirror_option
@options.branch_option
@click.option("--replace", "replacing", is_flag=True, help="Let a name have other bytes than before.")
@click.option("--needs", is_flag=True, help="Of NAMEs, add what they need as well, where a recipe makes it.")
@click.option("--strict", is_flag=True, help="Refuse packages that need what the branch does not have.")
@click.option("--no-lint", is_flag=True, help="Do not let lint look at the packages first.")
@click.option("--base", metavar="BASE", help="The base that lint holds them against; else by the branch.")
@options.unsigned_option
@options.dry_run_option
@clikit.recipes_option
@clikit.progress_option
@clikit.json_option
def add(
    what: tuple[str, ...],
    folder: Path,
    branch: str | None,
    replacing: bool,
    needs: bool,
    strict: bool,
    no_lint: bool,
    base: str | None,
    unsigned: bool,
    dry_run: bool,
    recipe_folders: tuple[Path, ...],
    progress: Reporter,
    as_json: bool,
) -> None:
    """Publish packages: files, folders of them, or what a recipe made. All or none."""
    from tcz import mirror_commands

    wish = mirror_commands.AddWish(
        branch=branch,
        replacing=replacing,
        needs=needs,
        strict=strict,
        lint=not no_lint,
        base=base,
        dry_run=dry_run,
    )
    sign = options.signing(folder, unsigned=unsigned)
    done = mirror_commands.add(folder, what, wish, recipe_folders, progress, sign=sign)
    show(done, dry_run=dry_run, as_json=as_json)


@mirror.command(examples=["tcz mirror remove thing", "tcz mirror remove thing.tcz --force"], codes=[9])
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@options.mirror_option
@options.branch_option
@click.option("--force", is_flag=True, help="Even if others need it.")
@options.unsigned_option
@options.dry_run_option
@clikit.progress_option
@clikit.json_option
def remove(
    names: tuple[str, ...],
    folder: Path,
    branch: str | None,
    force: bool,
    unsigned: bool,
    dry_run: bool,
    progress: Reporter,
    as_json: bool,
) -> None:
    """Take packages out of a branch. Snapshots that have them keep them."""
    from tcz.mirror import changes, config
    from tcz.mirror.repository import Mirror

    opened = Mirror.open(folder)
    meant = config.read(folder).branch(branch)
    sign = options.signing(folder, unsigned=unsigned)
    done = changes.remove(opened, names, meant, progress, force=force, dry_run=dry_run, sign=sign)
    show(done, dry_run=dry_run, as_json=as_json)


@mirror.command(examples=["tcz mirror index", "tcz mirror index --dry-run"], codes=[5, 7])
@options.mirror_option
@options.unsigned_option
@options.dry_run_option
@clikit.progress_option
@clikit.json_option
def index(folder: Path, unsigned: bool, dry_run: bool, progress: Reporter, as_json: bool) -> None:
    """Make all index and .tree files anew, after a change of the configuration or of this toolkit."""
    from tcz.mirror import changes
    from tcz.mirror.repository import Mirror

    sign = options.signing(folder, unsigned=unsigned)
    done = changes.index(Mirror.open(folder), progress, dry_run=dry_run, sign=sign)
    show(done, dry_run=dry_run, as_json=as_json)


@mirror.command(
    examples=["tcz mirror verify", "tcz mirror verify --json | jq '.damage[].path'"], codes=[5, 9]
)
@options.mirror_option
@clikit.progress_option
@clikit.json_option
def verify(folder: Path, progress: Reporter, as_json: bool) -> None:
    """Hash every file, compare all with the catalogue, and say what is wrong. Exit code 9: something is."""
    from tcz.mirror import verify as work
    from tcz.mirror.repository import Mirror

    found = work.verify(Mirror.open(folder), progress)
    if as_json:
        clikit.echo_json(found)
    else:
        clikit.echo_lines(work.lines(found))
    if found.damage:
        click.get_current_context().exit(9)


@mirror.command(examples=["tcz mirror status", "tcz mirror status --mirror /srv/tc --json"], codes=[5])
@options.mirror_option
@clikit.json_option
def status(folder: Path, as_json: bool) -> None:
    """Show branches, sizes, states, snapshots and upstreams."""
    from tcz.mirror import status as work
    from tcz.mirror.repository import Mirror

    found = work.status(Mirror.open(folder))
    if as_json:
        clikit.echo_json(found)
    else:
        clikit.echo_lines(work.lines(found, clikit.size_text))


def show(done: Outcome, *, dry_run: bool = False, as_json: bool = False) -> None:
    """Write what became of each package, and which state is shown now."""
    if as_json:
        clikit.echo_json(done)
        return
    for warning in done.warnings:
        click.echo(f"warning: {warning}", err=True)
    for one in done.packages:
        click.echo(f"{one.change:<10} {one.name}.tcz {one.version}".rstrip())
        for note in one.notes:
            click.echo(f"           {note}")
    if dry_run:
        click.echo("nothing was changed (--dry-run)")
    elif done.published:
        click.echo(f"published as {done.serial}")
    else:
        click.echo(f"nothing has changed since {done.serial}")


for _command in (mirror_care.repair, mirror_care.snapshot, mirror_care.gc, mirror_care.diff):
    mirror.add_command(_command)
