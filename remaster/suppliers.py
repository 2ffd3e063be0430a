"""Where the packages of an image come from, as the words of the command line say."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from remaster import plan
from remaster.kernels import choice as kernels
from remaster.supply import MirrorSupplier, WorkshopSupplier, named
from tcz import commands

if TYPE_CHECKING:
    from remaster.image import Request
    from remaster.supply import Own
    from remaster.wish import Wish
    from tcz.build import Settings
    from tcz.mirror.known import Chosen
    from tcz.paths import Dirs
    from tcz.reporting import Reporter
    from tcz.run import Runner

    Supplier = Own | MirrorSupplier


def package_files(wish: Wish) -> dict[str, Path]:
    """Return the files of the packages that were given by path, by name. Raises ``ConfigError``."""
    return {named(Path(one)): Path(one) for one in wish.packages if _is_file(one)}


def package_names(wish: Wish) -> tuple[str, ...]:
    """Return the names of the packages that were asked for; see ``package_files``."""
    return tuple(named(Path(one)) if _is_file(one) else one for one in wish.packages)


def _is_file(package: str) -> bool:
    return "/" in package or Path(package).is_file()


def build_settings(asked: Request) -> Settings:
    """Return how packages are packed for a base."""
    from tcz.build import Settings as Chosen  # noqa: PLC0415 - only builds need it

    return Chosen(options=asked.needs().squashfs)


def mirrors_of(wish: Wish, dirs: Dirs) -> tuple[Chosen, ...]:
    """Return the mirrors that are named, else those of the user's configuration."""
    from tcz.mirror import known  # noqa: PLC0415 - only builds need it

    return tuple(known.chosen(wish.mirrors, wish.mirror_keys, dirs, os.environ.get("TCZ_MIRROR", "")))


def supplier(wish: Wish, asked: Request, dirs: Dirs, runner: Runner, reporter: Reporter) -> Supplier:
    """Return what has the packages of an image; nothing is built or asked for yet."""
    from tcz import lock  # noqa: PLC0415 - only builds need it
    from tcz.mirror.model import Branch  # noqa: PLC0415

    branch = Branch.parse(branch_of(wish, asked))
    mirrors = mirrors_of(wish, dirs)

    workshop = commands.open_workshop(
        dirs,
        runner,
        reporter,
        wish.recipe_folders,
        update=wish.update,
        lock=None if wish.lock is None else lock.read(wish.lock),
        settings=build_settings(asked),
    )
    images = _images(asked, dirs, reporter) if asked.variant.settings.preload else None
    files = package_files(wish) | ({} if images is None else {named(images): images})
    own = kernels.supplier(
        asked, WorkshopSupplier(workshop), dirs, reporter.warn, files=files, alone=not mirrors
    )
    if not mirrors:
        return own
    from tcz.mirror.parcels import Parcels  # noqa: PLC0415 - loads all that verifies mirrors

    return MirrorSupplier(own, Parcels(mirrors, branch, dirs, runner, reporter))


def _images(asked: Request, dirs: Dirs, reporter: Reporter) -> Path | None:
    from remaster import preloading  # noqa: PLC0415 - loads all that reads images

    return preloading.package(asked.variant, dirs, reporter, asked.needs().squashfs, plan.EPOCH)


def branch_of(wish: Wish, asked: Request) -> str:
    """Return which packages of the mirrors: those of the base's release, if nothing else is said."""
    found = asked.foreign
    major = "" if found is None else found.release.partition(".")[0]
    machine = "x86" if found is not None and found.architecture == "386" else "x86_64"
    return wish.mirror_branch or f"{major if major.isdecimal() else 17}.x/{machine}"
