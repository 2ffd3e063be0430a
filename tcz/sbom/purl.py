"""Package URLs: names of packages across ecosystems.

Format: https://github.com/package-url/purl-spec (types golang, cargo, deb, generic).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from tcz.recipe_sources import ARCH

if TYPE_CHECKING:
    from tcz.model import ResolvedSource

_DISTRO = "debian"


def _purl(kind: str, path: str, version: str, **qualifiers: str) -> str:
    parts = "/".join(_quoted(part) for part in path.split("/") if part)
    text = f"pkg:{kind}/{parts}" + (f"@{_quoted(version)}" if version else "")
    pairs = "&".join(f"{key}={_quoted(value, '/')}" for key, value in sorted(qualifiers.items()) if value)
    return f"{text}?{pairs}" if pairs else text


def _quoted(text: str, more: str = "") -> str:
    return quote(text, safe=":" + more)


def golang(path: str, version: str) -> str:
    """Return the name of a Go module; the type has small letters only."""
    return _purl("golang", path.lower(), version)


def cargo(name: str, version: str) -> str:
    """Return the name of a crate."""
    return _purl("cargo", name, version)


def generic(name: str, version: str, **qualifiers: str) -> str:
    """Return the name of something that belongs to no ecosystem."""
    return _purl("generic", name, version, **qualifiers)


def of_source(source: ResolvedSource) -> str | None:  # noqa: PLR0911 - one for each kind
    """Return the name of a source or of a part of a build root; ``None`` for what has none elsewhere."""
    match source.kind:
        case "go-module":
            return golang(source.name, source.version)
        case "go-toolchain":
            return golang("stdlib", source.version)
        case "crate":
            return cargo(source.name, source.version)
        case "debian-binary" | "host-package":
            suite = source.origin.removeprefix("debian:").partition("/")[0]
            distro = suite if source.kind == "debian-binary" else ""
            return _purl("deb", f"{_DISTRO}/{source.name}", source.version, arch="amd64", distro=distro)
        case "debian-source":
            return _purl("deb", f"{_DISTRO}/{source.name}", source.version, arch="source")
        case "git":
            commit = source.hash.rpartition(":")[2]
            return generic(source.name, source.version, vcs_url=f"git+{source.origin}@{commit}")
        case "archive":
            return generic(source.name, source.version, checksum=source.hash, download_url=source.origin)
        case "tinycore":
            return generic(source.name, source.version, checksum=source.hash)
    return None


def of_package(name: str, version: str) -> str:
    """Return the name of an extension of ours."""
    return generic(name, version, arch=ARCH)
