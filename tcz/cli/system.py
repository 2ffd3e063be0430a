"""Commands about this machine: doctor, completion, cache."""

from __future__ import annotations

import click

from tcz import clikit

_SHELLS = ("bash", "zsh", "fish")


@click.command(cls=clikit.Command, examples=["tcz doctor --json"], codes=[6])
@clikit.json_option
def doctor(as_json: bool) -> None:
    """Look whether this machine can build and boot images, and say what to install."""
    clikit.run_doctor(as_json=as_json)


@click.command(
    cls=clikit.Command,
    examples=[
        "tcz completion bash > ~/.local/share/bash-completion/completions/tcz",
        "tcz completion zsh > ~/.zfunc/_tcz",
        "tcz completion fish > ~/.config/fish/completions/tcz.fish",
    ],
)
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Write the script that completes tcz's commands and recipe names in a shell."""
    root = click.get_current_context().find_root().command
    clikit.echo_completion(root, "tcz", shell)


@click.group(cls=clikit.Group)
def cache() -> None:
    """Look at the cache, or empty it; all in it can be made again."""


@cache.command("status", examples=["tcz cache status"])
@clikit.json_option
def cache_status(as_json: bool) -> None:
    """Show what each part of the cache takes."""
    from tcz import cachefiles
    from tcz.paths import Dirs

    dirs = Dirs.from_env()
    found = cachefiles.parts(dirs)
    if as_json:
        clikit.echo_json(found)
    else:
        click.echo(dirs.cache)
        rows = [(part.name, clikit.size_text(part.size), f"{part.files} files") for part in found]
        total = sum(part.size for part in found)
        clikit.echo_lines(clikit.columns([*rows, ("all", clikit.size_text(total), "")]))


@cache.command(
    "clean",
    examples=[
        "tcz cache clean               everything",
        "tcz cache clean builds        one part, by its name in tcz cache status",
    ],
)
@click.argument("parts", nargs=-1, metavar="[PART]...")
def cache_clean(parts: tuple[str, ...]) -> None:
    """Delete parts of the cache; none named: all of it."""
    from tcz import cachefiles
    from tcz.paths import Dirs

    deleted = cachefiles.clean(Dirs.from_env(), parts)
    click.echo(f"{clikit.size_text(sum(part.size for part in deleted))} freed")


@cache.command(
    "prune",
    examples=[
        "tcz cache prune --dry-run             what nothing has used for 30 days",
        "tcz cache prune --unused 7 initrds    of one part, for a week",
    ],
    codes=[2],
)
@click.argument("parts", nargs=-1, metavar="[PART]...")
@click.option(
    "--unused",
    "days",
    type=click.IntRange(min=1),
    default=30,
    metavar="DAYS",
    show_default=True,
    help="Delete what nothing has read or written for so many days.",
)
@click.option("--dry-run", is_flag=True, help="Tell what would be deleted, and delete nothing.")
@clikit.json_option
def cache_prune(parts: tuple[str, ...], days: int, dry_run: bool, as_json: bool) -> None:
    """Delete what has not been used for a while; refused while something is built."""
    import time

    from tcz import cachefiles
    from tcz.paths import Dirs

    found = cachefiles.prune(Dirs.from_env(), days, parts, now=time.time(), dry_run=dry_run)
    if as_json:
        clikit.echo_json(found)
        return
    if dry_run:
        rows = [(f"{one.part}/{one.name}", clikit.size_text(one.size), f"{one.days} days") for one in found]
        clikit.echo_lines(clikit.columns(rows) if rows else ())
    done = "would be freed" if dry_run else "freed"
    click.echo(f"{clikit.size_text(sum(one.size for one in found))} {done}")
