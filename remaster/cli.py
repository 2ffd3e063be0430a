"""The command ``remaster``: parses, calls one function, shows what comes back.

Modules are imported by the command that needs them, so that ``--version`` and completion are quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from remaster.kernel_commands import kernel
from remaster.machine_commands import run, test
from tcz import __version__, clikit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tcz.reporting import Reporter

_F = TypeVar("_F", bound="Callable[..., Any]")
_SHELLS = ("bash", "zsh", "fish")
_EXAMPLES = (
    "remaster --variant docker                        a Docker host: out/floe-docker.iso",
    "remaster --variant docker --ssh-key ~/.ssh/id_ed25519.pub --output host.iso",
    "remaster --variant ./mine.toml --package htop    your own variant, and one package more",
    "remaster --variant docker --format disk,qcow2    a disk with room for data: out/floe-docker.img, .qcow2",
    "remaster --variant docker --package mytool --mirror https://tc.example.org --mirror-key release.pub",
    "remaster --variant docker --dry-run              say what would be done",
)


def _complete_variant(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    from remaster import variant

    return [name for name in variant.names() if name.startswith(incomplete)]


def _complete_code(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    from remaster.bootcode import BootCodes

    codes = BootCodes.load()
    return [name for name in (*codes.names(), *codes.names(kernel=True)) if name.startswith(incomplete)]


def _complete_format(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    from remaster.formats import names

    return [name for name in names() if name.startswith(incomplete)]


_BUILD_OPTIONS = (
    click.option(
        "--variant",
        metavar="NAME|FILE",
        shell_complete=_complete_variant,
        help="What kind of image: a name (`remaster variant list`) or the path of your own file.",
    ),
    click.option(
        "--base",
        metavar="NAME|PATH",
        help="What to build upon: floe, an ISO image, a folder, files with commas between them, or "
        "corepure64-17.x; floe unless your configuration says otherwise.",
    ),
    click.option(
        "--kernel",
        metavar="PACKAGE|base",
        help="The package that brings the kernel; base keeps that of the base.  [default: the variant's "
        "for containers, else the base's]",
    ),
    click.option(
        "--output",
        "-o",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Where the image goes  [default: out/floe-VARIANT.iso]",
    ),
    click.option(
        "--format",
        "formats",
        metavar="NAME[,NAME...]",
        multiple=True,
        shell_complete=_complete_format,
        help="What to write: iso, disk, qcow2, netboot or tar; several may be given.  [default: iso]",
    ),
    click.option("--package", "packages", metavar="NAME", multiple=True, help="Load this package as well."),
    click.option(
        "--file",
        "files",
        metavar="HOST:PATH[:MODE[:OWNER]]",
        multiple=True,
        help="Put a file into the root file system.",
    ),
    click.option(
        "--ssh-key",
        "ssh_keys",
        metavar="FILE",
        multiple=True,
        type=click.Path(path_type=Path),
        help="Let the owner of this public key in over SSH; without one there is only the console.",
    ),
    click.option(
        "--boot-code",
        "boot_codes",
        metavar="CODE",
        multiple=True,
        shell_complete=_complete_code,
        help="Boot with this code as well; it replaces the variant's of the same name.",
    ),
    click.option(
        "--initrd-compressor",
        "compressor",
        type=click.Choice(["gzip", "zstd", "xz", "lz4", "none"]),
        help="How the initrd is packed.  [default: zstd; what a base's own kernel is known to read]",
    ),
    click.option("--initrd-level", "level", type=int, metavar="N", help="How hard it is packed."),
    click.option(
        "--initrd-mode",
        type=click.Choice(["repack", "append"]),
        default="repack",
        show_default=True,
        help="Write one archive, or leave the base's as it is and put another one behind it.",
    ),
    click.option("--dry-run", is_flag=True, help="Say what would be done, and build nothing."),
    click.option(
        "--update", is_flag=True, help="Take the newest Debian packages instead of those taken last time."
    ),
    click.option(
        "--lock",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Take the versions of Debian packages from FILE, an image's .lock.",
    ),
    click.option(
        "--mirror",
        "mirrors",
        metavar="MIRROR",
        multiple=True,
        help="Take packages that no recipe makes, and releases of Tiny Core, from MIRROR: an address, a "
        "folder or a name in config.toml "
        "(repeatable; the first that has one counts).",
    ),
    click.option(
        "--mirror-key",
        "mirror_keys",
        metavar="FILE",
        multiple=True,
        type=click.Path(path_type=Path),
        help="Refuse every MIRROR that this public key has not signed (repeatable: any of them).",
    ),
    click.option(
        "--mirror-branch",
        metavar="RELEASE/ARCH",
        help="Which packages of the mirrors.  [default: those of the base's release, 17.x/x86_64 for floe]",
    ),
    clikit.recipes_option,
    clikit.progress_option,
    clikit.json_option,
)


def _build_options(function: _F) -> _F:
    for option in reversed(_BUILD_OPTIONS):
        function = option(function)
    return function


def _lines(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)


def _make(*, dry_run: bool, progress: Reporter, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    from remaster import wish
    from tcz.paths import Dirs
    from tcz.run import HostRunner

    wanted = wish.Wish(**options)
    dirs, runner = Dirs.from_env(), HostRunner()
    if dry_run:
        told = wish.outline(wanted, dirs, runner, progress)
        clikit.echo_json(told) if as_json else _lines(wish.outline_lines(told))
        return
    finished = wish.fulfil(wanted, dirs, runner, progress)
    clikit.echo_json(finished) if as_json else _lines(wish.finished_lines(finished))


class _Top(clikit.Group):
    """The group whose options are also those of ``build``, with the same help."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        with formatter.section("Examples"):
            for example in _EXAMPLES:
                formatter.write(f"{' ' * formatter.current_indent}{example}\n")


@click.group(cls=_Top, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
@_build_options
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
    _start(options)


def _start(options: dict[str, Any]) -> None:
    from remaster import variant
    from tcz.errors import ConfigError

    if not options["variant"]:
        listed = ", ".join(variant.names())
        raise ConfigError("no variant was given", hint=f"--variant NAME, one of: {listed}; or a file's path")
    _make(**options)


@cli.command(examples=_EXAMPLES, codes=[4, 5, 6, 7, 8])
@_build_options
def build(**options: Any) -> None:  # noqa: ANN401 - handed on as they are
    """Build an image: the same as remaster without a command.

    Beside X.iso lie X.lock, X.manifest.json, X.sha256 and X.sizes.txt.
    """
    _start(options)


@cli.command("boot-codes", examples=["remaster boot-codes noembed"])
@click.argument("name", required=False, shell_complete=_complete_code)
@clikit.json_option
def boot_codes(name: str | None, as_json: bool) -> None:
    """Explain the boot code NAME, or list all."""
    from remaster.bootcode import BootCodes, explain

    codes = BootCodes.load()
    wanted = codes.all() if name is None else (codes.get(name),)
    if as_json:
        clikit.echo_json(wanted)
    elif name is not None:
        click.echo(explain(wanted[0]), nl=False)
    else:
        marks = {"none": "", "optional": "[=...]", "required": "=..."}
        rows = [
            (
                code.name + marks[code.value],
                "kernel" if code.kernel else "floe" if code.floe else "-",
                code.effect,
            )
            for code in wanted
        ]
        _lines(clikit.columns(rows))


cli.add_command(kernel)
cli.add_command(run)
cli.add_command(test)


@cli.group("variant")
def variants() -> None:
    """Look at variants."""


@variants.command("list")
@clikit.json_option
def variant_list(as_json: bool) -> None:
    """List the variants that ship with the program."""
    from remaster import wish
    from remaster.variant import names

    found = [wish.linted(name) for name in names()]
    if as_json:
        clikit.echo_json([wish.shown(one) for one in found])
    else:
        _lines(clikit.columns([(one.name, one.summary) for one in found]))


@variants.command("show", examples=["remaster variant show docker"])
@click.argument("variant", shell_complete=_complete_variant)
@clikit.json_option
def variant_show(variant: str, as_json: bool) -> None:
    """Show a variant with all that it extends."""
    from remaster import wish

    found = wish.linted(variant)
    clikit.echo_json(wish.shown(found)) if as_json else _lines(wish.variant_lines(found))


@variants.command("lint", examples=["remaster variant lint ./mine.toml"])
@click.argument("files", nargs=-1, required=True, metavar="VARIANT...", shell_complete=_complete_variant)
@clikit.recipes_option
def variant_lint(files: tuple[str, ...], recipe_folders: tuple[Path, ...]) -> None:
    """Check variants, and that recipes make their packages."""
    from remaster import wish

    for file in files:
        found = wish.linted(file)
        wish.check_packages(found, recipe_folders)
        click.echo(f"{file}: nothing to complain about")


@cli.command(
    codes=[5],
    examples=[
        "remaster inspect out/floe-docker.iso",
        "remaster inspect CorePure64-17.0.iso --json",
        "remaster inspect corepure64.gz                   an initrd: its members, its root",
    ],
)
@click.argument("image", type=click.Path(path_type=Path))
@click.option("--manifest", is_flag=True, help="Write the whole manifest of an image that remaster made.")
@clikit.json_option
def inspect(image: Path, manifest: bool, as_json: bool) -> None:
    """Tell what IMAGE is, by looking into it.

    IMAGE is an ISO image of any make, an initrd, or a folder of files or with a root file system.
    """
    from remaster.survey import look, text
    from tcz.errors import VerifyError

    found = look.survey(image)
    if manifest and found.manifest is None:
        raise VerifyError("this image has no manifest: remaster did not make it", where=str(image))
    if manifest and found.manifest is not None:
        click.echo(found.manifest.text, nl=False)
    elif as_json:
        clikit.echo_json(found)
    else:
        _lines(text.lines(found))


@cli.command(
    codes=[5],
    examples=[
        "remaster diff old.iso new.iso",
        "remaster diff CorePure64-16.1.iso CorePure64-17.0.iso --json",
    ],
)
@click.argument("first", metavar="A", type=click.Path(path_type=Path))
@click.argument("second", metavar="B", type=click.Path(path_type=Path))
@clikit.json_option
@click.pass_context
def diff(ctx: click.Context, first: Path, second: Path, as_json: bool) -> None:
    """Compare two images: facts, boot entries, files, packages and what is in them.

    As with diff(1), the exit code is 0 when they are the same and 1 when they differ. Times are not
    compared.
    """
    from remaster import differ

    found = differ.compare(first, second)
    clikit.echo_json(found) if as_json else _lines(differ.lines(found))
    ctx.exit(0 if found.same else 1)


@cli.command(
    codes=[5, 7],
    examples=[
        "remaster extract CorePure64-17.0.iso --output unpacked          medium and root",
        "remaster extract out/floe-docker.iso docker-engine -o unpacked  a package",
        "remaster build --variant linux --base unpacked                  and the way back",
    ],
)
@click.argument("image", type=click.Path(path_type=Path))
@click.argument("part", required=False)
@click.option(
    "--output", "-o", metavar="DIR", required=True, type=click.Path(path_type=Path), help="Where it goes."
)
@clikit.json_option
def extract(image: Path, part: str | None, output: Path, as_json: bool) -> None:
    """Unpack IMAGE, or PART of it: root, medium, or the name of a package.

    No privileges are needed: owners, modes and devices are recorded in a file beside each folder, which
    `--base DIR` reads. Nothing outside of DIR is written.
    """
    from remaster import extract as extraction

    parts = extraction.extract(image, part, output)
    if as_json:
        clikit.echo_json(parts)
    else:
        _lines(
            f"{one.folder}: {one.entries} entries, {clikit.size_text(one.size)}; owners in {one.owners.name}"
            for one in parts
        )


@cli.command(codes=[6])
@clikit.json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Say what this machine lacks to build and start images."""
    from tcz import doctor as examination
    from tcz.paths import Dirs
    from tcz.run import HostRunner

    checks = examination.examine(Dirs.from_env(), HostRunner())
    clikit.echo_json(checks) if as_json else _lines(examination.lines(checks))
    ctx.exit(0 if examination.healthy(checks) else 6)


@cli.command(examples=["remaster completion bash >~/.local/share/bash-completion/completions/remaster"])
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Write a completion script for a shell."""
    clikit.echo_completion(cli, "remaster", shell)


def main() -> None:
    """Run the program."""
    clikit.run(cli, "remaster")


if __name__ == "__main__":
    main()
