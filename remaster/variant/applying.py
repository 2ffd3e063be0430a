"""A variant's settings turned into files, packages, services and boot codes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from remaster.variant import settings
from remaster.variant.merging import joined, merge_files
from remaster.variant.parts import Ground
from tcz.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remaster.variant.model import Variant


def applied(variant: Variant, base: str) -> tuple[Variant, tuple[Problem, ...]]:
    """Return the variant with what its settings ask for, and what cannot be done.

    That is a key that nothing in the image reads, a boot code that is written as well.
    """
    ground = Ground(base=base, packages=(*variant.onboot, *variant.optional), services=variant.services)
    effects, problems = settings.effects(variant.settings, ground)
    files = {spec.path for spec in variant.files}
    made = replace(
        variant,
        # A file that is given outright counts.
        files=merge_files([spec for spec in effects.files if spec.path not in files], variant.files),
        onboot=joined(variant.onboot, (*effects.packages, *effects.made)),
        services=joined(joined(effects.first, variant.services), effects.services),
        boot_codes=(*variant.boot_codes, *effects.boot_codes),
        needed=effects.needed,
    )
    return made, (*problems, *_codes_twice(variant, effects.boot_codes))


def _codes_twice(variant: Variant, codes: tuple[str, ...]) -> Iterator[Problem]:
    written = {word.partition("=")[0] for word in variant.boot_codes}
    keys = {"host": "hostname", "kmap": "keymap"}
    for code in codes:
        name = code.partition("=")[0]
        if name in written:
            message = f"the boot code {name}= and the key {keys[name]} say the same thing"
            word = next(word for word in variant.boot_codes if word.partition("=")[0] == name)
            yield Problem(where=variant.where("boot-codes", word), message=message, hint=f"leave {name}= out")
