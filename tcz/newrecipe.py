"""New recipes, from an address, a Debian source package, a Go module or a crate.

What is named is fetched and looked at, never run: see ``tcz.scaffold`` for the guesses.
"""

from __future__ import annotations

import tempfile
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from tcz import recipe_checks, scaffold, versions
from tcz.dsc import fields
from tcz.errors import ConfigError
from tcz.model import Archive, BuildSpec, Crate, DebianSource, GoModule, GoToolchain, PackageSpec, Recipe
from tcz.recipe import loads
from tcz.recipe_sources import DEBIAN_VERSION
from tcz.recipe_text import render
from tcz.sources.archive import file_name
from tcz.unpack import one_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tcz.model import Source
    from tcz.sources import Sources

Kind = Literal["url", "debian", "go", "crate"]

_MOST_TEXT = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A recipe that is not written yet: its folder and the text of each file."""

    recipe: Recipe
    files: Mapping[str, str]

    def write(self) -> Path:
        """Make the folder and return it. Raises ``ConfigError`` where there is one already."""
        folder = self.recipe.folder
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            raise ConfigError(f"{folder} is there already", hint="name another, or remove it") from None
        for name, text in self.files.items():
            (folder / name).write_text(text, encoding="utf-8")
        return folder


def draft(
    kind: Kind,
    what: str,
    into: Path,
    sources: Sources,
    *,
    name: str | None = None,
    known: Sequence[Recipe] = (),
) -> Draft:
    """Return a recipe for ``what``, for a folder of its own below ``into``.

    ``name`` is that of the recipe (``None``: as ``what`` is called); a toolchain for Go is taken from
    the recipes ``known``. Raises ``FetchError`` for what cannot be had, ``ConfigError`` for what cannot
    be the name of a recipe or has no version.
    """
    if kind == "url":
        guessed, version, made, written = _from_url(what, sources)
    elif kind == "debian":
        guessed, version = what, DEBIAN_VERSION
        made = written = (DebianSource(package=what),)
    elif kind == "go":
        guessed, version, made, written = _from_go(what, sources, known)
    else:
        version = sources.teachers.cargo.newest(what)
        crate = Crate(name=what, version=version, sha256=sources.teachers.cargo.sum(what, version))
        guessed, made, written = what, (crate,), (replace(crate, version="{version}"),)
    name = name or guessed.lower().replace("_", "-")
    complaint = recipe_checks.name(name)
    if complaint:
        raise ConfigError(
            f"the recipe needs another name: {complaint}", hint="name it: tcz recipe new NAME ..."
        )
    recipe = Recipe(
        name=name, version=version, summary=name, license="", homepage="", folder=into / name, sources=made
    )
    found = _look(recipe, sources)
    system_needs = scaffold.NEEDS[found.system]
    finished = replace(
        recipe,
        sources=written,
        summary=found.summary or name,
        license=found.license,
        homepage=found.homepage or _homepage(kind, what),
        build=BuildSpec(debian=scaffold.merged(system_needs, found.needs)),
        packages=(PackageSpec(name=name, files=("usr/local",)),),
    )
    files = {
        "recipe.toml": render(finished),
        "build.sh": scaffold.build_script(found.system),
        "test.sh": scaffold.test_script(),
    }
    return Draft(recipe=finished, files=files)


def check(made: Draft) -> None:
    """Raise ``ConfigError`` for mistakes in what was written; that is never the user's."""
    loads(made.files["recipe.toml"], made.recipe.folder)


def _from_url(url: str, sources: Sources) -> tuple[str, str, tuple[Source, ...], tuple[Source, ...]]:
    complaint = recipe_checks.url(url)
    if complaint:
        raise ConfigError(complaint)
    archive = Archive(url=url, sha256="0" * 64)
    parts = scaffold.name_and_version(file_name(archive))
    if parts is None:
        # Names such as v1.2.3.tar.gz have the project in the path before.
        segments = [part for part in urlsplit(url).path.split("/") if part]
        parts = scaffold.name_and_version(f"{_project(segments)}-{file_name(archive).removeprefix('v')}")
    if parts is None:
        raise ConfigError(
            f"{url} has no version in its name", hint="write the recipe by hand: docs/reference/recipe.md"
        )
    name, version = parts
    file = sources.teachers.fetcher.learn(url, what=file_name(archive))
    strip = 0 if one_folder(file) is None else 1
    archive = replace(archive, sha256=file.name, strip=strip)
    return name, version, (archive,), (replace(archive, url=url.replace(version, "{version}")),)


def _project(segments: Sequence[str]) -> str:
    """Return the part of a path that names a project: the last that says more than what it holds."""
    common = {"archive", "refs", "tags", "releases", "download", "downloads", "-", "v"}
    names = [part for part in segments[:-1] if part not in common and not part.lstrip("v")[:1].isdigit()]
    return names[-1] if names else "unnamed"


def _from_go(
    module: str, sources: Sources, known: Sequence[Recipe]
) -> tuple[str, str, tuple[Source, ...], tuple[Source, ...]]:
    complaint = recipe_checks.module(module)
    if complaint:
        raise ConfigError(complaint)
    teachers = sources.teachers
    found = versions.newest(teachers.go.versions(module))
    if found is None:
        raise ConfigError(
            f"{module} has no release", hint="write the recipe by hand, with a version of your choice"
        )
    version = found.removeprefix("v").partition("+")[0]
    toolchains = [s for recipe in known for s in recipe.sources if isinstance(s, GoToolchain)]
    if not toolchains:
        raise ConfigError(
            "no recipe has a toolchain for Go", hint="write a source of the kind go-toolchain by hand"
        )
    chain = max(toolchains, key=lambda source: versions.key(source.version))
    plain = GoModule(module=module, version=found, sum=teachers.go.sum(module, found, chain))
    last = [part for part in module.split("/") if not part.lstrip("v").isdigit()][-1]
    return last, version, (plain, chain), (replace(plain, version=found.replace(version, "{version}")), chain)


def _look(recipe: Recipe, sources: Sources) -> scaffold.Found:
    """Fetch and unpack the sources, and guess from what lies there."""
    with tempfile.TemporaryDirectory() as name:
        src = Path(name) / "src"
        sources.unpack(sources.fetch(recipe), src)
        names = sorted(path.name for path in src.iterdir())
        system = scaffold.system_of(names)
        licence = scaffold.licence_of(_text(src / file) for file in scaffold.licence_files(names))
        readme = next((file for file in names if file.lower().startswith("readme")), None)
        summary = scaffold.summary_of(_text(src / readme), recipe.name) if readme else ""
        found = scaffold.Found(system=system, license=licence, summary=summary)
        if (src / "debian/control").is_file():
            found = _told_by_debian(found, src)
        if (src / "Cargo.toml").is_file():
            found = _told_by_cargo(found, _text(src / "Cargo.toml"))
    return found


def _told_by_debian(found: scaffold.Found, src: Path) -> scaffold.Found:
    stanzas = [fields(text) for text in _text(src / "debian/control").split("\n\n")]
    whole = stanzas[0]
    described = (stanza["description"] for stanza in stanzas[1:] if "description" in stanza)
    licence = scaffold.licence_of_debian(_text(src / "debian/copyright"))
    return replace(
        found,
        license=found.license if licence == scaffold.UNKNOWN_LICENCE else licence,
        homepage=_usable(whole.get("homepage", "")),
        summary=_line(next(described, "").partition("\n")[0]) or found.summary,
        needs=scaffold.needs_of_debian(whole.get("build-depends", "")),
    )


def _told_by_cargo(found: scaffold.Found, text: str) -> scaffold.Found:
    try:
        package = tomllib.loads(text).get("package", {})
    except ValueError:
        return found
    if not isinstance(package, dict):
        return found
    licence = str(package.get("license", "")).replace("/", " OR ")
    return replace(
        found,
        license=found.license if not licence or recipe_checks.license_expression(licence) else licence,
        homepage=_usable(str(package.get("homepage") or package.get("repository") or "")),
        summary=_line(str(package.get("description", ""))) or found.summary,
    )


def _line(text: str) -> str:
    """Return the first sentence of a description on one line."""
    plain = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return plain.partition(". ")[0].rstrip(".")


def _usable(url: str) -> str:
    return "" if not url or recipe_checks.url(url) else url


def _homepage(kind: Kind, what: str) -> str:
    if kind == "url":
        parts = urlsplit(what)
        return f"{parts.scheme}://{parts.netloc}/"
    return f"https://{what}" if kind == "go" else f"https://{what}.invalid/"


def _text(path: Path) -> str:
    """Return the beginning of a text; nothing for what is no plain file."""
    if not path.is_file() or path.is_symlink():
        return ""
    with path.open("rb") as file:
        return file.read(_MOST_TEXT).decode(errors="replace").replace("\r\n", "\n")
