"""What the command line adds to a variant."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from remaster.variant.checks import package_complaint
from remaster.variant.menu import check_menu
from remaster.variant.merging import joined, merge_files, override
from remaster.variant.packages import merge_places
from tcz.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remaster.bootcode import BootCodes
    from remaster.variant.model import FileSpec, Place, Variant


def extended(
    variant: Variant,
    codes: BootCodes,
    *,
    packages: Sequence[str] = (),
    files: Sequence[FileSpec] = (),
    boot_codes: Sequence[str] = (),
    places: Sequence[tuple[str, Place]] = (),
    base: str = "floe",
) -> Variant:
    """Return the variant with what was asked for on the command line; raise ``ConfigError``.

    A boot code given here replaces those of the same name in the variant.
    """
    problems = [
        Problem(where=f"--package {name}", message=complaint)
        for name in packages
        if (complaint := package_complaint(name))
    ]
    if problems:
        raise ConfigError("a package cannot be added", problems)
    words = codes.parse(" ".join(boot_codes), where="--boot-code", base=base)
    together = override(variant.boot_codes, [str(word) for word in words])
    codes.parse(" ".join(together), where="--boot-code", base=base)
    whole = replace(
        variant,
        onboot=joined(variant.onboot, packages),
        files=merge_files(variant.files, files),
        boot_codes=together,
        places=merge_places(variant.places, places),
    )
    check_menu(whole, codes, base)
    return whole
