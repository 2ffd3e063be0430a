"""Pins that a recipe does not have yet: fetch what it names, and tell the hashes of what came.

Whoever writes them into a recipe trusts what is fetched now; from then on nothing else is accepted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never
from urllib.parse import urljoin, urlsplit

from tcz import versions
from tcz.deb import upstream_version
from tcz.errors import ConfigError, FetchError, ToolkitError, VerifyError
from tcz.model import (
    Archive,
    CargoLock,
    Crate,
    DebianBinary,
    DebianSource,
    Git,
    GoModule,
    GoToolchain,
    Local,
)
from tcz.recipe_checks import NO_SUM
from tcz.sources.archive import file_name
from tcz.store import sha256_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tcz.aptsource import DebianSources
    from tcz.fetch import Fetcher
    from tcz.model import Source
    from tcz.sources.cargo import CargoSources
    from tcz.sources.gitsource import GitSources
    from tcz.sources.gomod import GoSources

_LINK = re.compile(r"""<a\s[^>]*href\s*=\s*["']?([^"'\s>]+)""", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Teachers:
    """The parts of ``Sources`` that know each ecosystem."""

    fetcher: Fetcher
    debian: DebianSources
    go: GoSources
    cargo: CargoSources
    git: GitSources
    mirrors: tuple[str, ...] = ()


def pins(sources: Sequence[Source], version: str, teachers: Teachers) -> tuple[Source, ...]:
    """Return sources with the pins of what they name now.

    A Cargo.lock among the sources is left as it is: see ``tcz.authoring``. Raises ``FetchError`` with
    every place that was tried.
    """
    chains = {s: replace(s, sum=_toolchain_sum(s, teachers)) for s in sources if isinstance(s, GoToolchain)}
    chain = next(iter(chains.values()), None)
    return tuple(
        chains[source] if isinstance(source, GoToolchain) else _pinned(source, version, teachers, chain)
        for source in sources
    )


def _toolchain_sum(source: GoToolchain, teachers: Teachers) -> str:
    """Return a toolchain's sum; one that is at hand and fits is not fetched again, for it is large."""
    if source.sum != NO_SUM:
        try:
            return teachers.go.toolchain(source).source.sum
        except VerifyError:
            pass
    return teachers.go.toolchain_sum(source.version)


def _pinned(source: Source, version: str, teachers: Teachers, chain: GoToolchain | None) -> Source:
    match source:
        case Archive():
            return replace(source, sha256=_archive_sum(source, version, teachers))
        case GoModule():
            return replace(source, sum=teachers.go.sum(source.module, source.version, chain))
        case Crate():
            return replace(source, sha256=teachers.cargo.sum(source.name, source.version))
        case Git():
            if source.ref is None:
                return source
            return replace(source, commit=teachers.git.commit_of(source.url, source.ref))
        case CargoLock() | DebianBinary() | DebianSource() | GoToolchain() | Local():
            return source
        case _:
            assert_never(source)


def _archive_sum(source: Archive, version: str, teachers: Teachers) -> str:
    name = file_name(source)
    tried: list[str] = []
    for url in (*(f"{mirror.rstrip('/')}/{name}" for mirror in teachers.mirrors), source.url):
        try:
            return teachers.fetcher.learn(url, what=name).name
        except FetchError as error:
            tried.append(f"{url}:\n  {error.why or error.what}")
    if source.debian is not None:
        try:
            return debian_original(source.debian, version, teachers.debian)
        except ToolkitError as error:
            tried.append(f"Debian source package {source.debian}:\n  {error.why or error.what}")
    raise FetchError(
        f"{name} could not be had from any of its places",
        why="\n".join(tried),
        hint="check the address; `debian` names a Debian source package that has the same file",
    )


def debian_original(package: str, version: str, debian: DebianSources) -> str:
    """Return the sha256 of upstream's file in a Debian source package of this upstream version."""
    found = debian.candidate(package, newest=True)
    if upstream_version(found.version) != version:
        raise FetchError(f"Debian has {found.version} of it, not {version}")
    originals = [file for file in found.files if re.search(r"\.orig\.tar\.[a-z0-9]+$", file.name)]
    if len(originals) != 1:
        raise FetchError(f"{package} {found.version} has no file of upstream's in it")
    file = debian.file(package, originals[0].sha256)
    if file is None:
        raise FetchError(f"{originals[0].name} is not in the archive")
    return originals[0].sha256


def newest(sources: Sequence[tuple[Source, Mapping[str, str]]], teachers: Teachers) -> str:
    """Return the newest release of what a recipe is made from.

    ``sources`` with their strings as they are written: the first that has ``{version}`` in it counts.
    Raises ``ConfigError`` where none has, ``FetchError`` where its versions cannot be listed.
    """
    for source, written in sources:
        if not any("{version}" in text for text in written.values()):
            continue
        found = versions.newest(_known(source, written, teachers))
        if found is None:
            raise FetchError(
                f"no release of {_title(source)} is known",
                hint="name the version: tcz recipe bump NAME VERSION",
            )
        return found
    raise ConfigError(
        "no source says where newer versions are",
        hint="write {version} where it stands in the source's url, version or ref, or name the version",
    )


def _title(source: Source) -> str:
    match source:
        case Archive() | Git():
            return source.url
        case GoModule():
            return source.module
        case Crate():
            return source.name
        case _:
            return type(source).__name__


def _known(source: Source, written: Mapping[str, str], teachers: Teachers) -> tuple[str, ...]:
    match source:
        case GoModule():
            return versions.matching(written["version"], teachers.go.versions(source.module))
        case Crate():
            return (teachers.cargo.newest(source.name),)
        case Git():
            tags = teachers.git.tags(source.url)
            template = written.get("ref", "{version}").removeprefix("refs/tags/")
            return versions.matching(template, tags)
        case DebianSource():
            return (upstream_version(teachers.debian.candidate(source.package, newest=True).version),)
        case Archive():
            return _listed(written["url"], source, teachers)
        case _:
            return ()


def _listed(template: str, source: Archive, teachers: Teachers) -> tuple[str, ...]:
    """Look at the folder that upstream's file is in; where that cannot be had, at Debian."""
    folder, _, name = template.rpartition("/")
    hint = "name the version: tcz recipe bump NAME VERSION"
    try:
        if "{version}" not in folder:
            return versions.matching(name.replace("{arch}", "x86_64"), _names_at(f"{folder}/", teachers))
        why = "the folder itself has the version in its name"
    except FetchError as error:
        why = error.why or error.what
    if source.debian is None:
        raise FetchError(f"what other versions {folder}/ has cannot be told", why=why, hint=hint)
    return (upstream_version(teachers.debian.candidate(source.debian, newest=True).version),)


def _names_at(folder: str, teachers: Teachers) -> tuple[str, ...]:
    """Return the names of the files that a web page links to."""
    page = teachers.fetcher.learn(folder, what=f"the listing of {folder}").read_text(errors="replace")
    return tuple(urlsplit(urljoin(folder, link)).path.rpartition("/")[2] for link in _LINK.findall(page))


def lock_sum(source: CargoLock, src: Path) -> str:
    """Return the sha256 of a Cargo.lock among unpacked sources."""
    lock = src / source.path
    if not lock.is_file() or not lock.resolve().is_relative_to(src.resolve()):
        raise ConfigError(f"the sources have no file {source.path}")
    return sha256_file(lock)
