"""A recipe as the text of a ``recipe.toml``: what ``tcz.recipe.load`` reads, in one fixed form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tcz.model import Archive, CargoLock, Crate, DebianBinary, DebianSource, Git, GoModule, GoToolchain, Local

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tcz.model import Device, OwnerRule, PackageSpec, Recipe, Source

    _Value = str | int | bool | Sequence[str] | None


def render(recipe: Recipe) -> str:
    """Return the text; reading it back in a folder of the same content gives an equal recipe.

    Keys with their default value are left out, and templates stay filled in.
    """
    return "\n".join(_recipe(recipe)) + "\n"


def _recipe(recipe: Recipe) -> Iterator[str]:
    yield "schema = 1"
    for key in ("name", "version", "summary", "license", "homepage"):
        yield f"{key} = {quote(getattr(recipe, key))}"
    yield from _pairs(
        release=None if recipe.release == 1 else recipe.release, irreproducible=recipe.irreproducible
    )
    if recipe.on_request is not None:
        yield f"on-request = {quote(recipe.on_request)}"
    build = recipe.build
    lines = [
        *_pairs(
            root=None if build.root == "debian" else build.root,
            tinycore=build.tinycore_release,
            strip=None if build.strip else False,
            split=None if build.split else False,
            tools=build.tools,
        ),
        *(
            f"needs.{line}"
            for line in _pairs(debian=build.debian, tinycore=build.tinycore, recipes=build.recipes)
        ),
    ]
    if lines:
        yield from ("", "[build]", *lines)
    for source in recipe.sources:
        yield from ("", "[[source]]", *_source(source))
    for package in recipe.packages:
        yield from ("", "[[package]]", *_package(package))


def _source(source: Source) -> Iterator[str]:
    match source:
        case Archive():
            yield from _pairs(
                kind="archive",
                url=source.url,
                sha256=source.sha256,
                debian=source.debian,
                strip=None if source.strip == 1 else source.strip,
                dest=source.dest or None,
                unpack=None if source.unpack else False,
            )
        case GoModule():
            yield from _pairs(
                kind="go-module",
                module=source.module,
                version=source.version,
                sum=source.sum,
                modfile=None if source.modfile == "go.mod" else source.modfile,
                dest=source.dest or None,
                packages=source.packages,
                tags=source.tags,
            )
        case GoToolchain():
            yield from _pairs(kind="go-toolchain", version=source.version, sum=source.sum)
        case Crate():
            yield from _pairs(
                kind="crate",
                name=source.name,
                version=source.version,
                sha256=source.sha256,
                dest=source.dest or None,
            )
        case CargoLock():
            yield from _pairs(kind="cargo-lock", path=source.path, sha256=source.sha256)
        case Git():
            yield from _pairs(
                kind="git",
                url=source.url,
                commit=source.commit,
                ref=source.ref,
                submodules=True if source.submodules else None,
                dest=source.dest or None,
            )
        case DebianSource():
            yield from _pairs(
                kind="debian-source",
                package=source.package,
                version=source.version,
                dest=source.dest or None,
            )
        case DebianBinary():
            yield from _pairs(
                kind="debian-binary", package=source.package, via=source.via, dest=source.dest or None
            )
        case Local():
            yield from _pairs(kind="local", path=source.path, dest=source.dest or None)


def _package(package: PackageSpec) -> Iterator[str]:
    yield from _pairs(
        name=package.name, summary=package.summary, form=None if package.form == "extension" else package.form
    )
    if not package.rest:
        yield f"files = {_value(package.files)}"
    yield from _pairs(needs=package.needs, tags=package.tags, startup=package.startup)
    if not package.auto_needs:
        yield "auto-needs = false"
    yield from _inline("owners", [_owner(rule) for rule in package.owners])
    yield from _inline("devices", [_device(device) for device in package.devices])
    if package.allow:
        yield from ("", "[package.allow]", *(f"{one.check} = {quote(one.reason)}" for one in package.allow))


def _owner(rule: OwnerRule) -> Iterator[str]:
    mode = None if rule.mode is None else f"{rule.mode:04o}"
    return _pairs(path=rule.path, mode=mode, uid=rule.uid, gid=rule.gid)


def _device(device: Device) -> Iterator[str]:
    return _pairs(
        path=device.path,
        kind=device.kind,
        major=device.major,
        minor=device.minor,
        mode=f"{device.mode:04o}",
        uid=device.uid or None,
        gid=device.gid or None,
    )


def _inline(key: str, tables: Sequence[Iterator[str]]) -> Iterator[str]:
    if tables:
        yield f"{key} = ["
        for pairs in tables:
            yield "  { " + ", ".join(pairs) + " },"
        yield "]"


def _pairs(**values: _Value) -> Iterator[str]:
    """Write ``key = value`` lines, without those that are ``None`` or empty lists."""
    for key, value in values.items():
        if value is not None and value != ():
            yield f"{key} = {_value(value)}"


def _value(value: str | int | bool | Sequence[str]) -> str:  # noqa: FBT001 - a value, not a switch
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return quote(value)
        case _:
            return "[" + ", ".join(quote(item) for item in value) + "]"


def quote(text: str) -> str:
    """Return a TOML basic string; JSON's escapes are a subset of TOML's."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
