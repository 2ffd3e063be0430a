"""Formats by name: where their files go, what they need, and who writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remaster import iso
from remaster.formats import disk, ext4, netboot, qcow2, tarball
from remaster.formats.model import size_of, write_raw
from tcz.errors import ConfigError
from tcz.toml import guess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from remaster.formats.content import ImageContent
    from tcz.run import Runner

    Writer = Callable[[ImageContent, tuple[Path, ...]], None]

DEFAULT: Final = "iso"
_OVERHEAD: Final = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format. Where ``files`` is not empty, the output is a folder with these; else it is one file.

    ``packages`` are those whose files the writer needs, ``tools`` the programs of this machine whose version
    decides bytes, each with what tells it. With ``in_memory`` the machine has the extensions in memory, not
    on a medium.
    """

    name: str
    title: str
    summary: str
    suffix: str
    write: Writer
    packages: tuple[str, ...] = ()
    tools: tuple[tuple[str, Callable[[Runner], str]], ...] = ()
    files: tuple[str, ...] = ()
    in_memory: bool = False

    def targets(self, path: Path) -> tuple[Path, ...]:
        """Return the files that are written for an output at ``path``."""
        return tuple(path / name for name in self.files) or (path,)


def _write_iso(content: ImageContent, paths: tuple[Path, ...]) -> None:
    iso.write_into(content.iso, paths[0])


def _write_disk(content: ImageContent, paths: tuple[Path, ...]) -> None:
    with disk.opened(content) as layout:
        write_raw(layout, paths[0])


def _write_qcow2(content: ImageContent, paths: tuple[Path, ...]) -> None:
    with disk.opened(content) as layout:
        qcow2.write(layout, paths[0])


def _write_tar(content: ImageContent, paths: tuple[Path, ...]) -> None:
    tarball.write(content, paths[0])


_GRUB: Final = ("grub-bios", "grub-efi")
_MKE2FS: Final = (("mke2fs", ext4.version),)
FORMATS: Final = {
    one.name: one
    for one in (
        Format(
            name="iso",
            title="ISO",
            summary="a CD image that starts from USB sticks and disks as well",
            suffix=".iso",
            write=_write_iso,
        ),
        Format(
            name="disk",
            title="disk",
            summary="a raw disk with a partition for data",
            suffix=".img",
            write=_write_disk,
            packages=_GRUB,
            tools=_MKE2FS,
        ),
        Format(
            name="qcow2",
            title="qcow2",
            summary="the same disk for QEMU",
            suffix=".qcow2",
            write=_write_qcow2,
            packages=_GRUB,
            tools=_MKE2FS,
        ),
        Format(
            name="netboot",
            title="netboot",
            summary="a folder with kernel, initrd, command line and an iPXE script",
            suffix=".netboot",
            write=netboot.write,
            files=netboot.FILES,
            in_memory=True,
        ),
        Format(
            name="tar",
            title="tar",
            summary="the root file system with its extensions, for podman import",
            suffix=".tar",
            write=_write_tar,
        ),
    )
}


def names() -> tuple[str, ...]:
    """Return the names of all formats."""
    return tuple(FORMATS)


def named(texts: Iterable[str]) -> tuple[Format, ...]:
    """Return the formats of options: names, or lists with commas; ISO when there are none.

    Raises ``ConfigError`` for a name that is none, and with a guess.
    """
    wanted = [name.strip() for text in texts for name in text.split(",")] or [DEFAULT]
    for name in wanted:
        if name not in FORMATS:
            raise ConfigError(
                f"there is no format {name!r}", hint=guess(name, names()) or f"formats: {', '.join(names())}"
            )
    return tuple(FORMATS[name] for name in dict.fromkeys(wanted))


def stem(output: Path) -> Path:
    """Return an output's path without the suffix of a format."""
    for one in FORMATS.values():
        if output.name.endswith(one.suffix) and output.name != one.suffix:
            return output.with_name(output.name.removesuffix(one.suffix))
    return output


def targets(output: Path, formats: Sequence[Format]) -> tuple[tuple[Format, tuple[Path, ...]], ...]:
    """Return which files each format writes.

    One format is written to ``output`` as it is; of several each has its own suffix.
    """
    if len(formats) == 1:
        return ((formats[0], formats[0].targets(output)),)
    base = stem(output)
    return tuple((one, one.targets(base.with_name(base.name + one.suffix))) for one in formats)


def space(content: ImageContent, formats: Sequence[Format]) -> int:
    """Return the bytes that writing takes at most, as far as they are not holes."""
    medium = sum(size_of(source) for _, source in content.iso.files) + _OVERHEAD
    return sum(4 * medium if one.name == "tar" else medium for one in formats)
