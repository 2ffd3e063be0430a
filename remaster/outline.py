"""What would be done, told before anything is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from remaster import base as bases
from remaster import estimate, fitting, foreign, image, suppliers
from remaster import wish as wishes

if TYPE_CHECKING:
    from pathlib import Path

    from remaster.estimate import Estimate, Overrun
    from remaster.image import Request
    from remaster.wish import Wish
    from tcz.paths import Dirs
    from tcz.reporting import Reporter
    from tcz.run import Runner
    from tcz.workshop import Planned


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What ``--dry-run`` tells: nothing has been built, though packages may have been fetched.

    ``sizes`` are known when every recipe is built already; for them the initrd is packed, and kept.
    """

    variant: str
    base: str
    why: str
    output: Path
    formats: tuple[str, ...]
    boot_codes: tuple[str, ...]
    services: tuple[str, ...]
    files: tuple[str, ...]
    recipes: tuple[Planned, ...]
    sizes: Estimate | None
    edits: tuple[str, ...] = ()
    kernel: str = ""
    initrd: str = ""
    notes: tuple[str, ...] = ()
    overrun: Overrun | None = None


def outline(wish: Wish, dirs: Dirs, runner: Runner, reporter: Reporter) -> Outline:
    """Tell what ``fulfil`` would do."""
    asked = wishes.request(wish, dirs, reporter)
    spec = asked.needs()
    supplier = suppliers.supplier(wish, asked, dirs, runner, reporter)
    names = (*spec.packages(), *asked.format_packages(), *asked.variant.packages())
    with fitting.naming(asked.variant):
        planned = supplier.planned(names)
    sizes, overrun = None, None
    notes: tuple[str, ...] = ()
    if all(one.cached for one in planned):
        job = image.prepare(asked, supplier)
        with reporter.step("initrd"):
            sizes, notes = image.estimated(job, dirs), job.notes
        overrun = estimate.overrun(asked.variant, sizes)
    return Outline(
        variant=asked.variant.name,
        base=asked.base,
        why=bases.choose(wish.base, dirs).why,
        output=asked.output,
        formats=tuple(one.name for one in asked.formats),
        boot_codes=asked.variant.boot_codes,
        services=asked.variant.services,
        files=tuple(f"/{file.path}" for file in asked.variant.files),
        recipes=planned,
        sizes=sizes,
        edits=_edits(asked),
        kernel=spec.kernel or ("" if asked.foreign is None else f"{asked.foreign.kernel}, the base's own"),
        initrd=f"{asked.compressor}, {asked.mode}",
        notes=notes,
        overrun=overrun,
    )


def _edits(asked: Request) -> tuple[str, ...]:
    found = asked.foreign
    if found is None:
        return ()
    _, done = foreign.edits(found, found.examined.root, asked.needs(), asked.variant)
    return tuple(one.name for one in done)


def lines(told: Outline) -> tuple[str, ...]:
    """Return the outline as text."""
    found = [
        f"image       {told.output}",
        f"formats     {' '.join(told.formats)}",
        f"variant     {told.variant} on {told.base} ({told.why})",
        f"boot codes  {' '.join(told.boot_codes)}",
        f"services    {' '.join(told.services) or 'none'}",
        f"files       {' '.join(told.files) or 'none'}",
        f"kernel      {told.kernel}",
        f"initrd      {told.initrd}",
        *([f"edits       {' '.join(told.edits)}"] if told.edits else []),
        "recipes",
    ]
    found += [
        f"  {one.recipe.name} {one.version}: {'built already' if one.cached else 'to be built'}"
        for one in told.recipes
    ]
    found += [f"note        {note}" for note in told.notes]
    if told.sizes is None:
        found.append("sizes are known once all is built")
    else:
        found += estimate.lines(told.sizes)
    return tuple(found)


def check(told: Outline) -> None:
    """Raise ``CheckError`` for an image over its variant's budgets, as far as sizes are known."""
    if told.overrun is not None:
        raise told.overrun.error()
