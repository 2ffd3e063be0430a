"""qcow2 images, version 3, written in one pass: what is zero takes no room.

Format: QEMU's docs/interop/qcow2.rst. Clusters are not compressed: what is in an image (kernel, initrd,
extensions) is compressed already, and which bytes a compressor makes depends on its version. Data comes
first, then the tables, then what counts the references to all of it; the header is written last.
"""

from __future__ import annotations

import struct
from array import array
from typing import TYPE_CHECKING, BinaryIO, Final

from remaster.formats.model import clusters
from tcz.errors import ToolkitError

if TYPE_CHECKING:
    from pathlib import Path

    from remaster.formats.model import Layout

MAGIC: Final = b"QFI\xfb"
_BITS: Final = 16
_CLUSTER: Final = 1 << _BITS
_PER_TABLE: Final = _CLUSTER // 8
#: References are counted in 16 bits.
_PER_BLOCK: Final = _CLUSTER // 2
_USED_ONCE: Final = 1 << 63
_HEADER: Final = struct.Struct(">4sIQIIQIIQQIIQQQQII")
_HEADER_SIZE: Final = 104
_REFCOUNT_ORDER: Final = 4


def write(wanted: Layout, path: Path) -> None:
    """Write a layout as a qcow2 image; raises ``ToolkitError`` for a size that is no whole sectors."""
    if wanted.size % 512 or not wanted.size:
        raise ToolkitError(f"a disk has whole sectors, not {wanted.size} bytes")
    with path.open("wb") as file:
        _write(wanted, file)


def _write(wanted: Layout, file: BinaryIO) -> None:
    tables: dict[int, array[int]] = {}
    used = 1
    file.seek(_CLUSTER)
    for number, data in clusters(wanted, _CLUSTER):
        which, entry = divmod(number, _PER_TABLE)
        if which not in tables:
            tables[which] = array("Q", bytes(_CLUSTER))
        tables[which][entry] = used * _CLUSTER | _USED_ONCE
        file.write(data)
        used += 1
    l1_size = -(-wanted.size // (_CLUSTER * _PER_TABLE))
    l1 = [0] * l1_size
    for which, table in sorted(tables.items()):
        l1[which] = used * _CLUSTER | _USED_ONCE
        table.byteswap()
        file.write(table.tobytes())
        used += 1
    l1_at = used * _CLUSTER
    used += _put(file, struct.pack(f">{l1_size}Q", *l1))
    counts_at, counts_clusters = _counts(file, used)
    file.seek(0)
    fields = (MAGIC, 3, 0, 0, _BITS, wanted.size, 0, l1_size, l1_at, counts_at, counts_clusters, 0, 0)
    file.write(_HEADER.pack(*fields, 0, 0, 0, _REFCOUNT_ORDER, _HEADER_SIZE))


def _put(file: BinaryIO, data: bytes) -> int:
    """Write data as whole clusters; return how many."""
    count = -(-len(data) // _CLUSTER)
    file.write(data.ljust(count * _CLUSTER, b"\0"))
    return count


def _counts(file: BinaryIO, used: int) -> tuple[int, int]:
    """Write the reference counts, theirs included; return where their table is and its clusters."""
    blocks = tables = 0
    while True:
        total = used + blocks + tables
        need = -(-total // _PER_BLOCK)
        if blocks == need and tables == -(-need // _PER_TABLE):
            break
        blocks, tables = need, -(-need // _PER_TABLE)
    counts = struct.pack(">H", 1) * total
    _put(file, counts)
    places = [(used + number) * _CLUSTER for number in range(blocks)]
    _put(file, struct.pack(f">{blocks}Q", *places))
    return (used + blocks) * _CLUSTER, tables
