"""Looking into a finished image: its volume id and its manifest, read from the ISO alone."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcz.clikit import columns, size_text
from tcz.errors import VerifyError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageLine:
    """A package as the manifest lists it."""

    name: str
    version: str
    role: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What an image says of itself; ``manifest`` is the manifest's text."""

    volume_id: str
    variant: str
    version: str
    base: str
    kernel: str
    boot_codes: tuple[str, ...]
    services: tuple[str, ...]
    packages: tuple[PackageLine, ...]
    manifest: str


def inspect(path: Path) -> Inspection:
    """Read an image. Raises ``VerifyError`` when it is no image of this toolkit."""
    import pycdlib  # noqa: PLC0415 - slow to import
    from pycdlib.pycdlibexception import PyCdlibException  # noqa: PLC0415

    iso = pycdlib.PyCdlib()
    try:
        iso.open(str(path))
        buffer = io.BytesIO()
        iso.get_file_from_iso_fp(buffer, rr_path="/manifest.json")
        volume_id = iso.pvd.volume_identifier.decode(errors="replace").strip()
        iso.close()
        return _parsed(volume_id, buffer.getvalue().decode())
    except OSError as error:
        raise VerifyError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except (PyCdlibException, ValueError, KeyError, TypeError) as error:
        raise VerifyError(
            "this is no image of this toolkit", where=str(path), why=str(error) or type(error).__name__
        ) from error


def _parsed(volume_id: str, text: str) -> Inspection:
    data = json.loads(text)
    return Inspection(
        volume_id=volume_id,
        variant=str(data["variant"]),
        version=str(data["version"]),
        base=str(data["base"]),
        kernel=str(data["kernel"]),
        boot_codes=tuple(map(str, data["boot-codes"])),
        services=tuple(map(str, data["services"])),
        packages=tuple(
            PackageLine(
                name=str(one["name"]),
                version=str(one["version"]),
                role=str(one["role"]),
                size=int(one["size"]),
            )
            for one in data["packages"]
        ),
        manifest=text,
    )


def lines(found: Inspection) -> tuple[str, ...]:
    """Return the findings as text for a person."""
    head = (
        f"volume      {found.volume_id}",
        f"variant     {found.variant} {found.version} on {found.base}, kernel {found.kernel}",
        f"boot codes  {' '.join(found.boot_codes)}",
        f"services    {' '.join(found.services) or 'none'}",
    )
    rows = [(f"  {one.name}", one.version, one.role, size_text(one.size)) for one in found.packages]
    return (*head, "packages", *columns(rows))
