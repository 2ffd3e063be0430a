"""The commands of the group kernel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tcz import clikit

if TYPE_CHECKING:
    from remaster.kconfig import KernelConfig
    from tcz.reporting import Reporter

_ENGINES = ("docker", "podman", "k3s")


@click.group("kernel", cls=clikit.Group)
def kernel() -> None:
    """Look at kernels."""


@kernel.command(
    "check",
    cls=clikit.Command,
    codes=[4, 5, 6, 7, 8, 9],
    examples=[
        "remaster kernel check --engine podman /boot/config-6.12.0",
        "remaster kernel check --engine k3s vmlinuz64          a kernel that holds its configuration",
        "remaster kernel check --engine docker kernel          a recipe's package",
        "remaster kernel check out/floe-docker.iso             the kernel of an image",
    ],
)
@click.argument("config", metavar="CONFIG|IMAGE|PACKAGE")
@click.option(
    "--engine",
    "engines",
    type=click.Choice(_ENGINES),
    multiple=True,
    help="What is to run on it (repeatable); all of them if left out.",
)
@click.option("--all", "everything", is_flag=True, help="Show what is there as well.")
@clikit.recipes_option
@clikit.progress_option
@clikit.json_option
@click.pass_context
def check(
    ctx: click.Context,
    config: str,
    engines: tuple[str, ...],
    everything: bool,
    recipe_folders: tuple[Path, ...],
    progress: Reporter,
    as_json: bool,
) -> None:
    """Check a kernel's configuration against what container engines need.

    CONFIG is a .config, plain or packed (/proc/config.gz), a kernel image built with IKCONFIG, an image of
    any kind that `remaster inspect` reads (ISO image, disk, netboot folder, initrd, tar archive, folder with
    a kernel), or a package that holds a file named config. The exit code is 9 when something required is
    missing.
    """
    from remaster import engine

    found = _config(config, recipe_folders, progress)
    verdicts = tuple(engine.check(found, name) for name in engines or _ENGINES)
    if as_json:
        clikit.echo_json(verdicts)
    else:
        for verdict in verdicts:
            for line in engine.lines(verdict, everything=everything):
                click.echo(line)
    ctx.exit(0 if all(verdict.fit for verdict in verdicts) else 9)


def _config(named: str, recipe_folders: tuple[Path, ...], progress: Reporter) -> KernelConfig:
    from remaster import kconfig
    from remaster.kernels import configured
    from tcz import commands
    from tcz.errors import ConfigError
    from tcz.paths import Dirs
    from tcz.run import HostRunner

    if "/" in named or Path(named).exists():
        try:
            return configured.read(Path(named))
        except OSError as error:
            raise ConfigError(f"{named} cannot be read: {error.strerror}") from error
    workshop = commands.open_workshop(Dirs.from_env(), HostRunner(), progress, recipe_folders)
    package = next(one.package for one in workshop.supply((named,)) if one.package.name == named)
    file = package.path / "config"
    if not file.is_file():
        raise ConfigError(f"the package {named} holds no file named config")
    return kconfig.read(file)
