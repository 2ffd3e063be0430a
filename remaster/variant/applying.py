"""A variant's settings turned into files, packages, services and boot codes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from remaster.variant import settings
from remaster.variant.merging import joined, merge_files
from remaster.variant.parts import Ground
from tcz.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remaster.variant.model import Variant


def applied(variant: Variant, base: str) -> Variant:
    """Return the variant with what its settings ask for.

    Raises ``ConfigError`` for what cannot be done: a key that nothing in the image reads, a boot code that
    is written as well, a package that has no place.
    """
    ground = Ground(base=base, packages=(*variant.onboot, *variant.optional), services=variant.services)
    effects, problems = settings.effects(variant.settings, ground)
    problems = (*problems, *_codes_twice(variant, effects.boot_codes))
    if problems:
        raise ConfigError(f"variant {variant.name} cannot be made", problems)
    files = {spec.path for spec in variant.files}
    return replace(
        variant,
        # A file that is given outright counts.
        files=merge_files([spec for spec in effects.files if spec.path not in files], variant.files),
        onboot=joined(variant.onboot, (*effects.packages, *effects.made)),
        services=joined(joined(effects.first, variant.services), effects.services),
        boot_codes=(*variant.boot_codes, *effects.boot_codes),
        needed=effects.needed,
    )


def _codes_twice(variant: Variant, codes: tuple[str, ...]) -> Iterator[Problem]:
    written = {word.partition("=")[0] for word in variant.boot_codes}
    keys = {"host": "hostname", "kmap": "keymap"}
    for code in codes:
        name = code.partition("=")[0]
        if name in written:
            message = f"the boot code {name}= and the key {keys[name]} say the same thing"
            yield Problem(where=str(variant.origin or "variant"), message=message, hint=f"leave {name}= out")
