"""The manifest: what an image is made of, as JSON that is the same bytes for the same inputs.

It lies in the image, so it names nothing that depends on the image itself; the copy beside the image
has the image's own hash and sizes as well.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import tcz

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tcz.model import Built, BuiltPackage, ResolvedSource

SCHEMA = 1

_Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A package of an image: what it is there for, the build it came from, where it is kept."""

    role: str
    package: BuiltPackage
    built: Built
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A base that is not ours: what it is, a hash of all of it, and the edits with the files they changed."""

    release: str
    kernel: str
    libc: str
    identity: str
    edits: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that the manifest tells."""

    variant: str
    version: str
    base: str
    boot_codes: tuple[str, ...]
    services: tuple[str, ...]
    parts: tuple[Part, ...]
    epoch: int
    origin: Origin | None = None

    @property
    def kernel(self) -> str | None:
        """The version of the kernel: of its package, or as the base's own image tells it."""
        own = next((part.built.version for part in self.parts if part.role == "kernel"), None)
        return self.origin.kernel if own is None and self.origin is not None else own


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """A finished file, for the copy of the manifest that lies beside the image."""

    name: str
    size: int
    sha256: str


def root_digest(root: Sequence[ResolvedSource]) -> str:
    """Return a short name for a build root: the hash of its packages' names, versions and hashes."""
    lines = sorted(f"{source.name} {source.version} {source.hash}\n" for source in root)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _source(source: ResolvedSource) -> _Json:
    return {
        "kind": source.kind,
        "name": source.name,
        "version": source.version,
        "hash": source.hash,
        "origin": source.origin,
    }


def _package(part: Part) -> _Json:
    package, built = part.package, part.built
    return {
        "name": package.name,
        "role": part.role,
        **({"place": part.place} if part.place else {}),
        "version": built.version,
        "sha256": package.sha256,
        "size": package.size,
        "installed": package.installed,
        "needs": list(package.needs),
        "recipe": built.recipe,
    }


def _recipe(built: Built) -> _Json:
    return {
        "name": built.recipe,
        "version": built.version,
        "summary": built.summary,
        "license": built.license,
        "homepage": built.homepage,
        "build-id": built.build_id,
        "build-root": root_digest(built.root),
        "sources": [_source(source) for source in built.sources],
    }


def builds(parts: Iterable[Part]) -> tuple[Built, ...]:
    """Return the builds that the parts come from, each once, by recipe name."""
    found = {part.built.recipe: part.built for part in parts}
    return tuple(found[name] for name in sorted(found))


def document(facts: Facts, *, roots: bool = True) -> bytes:
    """Return the manifest. Without ``roots`` the build roots are named by digest only."""
    return _dump(_value(facts, roots=roots))


def document_beside(facts: Facts, artefacts: Iterable[Artefact]) -> bytes:
    """Return the manifest with the image's files in it."""
    value = _value(facts, roots=True)
    value["artefacts"] = [
        {"name": artefact.name, "size": artefact.size, "sha256": artefact.sha256} for artefact in artefacts
    ]
    return _dump(value)


def _value(facts: Facts, *, roots: bool) -> _Json:
    built = builds(facts.parts)
    value: _Json = {
        "schema": SCHEMA,
        "tool": f"tinycore-toolkit {tcz.__version__}",
        "variant": facts.variant,
        "version": facts.version,
        "base": facts.base,
        "kernel": facts.kernel,
        "epoch": facts.epoch,
        "boot-codes": list(facts.boot_codes),
        "services": list(facts.services),
        "packages": [_package(part) for part in facts.parts],
        "recipes": [_recipe(one) for one in built],
    }
    if facts.origin is not None:
        value["origin"] = {
            "release": facts.origin.release,
            "kernel": facts.origin.kernel,
            "libc": facts.origin.libc,
            "sha256": facts.origin.identity,
        }
        value["edits"] = [{"name": name, "files": list(files)} for name, files in facts.origin.edits]
    if roots:
        distinct = {root_digest(one.root): one.root for one in built if one.root}
        value["build-roots"] = [
            {
                "digest": digest,
                "packages": [
                    {"name": source.name, "version": source.version, "hash": source.hash}
                    for source in sorted(distinct[digest], key=lambda source: source.name)
                ],
            }
            for digest in sorted(distinct)
        ]
    return value


def _dump(value: _Json) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeRow:
    """A line of the table of sizes."""

    name: str
    version: str
    size: int
    installed: int


def size_rows(facts: Facts, kernel: int, initrd: int, unpacked: int, loader: int) -> tuple[SizeRow, ...]:
    """Return what takes how much of the image: boot files first, then packages, the largest first."""
    boot = (
        SizeRow(name="kernel", version=facts.kernel or "", size=kernel, installed=0),
        SizeRow(name="initrd", version="", size=initrd, installed=unpacked),
        SizeRow(name="boot loaders", version="", size=loader, installed=0),
    )
    packages = [
        SizeRow(
            name=part.package.name,
            version=part.built.version,
            size=part.package.size,
            installed=part.package.installed,
        )
        for part in facts.parts
        if part.package.form == "extension"
    ]
    return (*boot, *sorted(packages, key=lambda row: (-row.size, row.name)))


def size_table(rows: Sequence[SizeRow]) -> str:
    """Return the table as text: bytes in the image, bytes unpacked."""
    total = SizeRow(
        name="all",
        version="",
        size=sum(row.size for row in rows),
        installed=sum(row.installed for row in rows),
    )
    cells = [("name", "version", "size", "installed")]
    cells += [(row.name, row.version, f"{row.size:,}", f"{row.installed:,}") for row in (*rows, total)]
    widths = [max(len(row[column]) for row in cells) for column in range(4)]
    lines = (
        f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}".rstrip()
        for a, b, c, d in cells
    )
    return "\n".join(lines) + "\n"
