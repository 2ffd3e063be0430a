"""The formats that an image can be written in, each a name, what it is for, and a writer.

``iso`` for CDs and USB sticks, ``disk`` and ``qcow2`` for disks, ``netboot`` for machines without any,
``tar`` for those who want the files. All are written from the same ``ImageContent``, without root,
mounts or loop devices, and the same content gives the same bytes.
"""

from __future__ import annotations

from remaster.formats.content import DiskParts, ImageContent
from remaster.formats.registry import FORMATS, Format, named, names, space, stem, targets

__all__ = [
    "FORMATS",
    "DiskParts",
    "Format",
    "ImageContent",
    "named",
    "names",
    "space",
    "stem",
    "targets",
]
