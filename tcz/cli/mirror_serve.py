"""The commands of ``tcz mirror`` that bring a mirror to its clients, and vouch for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tcz import clikit

if TYPE_CHECKING:
    from collections.abc import Sequence

_mirror = click.argument(
    "mirror", required=False, default=Path(), metavar="[MIRROR]", type=click.Path(path_type=Path)
)


@click.command(
    cls=clikit.Command,
    examples=[
        "tcz mirror serve                            this folder's mirror, on 127.0.0.1, port 8080",
        "tcz mirror serve m --listen 10.0.0.1:80     where others reach it",
        "tcz mirror serve m --snapshot may --log -   one snapshot, requests on standard output",
    ],
)
@_mirror
@click.option(
    "--listen",
    "listen",
    metavar="HOST:PORT",
    multiple=True,
    default=("127.0.0.1:8080",),
    show_default=True,
    help="Where to listen (repeatable); [::1]:8080 for IPv6, :8080 for everywhere, port 0 for any free one.",
)
@click.option("--snapshot", metavar="NAME", help="Serve this snapshot instead of what the mirror shows now.")
@click.option(
    "--log",
    "log_file",
    metavar="FILE",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Append a line for each request; - is standard output. SIGHUP opens the file anew.",
)
@click.option(
    "--connections",
    metavar="N",
    type=click.IntRange(1, 100_000),
    default=512,
    show_default=True,
    help="Serve so many clients at a time; more are sent away with status 503.",
)
def serve(
    mirror: Path, listen: tuple[str, ...], snapshot: str | None, log_file: Path | None, connections: int
) -> None:
    """Serve the public files of a mirror to stock clients, over HTTP.

    Ends on SIGTERM or Ctrl-C when running downloads are complete; a second one ends them too.
    """
    from tcz.mirror.repository import Mirror
    from tcz.mirror.serve import Address, open_log, shelf_of
    from tcz.mirror.serve import serve as run

    shelf = shelf_of(Mirror.open(mirror), snapshot)
    addresses = [Address.parse(text) for text in listen]
    log = None if log_file is None else open_log(None if str(log_file) == "-" else log_file)

    def ready(urls: Sequence[str]) -> None:
        click.echo(f"serving {mirror} on {', '.join(urls)}", err=True)

    run(shelf, addresses, log, most=connections, ready=ready)
