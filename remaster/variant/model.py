"""What a variant is once it has been read and checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from remaster.variant.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from remaster.variant.parts import FileSpec, Needed

VOLUME_ID: Final = "floe-{name}-v{version}"
TITLE: Final = "floe {name} {version}"
DATA_LABEL: Final = "floe-data"
DATA_MIB: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A variant with all that it extends already in it. Package names have no suffix."""

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
    extends: str = ""
    origin: Path | None = None
