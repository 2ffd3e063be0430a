"""The commands doctor and completion."""

from __future__ import annotations

import click

from tcz import clikit

_SHELLS = ("bash", "zsh", "fish")


@click.command(cls=clikit.Command, codes=[6])
@clikit.json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Say what this machine lacks to build and start images."""
    from tcz import doctor as examination
    from tcz.paths import Dirs
    from tcz.run import HostRunner

    checks = examination.examine(Dirs.from_env(), HostRunner())
    clikit.echo_json(checks) if as_json else clikit.echo_lines(examination.lines(checks))
    ctx.exit(0 if examination.healthy(checks) else 6)


@click.command(
    cls=clikit.Command,
    examples=["remaster completion bash >~/.local/share/bash-completion/completions/remaster"],
)
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Write a completion script for a shell."""
    clikit.echo_completion(ctx.find_root().command, "remaster", shell)
