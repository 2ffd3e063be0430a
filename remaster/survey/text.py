"""A survey as text for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcz.clikit import columns, size_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remaster.survey.model import ArchiveShape, Fact, InitrdFile, Survey

_WIDTH = 13
_KINDS = {
    "iso": "ISO image",
    "initrd": "initrd",
    "folder": "folder",
    "root": "unpacked root file system",
    "disk": "raw disk image",
    "qcow2": "qcow2 disk image",
    "tar": "tar archive with a root file system",
}
_TABLES = {"gpt": "GPT", "mbr": "MBR", "none": "none, the disk is one file system"}


def lines(found: Survey) -> tuple[str, ...]:
    """Return the findings; every fact is followed by where it was found."""
    out = [_row("image", f"{found.path}: {_KINDS[found.kind]}, {size_text(found.size)}{_names(found)}")]
    rows = (
        ("volume id", found.volume_id),
        ("distribution", found.distribution),
        ("release", found.release),
        ("architecture", found.architecture),
        ("libc", found.libc),
        ("libc wants", found.libc_kernel),
        ("kernel", found.kernel),
        *(("modules", fact) for fact in found.modules),
        ("menu waits", found.timeout),
    )
    out += [_fact(title, fact) for title, fact in rows if fact is not None]
    out += _partitions(found)
    if found.root_entries:
        out.append(_row("root", f"{found.root_entries} entries, {size_text(found.root_size)}"))
    if found.installed:
        out.append(_row("in the root", " ".join(found.installed)))
    for initrd in found.initrds:
        out += _initrd(initrd)
    for loader in found.loaders:
        program = f"{loader.program} {loader.version}".strip()
        out.append(_row("boot loader", f"{loader.firmware}: {program}  [{loader.where}]"))
    out += _entries(found)
    out += _packages(found)
    out += _own(found)
    out += _told("contradictions", found.contradictions)
    out += _told("could not be read", found.unread)
    return tuple(printable(line) for line in out)


def printable(text: str) -> str:
    """Return a text out of an image with all that a terminal would act upon, or cannot show, escaped."""
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    byte = ord(char) - 0xDC00
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else ascii(char)[1:-1]  # noqa: PLR2004 - surrogate escapes


def _names(found: Survey) -> str:
    if not found.names:
        return ""
    return f", {found.names} names{', starts from USB too' if found.hybrid else ''}"


def _row(title: str, text: str) -> str:
    return f"{title:<{_WIDTH}} {text}"


def _fact(title: str, fact: Fact) -> str:
    wants = "Linux " if title == "libc wants" else ""
    newer = " or newer" if wants else ""
    seconds = " s" if title == "menu waits" else ""
    return _row(title, f"{wants}{fact.value}{newer}{seconds}  [{fact.where}]")


def _partitions(found: Survey) -> Iterable[str]:
    if found.table:
        yield _row("partitions", _TABLES[found.table])
    for one in found.partitions:
        told = " ".join(filter(None, (one.file_system or "no file system that is known", one.label)))
        files = "" if one.files is None else f", {one.files} files"
        mark = "*" if one.chosen else " "
        name = f"{one.number}. {one.name or one.kind}".strip(". ")
        yield _row("", f"{mark} {name}: {size_text(one.size)} at {one.offset}, {told}{files}")
        if one.fault:
            yield _row("", f"    {one.fault}")


def _initrd(initrd: InitrdFile) -> Iterable[str]:
    what = [part for part, there in (("/init", initrd.root), ("modules", bool(initrd.modules))) if there]
    yield _row(
        "initrd",
        f"{initrd.path}: {size_text(initrd.size)}, {initrd.entries} entries, "
        f"{size_text(initrd.unpacked)} unpacked{', with ' + ' and '.join(what) if what else ''}",
    )
    for number, member in enumerate(initrd.members, 1):
        archives = ", ".join(
            f"{one.format} with {one.entries} entries{_early(one)}" for one in member.archives
        )
        packed = "plain" if member.compressor == "none" else member.compressor
        yield _row(
            "", f"{number}. at {member.offset}, {member.size} bytes, {packed}: {archives or 'nothing'}"
        )


def _early(archive: ArchiveShape) -> str:
    names = [name for name, there in (("microcode", archive.microcode), ("ACPI", archive.acpi)) if there]
    return f" ({', '.join(names)})" if names else ""


def _entries(found: Survey) -> Iterable[str]:
    for entry in found.entries:
        mark = "*" if entry.default else " "
        yield _row("boot entry", f"{mark} {entry.label or entry.title}  [{entry.where}]")
        yield _row("", f"    {entry.kernel} + {' + '.join(entry.initrds) or 'no initrd'}")
        yield _row("", f"    {' '.join(entry.words) or 'no boot codes'}")


def _packages(found: Survey) -> Iterable[str]:
    for folder in found.cde:
        flags = f", {' '.join(folder.flags)}" if folder.flags else ""
        yield _row("packages", f"{folder.where}: {folder.packages}, {size_text(folder.size)}{flags}")
        for name, names in folder.lists:
            yield _row("", f"{name}: {' '.join(names) or 'empty'}")
    rows = [
        (f"  {one.name}", one.version or "-", size_text(one.size), "at boot" if one.onboot else "")
        for one in found.extensions
    ]
    yield from columns(rows)


def _own(found: Survey) -> Iterable[str]:
    manifest = found.manifest
    if manifest is None:
        return
    yield _row("manifest", f"{manifest.variant} {manifest.version} on {manifest.base}  [{manifest.where}]")
    # Over the network there is no medium, and no words that tell to look for one.
    net = next((one for one in found.entries if one.default and one.program == "ipxe"), None)
    yield _row("boot codes", " ".join(manifest.boot_codes if net is None else net.words))
    yield _row("services", " ".join(manifest.services) or "none")
    if manifest.edits:
        yield _row("edits", " ".join(manifest.edits))
    yield from columns(
        [(f"  {one.name}", one.version, one.role, size_text(one.size)) for one in manifest.packages]
    )


def _told(title: str, sentences: tuple[str, ...]) -> Iterable[str]:
    if sentences:
        yield title
        yield from (f"  {sentence}" for sentence in sentences)
