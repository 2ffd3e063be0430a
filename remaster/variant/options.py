"""What the command line adds to a variant."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING

from remaster.variant import secrets
from remaster.variant.applying import applied, needed
from remaster.variant.checks import mistakes, package_complaint
from remaster.variant.documents import quoted
from remaster.variant.menu import check_menu
from remaster.variant.merging import joined, merge_files, override
from remaster.variant.packages import merge_places
from tcz.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remaster.bootcode import BootCodes
    from remaster.variant.model import Place, Variant
    from remaster.variant.parts import FileSpec


def set_options(texts: Sequence[str]) -> dict[str, object]:
    """Return what options ``KEY=VALUE`` say, as a variant's file would; raise ``ConfigError``.

    A key may have dots, as in TOML; a value is one of TOML's, or else text. What is said twice counts as
    said last; tables and lists are joined.
    """
    found: dict[str, object] = {}
    problems = []
    for text in texts:
        given = _set_option(text)
        if given is None:
            problems.append(Problem(where=f"--set {text}", message="this is not KEY=VALUE"))
        else:
            _lay_over(found, given)
    if problems:
        raise ConfigError("what is set cannot be read", problems, hint="such as --set hostname=node1")
    return found


def _set_option(text: str) -> dict[str, object] | None:
    key, equals, value = text.partition("=")
    if not equals:
        return None
    for line in (f"{key} = {value}", f"{key} = {quoted(value)}"):
        try:
            return tomllib.loads(line)
        except (ValueError, RecursionError):
            continue
    return None


def _lay_over(found: dict[str, object], given: dict[str, object]) -> None:
    for key, value in given.items():
        old = found.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            _lay_over(old, value)
        elif isinstance(old, list) and isinstance(value, list):
            found[key] = [*old, *value]
        else:
            found[key] = value


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
    """Return the variant with what its settings and the command line ask for; raise ``ConfigError``.

    A boot code given here replaces those of the same name in the variant.
    """
    problems = [
        Problem(where=f"--package {name}", message=complaint)
        for name in packages
        if (complaint := package_complaint(name))
    ]
    if problems:
        raise ConfigError("a package cannot be added", problems)
    problems = [
        Problem(where=f"--boot-code {text.partition('=')[0]}", message=secret, hint=secrets.HINT)
        for text in boot_codes
        if (secret := secrets.in_text(text)) is not None
    ]
    if problems:
        raise ConfigError("a boot code cannot be added", problems)
    lines = {f"packages.onboot {name}": f"--package {name}" for name in packages} | dict(variant.lines)
    lines |= {f"packages.place {name}": f"--place {name}={place}" for name, place in places}
    added = replace(variant, onboot=joined(variant.onboot, packages), lines=tuple(lines.items()))
    variant, refused = applied(added, base)
    if refused:
        raise mistakes(f"variant {variant.name}", refused)
    words = codes.parse(" ".join(boot_codes), where="--boot-code", base=base)
    together = override(variant.boot_codes, [str(word) for word in words])
    codes.parse(" ".join(together), where="--boot-code", base=base)
    told = tuple((f"boot-codes {word}", "--boot-code") for word in words)
    whole = replace(
        variant,
        files=merge_files(variant.files, files),
        boot_codes=together,
        places=merge_places(variant.places, places),
        lines=(*variant.lines, *told),
    )
    check_menu(whole, codes)
    return replace(whole, needed=needed(whole, base))
