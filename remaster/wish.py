"""What a user asked for, in the words of the command line, turned into a job and done.

The command line parses; everything it means is here, so that it can be used and tested without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from remaster import base as bases
from remaster import bootcode, formats, image, plan, sshkey, variant
from remaster.supply import WorkshopSupplier
from tcz import commands
from tcz.clikit import size_text
from tcz.errors import ConfigError
from tcz.paths import check_writable

if TYPE_CHECKING:
    from remaster.image import Finished, Request
    from remaster.variant import Variant
    from tcz.compress import Compression
    from tcz.paths import Dirs
    from tcz.reporting import Reporter
    from tcz.run import Runner
    from tcz.workshop import Planned


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
    compressor: Compression = "zstd"
    level: int | None = None
    recipe_folders: tuple[Path, ...] = ()
    update: bool = False
    lock: Path | None = None


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
    asked = variant.extended(
        variant.load(wish.variant, codes, base=choice.name),
        codes,
        packages=wish.packages,
        files=tuple(variant.file_option(text) for text in wish.files),
        boot_codes=wish.boot_codes,
        base=choice.name,
    )
    keys = sshkey.load(wish.ssh_keys)
    check_writable(output_path(wish, asked))
    reporter.note(f"variant {asked.name} on the base {choice.name}, {choice.why}")
    return image.Request(
        variant=asked,
        base=choice.name,
        output=output_path(wish, asked),
        keys=keys,
        compressor=wish.compressor,
        level=wish.level,
        formats=formats.named(wish.formats),
    )


def output_path(wish: Wish, asked: Variant) -> Path:
    """Return the image's path: as given, else out/floe-VARIANT.iso below the current folder.

    Each format has its own suffix.
    """
    return wish.output or Path("out") / f"floe-{asked.name}{formats.named(wish.formats)[0].suffix}"


def _supplier(
    wish: Wish, spec: bases.BaseSpec, dirs: Dirs, runner: Runner, reporter: Reporter
) -> WorkshopSupplier:
    from tcz import lock  # noqa: PLC0415 - only builds need it
    from tcz.build import Settings  # noqa: PLC0415

    workshop = commands.open_workshop(
        dirs,
        runner,
        reporter,
        wish.recipe_folders,
        update=wish.update,
        lock=None if wish.lock is None else lock.read(wish.lock),
        settings=Settings(options=spec.squashfs),
    )
    return WorkshopSupplier(workshop)


def fulfil(wish: Wish, dirs: Dirs, runner: Runner, reporter: Reporter) -> Finished:
    """Make the image that was asked for."""
    asked = request(wish, dirs, reporter)
    spec = bases.load(asked.base, asked.variant.kernel)
    supplier = _supplier(wish, spec, dirs, runner, reporter)
    return image.make(image.prepare(asked, supplier), dirs, reporter, runner)


def outline(wish: Wish, dirs: Dirs, runner: Runner, reporter: Reporter) -> Outline:
    """Tell what ``fulfil`` would do."""
    asked = request(wish, dirs, reporter)
    spec = bases.load(asked.base, asked.variant.kernel)
    supplier = _supplier(wish, spec, dirs, runner, reporter)
    names = (*spec.packages(), *asked.format_packages(), *asked.variant.onboot, *asked.variant.optional)
    planned = supplier.planned(names)
    sizes = None
    if all(one.cached for one in planned):
        job = image.prepare(asked, supplier)
        sizes = Sizes(
            packages=sum(package.size for package in job.extensions),
            kernel=bases.kernel_image(job.part(spec.kernel)).stat().st_size,
            root=plan.unpacked_size(bases.assemble(job.part(name) for name in spec.layers)),
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
    )


def outline_lines(told: Outline) -> tuple[str, ...]:
    """Return the outline as text."""
    lines = [
        f"image       {told.output}",
        f"formats     {' '.join(told.formats)}",
        f"variant     {told.variant} on {told.base} ({told.why})",
        f"boot codes  {' '.join(told.boot_codes)}",
        f"services    {' '.join(told.services) or 'none'}",
        f"files       {' '.join(told.files) or 'none'}",
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
    lines = [head]
    lines += [f"{path}: {size_text(path.stat().st_size)}" for path in outputs.images[1:]]
    beside = outputs.all()[len(outputs.images) :]
    lines.append(f"beside it: {', '.join(path.name for path in beside)}")
    if finished.least_memory is not None:
        lines.append(f"needs at least {finished.least_memory >> 20} MiB of memory to boot")
    return tuple(lines)


def linted(wanted: str) -> Variant:
    """Return a variant by name or path after every check that needs no build."""
    return variant.load(wanted, bootcode.BootCodes.load())


def check_packages(asked: Variant, recipe_folders: tuple[Path, ...]) -> None:
    """Raise ``ConfigError`` for every package of a variant that no recipe makes."""
    recipes = commands.open_recipes(recipe_folders)
    names = dict.fromkeys(
        (*bases.load(bases.DEFAULT, asked.kernel).packages(), *asked.onboot, *asked.optional)
    )
    problems = [commands.unknown(recipes, name) for name in names if recipes.find_package(name) is None]
    if problems:
        raise ConfigError(f"variant {asked.name} names packages that no recipe makes", problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A variant as it is shown: what files hold is left out."""

    name: str
    summary: str
    extends: str
    kernel: str
    onboot: tuple[str, ...]
    optional: tuple[str, ...]
    boot_codes: tuple[str, ...]
    services: tuple[str, ...]
    files: tuple[str, ...]
    volume_id: str
    title: str
    timeout: int
    data_label: str
    data_mib: int


def shown(asked: Variant) -> Shown:
    """Return what is shown of a variant."""
    return Shown(
        name=asked.name,
        summary=asked.summary,
        extends=asked.extends,
        kernel=asked.kernel,
        onboot=asked.onboot,
        optional=asked.optional,
        boot_codes=asked.boot_codes,
        services=asked.services,
        files=tuple(f"/{file.path}" for file in asked.files),
        volume_id=asked.volume_id,
        title=asked.title,
        timeout=asked.timeout,
        data_label=asked.data_label,
        data_mib=asked.data_mib,
    )


def variant_lines(asked: Variant) -> tuple[str, ...]:
    """Return a variant as text for a person."""
    return (
        f"{asked.name}: {asked.summary}",
        f"  extends      {asked.extends or 'nothing'}",
        f"  kernel       {asked.kernel}",
        f"  at boot      {' '.join(asked.onboot) or 'nothing'}",
        f"  on request   {' '.join(asked.optional) or 'nothing'}",
        f"  boot codes   {' '.join(asked.boot_codes)}",
        f"  services     {' '.join(asked.services) or 'none'}",
        f"  files        {' '.join(f'/{file.path}' for file in asked.files) or 'none'}",
        f"  volume id    {asked.volume_id}",
        f"  data disk    {asked.data_label}, {asked.data_mib} MiB",
    )
