"""What a build left, as a JSON file beside its products, and back: ``build.json``, version 2."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, get_args

from tcz import metadata, provides
from tcz.errors import VerifyError
from tcz.model import Built, BuiltPackage, Form, ResolvedSource
from tcz.store import replacing, sha256_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = "build.json"
_VERSION = 2


def write(built: Built) -> None:
    """Write ``build.json`` into the build's folder; paths in it are relative to that folder."""
    fields = asdict(built) | {"format": _VERSION}
    del fields["folder"]
    if not built.libraries:
        del fields["libraries"]
    for package, data in zip(built.packages, fields["packages"], strict=True):
        data["path"] = str(package.path.relative_to(built.folder))
    with replacing(built.folder / NAME) as temporary:
        temporary.write_text(json.dumps(fields, indent=1, sort_keys=True) + "\n")


def read(folder: Path) -> Built | None:
    """Read a build back; ``None`` where there is none or the file is damaged or of another version."""
    try:
        data = json.loads((folder / NAME).read_bytes())
        return _built(data, folder) if data["format"] == _VERSION else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _built(data: dict[str, Any], folder: Path) -> Built:
    texts = ("recipe", "version", "build_id", "content_id", "license", "homepage", "summary")
    return Built(
        **{key: _text(data[key]) for key in texts},
        folder=folder,
        packages=tuple(_package(item, folder) for item in data["packages"]),
        sources=tuple(_source(item) for item in data["sources"]),
        root=tuple(_source(item) for item in data["root"]),
        libraries=tuple(_source(item) for item in data.get("libraries", ())),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _source(data: dict[str, Any]) -> ResolvedSource:
    return ResolvedSource(**{key: _text(data[key]) for key in ("kind", "name", "version", "hash", "origin")})


def _package(data: dict[str, Any], folder: Path) -> BuiltPackage:
    if data["form"] not in get_args(Form):
        raise ValueError(data["form"])
    return BuiltPackage(
        name=_text(data["name"]),
        form=data["form"],
        path=folder / _text(data["path"]),
        sha256=_text(data["sha256"]),
        size=int(data["size"]),
        installed=int(data["installed"]),
        needs=tuple(_text(need) for need in data["needs"]),
        provides=_provides(data, folder),
    )


def _provides(data: dict[str, Any], folder: Path) -> tuple[str, ...]:
    """Return the libraries of a package; builds of before they were recorded have their names in .list."""
    if "provides" in data:
        return tuple(_text(name) for name in data["provides"])
    listing = folder / (data["path"] + ".list")
    if data["form"] != "extension" or not listing.is_file():
        return ()
    return provides.listed(metadata.parse_list(metadata.decode(listing.read_bytes())))


def providers(builds: Path, soname: str) -> tuple[str, ...]:
    """Return the packages, among the builds in a folder, that have a shared library; for people to read."""
    found = {
        f"{package.name} (recipe {built.recipe})"
        for place in builds.glob("*")
        if (built := read(place)) is not None
        for package in built.packages
        if soname in package.provides
    }
    return tuple(sorted(found))


def is_whole(built: Built, *, thorough: bool = False) -> bool:
    """Tell whether the products are there: by size, or with ``thorough`` by their hashes."""
    return all(_package_is_whole(package, thorough=thorough) for package in built.packages)


def _package_is_whole(
    package: BuiltPackage, *, thorough: bool, sha256: Callable[[Path], str] = sha256_file
) -> bool:
    sums = package.path / "SHA256SUMS" if package.form == "files" else package.path
    try:
        if package.form != "files" and sums.stat().st_size != package.size:
            return False
        if package.form == "files":
            return sums.is_file() and (not thorough or _sums_hold(package, sha256))
        return not thorough or sha256(sums) == package.sha256
    except OSError:
        return False


def _sums_hold(package: BuiltPackage, sha256: Callable[[Path], str]) -> bool:
    listing = package.path / "SHA256SUMS"
    if sha256(listing) != package.sha256:
        return False
    rows = (line.split("  ", 1) for line in listing.read_text("utf-8", "surrogateescape").split("\n")[:-1])
    return all(sha256(package.path / path) == digest for digest, path in rows)


def check(built: Built, sha256: Callable[[Path], str] = sha256_file) -> None:
    """Raise ``VerifyError`` unless every product still has the hash it was built with.

    ``sha256`` is what tells a file's hash, where some are known.
    """
    for package in built.packages:
        if not _package_is_whole(package, thorough=True, sha256=sha256):
            raise VerifyError(
                f"{package.name}: not the bytes that were built",
                where=str(package.path),
                hint=f"remove {built.folder}, then build again",
            )
