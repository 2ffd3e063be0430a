"""ISO 9660 images read: Rock Ridge, Joliet or plain names, El Torito, all without a mount.

Formats: ECMA-119, the Joliet specification, IEEE P1281 and P1282 (SUSP 1.12, RRIP 1.12) and the El Torito
specification 1.0. Files stay where they are; nothing in an image is believed: every extent must lie within
the file, every folder is entered once, and whatever does not fit together is a ``VerifyError``.
"""

from __future__ import annotations

import calendar
import os
import stat
import struct
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from tcz.errors import VerifyError
from tcz.tree import ENTRIES_MAX, PATHS_MAX, FileRef, Node, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Names = Literal["rock ridge", "joliet", "plain"]

SECTOR: Final = 2048
_FIRST_DESCRIPTOR: Final = 16
_DESCRIPTORS_MAX: Final = 64
_MARK: Final = b"CD001"
_PRIMARY, _SUPPLEMENTARY, _BOOT, _END = 1, 2, 0, 255
_JOLIET: Final = (b"%/@", b"%/C", b"%/E")
_RECORD_MIN: Final = 34
_FOLDER, _MORE = 0x02, 0x80
_DEPTH_MAX: Final = 128
_NAME_MAX: Final = 255
_CONTINUATIONS_MAX: Final = 16
_EL_TORITO: Final = b"EL TORITO SPECIFICATION"
_PLATFORMS: Final = {0: "bios", 1: "powerpc", 2: "mac", 0xEF: "uefi"}
_BOOTABLE: Final = 0x88
_MORE_SECTIONS, _LAST_SECTION = 0x90, 0x91


@dataclass(frozen=True, slots=True, kw_only=True)
class BootImage:
    """What firmware starts: its platform, where it lies, and the file that is the same, if there is one."""

    platform: str
    offset: int
    path: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IsoImage:
    """An image: its files as a tree, its label, and what it boots from."""

    volume_id: str
    names: Names
    tree: Tree
    boot: tuple[BootImage, ...]
    hybrid: bool
    size: int


def is_iso(path: Path) -> bool:
    """Tell a file that has an ISO 9660 file system."""
    with path.open("rb") as file:
        return os.pread(file.fileno(), 6, _FIRST_DESCRIPTOR * SECTOR)[1:] == _MARK


def read(path: Path) -> IsoImage:
    """Return what is in the image at ``path``. Raises ``VerifyError`` for a damaged one."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            return _Reader(path, file.fileno(), size).image()
        except (struct.error, IndexError, UnicodeDecodeError, OverflowError) as error:
            raise VerifyError(
                "not a sound ISO image", where=str(path), why=str(error), hint="fetch or make it again"
            ) from error


@dataclass(slots=True)
class _Record:
    """A directory record and what Rock Ridge adds to it."""

    name: str
    extent: int
    size: int
    flags: int
    mtime: int
    mode: int | None = None
    uid: int = 0
    gid: int = 0
    device: tuple[int, int] = (0, 0)
    target: str | None = None
    child: int | None = None
    relocated: bool = False


@dataclass(slots=True)
class _Volume:
    """One of the file systems of an image, from its descriptor."""

    label: str
    root: bytes
    joliet: bool


@dataclass(slots=True)
class _Reader:
    path: Path
    file: int
    size: int
    rock_ridge: bool = False
    joliet: bool = False
    skip: int = 0
    characters: int = 0
    files: dict[int, str] = field(default_factory=dict)

    def bad(self, what: str) -> VerifyError:
        return VerifyError(
            f"not a sound ISO image: {what}", where=str(self.path), hint="fetch or make it again"
        )

    def at(self, offset: int, size: int) -> bytes:
        if offset + size > self.size:
            raise self.bad(f"it is cut off: {offset + size} bytes are needed, {self.size} are there")
        data = os.pread(self.file, size, offset)
        if len(data) != size:
            raise self.bad(f"only {len(data)} of {size} bytes can be read at {offset}")
        return data

    def image(self) -> IsoImage:
        primary, joliet, catalogue = self._descriptors()
        first = self._first(primary.root)
        self.rock_ridge = first is not None
        names: Names = "rock ridge" if self.rock_ridge else "joliet" if joliet else "plain"
        volume = primary if self.rock_ridge or joliet is None else joliet
        self.joliet = volume.joliet
        self.skip = first or 0
        tree = Tree(self._walk(volume.root))
        boot = self._boot(catalogue) if catalogue else ()
        head = self.at(0, 512)
        return IsoImage(
            volume_id=primary.label,
            names=names,
            tree=tree,
            boot=boot,
            hybrid=head[510:] == b"\x55\xaa" and any(head[446:510]),
            size=self.size,
        )

    def _descriptors(self) -> tuple[_Volume, _Volume | None, int]:
        primary, joliet, catalogue = None, None, 0
        for number in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + _DESCRIPTORS_MAX):
            data = self.at(number * SECTOR, SECTOR)
            if data[1:6] != _MARK or data[0] == _END:
                break
            if data[0] == _PRIMARY and primary is None:
                block = struct.unpack_from("<H", data, 128)[0]
                if block != SECTOR:
                    raise self.bad(f"blocks of {block} bytes")
                label = data[40:72].decode(errors="replace").rstrip(" \0")
                primary = _Volume(label, data[156:190], joliet=False)
                space = struct.unpack_from("<I", data, 80)[0] * SECTOR
                if space > self.size:
                    raise self.bad(f"it is cut off: {self.size} bytes of {space} are there")
            elif data[0] == _SUPPLEMENTARY and data[88:91] in _JOLIET:
                joliet = _Volume("", data[156:190], joliet=True)
            elif data[0] == _BOOT and data[7:39].rstrip(b"\0") == _EL_TORITO:
                catalogue = struct.unpack_from("<I", data, 71)[0]
        if primary is None:
            raise VerifyError("no ISO image", where=str(self.path))
        return primary, joliet, catalogue

    def _first(self, root: bytes) -> int | None:
        """Return how many bytes to skip in system use areas, ``None`` without Rock Ridge."""
        extent = struct.unpack_from("<I", root, 2)[0]
        data = self.at(extent * SECTOR, SECTOR)
        area = data[34 : data[0]]
        if area[:2] == b"SP" and len(area) > 6 and area[4:6] == b"\xbe\xef":  # noqa: PLR2004 - its check bytes
            fields = {name for name, _ in self._fields(area)}
            return area[6] if fields & {b"PX", b"RR", b"ER", b"CE"} else None
        return None

    # -- folders --------------------------------------------------------------------------------

    def _walk(self, root: bytes) -> dict[str, Node]:
        first = self._record(root, 0)
        nodes: dict[str, Node] = {}
        seen = {first.extent}
        todo = [("", first.extent, first.size)]
        listed = 0
        while todo:
            path, extent, size = todo.pop()
            # Folders lie apart from each other, or a small image could hold any number of files.
            listed += size
            if listed > self.size:
                raise self.bad(f"the folder {path!r} lies where another one is")
            for record in self._folder(path, extent, size):
                if not record.name:
                    if not path:
                        nodes[""] = self._node("", record)
                    continue
                full = f"{path}/{record.name}" if path else record.name
                if full in nodes or record.relocated:
                    continue
                self._check_room(len(nodes), full)
                where = record.extent
                if record.child is not None:
                    where = record.child
                    record.flags |= _FOLDER
                    record.size = struct.unpack_from("<I", self.at(where * SECTOR, SECTOR), 10)[0]
                nodes[full] = self._node(full, record)
                if record.flags & _FOLDER:
                    if where in seen:
                        raise self.bad(f"the folder {full!r} holds itself or is there twice")
                    seen.add(where)
                    todo.append((full, where, record.size))
        return nodes

    def _check_room(self, count: int, path: str) -> None:
        self.characters += len(path)
        if count >= ENTRIES_MAX or self.characters > PATHS_MAX or path.count("/") > _DEPTH_MAX:
            raise self.bad("more files or folders than any image has")

    def _folder(self, path: str, extent: int, size: int) -> Iterator[_Record]:
        """Yield the records of a folder; the first, with an empty name, is the folder itself."""
        data = self.at(extent * SECTOR, size)
        offset, number = 0, 0
        pending: _Record | None = None
        while offset < len(data):
            length = data[offset]
            if not length:
                offset = (offset // SECTOR + 1) * SECTOR
                continue
            if length < _RECORD_MIN or offset + length > len(data):
                raise self.bad(f"a broken record in the folder /{path}")
            record = self._record(data[offset : offset + length], number)
            offset += length
            number += 1
            if number == 2:  # noqa: PLR2004 - the parent
                continue
            if pending is not None:
                if (
                    pending.name != record.name
                    or pending.extent * SECTOR + pending.size != record.extent * SECTOR
                ):
                    raise self.bad(f"{pending.name!r} lies in pieces that do not follow one another")
                record.extent, record.size = pending.extent, pending.size + record.size
            pending = record if record.flags & _MORE else None
            if pending is None:
                yield record

    def _record(self, data: bytes, number: int) -> _Record:
        extent, size = struct.unpack_from("<I", data, 2)[0], struct.unpack_from("<I", data, 10)[0]
        length = data[32]
        raw = data[33 : 33 + length]
        if len(raw) != length:
            raise self.bad("a record without its name")
        record = _Record("", extent + data[1], size, data[25], _time(data[18:25]))
        area = data[33 + length + (length + 1) % 2 :]
        if self.rock_ridge:
            self._rock_ridge(record, area[self.skip if number else 0 :])
        if number and not (self.rock_ridge and record.name):
            record.name = self._plain(raw)
        if number == 0:
            record.name = ""
        elif number > 1 and (record.name in ("", ".", "..") or "/" in record.name or "\0" in record.name):
            raise self.bad(f"a file named {record.name!r}")
        return record

    def _plain(self, raw: bytes) -> str:
        if raw in (b"\0", b"\1"):
            return "."
        if self.joliet:
            return raw.decode("utf-16-be", errors="replace").partition(";")[0]
        return raw.decode(errors="surrogateescape").partition(";")[0].rstrip(".").lower()

    # -- Rock Ridge -----------------------------------------------------------------------------

    def _fields(self, area: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the fields of a system use area, those that are continued elsewhere too."""
        left = _CONTINUATIONS_MAX
        while area:
            more = b""
            while len(area) > 3 and area[2] > 3:  # noqa: PLR2004 - name, length and version
                name, data = area[:2], area[: area[2]]
                area = area[area[2] :]
                if name == b"ST":
                    break
                if name == b"CE" and len(data) >= 28:  # noqa: PLR2004 - three numbers, each twice
                    block, start, size = struct.unpack_from("<I4xI4xI", data, 4)
                    if size > SECTOR:
                        raise self.bad(f"a continued record of {size} bytes")
                    more = self.at(block * SECTOR + start, size)
                yield name, data
            left -= 1
            if not left:
                raise self.bad("a name that goes on for ever")
            area = more

    def _rock_ridge(self, record: _Record, area: bytes) -> None:
        name, target, follows = b"", b"", False
        for kind, data in self._fields(area):
            if kind == b"NM" and not data[4] & 6:
                name += data[5:]
            elif kind == b"SL":
                target, follows = _link(target, data, follows=follows)
            else:
                _attribute(record, kind, data)
        if len(name) > _NAME_MAX:
            raise self.bad(f"a name of {len(name)} bytes")
        record.name = name.decode(errors="surrogateescape")
        if target:
            record.target = target.decode(errors="surrogateescape")

    def _node(self, path: str, record: _Record) -> Node:
        is_folder = bool(record.flags & _FOLDER)
        mode = record.mode
        if mode is None or stat.S_ISDIR(mode) != is_folder:
            mode = stat.S_IFDIR | 0o755 if is_folder else stat.S_IFREG | 0o644
        node = Node(mode=mode & 0xFFFF, uid=record.uid, gid=record.gid, mtime=record.mtime)
        if stat.S_ISLNK(mode):
            if not record.target:
                raise self.bad(f"the symbolic link {path!r} leads nowhere")
            return replace(node, data=record.target.encode(errors="surrogateescape"))
        if not stat.S_ISREG(mode):
            return replace(node, rdev=record.device)
        offset = record.extent * SECTOR
        if record.size and offset + record.size > self.size:
            raise self.bad(f"{path!r} lies beyond its end")
        if record.size:
            self.files.setdefault(offset, path)
        return replace(node, data=FileRef(self.path, offset, record.size) if record.size else b"")

    # -- booting --------------------------------------------------------------------------------

    def _boot(self, catalogue: int) -> tuple[BootImage, ...]:
        data = self.at(catalogue * SECTOR, SECTOR)
        if data[0] != 1 or data[30:32] != b"\x55\xaa":
            raise self.bad("its boot catalogue is broken")
        found = [self._boot_image(data[1], data[32:64])]
        offset = 64
        while offset + 32 <= len(data) and data[offset] in (_MORE_SECTIONS, _LAST_SECTION):
            last, platform = data[offset] == _LAST_SECTION, data[offset + 1]
            count = struct.unpack_from("<H", data, offset + 2)[0]
            offset += 32
            for _ in range(min(count, 64)):
                found.append(self._boot_image(platform, data[offset : offset + 32]))
                offset += 32
            if last:
                break
        return tuple(one for one in found if one is not None)

    def _boot_image(self, platform: int, entry: bytes) -> BootImage | None:
        if len(entry) < 32 or entry[0] != _BOOTABLE:  # noqa: PLR2004 - the size of an entry
            return None
        offset = struct.unpack_from("<I", entry, 8)[0] * SECTOR
        name = _PLATFORMS.get(platform, f"0x{platform:02x}")
        return BootImage(platform=name, offset=offset, path=self.files.get(offset))


def _attribute(record: _Record, kind: bytes, data: bytes) -> None:
    if kind == b"PX":
        record.mode, record.uid, record.gid = struct.unpack_from("<I12xI4xI", data, 4)
    elif kind == b"PN":
        high, low = struct.unpack_from("<I4xI", data, 4)
        record.device = (high or low >> 8, low if high else low & 0xFF)
    elif kind == b"TF" and data[4] & 0x82 == 2:  # noqa: PLR2004 - short form, with a time of change
        at = 5 + 7 * (data[4] & 1)
        record.mtime = _time(data[at : at + 7])
    elif kind == b"CL":
        record.child = struct.unpack_from("<I", data, 4)[0]
    elif kind == b"RE":
        record.relocated = True


def _time(raw: bytes) -> int:
    year, month, day, hour, minute, second, zone = struct.unpack("<6Bb", raw)
    if not (1 <= month <= 12 and 1 <= day <= 31):  # noqa: PLR2004 - a calendar's
        return 0
    moment = calendar.timegm((1900 + year, month, day, hour, minute, second))
    return int(max(0, moment - zone * 900))


def _link(target: bytes, data: bytes, *, follows: bool) -> tuple[bytes, bool]:
    """Add the components of an SL field to a link's target; the flag tells an unfinished component."""
    at = 5
    while at + 2 <= len(data):
        flags, length = data[at], data[at + 1]
        text = data[at + 2 : at + 2 + length]
        special = {2: b".", 4: b"..", 8: b""}.get(flags & 0xE)
        if target and not follows and target != b"/":
            target += b"/"
        if flags & 8:
            target = b"/"
        else:
            target += text if special is None else special
        follows = bool(flags & 1)
        at += 2 + length
    return target, follows
