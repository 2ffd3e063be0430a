"""ISO 9660 images with Rock Ridge that boot: El Torito for BIOS and UEFI, and a hybrid MBR.

pycdlib lays out and writes the file system. It takes times from the clock and the zone of the
machine; here it sees one fixed time in UTC, so that the same plan gives the same bytes anywhere.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import re
import struct
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Lock
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from remaster import hybrid
from tcz.errors import ToolkitError, VerifyError
from tcz.rootfs import encoded
from tcz.store import copy_by_kernel, replacing
from tcz.tree import FileRef, safe_path

if TYPE_CHECKING:
    from collections.abc import Iterator

_VOLUME_MAX: Final = 32
_NAME_MAX: Final = 30
_RR_NAME_MAX: Final = 255
_COPY_BLOCK: Final = 4 << 20
#: Files from this size on are copied by the kernel where it can.
_KERNEL_COPIES: Final = 64 << 10
_SHORTER: Final = "the file became shorter while it was copied"
_BIOS_LOAD_SECTORS: Final = 4
_EFI_PLATFORM: Final = 0xEF
_SECTOR: Final = 2048
#: Where the boot info table in isolinux.bin ends; its sum is that of what comes behind it.
_TABLE_END: Final = 64
_NOT_D_CHARACTER: Final = re.compile("[^A-Z0-9_]")
_CLOCK_USERS: Final = ("pycdlib.pycdlib", "pycdlib.headervd", "pycdlib.dates", "pycdlib.utils")
_clock_lock = Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class IsoPlan:
    """What an image is made of.

    ``files`` pairs paths inside the image (``boot/vmlinuz64``, case kept) with bytes, or with a file or a
    region of one that is copied. ``isolinux_bin``, ``boot_catalog`` and ``efi_image`` are paths inside the
    image; the first and the last must be among ``files``, ``None`` leaves that way of booting out.
    ``mbr_code`` is isohdpfx.bin; with ``None`` the image starts from CD only. ``epoch`` is the time
    of everything in it. ``identity`` tells this image from others and decides its disk's id; without it
    the whole image is read once more to be hashed. ``volume_id`` keeps its case and has at most 32
    bytes; tools that compare versions look for ``-v<version>`` in it.
    """

    volume_id: str
    files: tuple[tuple[str, Path | FileRef | bytes], ...]
    epoch: int
    isolinux_bin: str | None = "boot/isolinux/isolinux.bin"
    boot_catalog: str = "boot/isolinux/boot.cat"
    efi_image: str | None = "EFI/BOOT/efiboot.img"
    mbr_code: bytes | None = None
    application: str = ""
    identity: bytes = b""


class _Name(str):
    """A name whose bytes that are no UTF-8 come out as they were; pycdlib encodes names itself."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> bytes:
        return super().encode(encoding, errors)


class _Content(io.RawIOBase):
    """A file to be copied whole: opened when it is read, and an error when it comes up short.

    pycdlib would end a file silently at a short read, and would hold every file open.
    """

    mode = "rb"

    def __init__(self, source: Path | FileRef | bytes) -> None:
        super().__init__()
        self._start = 0
        if isinstance(source, FileRef):
            self._start, self._size, source = source.offset, source.size, source.path
        else:
            self._size = source.stat().st_size if isinstance(source, Path) else len(source)
        self._source: Path | bytes = source
        self._at = 0
        self._file: BinaryIO | None = None

    @property
    def size(self) -> int:
        return self._size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - the buffer protocol has no type in 3.11
        wanted = min(len(buffer), max(0, self._size - self._at))
        view = memoryview(buffer).cast("B")[:wanted]
        if self._file is None:
            source = self._source
            self._file = source.open("rb", buffering=0) if isinstance(source, Path) else io.BytesIO(source)
        self._file.seek(self._start + self._at)
        filled = 0
        while filled < wanted:
            part = self._file.read(wanted - filled)
            if not part:
                raise VerifyError(_SHORTER, where=str(self._source))
            view[filled : filled + len(part)] = part
            filled += len(part)
        self._at += filled
        if self._at >= self._size:
            self._file.close()
            self._file = None
        return filled

    def copy(self, outfp: BinaryIO, length: int) -> bool:
        """Have the kernel copy what comes next to a file's end, if it can; tell whether that was done."""
        source = self._source
        if not isinstance(source, Path) or length < _KERNEL_COPIES:
            return False
        if not copy_by_kernel(source, self._start + self._at, length, outfp):
            return False
        self._at += length
        return True


def _copy(length: int, blocksize: int, infp: Any, outfp: BinaryIO) -> Iterator[int]:  # noqa: ANN401
    """Copy a file's content, as pycdlib's own function of these arguments does."""
    if isinstance(infp, _Content) and infp.copy(outfp, length):
        yield length
        return
    left = length
    while left:
        data = infp.read(min(blocksize, left))
        if not data:
            raise VerifyError(_SHORTER)
        outfp.write(data)
        left -= len(data)
        yield len(data)


@contextmanager
def _fixed_time(epoch: int) -> Iterator[None]:
    """Give pycdlib's modules, and only these, a clock that stands still and knows UTC alone, and our copy."""
    frozen = SimpleNamespace(**vars(time))
    frozen.time = lambda: float(epoch)
    frozen.localtime = time.gmtime
    modules: list[Any] = [importlib.import_module(name) for name in _CLOCK_USERS]
    utils: Any = importlib.import_module("pycdlib.utils")
    with _clock_lock:
        theirs = utils.copy_data_yield
        try:
            utils.copy_data_yield = _copy
            for module in modules:
                module.time = frozen
            yield
        finally:
            utils.copy_data_yield = theirs
            for module in modules:
                module.time = time


def _checked(plan: IsoPlan) -> dict[str, Path | FileRef | bytes]:
    files: dict[str, Path | FileRef | bytes] = {}
    for raw, source in plan.files:
        path = safe_path(raw)
        if not path or path in files or path == safe_path(plan.boot_catalog):
            raise ToolkitError(f"two files of the image are named {raw!r}" if path else "a file has no name")
        if any(len(encoded(part)) > _RR_NAME_MAX for part in path.split("/")):
            raise ToolkitError(f"the name is too long for an ISO image: {path!r:.200}")
        files[path] = source
    for path in files:
        if any(parent.as_posix() in files for parent in PurePosixPath(path).parents):
            raise ToolkitError(f"{path!r} lies below something that is a file")
    for boot in (plan.isolinux_bin, plan.efi_image):
        if boot is not None and safe_path(boot) not in files:
            raise ToolkitError(f"the image boots from {boot!r}, which is not among its files")
    if not 0 < len(plan.volume_id.encode()) <= _VOLUME_MAX:
        raise ToolkitError(f"a volume id has 1 to {_VOLUME_MAX} bytes: {plan.volume_id!r}")
    return files


@dataclass(slots=True)
class _Names:
    """Plain ISO 9660 names (interchange level 3) for the true ones, unique in their folder."""

    plain: dict[str, str]
    used: set[str]

    def of(self, path: str, *, is_dir: bool) -> str:
        """Return the plain name of ``path``, whose parents have theirs already."""
        if path in self.plain:
            return self.plain[path]
        parent, _, name = path.rpartition("/")
        stem, dot, suffix = name.upper().rpartition(".")
        if not dot or is_dir or not stem:
            stem, suffix = name.upper(), ""
        stem, suffix = _NOT_D_CHARACTER.sub("_", stem), _NOT_D_CHARACTER.sub("_", suffix)[:8]
        folder = self.plain.get(parent, "")
        number = 0
        while True:
            tail = f"_{number}" if number else ""
            room = _NAME_MAX - len(suffix) - len(tail)
            short = stem[:room] + tail
            plain = f"{folder}/{short}" if is_dir else f"{folder}/{short}.{suffix};1"
            if plain.partition(".")[0] + suffix not in self.used:
                break
            number += 1
        self.used.add(plain.partition(".")[0] + suffix)
        self.plain[path] = plain
        return plain


def _folders(paths: list[str]) -> list[str]:
    found = {parent.as_posix() for path in paths for parent in Path(path).parents}
    return sorted(found - {"."})


def _fill(iso: Any, plan: IsoPlan, files: dict[str, Path | FileRef | bytes], names: _Names) -> None:  # noqa: ANN401
    catalog = safe_path(plan.boot_catalog)
    paths = [*files, catalog] if plan.isolinux_bin or plan.efi_image else [*files]
    for folder in _folders(paths):
        iso.add_directory(
            names.of(folder, is_dir=True), rr_name=_Name(folder.rpartition("/")[2]), file_mode=0o040755
        )
    for path in sorted(files):
        content = _Content(files[path])
        iso.add_fp(
            content,
            content.size,
            names.of(path, is_dir=False),
            rr_name=_Name(path.rpartition("/")[2]),
            file_mode=0o100644,
        )
    catalogs = {
        "bootcatfile": names.of(catalog, is_dir=False),
        "rr_bootcatname": catalog.rpartition("/")[2],
    }
    if plan.isolinux_bin is not None:
        iso.add_eltorito(
            names.of(safe_path(plan.isolinux_bin), is_dir=False),
            boot_load_size=_BIOS_LOAD_SECTORS,
            boot_info_table=True,
            **catalogs,
        )
    if plan.efi_image is not None:
        iso.add_eltorito(
            names.of(safe_path(plan.efi_image), is_dir=False),
            platform_id=_EFI_PLATFORM,
            efi=True,
            **catalogs,
        )


def _block(iso: Any, names: _Names, path: str) -> int:  # noqa: ANN401
    return int(iso.get_record(iso_path=names.plain[safe_path(path)]).extent_location())


def _checksum(program: bytes) -> int:
    """Return the sum that a boot info table holds: of all words behind its own place."""
    padded = program.ljust(-(-len(program) // _SECTOR) * _SECTOR, b"\0")
    words: tuple[int, ...] = struct.unpack(f"<{(len(padded) - _TABLE_END) // 4}I", padded[_TABLE_END:])
    return sum(words) & 0xFFFFFFFF


def _master(
    plan: IsoPlan, files: dict[str, Path | FileRef | bytes], output: Path
) -> tuple[int | None, int | None]:
    """Write the file system; return the blocks of isolinux.bin and of the EFI image."""
    import pycdlib  # noqa: PLC0415 - slow to import, and most commands write no image
    from pycdlib.pycdlibexception import PyCdlibException  # noqa: PLC0415

    class Writer(pycdlib.PyCdlib):
        """Adds up what isolinux.bin holds in one go; theirs takes as long as all the rest."""

        def _calculate_eltorito_boot_info_table_csum(self, data_fp: BinaryIO, data_len: int) -> int:
            return _checksum(data_fp.read(data_len))

    names = _Names(plain={}, used=set())
    iso = Writer()
    try:
        with _fixed_time(plan.epoch):
            iso.new(
                interchange_level=3,
                rock_ridge="1.09",
                sys_ident="LINUX",
                vol_ident=plan.volume_id,
                app_ident_str=plan.application,
            )
            _fill(iso, plan, files, names)
            with output.open("wb") as file:
                iso.write_fp(file, blocksize=_COPY_BLOCK)
            places = [
                None if path is None else _block(iso, names, path)
                for path in (plan.isolinux_bin, plan.efi_image)
            ]
            iso.close()
    except PyCdlibException as error:
        raise ToolkitError("the ISO image cannot be written", where=str(output), why=str(error)) from error
    return places[0], places[1]


def _head(source: Path | FileRef | bytes, size: int) -> bytes:
    with _Content(source) as content:
        return content.read(size) or b""


def _make_hybrid(
    plan: IsoPlan,
    files: dict[str, Path | FileRef | bytes],
    output: Path,
    isolinux: int,
    efi_block: int | None,
) -> None:
    efi = None
    if plan.efi_image is not None and efi_block is not None:
        efi = hybrid.Extent(block=efi_block, size=_Content(files[safe_path(plan.efi_image)]).size)
    with output.open("r+b") as file:
        digest = hashlib.sha256(plan.identity) if plan.identity else hashlib.file_digest(file, "sha256")
        size = file.seek(0, io.SEEK_END)
        size += hybrid.padding(size)
        file.truncate(size)
        # The id tells this disk from others; derived from all that is on it, and never 0.
        disk_id = int.from_bytes(digest.digest()[:4], "little") | 1
        file.seek(0)
        file.write(hybrid.mbr(plan.mbr_code or b"", size=size, isolinux=isolinux, disk_id=disk_id, efi=efi))


def write_iso(plan: IsoPlan, output: Path) -> None:
    """Write the image; ``output`` appears only when it is complete. Raises as ``write_into`` does."""
    with replacing(output) as temporary:
        write_into(plan, temporary)


def write_into(plan: IsoPlan, output: Path) -> None:
    """Write the image into a file that is there already, and nobody's until this ends.

    Raises ``ToolkitError`` for a plan that makes no sense and ``VerifyError`` for an isolinux.bin
    or a boot code that cannot make a hybrid image, or a file that changed while it was copied.
    """
    files = _checked(plan)
    if plan.mbr_code is not None:
        if plan.isolinux_bin is None:
            raise ToolkitError("a hybrid image needs isolinux.bin")
        hybrid.check_isolinux(_head(files[safe_path(plan.isolinux_bin)], 2048))
    isolinux, efi = _master(plan, files, output)
    if plan.mbr_code is not None and isolinux is not None:
        _make_hybrid(plan, files, output, isolinux, efi)
