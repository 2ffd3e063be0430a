"""``[[preload]]``: container images that the machine has at its first boot, without a network.

Each is a file as ``docker save`` and ``podman save`` write it, or an OCI image layout (a folder, or a tar
of one), beside the variant's. All of them go into one extension on the medium, so that they cost no memory;
the service ``preload`` hands them to the engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remaster.variant.fields import Choice, Many, Rule, Shape, Text
from remaster.variant.parts import ENGINES, Effects, Ground
from tcz.errors import Problem

if TYPE_CHECKING:
    from pathlib import Path

    from tcz import toml

_HOST: Final = r"[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?/"
_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG: Final = r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
NAME_RULE: Final = Rule(
    rf"({_HOST})?{_PART}(/{_PART})*{_TAG}", "an image's name such as localhost/web:latest"
)
ARCHIVE = Text("archive", "The file or folder with the image.", default=None)
IMAGE = Text("image", "Which image, where the archive holds several.")
NAME = Text("name", "What it is called, where the archive does not say.", rule=NAME_RULE)
ENGINE = Choice("engine", "Who gets it, where the variant has several engines.", choices=ENGINES)
KEY = Many(
    "preload",
    "Container images that are there at the first boot.",
    Shape((ARCHIVE, IMAGE, NAME, ENGINE)),
    example="""\
[[preload]]
archive = "web.tar"
""",
)
#: The extension that is made of the images.
PACKAGE: Final = "preloaded-images"
SERVICE: Final = "preload"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preload:
    """One image."""

    archive: Path
    image: str = ""
    name: str = ""
    engine: str = ""
    where: str = ""


def read(table: toml.Table, path: Path) -> tuple[Preload, ...]:
    """Return the images; ``path`` is the variant's file. What archives hold is looked at later."""
    found = []
    for inner in KEY.open(table):
        archive = path.parent / ARCHIVE.read(inner)
        if inner.has(ARCHIVE.name) and not archive.exists():
            inner.fail(ARCHIVE.name, f"there is no {archive}")
        found.append(
            Preload(
                archive=archive,
                image=IMAGE.read(inner),
                name=NAME.read(inner),
                engine=ENGINE.read(inner),
                where=inner.where(),
            )
        )
    return tuple(found)


def merged(first: tuple[Preload, ...], then: tuple[Preload, ...]) -> tuple[Preload, ...]:
    """Return both lists."""
    return (*first, *then)


def engine_for(wanted: str, ground: Ground, where: str, what: str) -> tuple[str, Problem | None]:
    """Return the engine that ``wanted`` names, or the only one there is; else what is wrong."""
    there = [name for name in ENGINES if ground.has(name)]
    if wanted and wanted not in there:
        message = f"{what} is for {wanted}, which is not among the variant's packages"
        return "", Problem(where=where, message=message, hint=f"packages.onboot = ['{wanted}']")
    if wanted or len(there) == 1:
        return wanted or there[0], None
    message = f"{what} wants an engine, and the variant has {'several' if there else 'none'}"
    hint = "say engine = 'docker' or 'podman'" if there else "extends = 'docker' or 'podman'"
    return "", Problem(where=where, message=message, hint=hint)


def effects(given: tuple[Preload, ...], ground: Ground) -> tuple[Effects, tuple[Problem, ...]]:
    """Return the service that loads the images; the extension with them is made by whoever builds."""
    problems = []
    for one in given:
        _, problem = engine_for(one.engine, ground, one.where, one.archive.name)
        problems += [] if problem is None else [problem]
    if not given:
        return Effects(), ()
    return Effects(packages=("container-host",), made=(PACKAGE,), services=(SERVICE,)), tuple(problems)
