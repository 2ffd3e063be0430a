"""What a variant is once it has been read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

VOLUME_ID: Final = "floe-{name}-v{version}"
TITLE: Final = "floe {name} {version}"
DATA_LABEL: Final = "floe-data"
DATA_MIB: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSpec:
    """A file that goes into the root: ``path`` without leading slash, ``owner`` as ``user:group``."""

    path: str
    content: bytes
    mode: int = 0o644
    owner: str = "root:root"
    where: str = ""


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
    volume_id: str = VOLUME_ID
    title: str = TITLE
    version_of: str = ""
    timeout: int = 3
    data_label: str = DATA_LABEL
    data_mib: int = DATA_MIB
    extends: str = ""
    origin: Path | None = None
