"""What squashfs 4.0 looks like on disk: little-endian structures, as the kernel reads them.

Source of the format: fs/squashfs/squashfs_fs.h of Linux. Positions named ``start`` of metadata are
compressed positions relative to their table; ``offset`` is a place in the block that unpacks from there.
"""

from __future__ import annotations

import stat
from struct import Struct
from typing import Final, NamedTuple

MAGIC: Final = 0x73717368
INVALID: Final = 0xFFFFFFFFFFFFFFFF
NO_FRAGMENT: Final = 0xFFFFFFFF
NO_XATTR: Final = 0xFFFFFFFF

METADATA_SIZE: Final = 8192
#: In the two bytes before a metadata block: it is stored as it is.
METADATA_PLAIN: Final = 0x8000
#: In the word that gives a data block's size: it is stored as it is.
DATA_PLAIN: Final = 1 << 24

FLAG_DUPLICATES: Final = 0x0040
FLAG_NO_XATTRS: Final = 0x0200
FLAG_OPTIONS: Final = 0x0400

#: Images are padded to this, for loop devices read nothing smaller.
PADDING: Final = 4096

NAME_MAX: Final = 256
TARGET_MAX: Final = 65535
PATH_MAX: Final = 4095
#: A header of a directory speaks for at most so many entries, with inode numbers this near to its own.
HEADER_ENTRIES: Final = 256
HEADER_REACH: Final = 32767

COMPRESSION_IDS: Final = {"gzip": 1, "lzma": 2, "lzo": 3, "xz": 4, "lz4": 5, "zstd": 6}

(DIR, FILE, LINK, BLOCK, CHAR, FIFO, SOCKET) = range(1, 8)
#: Extended inodes have these numbers more.
EXTENDED: Final = 7

TYPE_OF: Final = {
    stat.S_IFDIR: DIR,
    stat.S_IFREG: FILE,
    stat.S_IFLNK: LINK,
    stat.S_IFBLK: BLOCK,
    stat.S_IFCHR: CHAR,
    stat.S_IFIFO: FIFO,
    stat.S_IFSOCK: SOCKET,
}
#: The type bits of a mode, by the number of an inode's type, extended ones included.
MODE_OF: Final = {number + more: bits for bits, number in TYPE_OF.items() for more in (0, EXTENDED)}

#: type, mode, uid, gid, mtime, number; what every inode begins with
INODE: Final = Struct("<HHHHII")
#: ... then start, nlink, size, offset, parent
DIR_INODE: Final = Struct("<HHHHIIIIHHI")
#: ... then nlink, size, start, parent, index count, offset, xattr
LONG_DIR_INODE: Final = Struct("<HHHHIIIIIIHHI")
#: ... then start, fragment, offset, size, and the words of its blocks
FILE_INODE: Final = Struct("<HHHHIIIIII")
#: ... then start, size, sparse, nlink, fragment, offset, xattr, and the words of its blocks
LONG_FILE_INODE: Final = Struct("<HHHHIIQQQIIII")
#: ... then nlink, length, and the target
LINK_INODE: Final = Struct("<HHHHIIII")
#: ... then nlink, device
DEVICE_INODE: Final = Struct("<HHHHIIII")
#: ... then nlink
IPC_INODE: Final = Struct("<HHHHIII")

#: place in the listing, start of its metadata block, length of the name - 1; then the name
DIR_INDEX: Final = Struct("<III")
#: entries - 1, start of their inodes, inode number that theirs are relative to
DIR_HEADER: Final = Struct("<III")
#: offset of the inode, its number less that of the header, type, length of the name - 1; then the name
DIR_ENTRY: Final = Struct("<HhHH")
#: position, size word, unused
FRAGMENT: Final = Struct("<QII")
WORD: Final = Struct("<I")
POSITION: Final = Struct("<Q")

_SUPERBLOCK: Final = Struct("<IIIIIHHHHHHQQQQQQQQ")
SUPERBLOCK_SIZE: Final = _SUPERBLOCK.size


class Superblock(NamedTuple):
    """The first 96 bytes of an image, in their order, without the magic number."""

    inodes: int
    time: int
    block: int
    fragments: int
    compression: int
    block_log: int
    flags: int
    ids: int
    major: int
    minor: int
    root: int
    used: int
    id_table: int
    xattr_table: int
    inode_table: int
    directory_table: int
    fragment_table: int
    export_table: int

    def pack(self) -> bytes:
        """Return the bytes."""
        return _SUPERBLOCK.pack(MAGIC, *self)

    @classmethod
    def unpack(cls, data: bytes) -> Superblock:
        """Read 96 bytes; nothing is judged."""
        return cls._make(_SUPERBLOCK.unpack(data)[1:])


def device_word(major: int, minor: int) -> int:
    """Return a device's number as Linux packs it into 32 bits (``new_encode_dev``)."""
    return (minor & 0xFF) | (major << 8) | ((minor & ~0xFF) << 12)


def device_of(word: int) -> tuple[int, int]:
    """Return major and minor of a packed device number."""
    return (word >> 8) & 0xFFF, (word & 0xFF) | ((word >> 12) & 0xFFF00)
