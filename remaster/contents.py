"""What goes on an image's medium, and all that writers of formats are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remaster import base as bases
from remaster import folders, formats, iso, plan, unpacked
from remaster.bootcode import BootCodes
from remaster.initrds import root, sum_of
from tcz.squashfs import image as squashfs
from tcz.tree import Tree, regular

if TYPE_CHECKING:
    from pathlib import Path

    from remaster.formats import ImageContent
    from remaster.image import Job
    from remaster.menu import Menu
    from remaster.plan import MediumFile
    from tcz.run import Runner


def menu(job: Job) -> Menu:
    """Return the menu of an image."""
    variant, facts = job.request.variant, job.facts
    title = variant.title.replace("{name}", variant.name).replace("{version}", facts.version)
    own = job.request.foreign is None
    # What is typed at a prompt is for the base; words of the kernel's own are too many to tell.
    codes = (code for code in BootCodes.load().all() if not code.kernel and (code.floe or not own))
    return plan.menu_for(title, variant, facts.boot_codes, codes, job.base.starts)


def medium_files(job: Job, initrd: Path, shown: Menu) -> tuple[MediumFile, ...]:
    """Return every file of the medium, with the menu that is shown, sorted by path."""
    base = job.base
    boot = plan.boot_files(shown, base.loaders, base.kernel, initrd)
    taken = {file.path for file in boot}
    kept = tuple(file for file in base.keep if file.path not in taken)
    files = (
        *boot,
        *folders.cde_files(
            job.arrangement, tuple(file for file in kept if file.path.startswith("cde/")), job.lists
        ),
        *(file for file in kept if not file.path.startswith("cde/")),
        plan.MediumFile(path="manifest.json", content=job.document),
    )
    return tuple(sorted(files, key=lambda file: file.path))


def _whole(job: Job) -> Tree:
    """Return the root with all that is loaded at boot unpacked in it, and the marks that loading leaves."""
    tree = root(job)
    for placed in job.arrangement.packages:
        if placed.at_boot and placed.place != "root":
            mark = {f"usr/local/tce.installed/{placed.name}": regular(b"")}
            tree = tree.overlay(Tree(mark)).overlay(squashfs.read(placed.package.path))
    kept = {
        path: node
        for path, node in tree.items()
        if path != unpacked.SETUP and path.partition(f"{folders.BUILTIN}/")[0] and path != folders.BUILTIN
    }
    return Tree(kept).with_mtime(job.facts.epoch)


def content(
    job: Job, initrd: Path, shown: Menu, files: tuple[MediumFile, ...], runner: Runner
) -> ImageContent:
    """Return what the writers of formats are given."""
    variant, facts, loaders = job.request.variant, job.facts, job.base.loaders
    # The manifest holds the hash of every package.
    identity = job.document + sum_of(initrd).encode()
    medium = iso.IsoPlan(
        volume_id=plan.volume_id(variant.volume_id, name=variant.name, version=facts.version),
        files=tuple((file.path, file.content) for file in files),
        mbr_code=None if loaders.mbr is None else plan.bytes_of(loaders.mbr),
        epoch=facts.epoch,
        identity=identity,
    )
    return formats.ImageContent(
        iso=medium,
        menu=shown,
        root=lambda: root(job),
        whole=lambda: _whole(job),
        identity=identity,
        epoch=facts.epoch,
        runner=runner,
        disk=_disk_parts(job),
    )


def _disk_parts(job: Job) -> formats.DiskParts | None:
    if not job.request.format_packages():
        return None
    variant = job.request.variant
    bios, uefi = job.part("grub-bios"), job.part("grub-efi")
    return formats.DiskParts(
        boot=bases.named_file(bios, "boot.img"),
        core=bases.named_file(bios, "core.img"),
        efi=bases.named_file(uefi, "BOOTX64.EFI"),
        data_label=variant.data_label,
        data_size=variant.data_mib << 20,
    )
