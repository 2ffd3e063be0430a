"""What a user asked for, in the words of the command line, turned into a job and done.

The command line parses; everything it means is here, so that it can be used and tested without it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from remaster import base as bases
from remaster import bootcode, foreign, formats, image, packing, plan, preloading, sshkey, variant
from remaster.supply import FileSupplier, MirrorSupplier, WorkshopSupplier, named
from tcz import commands
from tcz.clikit import size_text
from tcz.errors import ConfigError
from tcz.paths import check_writable

if TYPE_CHECKING:
    from remaster.foreign import Foreign
    from remaster.image import Finished, InitrdMode, Request
    from remaster.variant import Variant
    from tcz.compress import Compression
    from tcz.mirror.known import Chosen
    from tcz.paths import Dirs
    from tcz.reporting import Reporter
    from tcz.run import Runner
    from tcz.workshop import Planned

    Supplier = WorkshopSupplier | FileSupplier | MirrorSupplier


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The options of ``remaster build``."""

    variant: str
    base: str | None = None
    output: Path | None = None
    formats: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    ssh_keys: tuple[Path, ...] = ()
    boot_codes: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    compressor: Compression | None = None
    level: int | None = None
    recipe_folders: tuple[Path, ...] = ()
    update: bool = False
    lock: Path | None = None
    kernel: str | None = None
    initrd_mode: InitrdMode = "layers"
    mirrors: tuple[str, ...] = ()
    mirror_keys: tuple[Path, ...] = ()
    mirror_branch: str | None = None
    places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What ``--dry-run`` tells: nothing has been written, though sources may have been fetched."""

    variant: str
    base: str
    why: str
    output: Path
    formats: tuple[str, ...]
    boot_codes: tuple[str, ...]
    services: tuple[str, ...]
    files: tuple[str, ...]
    recipes: tuple[Planned, ...]
    sizes: Sizes | None
    edits: tuple[str, ...] = ()
    kernel: str = ""
    initrd: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Sizes that are known when every recipe is built already."""

    packages: int
    kernel: int
    root: int


def request(wish: Wish, dirs: Dirs, reporter: Reporter) -> Request:
    """Check everything that can be checked before anything is built; say which base was chosen.

    Raises ``ConfigError`` for whatever the user wrote wrong.
    """
    codes = bootcode.BootCodes.load()
    choice = bases.choose(wish.base, dirs)
    known = choice.name if choice.name in bases.names() else "corepure64"
    loaded = variant.load(wish.variant, codes, base=known)
    if wish.settings:
        loaded = variant.over(loaded, variant.set_options(wish.settings), codes, base=known)
    asked = variant.extended(
        loaded,
        codes,
        packages=tuple(_files(wish)[0]),
        files=tuple(variant.file_option(text) for text in wish.files),
        boot_codes=wish.boot_codes,
        places=[variant.place_option(text) for text in wish.places],
        base=known,
    )
    keys = sshkey.load(wish.ssh_keys)
    # A format may be a folder of files, which is there already when it is made again.
    for _, paths in formats.targets(output_path(wish, asked, choice), formats.named(wish.formats)):
        check_writable(paths[0])
    if known == choice.name:
        asked = asked if wish.kernel is None else replace(asked, kernel=_own_kernel(wish.kernel))
        reporter.note(f"variant {asked.name} on the base {choice.name}, {choice.why}")
        return image.Request(
            variant=asked,
            base=choice.name,
            output=output_path(wish, asked, choice),
            keys=keys,
            compressor=wish.compressor or packing.OWN,
            level=wish.level,
            mode=wish.initrd_mode,
            formats=formats.named(wish.formats),
        )
    found = _foreign(wish, choice, dirs, reporter)
    kernel = foreign.kernel_package(found, asked, wish.kernel)
    spec = foreign.spec_for(found, kernel)
    # Known before anything is built: whether its scripts are what edits expect, whether its kernel will do.
    foreign.edits(found, found.examined.root, spec, asked)
    if not kernel:
        foreign.check_kernel(found, found.kernel)
    told = f"its kernel {found.kernel}" if not kernel else f"the kernel of the package {kernel}"
    reporter.note(f"variant {asked.name} on {found.name} ({found.origin}, {choice.why}) with {told}")
    return image.Request(
        variant=_renamed(asked, found.name),
        base=found.name,
        output=output_path(wish, asked, choice),
        keys=keys,
        compressor=packing.compressor_for(found, kernel, wish.compressor),
        level=wish.level,
        foreign=found,
        spec=spec,
        mode=wish.initrd_mode,
        formats=formats.named(wish.formats),
    )


def _files(wish: Wish) -> tuple[list[str], dict[str, Path]]:
    """Return the names of the packages that were asked for, and the files of those given by path."""
    names, files = [], {}
    for package in wish.packages:
        if "/" in package or Path(package).is_file():
            names.append(named(Path(package)))
            files[names[-1]] = Path(package)
        else:
            names.append(package)
    return names, files


def _own_kernel(option: str) -> str:
    if option == "base":
        raise ConfigError("--kernel base is for bases that bring a kernel; floe has none of its own")
    return option


def _foreign(wish: Wish, choice: bases.Choice, dirs: Dirs, reporter: Reporter) -> Foreign:
    release = bases.release_of(choice.name)
    if release is None:
        return foreign.open_foreign(choice.name)
    from remaster import fetch  # noqa: PLC0415 - few bases are fetched

    remotes = commands.remotes(_mirrors(wish, dirs), dirs)
    files = fetch.distribution(release, remotes, dirs, reporter, update=wish.update)
    return foreign.open_foreign(choice.name, files)


def _renamed(asked: Variant, name: str) -> Variant:
    """Let label and title tell the base: variants that ship say floe there."""
    short = name[:12].rstrip("-.")
    return replace(
        asked,
        volume_id=re.sub(r"^floe\b", short, asked.volume_id),
        title=re.sub(r"^floe\b", name, asked.title),
    )


def output_path(wish: Wish, asked: Variant, choice: bases.Choice) -> Path:
    """Return the image's path: as given, else out/floe-VARIANT.iso below the current folder.

    An image on another base is called core-VARIANT.iso. Each format has its own suffix.
    """
    first = choice.name if choice.name in bases.names() else "core"
    return wish.output or Path("out") / f"{first}-{asked.name}{formats.named(wish.formats)[0].suffix}"


def _mirrors(wish: Wish, dirs: Dirs) -> tuple[Chosen, ...]:
    from tcz.mirror import known  # noqa: PLC0415 - only builds need it

    return tuple(known.chosen(wish.mirrors, wish.mirror_keys, dirs, os.environ.get("TCZ_MIRROR", "")))


def _supplier(wish: Wish, asked: Request, dirs: Dirs, runner: Runner, reporter: Reporter) -> Supplier:
    from tcz import lock  # noqa: PLC0415 - only builds need it
    from tcz.build import Settings  # noqa: PLC0415
    from tcz.mirror.model import Branch  # noqa: PLC0415
    from tcz.mirror.parcels import Parcels  # noqa: PLC0415

    branch = Branch.parse(_branch(wish, asked))
    mirrors = _mirrors(wish, dirs)

    workshop = commands.open_workshop(
        dirs,
        runner,
        reporter,
        wish.recipe_folders,
        update=wish.update,
        lock=None if wish.lock is None else lock.read(wish.lock),
        settings=Settings(options=asked.needs().squashfs),
    )
    images = preloading.package(asked.variant, dirs, reporter, asked.needs().squashfs, plan.EPOCH)
    files = _files(wish)[1] | ({} if images is None else {named(images): images})
    own = _with_files(files, asked, WorkshopSupplier(workshop), alone=not mirrors)
    return MirrorSupplier(own, Parcels(mirrors, branch, dirs, runner, reporter)) if mirrors else own


def _branch(wish: Wish, asked: Request) -> str:
    """Return which packages of the mirrors: those of the base's release, if nothing else is said."""
    found = asked.foreign
    major = "" if found is None else found.release.partition(".")[0]
    machine = "x86" if found is not None and found.architecture == "386" else "x86_64"
    return wish.mirror_branch or f"{major if major.isdecimal() else 17}.x/{machine}"


def _with_files(
    files: dict[str, Path], asked: Request, own: WorkshopSupplier, *, alone: bool
) -> WorkshopSupplier | FileSupplier:
    """Let packages that are files come first. Without any, on our own base, nothing else has a say."""
    found = asked.foreign
    if found is None:
        return FileSupplier(own, files, kernel="", present=frozenset(), alone=alone) if files else own
    return FileSupplier(
        own,
        files,
        kernel="" if asked.needs().kernel else found.kernel,
        present=frozenset(one.name for one in found.examined.survey.extensions),
        alone=alone,
    )


def fulfil(wish: Wish, dirs: Dirs, runner: Runner, reporter: Reporter) -> Finished:
    """Make the image that was asked for."""
    asked = request(wish, dirs, reporter)
    job = image.prepare(asked, _supplier(wish, asked, dirs, runner, reporter))
    for note in job.notes:
        reporter.warn(note)
    return image.make(job, dirs, reporter, runner)


def outline(wish: Wish, dirs: Dirs, runner: Runner, reporter: Reporter) -> Outline:
    """Tell what ``fulfil`` would do."""
    asked = request(wish, dirs, reporter)
    spec = asked.needs()
    supplier = _supplier(wish, asked, dirs, runner, reporter)
    names = (*spec.packages(), *asked.format_packages(), *asked.variant.packages())
    planned = supplier.planned(names)
    sizes = None
    if all(one.cached for one in planned):
        job = image.prepare(asked, supplier)
        sizes = Sizes(
            packages=sum(package.size for package in job.extensions),
            kernel=plan.size_of(job.base.kernel),
            root=plan.unpacked_size(job.base.root),
        )
    return Outline(
        variant=asked.variant.name,
        base=asked.base,
        why=bases.choose(wish.base, dirs).why,
        output=asked.output,
        formats=tuple(one.name for one in asked.formats),
        boot_codes=asked.variant.boot_codes,
        services=asked.variant.services,
        files=tuple(f"/{file.path}" for file in asked.variant.files),
        recipes=planned,
        sizes=sizes,
        edits=_edits(asked),
        kernel=spec.kernel or ("" if asked.foreign is None else f"{asked.foreign.kernel}, the base's own"),
        initrd=f"{asked.compressor}, {asked.mode}",
    )


def _edits(asked: Request) -> tuple[str, ...]:
    found = asked.foreign
    if found is None:
        return ()
    _, done = foreign.edits(found, found.examined.root, asked.needs(), asked.variant)
    return tuple(one.name for one in done)


def outline_lines(told: Outline) -> tuple[str, ...]:
    """Return the outline as text."""
    lines = [
        f"image       {told.output}",
        f"formats     {' '.join(told.formats)}",
        f"variant     {told.variant} on {told.base} ({told.why})",
        f"boot codes  {' '.join(told.boot_codes)}",
        f"services    {' '.join(told.services) or 'none'}",
        f"files       {' '.join(told.files) or 'none'}",
        f"kernel      {told.kernel}",
        f"initrd      {told.initrd}",
        *([f"edits       {' '.join(told.edits)}"] if told.edits else []),
        "recipes",
    ]
    lines += [
        f"  {one.recipe.name} {one.version}: {'built already' if one.cached else 'to be built'}"
        for one in told.recipes
    ]
    if told.sizes is None:
        lines.append("sizes are known once all is built")
    else:
        lines.append(f"packages    {size_text(told.sizes.packages)}")
        lines.append(f"kernel      {size_text(told.sizes.kernel)}")
        lines.append(f"root        {size_text(told.sizes.root)} unpacked")
    return tuple(lines)


def finished_lines(finished: Finished) -> tuple[str, ...]:
    """Return what to tell of an image that is there."""
    outputs = finished.outputs
    head = f"{outputs.image}: {size_text(finished.size)}, sha256 {finished.sha256}"
    if not finished.changed:
        return (head, "nothing has changed since it was made")
    lines = [head, *(f"{path}: {size_text(path.stat().st_size)}" for path in outputs.images[1:])]
    lines.append(f"beside it: {', '.join(path.name for path in outputs.all()[len(outputs.images) :])}")
    if finished.least_memory is not None:
        lines.append(f"needs at least {finished.least_memory >> 20} MiB of memory to boot")
    return tuple(lines)
