"""Variants read from their files, each with all that it extends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remaster.variant import files, menu, packages, root, settings
from remaster.variant.fields import Shape
from remaster.variant.files import read_files
from remaster.variant.menu import check_menu, read_codes, read_default, read_entries
from remaster.variant.merging import merged
from remaster.variant.model import Variant
from remaster.variant.parts import Ground
from tcz import toml
from tcz.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remaster.bootcode import BootCodes

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

    Raises ``ConfigError`` with all mistakes of a file.
    """
    variant = _load(find(wanted), codes, base, ())
    words = codes.parse(" ".join(variant.boot_codes), where=str(variant.origin), base=base)
    variant = replace(variant, boot_codes=tuple(str(word) for word in words))
    check_menu(variant, codes, base)
    return variant


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


def _load(path: Path, codes: BootCodes, base: str, chain: tuple[Path, ...]) -> Variant:
    if path.resolve() in chain:
        raise ConfigError(f"{path} extends itself", hint=" -> ".join(p.stem for p in (*chain, path)))
    document = toml.read(path)
    own, extends = _read(document, path, codes, base)
    document.finish(f"variant {own.name or path.stem}")
    if not extends:
        return own
    beside = path.parent / extends
    parent_path = beside if extends.endswith(".toml") and beside.is_file() else find(extends)
    return merged(_load(parent_path, codes, base, (*chain, path.resolve())), own, document.root)


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
    )
    made = {spec.path for spec in settings.effects(variant.settings, Ground())[0].files}
    for spec in (spec for spec in variant.files if spec.path in made):
        document.fail_elsewhere(spec.where, f"/{spec.path} is made of a table of this file already")
    if variant.name and path.parent == SHIPPED and variant.name != path.stem:
        table.fail("name", f"the file of {variant.name!r} must be named {variant.name}.toml")
    return variant, variant.extends
