"""The lock: exactly what was chosen for a build or an image, as a value and as a file.

The file is JSON with sorted keys, indented by two spaces, with a newline at its end; the same value
always gives the same bytes. It is read strictly: what it does not know it refuses.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NoReturn

from tcz.errors import ConfigError
from tcz.model import ResolvedSource
from tcz.toml import Document, Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tcz.model import Built

SCHEMA = 1
#: Of the lock of an image, which has another part, ``image``, that this module does not look into.
IMAGE_SCHEMA = 2
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPackage:
    """A finished package; ``build_id`` is the hash of everything that went into it."""

    name: str
    version: str
    sha256: str
    size: int
    recipe: str
    build_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedDebian:
    """A Debian binary package, used as a source or in a build root."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A program or library whose version decides bytes."""

    name: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """What was asked for (``recipes``; ``variant`` for an image) and what was chosen for it."""

    recipes: tuple[str, ...]
    epoch: int
    variant: str | None = None
    packages: tuple[LockedPackage, ...] = ()
    sources: tuple[ResolvedSource, ...] = ()
    debian: tuple[LockedDebian, ...] = ()
    tools: tuple[Tool, ...] = ()


def of_builds(
    builds: Sequence[Built],
    *,
    recipes: Sequence[str],
    epoch: int,
    variant: str | None = None,
    tools: Sequence[Tool] = (),
) -> Lock:
    """Return the lock of finished builds, sorted and without repetition."""
    resolved = {source for built in builds for source in (*built.sources, *built.root)}
    debian = {source for source in resolved if source.kind == "debian-binary"}
    return Lock(
        recipes=tuple(recipes),
        epoch=epoch,
        variant=variant,
        packages=tuple(
            LockedPackage(
                name=package.name,
                version=built.version,
                sha256=package.sha256,
                size=package.size,
                recipe=built.recipe,
                build_id=built.build_id,
            )
            for built in sorted(builds, key=lambda built: built.recipe)
            for package in built.packages
        ),
        sources=tuple(sorted(resolved - debian, key=lambda s: (s.kind, s.name, s.version, s.hash, s.origin))),
        debian=tuple(
            LockedDebian(name=name, version=version, sha256=sha256)
            for name, version, sha256 in sorted(
                {(s.name, s.version, s.hash.removeprefix("sha256:")) for s in debian}
            )
        ),
        tools=tuple(sorted(tools, key=lambda tool: (tool.name, tool.version))),
    )


def dumps(lock: Lock, image: object = None) -> str:
    """Return the file's text; ``image`` is the part of it that tells of an image, made of plain values."""
    head: dict[str, object] = (
        {"schema": SCHEMA} if image is None else {"schema": IMAGE_SCHEMA, "image": image}
    )
    return json.dumps({**head, **asdict(lock)}, sort_keys=True, indent=2) + "\n"


def read(path: Path) -> Lock:
    """Read a file. Raises ``ConfigError`` with all that is wrong in it."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path}: cannot be read: {reason}") from error
    return loads(text, str(path))


def loads(text: str, where: str) -> Lock:
    """Read the text of a lock; ``where`` names it in messages. Raises ``ConfigError``."""
    document = Document(where, parsed(text, where), {})
    lock = _lock(document.root)
    document.finish(f"the lock {where}")
    return lock


def parsed(text: str, where: str) -> dict[str, object]:
    """Return the object that a lock's text holds, unchecked. Raises ``ConfigError`` where it holds none."""
    try:
        data = json.loads(text, object_pairs_hook=_no_key_twice, parse_constant=_no_constant)
    except RecursionError as error:
        raise ConfigError(f"{where} is not a lock: nested too deeply") from error
    except ValueError as error:
        raise ConfigError(f"{where} is not a lock: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{where} is not a lock: it holds no object")
    return data


def _no_key_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} is there twice")
        found[key] = value
    return found


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not allowed")


def _lock(root: Table) -> Lock:
    schema = root.integer("schema")
    if schema not in (SCHEMA, IMAGE_SCHEMA) and not root.document.failed:
        root.fail("schema", f"{schema} is not known: this version reads {SCHEMA} and {IMAGE_SCHEMA}")
    if schema == IMAGE_SCHEMA and not root.has("image"):
        root.fail("image", "is missing")
    # JSON writes "no variant" as null
    variant = None if root.is_null("variant") else root.string("variant")
    return Lock(
        recipes=root.strings("recipes"),
        epoch=root.integer("epoch"),
        variant=variant,
        packages=tuple(_package(table) for table in root.tables("packages")),
        sources=tuple(source_of(table) for table in root.tables("sources")),
        debian=tuple(
            LockedDebian(name=t.string("name"), version=t.string("version"), sha256=_sha256(t))
            for t in root.tables("debian")
        ),
        tools=tuple(Tool(name=t.string("name"), version=t.string("version")) for t in root.tables("tools")),
    )


def _package(table: Table) -> LockedPackage:
    return LockedPackage(
        name=table.string("name"),
        version=table.string("version"),
        sha256=_sha256(table),
        size=table.integer("size"),
        recipe=table.string("recipe"),
        build_id=table.string("build_id"),
    )


def source_of(table: Table) -> ResolvedSource:
    """Read a source, by version and hash."""
    return ResolvedSource(
        kind=table.string("kind"),
        name=table.string("name", empty=True),
        version=table.string("version", empty=True),
        # A package of the machine itself has none.
        hash=table.string("hash", empty=True),
        origin=table.string("origin", empty=True),
    )


def _sha256(table: Table) -> str:
    def check(text: str) -> str | None:
        return None if _SHA256.fullmatch(text) else "is not a sha256 in lower-case hex"

    return table.string("sha256", check=check)
