"""Variants read from their files, each with all that it extends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remaster.bootcode import split
from remaster.variant import files, machine, menu, packages, root, settings
from remaster.variant.checks import mistakes
from remaster.variant.fields import Shape
from remaster.variant.files import read_files
from remaster.variant.menu import menu_problems, read_codes, read_default, read_entries, said_at
from remaster.variant.merging import merged
from remaster.variant.model import Variant
from remaster.variant.packages import COPY2FS, ONBOOT, ONDEMAND, OPTIONAL
from remaster.variant.parts import Ground
from tcz import toml
from tcz.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remaster.bootcode import BootCodes
    from tcz.errors import Problem

SHIPPED: Final = Path(__file__).parents[1] / "variants"
#: Every key that a variant's file may have, the usual order of them.
SHAPE: Final = Shape(
    (
        root.SCHEMA,
        root.NAME_KEY,
        root.SUMMARY,
        root.EXTENDS,
        root.BOOT_CODES,
        root.SERVICES,
        root.KERNEL,
        packages.KEY,
        *settings.KEYS,
        files.KEY,
        root.IMAGE,
        menu.MENU,
        menu.ENTRY,
    )
)


def names() -> tuple[str, ...]:
    """Return the names of the variants that ship with the program."""
    return tuple(sorted(file.stem for file in SHIPPED.glob("*.toml")))


def find(wanted: str) -> Path:
    """Return the file of a variant given by name or by path; ``ConfigError`` with a guess if none."""
    if wanted.endswith(".toml") or "/" in wanted:
        path = Path(wanted)
        if not path.is_file():
            raise ConfigError(f"there is no file {wanted}", hint="a variant's path was expected")
        return path
    path = SHIPPED / f"{wanted}.toml"
    if wanted not in names():
        near = toml.guess(wanted, names())
        listed = f"variants: {', '.join(names())}; or give the path of your own, such as ./mine.toml"
        raise ConfigError(f"there is no variant {wanted!r}", hint=f"{near}\n{listed}" if near else listed)
    return path


def load(wanted: str, codes: BootCodes, *, base: str = "floe") -> Variant:
    """Return a variant by name or path, what it extends merged in, its boot codes checked.

    Raises ``ConfigError`` with all mistakes of all files.
    """
    variant, problems = examined(wanted, codes, base=base)
    if problems:
        raise mistakes(f"variant {variant.name or Path(wanted).stem}", problems)
    return variant


def examined(wanted: str, codes: BootCodes, *, base: str = "floe") -> tuple[Variant, tuple[Problem, ...]]:
    """Return a variant as ``load`` does, as far as it could be read, and all mistakes.

    Raises ``ConfigError`` for a file that is not there or is not TOML.
    """
    problems: list[Problem] = []
    variant = _load(find(wanted), codes, base, (), problems)
    words = split(" ".join(variant.boot_codes))
    variant = replace(variant, boot_codes=tuple(str(word) for word in words))
    problems += (clash.problem(said_at(variant, clash.word)) for clash in codes.clashes(words))
    problems += menu_problems(variant, codes)
    return variant, tuple(problems)


def over(variant: Variant, given: Mapping[str, object], codes: BootCodes, *, base: str = "floe") -> Variant:
    """Return a variant with values that were given on the command line put over it, as if one extended it.

    Raises ``ConfigError`` with all that is wrong, by the names of the keys.
    """
    if "extends" in given:
        raise ConfigError(
            "--set extends: what a variant extends cannot be set", hint="name it with --variant"
        )
    filled = {"schema": 1, "name": variant.name, "summary": variant.summary, **given}
    # What files are beside is the current folder.
    place = Path("--set")
    document = toml.Document(str(place), filled, {})
    own, _ = _read(document, place, codes, base)
    document.finish(f"what is set for {variant.name}")
    return replace(merged(variant, own, document.root), extends=variant.extends, origin=variant.origin)


def _load(
    path: Path, codes: BootCodes, base: str, chain: tuple[Path, ...], problems: list[Problem]
) -> Variant:
    if path.resolve() in chain:
        raise ConfigError(f"{path} extends itself", hint=" -> ".join(p.stem for p in (*chain, path)))
    document = toml.read(path)
    own, extends = _read(document, path, codes, base)
    parent = _parent(path, extends, document) if extends else None
    try:
        document.finish(f"variant {own.name or path.stem}")
    except ConfigError as error:
        problems += error.problems
        if extends and parent is None:
            # What is built upon is not known, so nothing else can be told.
            raise
    if parent is None:
        return own
    return merged(_load(parent, codes, base, (*chain, path.resolve()), problems), own, document.root)


def _parent(path: Path, extends: str, document: toml.Document) -> Path | None:
    beside = path.parent / extends
    if extends.endswith(".toml") and beside.is_file():
        return beside
    try:
        return find(extends)
    except ConfigError as error:
        document.root.fail(root.EXTENDS.name, error.what, error.hint)
        return None


def _read(document: toml.Document, path: Path, codes: BootCodes, base: str) -> tuple[Variant, str]:
    table = document.root
    root.SCHEMA.read(table)
    chosen, image = packages.KEY.open(table), root.IMAGE.open(table)
    variant = Variant(
        name=root.NAME_KEY.read(table),
        summary=root.SUMMARY.read(table),
        kernel=root.KERNEL.read(table),
        onboot=packages.ONBOOT.read(chosen),
        optional=packages.OPTIONAL.read(chosen),
        boot_codes=read_codes(table, root.BOOT_CODES.name, codes, base),
        services=root.SERVICES.read(table),
        files=read_files(table, path),
        settings=settings.read(table, path),
        volume_id=root.VOLUME_ID.read(image),
        title=root.TITLE.read(image),
        version_of=root.VERSION_OF.read(image),
        timeout=root.TIMEOUT.read(image),
        data_label=root.LABEL.read(image),
        data_mib=root.MIB.read(image),
        ondemand=packages.ONDEMAND.read(chosen),
        copy2fs=packages.COPY2FS.read(chosen),
        places=packages.PLACE.read(chosen),
        max_iso_mb=root.MAX_ISO.read(image),
        max_ram_mb=root.MAX_RAM.read(image),
        entries=read_entries(table, codes, base),
        default_entry=read_default(table),
        extends=root.EXTENDS.read(table),
        origin=path,
        lines=_lines(document, chosen),
    )
    made = {spec.path for spec in settings.effects(variant.settings, Ground())[0].files}
    for spec in (spec for spec in variant.files if spec.path in made):
        document.fail_elsewhere(spec.where, f"/{spec.path} is made of a table of this file already")
    if variant.name and path.parent == SHIPPED and variant.name != path.stem:
        table.fail("name", f"the file of {variant.name!r} must be named {variant.name}.toml")
    return variant, variant.extends


def _lines(document: toml.Document, chosen: toml.Table) -> tuple[tuple[str, str], ...]:
    """Return where keys are said that are looked at once more when packages and base are known."""
    found = {}
    lists = (ONBOOT, OPTIONAL, ONDEMAND, COPY2FS)
    for holder, prefix, key in (
        *((document.root, "", key) for key in (root.SERVICES, root.BOOT_CODES, machine.MODULES)),
        *((chosen, "packages.", key) for key in lists),
    ):
        items = holder.anything(key.name)
        for index, item in enumerate(items if isinstance(items, list) else ()):
            found[f"{prefix}{key.name} {item}"] = holder.where(key.name, index)
    places = chosen.anything(packages.PLACE.name)
    for name in places if isinstance(places, dict) else ():
        place = ("packages", packages.PLACE.name, name)
        found[f"packages.place {name}"] = document.at(place)
    for single in (("kernel",), *(("image", key) for key in ("volume-id", "version-of"))):
        found[single[-1]] = document.at(single)
    found["default"] = document.at(("menu", "default"))
    return tuple(found.items())
