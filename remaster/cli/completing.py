"""What the shell completes in arguments of ``remaster``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click


def variant_names(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return variants that begin so."""
    from remaster import variant

    return [name for name in variant.names() if name.startswith(incomplete)]


def code_names(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return boot codes that begin so."""
    from remaster.bootcode import BootCodes

    codes = BootCodes.load()
    return [name for name in (*codes.names(), *codes.names(kernel=True)) if name.startswith(incomplete)]


def format_names(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return formats that begin so."""
    from remaster.formats import names

    return [name for name in names() if name.startswith(incomplete)]
