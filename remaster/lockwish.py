"""Locks made and built from, in the words of the command line.

``again`` is what building from a lock and rebuilding an image have in common: the request is made anew from
what was recorded, compared with it, and given packages by hash.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from remaster import asked as asking
from remaster import base as bases
from remaster import image, imagelock, sshkey, suppliers, variant, wish
from remaster.locked import LockedSupplier, Places, kept, unlike
from remaster.mirrored import MirrorFiles
from remaster.remade import WorkshopRemade
from tcz import commands
from tcz import lock as locks
from tcz.errors import ConfigError, Problem, VerifyError
from tcz.store import Store, replacing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from remaster.image import Finished, Job, Request
    from remaster.imagelock import ImageLock
    from remaster.recorded import Recorded
    from remaster.wish import Wish
    from tcz.paths import Dirs
    from tcz.reporting import Reporter
    from tcz.run import Runner
    from tcz.workshop import Workshop


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A lock that was written: its path, how many packages it names, and the hash of its settings."""

    path: Path
    variant: str
    base: str
    packages: int
    settings: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """The user's folders and what tells of progress."""

    dirs: Dirs
    runner: Runner
    reporter: Reporter


def make(wanted: Wish, output: Path | None, here: Here) -> Made:
    """Resolve all of an image, building packages where need be, and write its lock; the image is not built.

    Without ``output`` the lock goes where that of the image would: out/floe-VARIANT.lock.
    """
    asked = wish.request(wanted, here.dirs, here.reporter)
    job = image.prepare(asked, suppliers.supplier(wanted, asked, here.dirs, here.runner, here.reporter))
    kept(job.request.variant.files, job.facts.parts, Store(here.dirs.cache / "store"))
    path = output or image.outputs_of(asked).lock
    with replacing(path) as new:
        new.write_text(imagelock.dumps(asked, job.facts, here.runner))
    return Made(
        path=path,
        variant=job.facts.variant,
        base=job.facts.base,
        packages=len(job.facts.parts),
        settings=asking.digest(imagelock.settings(asked)),
    )


def made_lines(made: Made) -> tuple[str, ...]:
    """Return what to tell of a lock."""
    return (
        f"{made.path}: {made.packages} packages for {made.variant} on {made.base}",
        f"build exactly this: remaster build --locked {made.path}",
    )


def fulfil(wanted: Wish, path: Path | None, here: Here) -> Finished:
    """Build exactly what a lock names. Raises ``VerifyError`` with everything that differs from it."""
    job, _ = prepared(wanted, path, here)
    for note in job.notes:
        here.reporter.warn(note)
    return image.make(job, here.dirs, here.reporter, here.runner)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A lock that holds: nothing that it names differs, and all of it is here."""

    variant: str
    base: str
    output: Path
    packages: tuple[str, ...]


def check(wanted: Wish, path: Path | None, here: Here) -> Checked:
    """Do all that ``fulfil`` does but write the image; packages that are not here are fetched or built."""
    job, _ = prepared(wanted, path, here)
    return Checked(
        variant=job.facts.variant,
        base=job.facts.base,
        output=job.request.output,
        packages=tuple(part.package.name for part in job.facts.parts),
    )


def checked_lines(checked: Checked) -> tuple[str, ...]:
    """Return what to tell of a lock that holds."""
    return (
        f"image       {checked.output}",
        f"variant     {checked.variant} on {checked.base}",
        f"packages    {' '.join(checked.packages)}",
        "all of it is here, and nothing differs",
    )


def prepared(wanted: Wish, path: Path | None, here: Here) -> tuple[Job, ImageLock]:
    """Return the job that a lock leads to, and the lock; see ``fulfil``."""
    path = path or _beside(wanted, here)
    locked = imagelock.read(path)
    again = Again(told=locked.image, debian=locked.lock, near=path.parent, here=here)
    asked = again.request(replace(wanted, formats=wanted.formats or locked.formats))
    wrong = [
        *imagelock.other_tools(locked, asked.compressor, asked.formats, here.runner),
        *asking.differences(locked.settings, imagelock.settings(asked)),
    ]
    job = again.job(asked, wanted, tuple(wrong), f"this is not what {path} locks")
    return job, locked


def _beside(wanted: Wish, here: Here) -> Path:
    """Return the lock beside the image that a wish leads to."""
    if not wanted.variant:
        raise ConfigError("neither a lock nor a variant is named", hint="remaster build --locked FILE")
    path = image.outputs_of(wish.request(wanted, here.dirs, here.reporter)).lock
    if not path.is_file():
        raise ConfigError(f"there is no lock {path}", hint=f"remaster lock {wanted.variant} -o {path}")
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """A record that is to be followed; ``near`` is a folder where files that it names may lie."""

    told: Recorded
    debian: locks.Lock
    near: Path
    here: Here

    def request(self, wanted: Wish) -> Request:
        """Return the request that was recorded; what the command line says goes before it.

        Raises ``ConfigError`` for what is not here: a variant's file, a base, a file that was put in.
        """
        told = self.told
        asked = told.asked
        if asked is None:
            raise VerifyError(
                "the manifest does not tell what was asked for",
                hint="an older version of this toolkit wrote it",
            )
        keys = tuple(sshkey.parse_line(line) for line in asked.keys)
        options = asked.options
        absent: list[Problem] = []
        filled = replace(
            wanted,
            variant=wanted.variant or self._variant(asked, absent),
            base=wanted.base or self._base(absent),
            packages=wanted.packages or options.packages,
            boot_codes=wanted.boot_codes or options.boot_codes,
            kernel=wanted.kernel or options.kernel,
            files=wanted.files or self._files(asked.files, absent),
            compressor=wanted.compressor or asked.compressor,  # type: ignore[arg-type]
            level=asked.level if wanted.level is None else wanted.level,
            initrd_mode=asked.mode if wanted.initrd_mode == "layers" else wanted.initrd_mode,  # type: ignore[arg-type]
        )
        more = {name: values for name, values in options.more if not getattr(wanted, name, ())}
        unknown = [name for name in more if name not in wish.TOLD or not hasattr(wanted, name)]
        if unknown:
            raise ConfigError(f"the options {', '.join(unknown)} are not known to this version")
        filled = replace(filled, **more)  # type: ignore[arg-type]
        if absent:
            raise ConfigError("what was asked for with is not here", absent, hint="give it again")
        made = wish.request(filled, self.here.dirs, self.here.reporter)
        return made if wanted.ssh_keys else replace(made, keys=keys)

    def _variant(self, asked: asking.Asked, absent: list[Problem]) -> str:
        """Return how to ask for the variant: by name where it ships, else by its file, if that lies near."""
        own = asked.variant_files[0] if asked.variant_files else None
        near = None if own is None else self._near(own.name, own.sha256)
        if near is None and own is not None:
            # One that was changed: what differs is told later, setting by setting.
            near = next(
                (folder / own.name for folder in (self.near, Path()) if (folder / own.name).is_file()), None
            )
        shipped = self.told.variant in variant.names()
        if near is not None and not (shipped and asked.variant_files[0].name == f"{self.told.variant}.toml"):
            return f"{near.parent}/{near.name}"
        if not shipped:
            name = f"{self.told.variant}.toml" if own is None else own.name
            digest = "unknown" if own is None else own.sha256
            absent.append(Problem(where="--variant", message=f"{name} with sha256 {digest}"))
        return self.told.variant

    def _near(self, name: str, sha256: str) -> Path | None:
        """Return the file of this name and hash that lies near, or here."""
        return next((folder / name for folder in (self.near, Path()) if _has(folder / name, sha256)), None)

    def _base(self, absent: list[Problem]) -> str:
        origin = self.told.origin
        own = self.told.base if origin is None else origin.asked
        if own in bases.names() or bases.release_of(own):
            return own
        if origin is None:
            absent.append(Problem(where="--base", message=f"{own}, which this version does not have"))
            return own
        found = [self._near(name, sha256) for name, sha256 in origin.files]
        paths = [f"{path.parent}/{path.name}" for path in found if path is not None]
        if not paths or len(paths) < len(found):
            names = [f"{name} with sha256 {sha256}" for name, sha256 in origin.files]
            told = ", ".join(names) or f"a folder whose content has the hash {origin.sha256}"
            absent.append(Problem(where="--base", message=told))
        return ",".join(paths)

    def _files(self, files: Sequence[asking.FileTold], absent: list[Problem]) -> tuple[str, ...]:
        store = Store(self.here.dirs.cache / "store")
        found = []
        for one in (one for one in files if one.given):
            kind, _, digest = one.hash.partition(":")
            path = store.sound(digest) if kind == "sha256" else None
            place = f"/{one.path}:{one.mode:o}:{one.owner}"
            if path is None:
                absent.append(Problem(where="--file", message=f"HOST:{place} with {kind} {digest}"))
            else:
                found.append(f"{path}:{place}")
        return tuple(found)

    def job(self, asked: Request, wanted: Wish, wrong: tuple[str, ...], what: str) -> Job:
        """Return the job of a request with packages by hash. Raises ``VerifyError`` with all that differs."""
        told = self.told
        found = [*wrong, *self._base_differs(asked)]
        names = (
            *asked.needs().packages(),
            *asked.format_packages(),
            *asked.variant.packages(),
        )
        present = () if asked.foreign is None else asked.foreign.examined.survey.extensions
        places = self._places(asked, wanted, frozenset(one.name for one in present))
        supplier = LockedSupplier(told, places)
        found += unlike(told, names, places.present)
        found += supplier.gather()
        if found:
            raise VerifyError(what, why="\n".join(dict.fromkeys(found)), hint=_HINT)
        return image.prepare(asked, supplier)

    def _base_differs(self, asked: Request) -> Iterator[str]:
        origin, foreign = self.told.origin, asked.foreign
        if (origin is None) != (foreign is None):
            yield f"base: {self.told.base} is recorded, {asked.base} is here"
        elif origin is not None and foreign is not None and origin.sha256 != foreign.identity:
            yield f"base: content {origin.sha256} is recorded, {foreign.identity} is here ({foreign.origin})"

    def _places(self, asked: Request, wanted: Wish, present: frozenset[str]) -> Places:
        here = self.here

        def workshop() -> Workshop:
            return commands.open_workshop(
                here.dirs,
                here.runner,
                here.reporter,
                wanted.recipe_folders,
                lock=self.debian,
                settings=suppliers.build_settings(asked),
            )

        branch = suppliers.branch_of(wanted, asked)
        return Places(
            dirs=here.dirs,
            files=suppliers.package_files(wanted),
            remade=WorkshopRemade(workshop),
            mirrors=MirrorFiles(suppliers.mirrors_of(wanted, here.dirs), branch, here.dirs, here.reporter),
            present=present,
        )


_HINT = (
    "give what is missing (--base, --package FILE, --file, --mirror), or make a new lock with remaster lock"
)


def _has(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False
