"""Changes to the text of a recipe.toml that leave everything else as it was, comments included."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tomlkit
from tomlkit.exceptions import TOMLKitError

from tcz.errors import ConfigError
from tcz.model import Archive, CargoLock, Crate, Git, GoModule, GoToolchain
from tcz.recipe_checks import NO_SUM

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping, Sequence

    from tcz.model import Source

    _Table = MutableMapping[str, object]

#: For each kind of source that is pinned: the key, and a value of the right form that fits nothing.
PINS = {
    "archive": ("sha256", "0" * 64),
    "go-module": ("sum", NO_SUM),
    "go-toolchain": ("sum", NO_SUM),
    "crate": ("sha256", "0" * 64),
    "cargo-lock": ("sha256", "0" * 64),
    "git": ("commit", "0" * 40),
}


def pin_of(source: Source) -> str | None:
    """Return the value of a source's pin, ``None`` for kinds that have none."""
    match source:
        case Archive() | Crate() | CargoLock():
            return source.sha256
        case GoModule() | GoToolchain():
            return source.sum
        case Git():
            return source.commit
        case _:
            return None


def with_placeholders(text: str, where: str) -> str:
    """Return the text with a pin in every source that lacks one, so that it can be read as a recipe."""

    def change(number: int, table: _Table) -> None:
        del number
        pin = PINS.get(str(table.get("kind")))
        if pin is not None and not table.get(pin[0]):
            table[pin[0]] = pin[1]

    return _each_source(text, where, change)


def with_pins(text: str, where: str, sources: Sequence[Source]) -> str:
    """Return the text with the pins of ``sources``, in their order."""

    def change(number: int, table: _Table) -> None:
        pin = PINS.get(str(table.get("kind")))
        wanted = pin_of(sources[number])
        if pin is not None and wanted is not None and table.get(pin[0]) != wanted:
            table[pin[0]] = wanted

    return _each_source(text, where, change)


def with_version(text: str, where: str, version: str) -> str:
    """Return the text with another version, and without a release: changes are counted anew."""
    document = _parse(text, where)
    if document.get("version") != version:
        document["version"] = version
        document.pop("release", None)
    return tomlkit.dumps(document)


def templates(text: str, where: str) -> tuple[dict[str, str], ...]:
    """Return the strings of each source as they are written, with ``{version}`` unfilled."""
    found: list[dict[str, str]] = []

    def look(number: int, table: _Table) -> None:
        del number
        found.append({key: str(value) for key, value in table.items() if isinstance(value, str)})

    _each_source(text, where, look)
    return tuple(found)


def _each_source(text: str, where: str, change: Callable[[int, _Table], None]) -> str:
    document = _parse(text, where)
    tables = document.get("source", [])
    for number, table in enumerate(tables if isinstance(tables, list) else []):
        if isinstance(table, dict):
            change(number, table)
    return tomlkit.dumps(document)


def _parse(text: str, where: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except (TOMLKitError, ValueError, RecursionError) as error:
        raise ConfigError(f"{where} is not TOML: {error}") from error
