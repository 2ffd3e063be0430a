"""The commands lock and pin: what an image would be made of, and which files of Tiny Core are right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remaster.cli import build, completing
from tcz import clikit

if TYPE_CHECKING:
    from tcz.reporting import Reporter


@click.command(
    cls=clikit.Command,
    codes=[4, 5, 6, 7, 8],
    examples=[
        "remaster lock docker                             out/floe-docker.lock",
        "remaster lock ./mine.toml -o mine.lock --package htop --ssh-key ~/.ssh/id_ed25519.pub",
        "remaster lock docker --dry-run                   say what would be built for it",
        "remaster build --locked mine.lock                the image, from that and nothing else",
    ],
)
@click.argument("variant", metavar="VARIANT", shell_complete=completing.variant_names)
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Where the lock goes  [default: out/floe-VARIANT.lock]",
)
@build.request_options(without=("variant", "output", "locked", "sign"))
def lock(variant: str, **options: Any) -> None:  # noqa: ANN401 - handed on as they are
    """Resolve all of an image without building it: packages, base, kernel, tools, settings, each by hash.

    VARIANT is a name or the path of a file. Packages are built where they are not yet. The lock is text,
    sorted, one item a line; the options are those of `remaster build`.
    """
    _lock(variant=variant, **options)


def _lock(
    *,
    variant: str,
    output: Path | None,
    dry_run: bool,
    progress: Reporter,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    from remaster import lockwish, outline, wish
    from tcz.paths import Dirs
    from tcz.run import HostRunner

    wanted = wish.Wish(variant=variant, **options)
    dirs, runner = Dirs.from_env(), HostRunner()
    if dry_run:
        told = outline.outline(wanted, dirs, runner, progress)
        clikit.echo_json(told) if as_json else clikit.echo_lines(outline.lines(told))
        return
    made = lockwish.make(wanted, output, lockwish.Here(dirs=dirs, runner=runner, reporter=progress))
    clikit.echo_json(made) if as_json else clikit.echo_lines(lockwish.made_lines(made))


@click.command(
    cls=clikit.Command,
    codes=[4, 5, 6],
    examples=[
        "remaster pin corepure64-17.x                          what the mirror has, for this user",
        "remaster pin corepure64-17.x --sha256 vmlinuz64=HASH  only if it is the one you know of",
        "remaster pin corepure64-17.x --update                 a new version of the release as well",
        "remaster pin tinycorepure64-17.1                      one version's ISO image",
        "remaster pin corepure64-17.x --into remaster/tinycore-files.toml   for all users of a checkout",
    ],
)
@click.argument("release", metavar="RELEASE")
@click.option(
    "--sha256",
    "expected",
    metavar="FILE=HASH",
    multiple=True,
    help="Pin nothing unless FILE has this hash (repeatable).",
)
@click.option(
    "--into",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Where pins are written  [default: tinycore-files.toml beside config.toml]",
)
@build.request_options(only=("mirrors", "mirror_keys", "update", "progress", "as_json"))
def pin(release: str, expected: tuple[str, ...], into: Path | None, **options: Any) -> None:  # noqa: ANN401
    """Write down the sha256 of the files of RELEASE, so that no others are ever built upon.

    RELEASE is a base such as corepure64-17.x, kernel and initrd, or tinycorepure64-17.1, an ISO image. Its
    files are fetched as a build fetches them, checked by the mirror's key or by md5, and added to what is
    known; several versions of a release may be.
    """
    _pin(release, expected, into, **options)


def _pin(
    name: str,
    expected: tuple[str, ...],
    into: Path | None,
    *,
    update: bool,
    progress: Reporter,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    from remaster import base, fetch, suppliers, wish
    from tcz import commands
    from tcz.paths import Dirs

    release = base.release_of(name)
    if release is None:
        raise click.UsageError(f"{name} is no release such as corepure64-17.x or tinycorepure64-17.1")
    dirs = Dirs.from_env()
    remotes = commands.remotes(suppliers.mirrors_of(wish.Wish(variant="", **options), dirs), dirs)
    file = into or fetch.own_pins(dirs)
    hashes = dict(_pair(text) for text in expected)
    added = fetch.pin(release, remotes, dirs, progress, into=file, update=update, expected=hashes)
    if as_json:
        clikit.echo_json({"file": str(file), "added": added})
        return
    lines = (f"{one.name} of {one.version or one.release}: sha256 {one.sha256}" for one in added)
    clikit.echo_lines((*lines, f"{len(added)} added to {file}" if added else f"all were in {file} already"))


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not (name and found and value):
        raise click.UsageError(f"--sha256 {text}: FILE=HASH was expected, such as vmlinuz64=0123...")
    return name, value.lower()
