"""The root file system as a tar archive, as ``podman import`` and ``docker import`` take it.

Every extension that is loaded at boot is in it, unpacked in the order of loading, with the marks in
/usr/local/tce.installed that loading leaves; their start-up scripts have not run. Owners, modes with
set-uid bits and devices are as on the machine, and nobody needs to be root to write them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcz import tar

if TYPE_CHECKING:
    from pathlib import Path

    from remaster.formats.content import ImageContent


def write(content: ImageContent, target: Path) -> None:
    """Write the archive."""
    with target.open("wb") as file:
        tar.write_to(content.whole(), file)
