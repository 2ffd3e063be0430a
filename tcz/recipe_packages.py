"""The ``[[package]]`` tables of a recipe, read strictly. The format is in docs/reference/recipe.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tcz import recipe_checks as check
from tcz.model import Allow, Device, Form, OwnerRule, PackageSpec

if TYPE_CHECKING:
    from pathlib import Path

    from tcz import toml

_FORMS: tuple[Form, ...] = ("extension", "layer", "files")
_DEVICE_KINDS: tuple[Literal["c", "b"], ...] = ("c", "b")
_TOP = 0xFFFFFFFF


def load(root: toml.Table, folder: Path) -> tuple[PackageSpec, ...]:
    """Read the packages of a recipe in ``folder``; mistakes are left in the document."""
    tables = root.tables("package")
    if not tables and not root.has("package"):
        root.fail(None, "there is no [[package]]: a recipe makes at least one")
    packages = tuple(_package(table, folder) for table in tables)
    names = [package.name for package in packages]
    for n, (table, name) in enumerate(zip(tables, names, strict=True)):
        if name and name in names[:n]:
            table.fail("name", f"a second package {name!r} in this recipe")
    rest = [(table, package) for table, package in zip(tables, packages, strict=True) if package.rest]
    for table, _ in rest[1:]:
        message = f"a second package without files: {rest[0][1].name!r} holds all that is left already"
        table.fail(None, message, 'write files = ["..."]')
    return packages


def _package(table: toml.Table, folder: Path) -> PackageSpec:
    rest = not table.has("files")
    package = PackageSpec(
        name=table.string("name", check=check.package_name),
        files=() if rest else table.strings("files", check=check.glob),
        form=table.choice("form", _FORMS, "extension"),
        needs=table.strings("needs", (), check=check.package_name),
        summary=table.maybe_string("summary", check=check.one_line),
        tags=table.strings("tags", (), check=check.tag),
        owners=tuple(_owner(owner) for owner in table.tables("owners")),
        devices=tuple(_device(device) for device in table.tables("devices")),
        rest=rest,
        auto_needs=table.boolean("auto-needs", default=True),
        startup=_startup(table, folder),
        allow=_allowed(table.table("allow")),
    )
    if package.name and package.name in package.needs:
        table.fail("needs", f"{package.name!r} needs itself")
    if package.form == "files" and package.devices:
        table.fail("devices", "a package of the form 'files' cannot hold devices")
    if package.form != "extension" and package.startup is not None:
        table.fail("startup", "only an extension is loaded and can run something then")
    if not rest and not (package.files or package.needs or package.devices or package.startup):
        table.fail("files", "the package holds nothing: no files, no devices, no needs, no startup script")
    return package


def _startup(table: toml.Table, folder: Path) -> str | None:
    path = table.maybe_string("startup", check=check.path)
    if path is None or check.path(path) is not None:
        return None
    if not (folder / path).is_file():
        table.fail("startup", f"{path!r} is no file in the recipe's folder")
    elif not (folder / path).read_bytes().startswith(b"#!"):
        table.fail("startup", f"{path!r} is no script: its first line does not begin with #!")
    return path


def _allowed(table: toml.Table) -> tuple[Allow, ...]:
    names = table.names()
    for name in names:
        complaint = check.lint_check(name)
        if complaint is not None:
            table.fail(name, complaint)
    return tuple(Allow(check=name, reason=table.string(name, check=check.one_line)) for name in names)


def _mode(table: toml.Table) -> int | None:
    text = table.maybe_string("mode", check=check.mode)
    return int(text, 8) if text and check.mode(text) is None else None


def _owner(table: toml.Table) -> OwnerRule:
    rule = OwnerRule(
        path=table.string("path", check=check.glob),
        uid=table.maybe_integer("uid", high=_TOP),
        gid=table.maybe_integer("gid", high=_TOP),
        mode=_mode(table),
    )
    if not any(table.has(key) for key in ("uid", "gid", "mode")):
        table.fail(None, "gives none of uid, gid and mode")
    return rule


def _device(table: toml.Table) -> Device:
    mode = _mode(table)
    return Device(
        path=table.string("path", check=check.path),
        kind=table.choice("kind", _DEVICE_KINDS),
        major=table.integer("major", high=4095),
        minor=table.integer("minor", high=1048575),
        mode=0o600 if mode is None else mode,
        uid=table.integer("uid", 0, high=_TOP),
        gid=table.integer("gid", 0, high=_TOP),
    )
