"""The command ``remaster``: parses, calls one function, shows what comes back.

Modules are imported by the command that needs them, so that ``--version`` and completion are quick.
"""

from __future__ import annotations

from typing import Any

import click

from remaster.cli import build, explain, kernel, lock, look, machine, rebuild, sbom, system, variant, verify
from tcz import __version__, clikit


class _Top(clikit.Group):
    """The group whose options are also those of ``build``, with the same help."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        with formatter.section("Examples"):
            for example in build.EXAMPLES:
                formatter.write(f"{' ' * formatter.current_indent}{example}\n")


@click.group(cls=_Top, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
@build.build_options
@click.pass_context
def cli(ctx: click.Context, /, **options: Any) -> None:  # noqa: ANN401 - handed on as they are
    """Build a container host image that boots, without root.

    The options below are those of `remaster build`; they may stand without the word build.
    """
    given = [
        param.opts[0]
        for param in cli.params
        if param.name in options
        and ctx.get_parameter_source(param.name) is click.core.ParameterSource.COMMANDLINE
    ]
    if ctx.invoked_subcommand is not None:
        if given:
            raise click.UsageError(f"write {', '.join(given)} after {ctx.invoked_subcommand}")
        return
    if not given:
        click.echo(ctx.get_help())
        return
    build.start(options)


for _command in (
    build.build,
    lock.lock,
    lock.pin,
    rebuild.rebuild,
    machine.run,
    machine.test,
    sbom.sbom,
    verify.verify,
    explain.explain,
    look.inspect,
    look.diff,
    look.extract,
    variant.variants,
    variant.boot_codes,
    kernel.kernel,
    system.doctor,
    system.completion,
):
    cli.add_command(_command)


def main() -> None:
    """Run the program."""
    clikit.run(cli, "remaster")
