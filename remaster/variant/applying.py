"""A variant's settings turned into files, packages, services and boot codes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from remaster.variant import clock, settings
from remaster.variant.merging import joined, merge_files
from remaster.variant.parts import Ground
from tcz.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remaster.variant.model import Variant
    from remaster.variant.parts import Needed


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
    )
    made = replace(made, needed=needed(made, base))
    return made, (*problems, *_codes_twice(variant, effects.boot_codes))


def needed(variant: Variant, base: str) -> tuple[Needed, ...]:
    """Return what the base must have for a variant with its settings applied: keyboard maps."""
    ground = Ground(base=base, packages=(*variant.onboot, *variant.optional))
    entries = ((entry.where, word) for entry in variant.entries for word in entry.add)
    said = ((variant.where("boot-codes", word), word) for word in variant.boot_codes)
    found = []
    for where, word in (*said, *entries):
        key, _, name = word.partition("=")
        if key == "kmap" and name:
            own = name == variant.settings.clock.keymap
            place = variant.settings.clock.keymap_where if own else f"{where}: {word}"
            found.append(clock.needed(name, place, ground))
    return tuple(dict.fromkeys(one for one in found if one is not None))


def _codes_twice(variant: Variant, codes: tuple[str, ...]) -> Iterator[Problem]:
    written = {word.partition("=")[0] for word in variant.boot_codes}
    keys = {"host": "hostname", "kmap": "keymap"}
    for code in codes:
        name = code.partition("=")[0]
        if name in written:
            message = f"the boot code {name}= and the key {keys[name]} say the same thing"
            word = next(word for word in variant.boot_codes if word.partition("=")[0] == name)
            yield Problem(where=variant.where("boot-codes", word), message=message, hint=f"leave {name}= out")
