"""A variant put over the one that it extends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from remaster.variant import settings
from remaster.variant.menu import merge_entries
from remaster.variant.packages import merge_places
from remaster.variant.parts import Ground

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from remaster.variant.model import Variant
    from remaster.variant.parts import FileSpec
    from tcz import toml


def merged(parent: Variant, own: Variant, table: toml.Table) -> Variant:
    """Return ``own``, read from ``table``, with what ``parent`` has and it does not set."""
    image = table.table("image")

    def pick(holder: toml.Table, key: str, value: str, inherited: str) -> str:
        return value if holder.has(key) else inherited

    return replace(
        own,
        kernel=pick(table, "kernel", own.kernel, parent.kernel),
        onboot=joined(parent.onboot, own.onboot),
        optional=joined(parent.optional, own.optional),
        boot_codes=override(_still_said(parent, own), own.boot_codes),
        services=joined(parent.services, own.services),
        files=merge_files(_not_made_anew(parent, own), own.files),
        settings=settings.merged(_unsaid(parent, own), own.settings),
        volume_id=pick(image, "volume-id", own.volume_id, parent.volume_id),
        title=pick(image, "title", own.title, parent.title),
        version_of=pick(image, "version-of", own.version_of, parent.version_of),
        timeout=own.timeout if image.has("timeout") else parent.timeout,
        data_label=pick(image, "data-label", own.data_label, parent.data_label),
        data_mib=own.data_mib if image.has("data-mib") else parent.data_mib,
        ondemand=joined(parent.ondemand, own.ondemand),
        copy2fs=joined(parent.copy2fs, own.copy2fs),
        places=merge_places(parent.places, own.places),
        max_iso_mb=own.max_iso_mb if image.has("max-iso-mb") else parent.max_iso_mb,
        max_ram_mb=own.max_ram_mb if image.has("max-ram-mb") else parent.max_ram_mb,
        entries=merge_entries(parent.entries, own.entries),
        default_entry=own.default_entry or parent.default_entry,
        lines=tuple((dict(parent.lines) | dict(own.lines)).items()),
    )


def _not_made_anew(parent: Variant, own: Variant) -> tuple[FileSpec, ...]:
    """Return the parent's files without those that a table of ``own`` makes."""
    effects, _ = settings.effects(own.settings, Ground())
    made = {spec.path for spec in effects.files}
    return tuple(spec for spec in parent.files if spec.path not in made)


def _keys(words: Sequence[str]) -> set[str]:
    return {word.partition("=")[0] for word in words}


def _still_said(parent: Variant, own: Variant) -> tuple[str, ...]:
    """Return the parent's boot codes without those that a key of ``own`` stands for."""
    effects, _ = settings.effects(own.settings, Ground())
    said = _keys(effects.boot_codes)
    return tuple(word for word in parent.boot_codes if word.partition("=")[0] not in said)


def _unsaid(parent: Variant, own: Variant) -> settings.Settings:
    """Return the parent's settings without the keys that a boot code of ``own`` stands for."""
    said, found = _keys(own.boot_codes), parent.settings
    if "host" in said:
        found = replace(found, machine=replace(found.machine, hostname=""))
    if "kmap" in said:
        found = replace(found, clock=replace(found.clock, keymap="", content=b""))
    return found


def joined(first: Sequence[str], then: Sequence[str]) -> tuple[str, ...]:
    """Return both lists, each item once."""
    return tuple(dict.fromkeys((*first, *then)))


def override(first: Sequence[str], then: Sequence[str]) -> tuple[str, ...]:
    """Return both command lines; a word of ``then`` replaces those of ``first`` with its key."""
    keys = {word.partition("=")[0] for word in then}
    return (*(word for word in first if word.partition("=")[0] not in keys), *then)


def merge_files(first: Iterable[FileSpec], then: Iterable[FileSpec]) -> tuple[FileSpec, ...]:
    """Return both, sorted by path; a file of ``then`` replaces one of ``first`` at its path."""
    files = {spec.path: spec for spec in first} | {spec.path: spec for spec in then}
    return tuple(files[path] for path in sorted(files))
