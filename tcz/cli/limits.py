"""The options that limit what a build may use, as one argument ``limit``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

_F = TypeVar("_F", bound="Callable[..., Any]")


def limit_options(function: _F) -> _F:
    """Add the options; the command gets a ``tcz.limits.Limits`` as ``limit``."""

    def collected(**given: Any) -> Any:  # noqa: ANN401 - a command's own arguments
        from tcz.limits import Limits, parse_size, parse_time

        texts = {key: given.pop(key) for key in ("memory", "disk", "cpu_time", "timeout")}
        limit = Limits(
            memory=parse_size(texts["memory"]) if texts["memory"] else None,
            disk=parse_size(texts["disk"]) if texts["disk"] else None,
            cpu_time=parse_time(texts["cpu_time"]) if texts["cpu_time"] else None,
            timeout=parse_time(texts["timeout"]) if texts["timeout"] else None,
            processes=given.pop("processes"),
        )
        return function(**given, limit=limit)

    collected.__doc__ = function.__doc__
    collected.__name__ = function.__name__
    collected.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed(
        (
            click.option(
                "--memory", metavar="SIZE", help="End a script whose processes take more than this."
            ),
            click.option("--disk", metavar="SIZE", help="End one whose work folder takes more."),
            click.option("--timeout", metavar="TIME", help="End one that runs longer, such as 90s or 2h."),
            click.option("--cpu-time", metavar="TIME", help="End one that takes more processor time."),
            click.option("--processes", type=click.IntRange(min=1), help="End one that runs more at a time."),
        )
    ):
        collected = option(collected)
    return collected  # type: ignore[return-value]
