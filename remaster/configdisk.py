"""Config disks (NoCloud): what a machine is told of itself, on a small disk with the label ``cidata``.

The format is cloud-init's (its documentation, data source NoCloud): ISO 9660 with the files ``user-data``,
``meta-data`` and, where there is one, ``network-config``. The same files make the same bytes.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from remaster import iso
from tcz.errors import ConfigError
from tcz.store import scratch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LABEL: Final = "cidata"
USER_DATA: Final = "user-data"
META_DATA: Final = "meta-data"
FILES: Final = (USER_DATA, META_DATA, "network-config", "vendor-data")
_LARGEST: Final = 4 << 20
#: The first of January 1980, where FAT begins: before it tools get strange.
_EPOCH: Final = 315532800
_HEAD: Final = 0x8001
_MAGIC: Final = b"CD001"


def gathered(source: Path) -> dict[str, bytes]:
    """Return the files for a config disk: those of a folder, or a file that is the user-data.

    An instance-id that nobody gave is made of what the files say. Raises ``ConfigError`` for a folder with
    neither user-data nor meta-data nor network-config, and for files that are too large or cannot be read.
    """
    try:
        if source.is_dir():
            found = {name: (source / name).read_bytes() for name in FILES if (source / name).is_file()}
        else:
            found = {USER_DATA: source.read_bytes()}
    except OSError as error:
        raise ConfigError(f"{source} cannot be read: {error.strerror}") from error
    if not found:
        raise ConfigError(
            f"{source} has no files for a config disk", hint=f"at least one of {', '.join(FILES[:3])}"
        )
    for name, data in found.items():
        if len(data) > _LARGEST:
            raise ConfigError(f"{source}: {name} is larger than {_LARGEST} bytes")
    if META_DATA not in found:
        digest = hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()
        found[META_DATA] = f"instance-id: i-{digest[:16]}\n".encode()
    return {USER_DATA: b"", **found}


def write(source: Path, output: Path) -> None:
    """Write the config disk of a folder or a user-data file; ``output`` appears only when it is complete.

    Raises as ``gathered`` does, and ``ToolkitError`` where it cannot be written.
    """
    files = tuple(sorted(gathered(source).items()))
    plan = iso.IsoPlan(volume_id=LABEL, files=files, epoch=_EPOCH, isolinux_bin=None, efi_image=None)
    iso.write_iso(plan, output)


def _is_image(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(_HEAD)
        return file.read(len(_MAGIC)) == _MAGIC


@contextmanager
def given(source: Path | None) -> Iterator[Path | None]:
    """Give the config disk of an option: an image as it is, one made of a folder or of a user-data file.

    Raises as ``write`` does, and ``ConfigError`` where there is nothing.
    """
    if source is None or (source.is_file() and _is_image(source)):
        yield source
        return
    if not source.exists():
        raise ConfigError(
            f"--config-disk {source}: there is no such file or folder",
            hint=f"a folder with {' and '.join(FILES[:2])}, or a user-data file",
        )
    with scratch("remaster-config-") as folder:
        disk = folder / "config.iso"
        write(source, disk)
        yield disk
