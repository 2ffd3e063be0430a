"""What a variant is once it has been read and checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from remaster.variant.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from remaster.menu import EntrySpec
    from remaster.variant.parts import FileSpec, Needed

#: Where a package is kept: on the medium, in the initrd as it is, or unpacked in the initrd.
Place = Literal["cde", "builtin", "root"]
VOLUME_ID: Final = "floe-{name}-v{version}"
TITLE: Final = "floe {name} {version}"
DATA_LABEL: Final = "floe-data"
DATA_MIB: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A variant with all that it extends already in it. Package names have no suffix.

    ``places`` maps packages to where they are kept, ``*`` all that are not named. A budget of 0 is none.
    ``lines`` maps keys, or a key and an item of its list, to where they are said; see ``where``.
    """

    name: str
    summary: str = ""
    kernel: str = "kernel"
    onboot: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    boot_codes: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    files: tuple[FileSpec, ...] = ()
    settings: Settings = field(default_factory=Settings)
    #: What the base must have for the settings to work.
    needed: tuple[Needed, ...] = ()
    volume_id: str = VOLUME_ID
    title: str = TITLE
    version_of: str = ""
    timeout: int = 3
    data_label: str = DATA_LABEL
    data_mib: int = DATA_MIB
    ondemand: tuple[str, ...] = ()
    copy2fs: tuple[str, ...] = ()
    places: tuple[tuple[str, Place], ...] = ()
    max_iso_mb: int = 0
    max_ram_mb: int = 0
    entries: tuple[EntrySpec, ...] = ()
    default_entry: str = ""
    extends: str = ""
    origin: Path | None = None
    lines: tuple[tuple[str, str], ...] = ()

    def where(self, key: str, item: str = "") -> str:
        """Return the place of an item of a key's list, or of the key: file and line, as far as known."""
        found = dict(self.lines)
        usual = str(self.origin or f"variant {self.name}")
        return found.get(f"{key} {item}") or found.get(key) or f"{usual}: {key}"

    def packages(self) -> tuple[str, ...]:
        """Return every package that it names, each once: those loaded at boot first."""
        return tuple(dict.fromkeys((*self.onboot, *self.optional, *self.ondemand)))
