"""Variants read from their files, each with all that it extends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remaster.variant import checks
from remaster.variant.checks import matching, package_complaint, template_complaint
from remaster.variant.files import read_files
from remaster.variant.menu import check_menu, read_codes, read_entries
from remaster.variant.merging import merged
from remaster.variant.model import DATA_LABEL, DATA_MIB, TITLE, VOLUME_ID, Variant
from remaster.variant.packages import read_places
from tcz import toml
from tcz.errors import ConfigError

if TYPE_CHECKING:
    from remaster.bootcode import BootCodes

SHIPPED: Final = Path(__file__).parents[1] / "variants"
_LONGEST_WAIT: Final = 3600
_DATA_MIB_LOW: Final = 16
_DATA_MIB_HIGH: Final = 1 << 20


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
    table.integer("schema", low=1, high=1)
    packages, image = table.table("packages"), table.table("image")
    variant = Variant(
        name=table.string("name", check=matching(checks.NAME, "a lower-case name such as docker")),
        summary=table.string("summary"),
        kernel=table.string("kernel", "kernel", check=package_complaint),
        onboot=packages.strings("onboot", (), check=package_complaint),
        optional=packages.strings("optional", (), check=package_complaint),
        boot_codes=read_codes(table, "boot-codes", codes, base),
        services=table.strings("services", (), check=matching(checks.SERVICE, "the name of a service")),
        files=read_files(table, path),
        volume_id=image.string("volume-id", VOLUME_ID, check=template_complaint),
        title=image.string("title", TITLE, check=template_complaint),
        version_of=image.string("version-of", "", check=package_complaint, empty=True),
        timeout=image.integer("timeout", 3, high=_LONGEST_WAIT),
        data_label=image.string(
            "data-label", DATA_LABEL, check=matching(checks.DATA_LABEL, "a label of 1 to 16 characters")
        ),
        data_mib=image.integer("data-mib", DATA_MIB, low=_DATA_MIB_LOW, high=_DATA_MIB_HIGH),
        ondemand=packages.strings("ondemand", (), check=package_complaint),
        copy2fs=packages.strings("copy2fs", (), check=package_complaint),
        places=read_places(packages),
        max_iso_mb=image.integer("max-iso-mb", 0),
        max_ram_mb=image.integer("max-ram-mb", 0),
        entries=read_entries(table, codes, base),
        default_entry=table.table("menu").string("default", ""),
        extends=table.string("extends", ""),
        origin=path,
    )
    if variant.name and path.parent == SHIPPED and variant.name != path.stem:
        table.fail("name", f"the file of {variant.name!r} must be named {variant.name}.toml")
    return variant, variant.extends
