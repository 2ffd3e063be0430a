"""The commands of ``tcz mirror`` that bring a mirror to its clients, and vouch for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tcz import clikit
from tcz.cli import mirror_options as options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tcz.reporting import Reporter


@click.command(
    cls=clikit.Command,
    examples=[
        "tcz mirror serve                            this folder's mirror, on 127.0.0.1, port 8080",
        "tcz mirror serve -m /srv/tc --listen 10.0.0.1:80   where others reach it",
        "tcz mirror serve --snapshot may --log -     one snapshot, requests on standard output",
    ],
)
@options.mirror_option
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
    folder: Path, listen: tuple[str, ...], snapshot: str | None, log_file: Path | None, connections: int
) -> None:
    """Serve the public files of a mirror to stock clients, over HTTP.

    Ends on SIGTERM or Ctrl-C when running downloads are complete; a second one ends them too.
    """
    from tcz.mirror.repository import Mirror
    from tcz.mirror.serve import Address, open_log, served_by
    from tcz.mirror.serve import serve as run

    shelf = served_by(Mirror.open(folder), snapshot)
    addresses = [Address.parse(text) for text in listen]
    log = None if log_file is None else open_log(None if str(log_file) == "-" else log_file)

    def ready(urls: Sequence[str]) -> None:
        click.echo(f"serving {folder} on {', '.join(urls)}", err=True)

    run(shelf, addresses, log, most=connections, ready=ready)


@click.command(
    cls=clikit.Command,
    examples=[
        "tcz mirror nginx-config --server-name tc.example.org >/etc/nginx/conf.d/mirror.conf",
        "tcz mirror nginx-config --root /srv/mirror --tls /etc/ssl/tc.crt /etc/ssl/tc.key",
    ],
)
@options.mirror_option
@click.option(
    "--server-name", "names", metavar="NAME", multiple=True, help="A name it is reached by (repeatable)."
)
@click.option(
    "--root",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where the mirror is on the machine that runs nginx; else where it is here.",
)
@click.option(
    "--listen",
    metavar="[HOST:]PORT",
    multiple=True,
    default=("80", "[::]:80"),
    show_default=True,
    help="Where to listen for plain HTTP (repeatable).",
)
@click.option(
    "--tls",
    metavar="CERT KEY",
    nargs=2,
    type=click.Path(path_type=Path),
    help="Listen on port 443 too, with this certificate.",
)
def nginx_config(
    folder: Path,
    names: tuple[str, ...],
    root: Path | None,
    listen: tuple[str, ...],
    tls: tuple[Path, Path] | None,
) -> None:
    """Write a configuration of nginx for a mirror to standard output."""
    from tcz.mirror.nginx import configuration
    from tcz.mirror.repository import PUBLIC, Mirror

    public = (Mirror.open(folder).root.resolve() if root is None else root) / PUBLIC
    click.echo(configuration(public, names=names, listen=listen, tls=tls or None), nl=False)


@click.command(
    cls=clikit.Command,
    examples=[
        "tcz mirror publish --to /srv/www/tc                  a link that always shows a whole copy",
        "tcz mirror publish --to rsync://host/module/tc",
        "tcz mirror publish --to me@host:/srv/www/tc          over ssh",
    ],
    codes=[4, 5, 6, 7],
)
@options.mirror_option
@click.option(
    "--to", "place", metavar="PLACE", required=True, help="A folder, rsync://HOST/PATH or [USER@]HOST:PATH."
)
@options.dry_run_option
@clikit.progress_option
def publish(folder: Path, place: str, dry_run: bool, progress: Reporter) -> None:
    """Copy what a mirror shows to a folder, or to another machine by rsync.

    A folder that does not exist yet is made as a link, and replaced in one step ever after. A folder that is
    there, and a place of rsync, get packages first, then indexes, then the catalogue; removals are last.
    """
    from tcz.mirror.elsewhere import publish as run
    from tcz.mirror.repository import Mirror
    from tcz.run import HostRunner

    serial = run(Mirror.open(folder), place, HostRunner(), progress, dry_run=dry_run)
    click.echo(f"{place} {'would show' if dry_run else 'shows'} state {serial}")


@click.group(cls=clikit.Group)
def keys() -> None:
    """Make, list, replace and revoke the keys that catalogues are signed with.

    Secret keys are files without a password, readable for you alone: use an encrypted disk, or sign on a
    machine that serves nothing.
    """


@keys.command("new", examples=["tcz mirror keys new release"])
@click.argument("name")
def keys_new(name: str) -> None:
    """Make a key."""
    from tcz.mirror.keyring import KeyRing
    from tcz.paths import Dirs

    ring = KeyRing(Dirs.from_env())
    click.echo(ring.new(name).text(), nl=False)
    click.echo(f"the secret key is {ring.folder / name}.key, without a password: keep it safe", err=True)


@keys.command("list", examples=["tcz mirror keys list --json"])
@clikit.json_option
def keys_list(as_json: bool) -> None:
    """Show all keys."""
    from tcz.mirror.keyring import KeyRing
    from tcz.paths import Dirs

    found = KeyRing(Dirs.from_env()).keys()
    if as_json:
        clikit.echo_json(found)
        return
    rows = [
        (key.name, key.id, "revoked" if key.revoked else "can sign" if key.secret else "public only")
        for key in found
    ]
    clikit.echo_lines(clikit.columns(rows))


@keys.command("rotate", examples=["tcz mirror keys rotate release release-2027"])
@click.argument("old")
@click.argument("new")
def keys_rotate(old: str, new: str) -> None:
    """Make the key NEW, signed with OLD: whoever trusts OLD will trust NEW."""
    from tcz.mirror.keyring import KeyRing
    from tcz.paths import Dirs

    click.echo(KeyRing(Dirs.from_env()).rotate(old, new).text(), nl=False)


@keys.command("revoke", examples=["tcz mirror keys revoke release --by release-2027"])
@click.argument("name")
@click.option("--by", metavar="KEY", required=True, help="The key that signs the list of revoked keys.")
def keys_revoke(name: str, by: str) -> None:
    """Declare a key void; mirrors show it from their next publication on, tcz mirror sign is one."""
    from tcz.mirror.keyring import KeyRing
    from tcz.paths import Dirs

    KeyRing(Dirs.from_env()).revoke(name, by)


@click.command(
    cls=clikit.Command,
    examples=[
        "tcz mirror sign                          with your only key, or the one it is signed with already",
        "tcz mirror sign -m /srv/tc --key release-2027    from now on with another one",
    ],
    codes=[5, 7],
)
@options.mirror_option
@click.option("--key", metavar="NAME", help="The key to sign with, from now on.")
@options.dry_run_option
@clikit.progress_option
@clikit.json_option
def sign(folder: Path, key: str | None, dry_run: bool, progress: Reporter, as_json: bool) -> None:
    """Sign what a mirror shows and all that it will, with your public keys beside it.

    The key goes into mirror.toml: each command that publishes signs from then on.
    """
    from tcz.mirror.keyring import KeyRing
    from tcz.mirror.repository import Mirror
    from tcz.mirror.signing import sign as run
    from tcz.paths import Dirs

    done = run(Mirror.open(folder), KeyRing(Dirs.from_env()), key, progress, dry_run=dry_run)
    if as_json:
        clikit.echo_json(done)
    elif dry_run:
        click.echo(f"{folder} would be signed with {done.key} ({done.id})")
    else:
        click.echo(f"{folder} shows state {done.serial}, signed with {done.key} ({done.id})")
