"""The command build, which is also what ``remaster`` does without a command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from remaster.cli import completing
from tcz import clikit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remaster.image import Finished
    from tcz.mirror.sign import SecretKey
    from tcz.paths import Dirs
    from tcz.reporting import Reporter

_F = TypeVar("_F", bound="Callable[..., Any]")
EXAMPLES = (
    "remaster --variant docker                        a Docker host: out/floe-docker.iso",
    "remaster --variant docker --ssh-key ~/.ssh/id_ed25519.pub --output host.iso",
    "remaster --variant ./mine.toml --package htop    your own variant, and one package more",
    "remaster --variant docker --place dropbear=root  unpacked in the initrd, not a file on the medium",
    "remaster --variant docker --format disk,qcow2    a disk with room for data: out/floe-docker.img, .qcow2",
    "remaster --variant docker --package mytool --mirror https://tc.example.org --mirror-key release.pub",
    "remaster --variant docker --sign release.key      with X.iso.minisig, X.sha256.minisig beside it",
    "remaster build --locked floe-docker.lock          exactly what a lock names, nothing else",
    "remaster --variant docker --dry-run              say what would be done",
)
_BUILD_OPTIONS = (
    click.option(
        "--variant",
        metavar="NAME|FILE",
        shell_complete=completing.variant_names,
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
        metavar="PACKAGE|PATH|base",
        help="The package that brings the kernel, or a folder, kernel image or archive that holds one; "
        "base keeps that of the base.  [default: the variant's for containers, else the base's]",
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
        shell_complete=completing.format_names,
        help="What to write: iso, disk, qcow2, netboot or tar; several may be given.  [default: iso]",
    ),
    click.option("--package", "packages", metavar="NAME", multiple=True, help="Load this package as well."),
    click.option(
        "--place",
        "places",
        metavar="[NAME=]WHERE",
        multiple=True,
        help="Keep the package NAME, or all that no other option names, in cde (on the medium), in builtin "
        "(in the initrd, mounted from there) or in root (unpacked in the initrd).  [default: cde]",
    ),
    click.option(
        "--file",
        "files",
        metavar="HOST:PATH[:MODE[:OWNER]]",
        multiple=True,
        help="Put a file into the root file system.",
    ),
    click.option(
        "--set",
        "settings",
        metavar="KEY=VALUE",
        multiple=True,
        help="Set a key of the variant, such as hostname=node1, sysctl.vm.swappiness=10 or "
        "'ntp=[\"time.lan\"]'; lists are added to.",
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
        shell_complete=completing.code_names,
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
        type=click.Choice(["layers", "repack", "append"]),
        default="layers",
        show_default=True,
        help="Pack the base, each package in the root and the image's own each for itself; write one "
        "archive; or leave the base's as it is and put others behind it.",
    ),
    click.option(
        "--dry-run",
        is_flag=True,
        help="Say what would be done, what it takes of the medium and of memory, and build nothing.",
    ),
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
        "--locked",
        metavar="[FILE]",
        is_flag=False,
        flag_value="",
        default=None,
        help="Build exactly what the lock FILE names, and refuse whatever differs; without FILE the lock "
        "beside the output. What is not given is taken from the lock.",
    ),
    click.option(
        "--sign",
        metavar="KEY",
        help="Sign the image: KEY is a secret key's file, without a password, or its name in "
        "`tcz mirror keys list`.",
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


def build_options(function: _F) -> _F:
    """Give a command the options of an image."""
    for option in reversed(_BUILD_OPTIONS):
        function = option(function)
    return function


def request_options(*, only: Sequence[str] = (), without: Sequence[str] = ()) -> Callable[[_F], _F]:
    """Give a command the options that say what an image is: ``only`` those named, or all but ``without``."""

    def give(function: _F) -> _F:
        def bare(**_: object) -> None:
            pass

        params = [
            one
            for one in click.command(build_options(bare)).params
            if one.name in (only or {one.name} - {*without})
        ]
        known = getattr(function, "__click_params__", [])
        function.__click_params__ = [*known, *reversed(params)]  # type: ignore[attr-defined]
        return function

    return give


def _secret(sign: str | None, dirs: Dirs) -> SecretKey | None:
    if sign is None:
        return None
    from remaster import signatures

    return signatures.secret(sign, dirs)


def _signed(finished: Finished, key: SecretKey | None, progress: Reporter) -> tuple[Path, ...]:
    """Sign an image where a key was named; tell of signatures that are no longer its own."""
    if key is None and not finished.changed:
        return ()
    from remaster import signatures  # loads all that signs

    if key is not None:
        return signatures.sign(finished.outputs, key)
    for old in signatures.stale(finished.outputs):
        progress.warn(f"{old} is the signature of another image: sign this one with --sign")
    return ()


def _make(
    *,
    dry_run: bool,
    progress: Reporter,
    as_json: bool,
    locked: str | None,
    sign: str | None,
    **options: Any,  # noqa: ANN401 - handed on as they are
) -> None:
    from remaster import wish
    from tcz.paths import Dirs
    from tcz.run import HostRunner

    wanted = wish.Wish(**{**options, "variant": options["variant"] or ""})
    dirs, runner = Dirs.from_env(), HostRunner()
    key = _secret(sign, dirs)
    if locked is not None:
        from remaster import lockwish

        here = lockwish.Here(dirs=dirs, runner=runner, reporter=progress)
        path = Path(locked) if locked else None
        if dry_run:
            checked = lockwish.check(wanted, path, here)
            clikit.echo_json(checked) if as_json else clikit.echo_lines(lockwish.checked_lines(checked))
            return
        finished = lockwish.fulfil(wanted, path, here)
    elif dry_run:
        from remaster import outline

        told = outline.outline(wanted, dirs, runner, progress)
        clikit.echo_json(told) if as_json else clikit.echo_lines(outline.lines(told))
        outline.check(told)
        return
    else:
        finished = wish.fulfil(wanted, dirs, runner, progress)
    made = _signed(finished, key, progress)
    clikit.echo_json(finished) if as_json else clikit.echo_lines(wish.finished_lines(finished))
    if made and not as_json:
        clikit.echo_lines([f"signed: {', '.join(path.name for path in made)}"])


def start(options: dict[str, Any]) -> None:
    """Do what the options ask for; raises ``ConfigError`` without a variant."""
    from remaster import variant
    from tcz.errors import ConfigError

    if not options["variant"] and options["locked"] is None:
        listed = ", ".join(variant.names())
        raise ConfigError("no variant was given", hint=f"--variant NAME, one of: {listed}; or a file's path")
    _make(**options)


@click.command(cls=clikit.Command, examples=EXAMPLES, codes=[4, 5, 6, 7, 8, 9])
@build_options
def build(**options: Any) -> None:  # noqa: ANN401 - handed on as they are
    """Build an image: the same as remaster without a command.

    Beside X.iso lie X.lock, X.manifest.json, X.sha256 and X.sizes.txt.
    """
    start(options)
