"""What a user asked for, in the words of the command line, turned into a job and done.

The command line parses; everything it means is here, so that it can be used and tested without it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from remaster import base as bases
from remaster import bootcode, compressors, foreign, formats, image, sshkey, variant
from remaster.asked import Options
from remaster.kernels import choice as kernels
from remaster.suppliers import mirrors_of, package_names, supplier
from tcz import commands
from tcz.clikit import size_text
from tcz.paths import check_writable

if TYPE_CHECKING:
    from remaster.foreign import Foreign
    from remaster.image import Finished, InitrdMode, Request
    from remaster.variant import Variant
    from tcz.compress import Compression
    from tcz.paths import Dirs
    from tcz.reporting import Reporter
    from tcz.run import Runner


#: Options of a wish, beside those that it names itself, that a manifest tells as they were given.
TOLD = ("places", "settings")


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
        packages=package_names(wish),
        files=tuple(variant.file_option(text) for text in wish.files),
        boot_codes=wish.boot_codes,
        places=[variant.place_option(text) for text in wish.places],
        base=known,
    )
    keys = sshkey.load(wish.ssh_keys)
    given = kernels.given(wish.kernel, dirs)
    option = wish.kernel if given is None else given.name
    compressor = wish.compressor or (None if given is None else kernels.compressor_for(given))
    # A format may be a folder of files, which is there already when it is made again.
    for _, paths in formats.targets(output_path(wish, asked, choice), formats.named(wish.formats)):
        check_writable(paths[0])
    if known == choice.name:
        if option is not None:
            lines = (*asked.lines, ("kernel", f"--kernel {option}"))
            asked = replace(asked, kernel=kernels.own_kernel(option), lines=lines)
        if given is not None:
            kernels.check_given(given, "x86_64", bases.load(choice.name, given.name).squashfs)
        reporter.note(f"variant {asked.name} on the base {choice.name}, {choice.why}")
        return image.Request(
            variant=asked,
            base=choice.name,
            output=output_path(wish, asked, choice),
            keys=keys,
            compressor=compressor or compressors.OWN,
            level=wish.level,
            given=given,
            mode=wish.initrd_mode,
            formats=formats.named(wish.formats),
            options=options_of(wish, option),
        )
    found = _foreign(wish, choice, dirs, reporter)
    kernel = foreign.kernel_package(found, asked, option)
    spec = foreign.spec_for(found, kernel)
    # Known before anything is built: whether its scripts are what edits expect, whether its kernel will do.
    foreign.edits(found, found.examined.root, spec, asked)
    if given is not None:
        kernels.check_given(given, found.architecture, spec.squashfs)
    if given is not None or not kernel:
        foreign.check_kernel(found, found.kernel if given is None else given.release)
    told = f"its kernel {found.kernel}" if not kernel else f"the kernel of the package {kernel}"
    reporter.note(f"variant {asked.name} on {found.name} ({found.origin}, {choice.why}) with {told}")
    return image.Request(
        variant=_renamed(asked, found.name),
        base=found.name,
        output=output_path(wish, asked, choice),
        keys=keys,
        compressor=compressors.compressor_for(found, kernel, compressor),
        level=wish.level,
        given=given,
        foreign=found,
        spec=spec,
        mode=wish.initrd_mode,
        formats=formats.named(wish.formats),
        options=options_of(wish, option),
    )


def options_of(wish: Wish, kernel: str | None) -> Options:
    """Return what a manifest tells of the command line; ``kernel`` is a package, whatever it came from."""
    return Options(
        packages=package_names(wish),
        boot_codes=wish.boot_codes,
        files=tuple(variant.file_option(text).path for text in wish.files),
        kernel=kernel,
        more=tuple((name, given) for name in TOLD if (given := getattr(wish, name, ()))),
    )


def _foreign(wish: Wish, choice: bases.Choice, dirs: Dirs, reporter: Reporter) -> Foreign:
    release = bases.release_of(choice.name)
    if release is None:
        return foreign.open_foreign(choice.name, dirs=dirs)
    from remaster import fetch  # noqa: PLC0415 - few bases are fetched

    remotes = commands.remotes(mirrors_of(wish, dirs), dirs)
    files = fetch.files(release, remotes, dirs, reporter, update=wish.update)
    return foreign.open_foreign(choice.name, files, dirs)


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


def fulfil(wish: Wish, dirs: Dirs, runner: Runner, reporter: Reporter) -> Finished:
    """Make the image that was asked for."""
    asked = request(wish, dirs, reporter)
    job = image.prepare(asked, supplier(wish, asked, dirs, runner, reporter))
    for note in job.notes:
        reporter.warn(note)
    return image.make(job, dirs, reporter, runner)


def finished_lines(finished: Finished) -> tuple[str, ...]:
    """Return what to tell of an image that is there."""
    outputs = finished.outputs
    head = f"{outputs.image}: {size_text(finished.size)}, sha256 {finished.sha256}"
    if not finished.changed:
        return (head, "nothing has changed since it was made")
    lines = [head, *(f"{path}: {size_text(path.stat().st_size)}" for path in outputs.images[1:])]
    lines.append(f"beside it: {', '.join(path.name for path in outputs.all()[len(outputs.images) :])}")
    if finished.least_memory is not None:
        least = f"needs at least {finished.least_memory >> 20} MiB of memory to boot"
        lines.append(f"{least}, for {finished.least_memory_for}")
    return tuple(lines)
