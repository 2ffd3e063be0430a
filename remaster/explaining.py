"""Explanations of files for the command line: which image or variant is meant, and the answer as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remaster import explain, image, recorded, suppliers, wish
from remaster.initrds import root
from remaster.survey import look
from remaster.survey.text import printable
from tcz.clikit import size_text
from tcz.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remaster.explain import Explained, Owner
    from remaster.image import Job
    from remaster.wish import Wish
    from tcz.paths import Dirs
    from tcz.reporting import Reporter
    from tcz.run import Runner

_MODULES_SHOWN = 12


def in_image(path: str, of: Path, dirs: Dirs) -> Explained:
    """Explain a path of an image; one that remaster did not make has no recipes to tell of."""
    examined = look.examine(of)
    found = examined.survey.manifest
    told = None if found is None else recorded.loads(found.text, f"{of}: {found.where}")
    return explain.explain(path, explain.of_image(examined, told, dirs.cache / "builds"))


def in_variant(path: str, wanted: Wish, dirs: Dirs, runner: Runner, reporter: Reporter) -> Explained:
    """Explain a path of what a variant would make; its packages are built where they are not yet."""
    asked = wish.request(wanted, dirs, reporter)
    job = image.prepare(asked, suppliers.supplier(wanted, asked, dirs, runner, reporter))
    return in_job(path, job, dirs)


def in_job(path: str, job: Job, dirs: Dirs) -> Explained:
    """Explain a path of an image that could be written now."""
    told = recorded.loads(job.document.decode(), "the manifest")
    places = {one.name: one.path for one in job.extensions}
    title = f"the variant {job.facts.variant}"
    return explain.explain(path, explain.of_told(title, told, root(job), places, dirs.cache / "builds"))


def require(found: Explained) -> None:
    """Raise ``ConfigError`` with what is like it for a path that is not in the image."""
    if not found.owners:
        near = f"near: {', '.join(found.near)}" if found.near else None
        raise ConfigError(f"{found.image} has no {found.path}", hint=near)


def lines(found: Explained) -> tuple[str, ...]:
    """Return the answer as text: who has the path, the one that counts last."""
    out = [f"{found.path} in {found.image}"]
    on_machine = [one for one in found.owners if one.kind != "medium"]
    for number, owner in enumerate(found.owners, 1):
        covered = owner in on_machine[:-1] and owner.type != "directory"
        out.append(f"{number}. {owner.name}: {owner.what}{', covered by what follows' if covered else ''}")
        out += [f"     {line}" for line in _details(owner)]
    out += [f"note: {note}" for note in found.notes]
    return tuple(printable(line) for line in out)


def _details(owner: Owner) -> Iterator[str]:
    if owner.type == "directory":
        yield f"directory, mode {owner.mode}, owner {owner.owner}, {owner.entries} entries below it"
    elif owner.target:
        yield f"link to {owner.target}"
    elif owner.type:
        size = "" if owner.size is None else f", {size_text(owner.size)}"
        yield f"{owner.type}, mode {owner.mode}, owner {owner.owner}{size}"
    if owner.sha256:
        yield f"sha256 {owner.sha256}"
    if owner.note:
        yield owner.note
    if owner.recipe:
        yield f"recipe {owner.recipe} {owner.version}, {owner.license or 'licence unknown'}"
        yield f"build {owner.build_id}"
        yield f"package sha256 {owner.package_sha256}"
    for source in owner.sources:
        yield f"source {source.kind} {source.name} {source.version}: {source.origin} {source.hash}"
    if owner.go:
        yield f"compiled with {owner.go} from {len(owner.modules)} modules"
        yield from (f"  {one.path} {one.version} {one.sum}" for one in owner.modules[:_MODULES_SHOWN])
        if len(owner.modules) > _MODULES_SHOWN:
            yield f"  and {len(owner.modules) - _MODULES_SHOWN} more (--json has them all)"
