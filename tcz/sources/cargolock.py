"""Cargo.lock: the list of every crate that a Rust program needs, each pinned by its sha256.

Format: https://doc.rust-lang.org/cargo/guide/cargo-toml-vs-cargo-lock.html; the versions 1 to 4 differ
in where checksums stand and in how dependencies are written, which is of no interest here.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass

from tcz.errors import ConfigError, Problem

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedCrate:
    """A crate as a Cargo.lock pins it; ``registry`` is the address of the index it comes from."""

    name: str
    version: str
    sha256: str
    registry: str

    @property
    def file_name(self) -> str:
        """Its file's name in every registry and in cargo's cache."""
        return f"{self.name}-{self.version}.crate"


def parse(text: str, where: str) -> tuple[LockedCrate, ...]:
    """Return all crates of registries that a Cargo.lock lists, sorted; ``where`` names it in messages.

    Packages without a source are the program's own. Raises one ``ConfigError`` for a file that is none,
    and for everything in it that no sha256 pins (dependencies on git repositories).
    """
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"{where} is not a Cargo.lock", [Problem(where=where, message=str(error))]
        ) from error
    packages = data.get("package", [])
    metadata = data.get("metadata", {})
    if not isinstance(packages, list) or not isinstance(metadata, dict):
        raise ConfigError(
            f"{where} is not a Cargo.lock", [Problem(where=where, message="no list of packages")]
        )
    found: set[LockedCrate] = set()
    problems: list[Problem] = []
    for number, package in enumerate(packages):
        place = f"{where}: package[{number}]"
        crate = _crate(package, metadata)
        if isinstance(crate, str):
            problems.append(Problem(where=place, message=crate))
        elif crate is not None:
            found.add(crate)
    if problems:
        raise ConfigError(f"{where} cannot be used", problems)
    return tuple(sorted(found, key=lambda crate: (crate.name, crate.version, crate.registry)))


def _crate(  # noqa: PLR0911 - a list of checks
    package: object, metadata: dict[str, object]
) -> LockedCrate | str | None:
    """Return a package's crate, ``None`` for one of the program itself, or what is wrong with it."""
    if not isinstance(package, dict):
        return "is not a table"
    name, version, source = (package.get(key) for key in ("name", "version", "source"))
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return f"{name!r} is not a crate's name"
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        return f"{name}: {version!r} is not a version"
    if source is None:
        return None
    kind, _, address = str(source).partition("+")
    if kind not in ("registry", "sparse") or not address:
        return (
            f"{name} {version} comes from {source!r}: only crates of a registry have a sha256 that pins them"
        )
    checksum = package.get("checksum") or metadata.get(f"checksum {name} {version} ({source})")
    if not isinstance(checksum, str) or not _SHA256.fullmatch(checksum):
        return f"{name} {version} has no sha256"
    registry = address if kind == "registry" else str(source)
    return LockedCrate(name=name, version=version, sha256=checksum, registry=registry)
