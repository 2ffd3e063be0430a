"""The command ``tcz``: parses, calls one function, shows what comes back.

Modules are imported by the command that needs them, so that ``tcz --version`` and completion are quick.
"""

from __future__ import annotations

import click

from tcz import __version__, clikit
from tcz.cli import (
    build,
    importing,
    lint,
    mirror,
    mirror_files,
    mirror_serve,
    mirror_sync,
    query,
    recipe,
    sbom,
    system,
)


@click.group(cls=clikit.Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Build Tiny Core extensions (.tcz) from recipes, from source, without root."""


for _command in (
    build.build,
    build.fetch,
    build.log,
    importing.import_,
    build.why_rebuild,
    sbom.sbom,
    query.deps,
    query.rdeps,
    query.search,
    query.info,
    query.provides,
    query.list_,
    query.changed,
    recipe.recipe,
    lint.lint,
    mirror.mirror,
    system.cache,
    system.doctor,
    system.completion,
):
    cli.add_command(_command)
for _command in (
    mirror_sync.sync,
    mirror_files.files,
    mirror_serve.serve,
    mirror_serve.publish,
    mirror_serve.keys,
    mirror_serve.sign,
    mirror_serve.nginx_config,
):
    mirror.mirror.add_command(_command)


def main() -> None:
    """Run ``tcz``."""
    clikit.run(cli, "tcz")
