"""The options that say how extensions are compressed, as one argument ``packing``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from tcz.squashfs.options import SquashOptions

_F = TypeVar("_F", bound="Callable[..., Any]")


def packing_options(function: _F) -> _F:
    """Add the options; the command gets a ``tcz.squashfs.options.SquashOptions`` as ``packing``."""

    def collected(**given: Any) -> Any:  # noqa: ANN401 - a command's own arguments
        asked = {key: given.pop(key) for key in ("compressor", "block", "level", "target", "submission")}
        return function(**given, packing=_options(**asked))

    collected.__doc__ = function.__doc__
    collected.__name__ = function.__name__
    collected.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed(
        (
            click.option(
                "--target", metavar="RELEASE", type=click.IntRange(min=1), help="Pack for this Tiny Core."
            ),
            click.option("--submission", is_flag=True, help="Pack as official submission asks for."),
            click.option("--block", metavar="SIZE", help="Pack in blocks of 4K to 1M, whatever the target."),
            click.option(
                "--compressor", metavar="NAME", default="gzip", help="gzip (default), xz, zstd or lz4."
            ),
            click.option("--level", type=int, help="How hard the compressor tries: gzip 1-12, zstd 1-22."),
        )
    ):
        collected = option(collected)
    return collected  # type: ignore[return-value]


def _options(
    *, compressor: str, block: str | None, level: int | None, target: int | None, submission: bool
) -> SquashOptions:
    """Return what was asked for; raises ``ConfigError`` for what does not go together."""
    from tcz.errors import ConfigError
    from tcz.limits import parse_size
    from tcz.squashfs.options import SMALLEST_BLOCK, SquashOptions, block_for

    fitting = block_for(target, submission=submission)
    size = parse_size(block) if block else fitting
    if submission and (compressor != "gzip" or size != SMALLEST_BLOCK):
        raise ConfigError(
            "official submission takes gzip in blocks of 4 KiB only", hint="leave --submission out"
        )
    # Whatever is wrong with a name or a size is told by the options themselves.
    return SquashOptions(compressor=compressor, block=size, level=level)  # type: ignore[arg-type]
