"""Rust crates that builds were given: where they lie, and which they are."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

from tcz.model import ResolvedSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tcz.model import Built
    from tcz.sandbox import Bind

#: Where a build finds the crates that it needs.
CRATES: Final = "/build/crates"
#: Where they lie in the cache, by what names them, and in which folder there.
CACHE: Final = "cargo"
FOLDER: Final = "crates"
_KINDS: Final = ("crate", "cargo-lock")


def identity(sources: Iterable[ResolvedSource]) -> str:
    """Return what all crates of these sources are kept by in the cache; empty where none names any."""
    lines = sorted(f"{one.kind} {one.hash}" for one in sources if one.kind in _KINDS)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32] if lines else ""


def given(binds: Iterable[Bind], own: Sequence[ResolvedSource]) -> tuple[ResolvedSource, ...]:
    """Return the crates that a build sees, without those among its ``own`` sources."""
    return tuple(one for bind in binds if bind.inside == CRATES for one in _named(bind.host, own))


def kept(built: Built, cache: Path) -> tuple[ResolvedSource, ...]:
    """Return the crates of a build as the cache still has them; none where it has not."""
    name = identity(built.sources)
    folder = cache / CACHE / name / FOLDER
    return _named(folder, built.sources) if name and folder.is_dir() else ()


def _named(folder: Path, own: Sequence[ResolvedSource]) -> tuple[ResolvedSource, ...]:
    known = {(one.name, one.version) for one in own if one.kind == "crate"}
    found = []
    for crate in sorted(folder.iterdir()):
        digest = json.loads((crate / ".cargo-checksum.json").read_text())["package"]
        name, version = _name_and_version(crate.name)
        if (name, version) not in known:
            found.append(
                ResolvedSource(
                    kind="crate", name=name, version=version, hash=f"sha256:{digest}", origin=f"crate:{name}"
                )
            )
    return tuple(found)


def _name_and_version(folder: str) -> tuple[str, str]:
    """Split ``serde-json-1.0.2-rc.1``: the version begins at the first hyphen before a digit and a dot."""
    parts = folder.split("-")
    for n in range(1, len(parts)):
        if parts[n][:1].isdigit() and "." in parts[n]:
            return "-".join(parts[:n]), "-".join(parts[n:])
    return folder, ""
