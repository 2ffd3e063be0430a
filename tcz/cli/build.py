"""Commands that build: build, fetch, log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tcz import clikit
from tcz.cli import arguments, limits
from tcz.cli.packing import packing_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tcz.limits import Limits
    from tcz.mirror.publish import Sign
    from tcz.mirror_commands import AddWish
    from tcz.model import Built
    from tcz.recipe import Recipes
    from tcz.reporting import Reporter
    from tcz.squashfs.options import SquashOptions
    from tcz.workshop import Planned, Workshop


@click.command(
    cls=clikit.Command,
    examples=[
        "tcz build runc                   build one recipe and all that its packages need",
        "tcz build --all --jobs 2         build everything on two processors",
        "tcz build docker --dry-run       say what would be built",
        "tcz build docker --lock my.lock  with the Debian packages that a lock names",
        "tcz build runc --debug-shell     look around where a build fails",
        "tcz build runc --memory 2G --timeout 30m",
        "tcz build runc --submission      packed as Tiny Core's own repository asks for",
        "tcz build runc --target 10       for a Tiny Core that mounts blocks of 4 KiB only",
        "tcz build --check runc           build it twice in different surroundings and compare",
        "tcz build runc --publish /srv/tc  and add it to a mirror",
    ],
    codes=[4, 5, 6, 7, 8, 9],
)
@arguments.names
@click.option("--all", "everything", is_flag=True, help="Build every recipe but those on request.")
@click.option("--check", is_flag=True, help="Build each NAME twice from nothing, and compare.")
@click.option("--dry-run", is_flag=True, help="Say what would be built, in order; build and fetch nothing.")
@click.option(
    "--update", is_flag=True, help="Take the newest Debian packages instead of those taken last time."
)
@click.option(
    "--lock", "lock_file", metavar="FILE", type=click.Path(path_type=Path), help="Take versions from FILE."
)
@click.option(
    "--write-lock", metavar="FILE", type=click.Path(path_type=Path), help="Write what was used to FILE."
)
@clikit.source_mirror_option
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Use at most this many processors; as many recipes are built at a time, and share them.",
)
@click.option("--keep-going", is_flag=True, help="After a failure build all that does not build upon it.")
@click.option("--keep-failed", is_flag=True, help="Keep the work folder of a build that fails.")
@click.option("--debug-shell", is_flag=True, help="Open a shell where a script fails; builds one at a time.")
@click.option("--tinycore-mirror", metavar="URL", help="Take Tiny Core's files from URL; or set TCZ_MIRROR.")
@click.option(
    "--mirror-key",
    "tinycore_keys",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Refuse that mirror unless this public key signed it (repeatable: any of them).",
)
@click.option(
    "--no-zsync", is_flag=True, help="Leave out the .zsync files, which a mirror's clients update by."
)
@click.option(
    "--publish",
    metavar="MIRROR",
    type=click.Path(path_type=Path),
    help="Add the packages to the mirror in the folder MIRROR, as tcz mirror add does.",
)
@click.option("--branch", metavar="RELEASE/ARCH", help="With --publish: the branch, if it has several.")
@click.option("--replace", "replacing", is_flag=True, help="With --publish: let names have other bytes.")
@click.option(
    "--unsigned", is_flag=True, help="With --publish: without a signature, though the mirror is signed."
)
@packing_options
@limits.limit_options
@clikit.recipes_option
@clikit.progress_option
@clikit.json_option
def build(
    names: tuple[str, ...],
    everything: bool,
    check: bool,
    dry_run: bool,
    update: bool,
    lock_file: Path | None,
    write_lock: Path | None,
    source_mirrors: tuple[str, ...],
    jobs: int | None,
    keep_going: bool,
    keep_failed: bool,
    debug_shell: bool,
    packing: SquashOptions,
    tinycore_mirror: str | None,
    tinycore_keys: tuple[Path, ...],
    limit: Limits,
    no_zsync: bool,
    publish: Path | None,
    branch: str | None,
    replacing: bool,
    unsigned: bool,
    recipe_folders: tuple[Path, ...],
    progress: Reporter,
    as_json: bool,
) -> None:
    """Build recipes; what is built already is not built again.

    A NAME is a recipe or one of its packages. The paths of the finished packages go to standard output.
    """
    from tcz import commands, lock
    from tcz.build import Settings
    from tcz.paths import Dirs, check_writable
    from tcz.run import HostRunner

    if debug_shell:
        clikit.refuse_without_terminal("--debug-shell")
    wish = _publishing(publish, branch, replacing=replacing, unsigned=unsigned)
    recipes = commands.open_recipes(recipe_folders)
    wanted = commands.recipes_named(recipes, names, everything=everything)
    _tell_left_out(recipes, wanted, progress, everything=everything)
    locked = lock.read(lock_file) if lock_file else None
    if write_lock is not None:
        check_writable(write_lock)
    if jobs is not None:
        commands.limit_processors(jobs)
    settings = Settings(
        options=packing,
        keep_failed=keep_failed,
        debug_shell=debug_shell,
        keep_going=keep_going,
        limits=limit,
    )
    workshop = commands.open_workshop(
        Dirs.from_env(),
        HostRunner(),
        progress,
        recipe_folders,
        update=update,
        lock=locked,
        tinycore_mirror=tinycore_mirror,
        tinycore_keys=tinycore_keys,
        settings=settings,
        source_mirrors=source_mirrors,
    )
    if dry_run:
        _echo_planned(workshop.plan(wanted), as_json=as_json)
        return
    if check:
        _check(workshop, wanted, progress, as_json=as_json)
        return
    builds = workshop.build(wanted)
    workshop.complete(builds, zsync=not no_zsync)
    if write_lock is not None:
        commands.write_lock(write_lock, builds, wanted)
    if publish is not None and wish is not None:
        _publish(publish, builds, *wish, recipe_folders, progress)
    if as_json:
        clikit.echo_json(builds)
    else:
        clikit.echo_lines(commands.built_lines(builds))


@click.command(
    cls=clikit.Command,
    examples=["tcz fetch --all                  fetch all sources, to build without a network later"],
    codes=[4, 5, 6, 7],
)
@arguments.names
@click.option("--all", "everything", is_flag=True, help="Fetch for every recipe but those on request.")
@click.option(
    "--update", is_flag=True, help="Take the newest Debian packages instead of those taken last time."
)
@clikit.source_mirror_option
@clikit.recipes_option
@clikit.progress_option
@clikit.json_option
def fetch(
    names: tuple[str, ...],
    everything: bool,
    update: bool,
    source_mirrors: tuple[str, ...],
    recipe_folders: tuple[Path, ...],
    progress: Reporter,
    as_json: bool,
) -> None:
    """Fetch and verify the sources and build roots of recipes, without building."""
    from tcz import commands
    from tcz.paths import Dirs
    from tcz.run import HostRunner

    recipes = commands.open_recipes(recipe_folders)
    wanted = commands.recipes_named(recipes, names, everything=everything)
    _tell_left_out(recipes, wanted, progress, everything=everything)
    workshop = commands.open_workshop(
        Dirs.from_env(),
        HostRunner(),
        progress,
        recipe_folders,
        update=update,
        source_mirrors=source_mirrors,
    )
    _echo_planned(workshop.fetch(wanted), as_json=as_json)


@click.command(
    "why-rebuild",
    cls=clikit.Command,
    examples=["tcz why-rebuild runc", "tcz why-rebuild --json runc | jq '.[].reasons'"],
    codes=[4],
)
@arguments.name
@clikit.recipes_option
@clikit.json_option
def why_rebuild(name: str, recipe_folders: tuple[Path, ...], as_json: bool) -> None:
    """Say what has changed since a recipe was last built, for it and all that it builds upon."""
    from tcz import commands
    from tcz.paths import Dirs
    from tcz.reporting import SilentReporter
    from tcz.run import HostRunner

    recipes = commands.open_recipes(recipe_folders)
    (recipe,) = commands.recipes_named(recipes, [name])
    workshop = commands.open_workshop(Dirs.from_env(), HostRunner(), SilentReporter(), recipe_folders)
    planned = workshop.plan_upon(recipe)
    if as_json:
        clikit.echo_json(planned)
        return
    clikit.echo_lines(commands.why_lines(planned))


@click.command(cls=clikit.Command, examples=["tcz log runc -n 100", "less $(tcz log runc --path)"])
@arguments.name
@click.option("-n", "--lines", "count", type=click.IntRange(min=0), default=40, show_default=True)
@click.option("--path", "path_only", is_flag=True, help="Write only where the log is.")
def log(name: str, count: int, path_only: bool) -> None:
    """Show the end of the log of a recipe's last build."""
    from tcz import commands
    from tcz.paths import Dirs

    path = commands.newest_log(Dirs.from_env(), name)
    if path_only:
        click.echo(path)
    else:
        click.echo(f"{path}:", err=True)
        clikit.echo_lines(commands.last_lines(path, count))


def _tell_left_out(recipes: Recipes, wanted: Sequence[str], progress: Reporter, *, everything: bool) -> None:
    from tcz import commands

    for recipe in commands.on_request(recipes) if everything else ():
        if recipe.name not in wanted:
            progress.note(f"{recipe.name} is left out unless it is named: {recipe.on_request}")


def _echo_planned(planned: Sequence[Planned], *, as_json: bool) -> None:
    if as_json:
        clikit.echo_json(planned)
    else:
        clikit.echo_lines(clikit.columns([(p.recipe.name, p.version, _state(p)) for p in planned]))


def _check(workshop: Workshop, names: Sequence[str], progress: Reporter, *, as_json: bool) -> None:
    from tcz.check import Checker, lines
    from tcz.errors import CheckError
    from tcz.paths import Dirs

    checker = Checker(workshop, progress, Dirs.from_env().cache_folder("check"))
    found = []
    for name in names:
        found.append(checker.check(name))
        if not as_json:
            clikit.echo_lines(lines(found[-1]))
    if as_json:
        clikit.echo_json(found)
    failed = [checked.recipe for checked in found if not checked.passed]
    if failed:
        raise CheckError(
            f"not the same when built twice: {', '.join(failed)}",
            hint='mend it, or say why in the recipe: irreproducible = "..."',
        )


def _publishing(
    mirror: Path | None, branch: str | None, *, replacing: bool, unsigned: bool
) -> tuple[AddWish, Sign] | None:
    """Return what is asked of a mirror; a mistake in it must not show after a long build."""
    if mirror is None:
        if branch is not None or replacing or unsigned:
            raise click.UsageError("--branch, --replace and --unsigned go with --publish")
        return None
    from tcz.cli.mirror_options import signing
    from tcz.mirror import config
    from tcz.mirror.repository import Mirror
    from tcz.mirror_commands import AddWish

    Mirror.open(mirror)
    config.read(mirror).branch(branch)
    return AddWish(branch=branch, replacing=replacing), signing(mirror, unsigned=unsigned)


def _publish(
    mirror: Path,
    builds: Sequence[Built],
    wish: AddWish,
    sign: Sign,
    recipe_folders: Sequence[Path],
    progress: Reporter,
) -> None:
    from tcz import mirror_commands

    done = mirror_commands.publish_builds(mirror, builds, wish, recipe_folders, progress, sign=sign)
    for warning in done.warnings:
        progress.warn(warning)
    for one in done.packages:
        progress.note(f"{mirror}: {one.change} {one.name}.tcz {one.version}")


def _state(planned: Planned) -> str:
    if planned.cached:
        return "built already"
    more = f", and {len(planned.reasons) - 1} more" if planned.reasons[1:] else ""
    return "to be built: " + planned.reasons[0].text + more
