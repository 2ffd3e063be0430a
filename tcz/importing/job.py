"""A whole import: what was named is told apart, read, and written as extensions."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tcz import bases
from tcz.errors import ConfigError, Problem
from tcz.importing import closure, debian, finish, oci, tarball
from tcz.importing.archive import Spool
from tcz.importing.control import is_debian_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from tcz.apt import Apt
    from tcz.importing.draft import Draft
    from tcz.importing.finish import Packer
    from tcz.importing.mapping import Provided
    from tcz.model import BuiltPackage
    from tcz.reporting import Reporter


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What ``tcz import`` was asked for; ``None`` leaves a choice to the kind of what is imported."""

    what: tuple[str, ...]
    base: str = "floe"
    name: str | None = None
    version: str | None = None
    prefix: str = "keep"
    closure: bool | None = None
    docs: debian.Docs = "split"
    merge: str | None = None
    strip: int = 0
    layer: int | Literal["all"] = "all"
    image: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an import works with; each is asked for when it is needed."""

    apt: Callable[[], Apt]
    recipe_of: Callable[[str], str | None]
    reporter: Reporter
    scratch: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Drafts, what stands in for packages that were left out, and the finished files (none in a dry run)."""

    drafts: tuple[Draft, ...]
    provided: tuple[Provided, ...]
    packages: tuple[BuiltPackage, ...] = ()


def run(request: Request, parts: Parts, pack: Packer | None, output: Path) -> Result:
    """Import and, with ``pack``, write the extensions below ``output``.

    Nothing that is imported is run, and nothing of it is laid out on the disk. Raises ``ConfigError``
    for what cannot be told apart, and what the readers raise.
    """
    base = bases.load(request.base)
    parts.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="import-", dir=parts.scratch) as name:
        outcome = _read(request, base, parts, Spool(folder=Path(name)))
        packages = []
        if pack is not None:
            title = f"writing {len(outcome.drafts)} extensions"
            with parts.reporter.step(title, total=len(outcome.drafts)) as step:
                for count, draft in enumerate(outcome.drafts):
                    step.detail(draft.name)
                    packages.append(finish.write(draft, base, output, pack))
                    step.progress(count + 1, len(outcome.drafts))
        return Result(drafts=outcome.drafts, provided=outcome.provided, packages=tuple(packages))


def _read(request: Request, base: bases.Base, parts: Parts, spool: Spool) -> closure.Outcome:
    files, names = _told_apart(request.what)
    others = [path for path in files if path.suffix != ".deb"]
    if not others:
        return closure.gather(_wish(request, base, parts, files, names), parts.apt, spool, parts.reporter)
    if len(files) + len(names) > 1:
        raise ConfigError(f"{others[0]}: an archive or an image is imported alone")
    _refuse_deb_options(request)
    draft = _other(others[0], request, base, spool)
    (checked,) = finish.check_together([finish.check(draft, base)], base)
    return closure.Outcome(drafts=(checked,), provided=())


def _other(path: Path, request: Request, base: bases.Base, spool: Spool) -> Draft:
    folder = tarball.folder_of(request.prefix)
    if oci.is_layout(path) or (path.is_file() and oci.is_image_archive(path, spool)):
        options = oci.ImageOptions(
            base=base,
            name=request.name,
            version=request.version,
            image=request.image,
            layer=request.layer,
            folder=folder,
        )
        return oci.read(path, spool, options)
    if path.is_dir():
        raise ConfigError(f"{path} is a folder, and no OCI image layout", hint="a layout has an index.json")
    return tarball.read(
        path,
        spool,
        tarball.TarOptions(
            base=base, name=request.name, version=request.version, folder=folder, strip=request.strip
        ),
    )


def _wish(
    request: Request, base: bases.Base, parts: Parts, files: list[Path], names: list[str]
) -> closure.Wish:
    if request.prefix not in ("keep", "usr-local"):
        raise ConfigError(
            f"a Debian package cannot be put below {request.prefix!r}", hint="keep or usr-local"
        )
    if request.name is not None and len(request.what) > 1 and request.merge is None:
        raise ConfigError("--name is for one package", hint="--merge NAME makes one of several")
    prefix: Literal["keep", "usr-local"] = "keep" if request.prefix == "keep" else "usr-local"
    return closure.Wish(
        files=tuple(files),
        names=tuple(names),
        # A file is what it is; a name stands for something that works.
        closure=bool(names) if request.closure is None else request.closure,
        options=debian.DebOptions(base=base, prefix=prefix, docs=request.docs),
        recipe_of=parts.recipe_of,
        merge=request.merge,
        rename=request.name,
    )


def _refuse_deb_options(request: Request) -> None:
    if request.merge is not None or request.closure is not None:
        raise ConfigError("--merge and --closure are for Debian packages")


def _told_apart(what: tuple[str, ...]) -> tuple[list[Path], list[str]]:
    """Divide arguments into files and names of Debian packages."""
    files: list[Path] = []
    names: list[str] = []
    problems = []
    for word in what:
        path = Path(word)
        if (
            "/" in word
            or word.endswith(".deb")
            or tarball.is_archive(path)
            or path.is_file()
            or oci.is_layout(path)
        ):
            if path.exists():
                files.append(path)
            else:
                problems.append(Problem(where=word, message="there is no such file"))
        elif is_debian_name(word):
            names.append(word)
        else:
            problems.append(Problem(where=word, message="neither a file nor the name of a Debian package"))
    if problems:
        raise ConfigError("what is to be imported cannot be told", problems)
    return files, names
