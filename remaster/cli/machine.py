"""The commands run and test: images in virtual machines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tcz import clikit

if TYPE_CHECKING:
    from collections.abc import Callable

    from remaster.started import How
    from tcz.reporting import Reporter

_F = TypeVar("_F", bound="Callable[..., Any]")
_OPTIONS = (
    click.argument("image", metavar="IMAGE", type=click.Path(path_type=Path)),
    click.option("--uefi", is_flag=True, help="Start by UEFI instead of BIOS."),
    click.option(
        "--as",
        "how",
        type=click.Choice(["cdrom", "disk", "usb", "kernel", "network"]),
        help="What the image is to the machine.  [default: cdrom for an ISO image, disk for a disk, "
        "kernel for a netboot folder]",
    ),
    click.option(
        "--memory",
        metavar="MIB",
        type=click.IntRange(min=64),
        default=1024,
        show_default=True,
        help="Memory.",
    ),
    click.option("--cpus", type=click.IntRange(min=1), default=2, show_default=True, help="Processors."),
    click.option(
        "--disk",
        metavar="SIZE|FILE",
        help="One more disk: an empty one of this size, gone at the end, or a file, which keeps all.",
    ),
    click.option(
        "--config-disk",
        "--cidata",
        "config",
        metavar="FOLDER|FILE",
        type=click.Path(path_type=Path),
        help="A config disk: made of a folder with user-data, meta-data, network-config, or of a user-data "
        "file; an image as it is.",
    ),
)


def _machine_options(function: _F) -> _F:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.command(
    cls=clikit.Command,
    codes=[5, 6, 9],
    examples=[
        "remaster run out/floe-docker.iso --port 2222 --forward 8080:80",
        "remaster run out/floe-docker.img --uefi --disk 8G",
        "remaster run out/floe-docker.qcow2 --ssh --identity ~/.ssh/id_ed25519",
        "remaster run out/floe-docker.iso --config-disk user-data.yaml",
        "remaster run out/floe-docker.netboot --as network   over TFTP, by iPXE",
    ],
)
@_machine_options
@click.option(
    "--port", "--ssh-port", type=click.IntRange(1, 65535), help="This port of the host leads to SSH."
)
@click.option(
    "--forward", "forwards", metavar="HOST:GUEST", multiple=True, help="This port of the host leads there."
)
@click.option("--ssh", is_flag=True, help="Wait for SSH and open a shell; its end powers the machine off.")
@click.option(
    "--identity",
    "-i",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The private key for --ssh, where it is not the one ssh takes itself.",
)
@click.option("--user", metavar="NAME", default="tc", show_default=True, help="Who logs in with --ssh.")
@clikit.progress_option
@click.pass_context
def run(
    ctx: click.Context,
    /,
    image: Path,
    port: int | None,
    forwards: tuple[str, ...],
    ssh: bool,
    identity: Path | None,
    user: str,
    progress: Reporter,
    **options: Any,  # noqa: ANN401 - handed on as they are
) -> None:
    """Start an image in QEMU on this terminal; Ctrl-] ends it.

    IMAGE is an ISO image, a raw or qcow2 disk, or a netboot folder: what it is is found by looking. It
    is not changed; what the machine writes is gone when it ends.
    """
    from remaster import configdisk, live
    from remaster.vm import free_port
    from tcz.run import HostRunner

    if ssh and port is None:
        port = free_port()
    pairs = live.forwards(forwards)
    pairs = pairs if port is None else ((port, live.SSH), *pairs)
    with live.data_disk(options.pop("disk")) as disk, configdisk.given(options.pop("config")) as config:
        spec = _spec(image, forwards=pairs, data_disk=disk, config_disk=config, **options)
        if not ssh or port is None:
            live.run(spec, HostRunner(), progress)
            return
        status = live.shell(spec, port, HostRunner(), progress, user=user, identity=identity)
    ctx.exit(status)


def _spec(image: Path, *, how: How | None, **hardware: Any) -> Any:  # noqa: ANN401 - handed on
    from remaster import started

    started.check(image)
    return started.spec_for(image, started.Hardware(**hardware), how)


@click.command(
    cls=clikit.Command,
    codes=[5, 6, 9],
    examples=[
        "remaster test out/floe-docker.iso",
        "remaster test out/floe-docker.img --uefi --junit results.xml",
    ],
)
@_machine_options
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.IntRange(min=1),
    default=600,
    show_default=True,
    help="How long it may take to boot.",
)
@click.option(
    "--junit", metavar="FILE", type=click.Path(path_type=Path), help="Write the outcomes as JUnit XML."
)
@clikit.progress_option
@clikit.json_option
def test(
    image: Path,
    timeout: int,
    junit: Path | None,
    progress: Reporter,
    as_json: bool,
    **options: Any,  # noqa: ANN401 - handed on as they are
) -> None:
    """Boot an image in QEMU and check what it promises.

    That it boots, loads its extensions, passes its self-test, that its services answer, that each of its
    engines runs a container, and that it powers off. IMAGE is as for `remaster run`.
    """
    from remaster import configdisk, live, proof
    from tcz.run import HostRunner

    with live.data_disk(options.pop("disk")) as disk, configdisk.given(options.pop("config")) as config:
        spec = _spec(image, data_disk=disk, config_disk=config, reboot=False, **options)
        told = (lambda _: None) if as_json else (lambda one: click.echo(proof.line(one)))
        proved = proof.prove(image, spec, HostRunner(), progress, patience=timeout, told=told)
    if junit is not None:
        proof.write_junit(proved, junit)
    if as_json:
        clikit.echo_json(proved.report)
    proof.require(proved)
