"""The ``[[source]]`` tables of a recipe.toml, read strictly.

The format is described in docs/reference/recipe.md; ``tcz.recipe_text`` writes it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tcz import recipe_checks as check
from tcz import toml
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

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tcz.model import Source

ARCH = "x86_64"
#: The version of a recipe that follows a Debian binary package.
DEBIAN_VERSION = "debian"

_BRACES = re.compile(r"\{(version|arch)\}")


def load(root: toml.Table, folder: Path, version: str) -> tuple[Source, ...]:
    """Return the sources of a recipe of this version in ``folder``; mistakes are left in the document."""
    return _Loader(folder, version).sources(root)


class _Loader:
    """Reads the tables of one recipe."""

    def __init__(self, folder: Path, version: str) -> None:
        self.folder = folder
        self.version = version

    def sources(self, root: toml.Table) -> tuple[Source, ...]:
        kinds: dict[str, Callable[[toml.Table], Source]] = {
            "archive": self._archive,
            "go-module": self._go_module,
            "go-toolchain": self._go_toolchain,
            "crate": self._crate,
            "cargo-lock": _cargo_lock,
            "git": self._git,
            "debian-source": self._debian_source,
            "debian-binary": _debian_binary,
            "local": self._local,
        }
        tables = root.tables("source")
        sources: list[Source] = []
        for table in tables:
            kind = table.string("kind")
            if kind in kinds:
                sources.append(kinds[kind](table))
            else:
                table.ignore_rest()
                if kind:
                    allowed = ", ".join(kinds)
                    table.fail("kind", f"{kind!r} is not one of {allowed}", toml.guess(kind, kinds))
        toolchains = [t for t, s in zip(tables, sources, strict=False) if isinstance(s, GoToolchain)]
        for table in toolchains[1:]:
            table.fail(None, "a second go-toolchain: a recipe has one")
        if not toolchains:
            for table in tables:
                if table.string("kind", "") == "go-module":
                    table.fail(None, "a go-module needs a source of the kind go-toolchain beside it")
                    break
        return tuple(sources)

    def _fill(self, table: toml.Table, key: str, text: str) -> str:
        if self.version == DEBIAN_VERSION and "{version}" in text:
            table.fail(key, "{version} cannot stand here: the version comes from Debian when it is built")
        values = {"version": self.version, "arch": ARCH}
        return _BRACES.sub(lambda match: values[match[1]], text)

    def _filled(self, table: toml.Table, key: str, rule: toml.Check) -> str:
        """Read a string, fill in ``{version}`` and ``{arch}``, then check it."""
        raw = table.string(key, check=lambda text: rule(self._fill_quietly(text)))
        return self._fill(table, key, raw)

    def _fill_quietly(self, text: str) -> str:
        return _BRACES.sub(lambda match: {"version": self.version or "0", "arch": ARCH}[match[1]], text)

    def _archive(self, table: toml.Table) -> Archive:
        return Archive(
            url=self._filled(table, "url", check.url),
            sha256=table.string("sha256", check=check.sha256),
            debian=table.maybe_string("debian", check=check.debian),
            strip=table.integer("strip", 1, high=64),
            dest=_dest(table),
            unpack=table.boolean("unpack", default=True),
        )

    def _go_module(self, table: toml.Table) -> GoModule:
        return GoModule(
            module=table.string("module", check=check.module),
            version=self._filled(table, "version", check.module_version),
            sum=table.string("sum", check=check.h1),
            modfile=table.string("modfile", "go.mod", check=check.path),
            dest=_dest(table),
            packages=table.strings("packages", (), check=check.go_package),
            tags=table.strings("tags", (), check=check.go_tag),
        )

    def _go_toolchain(self, table: toml.Table) -> GoToolchain:
        return GoToolchain(
            version=self._filled(table, "version", check.go_version),
            sum=table.string("sum", check=check.h1),
        )

    def _crate(self, table: toml.Table) -> Crate:
        return Crate(
            name=table.string("name", check=check.crate),
            version=self._filled(table, "version", check.crate_version),
            sha256=table.string("sha256", check=check.sha256),
            dest=_dest(table),
        )

    def _git(self, table: toml.Table) -> Git:
        ref = self._filled(table, "ref", check.ref) if table.has("ref") else None
        return Git(
            url=self._filled(table, "url", check.git_url),
            commit=table.string("commit", check=check.commit),
            ref=ref,
            submodules=table.boolean("submodules", default=False),
            dest=_dest(table),
        )

    def _debian_source(self, table: toml.Table) -> DebianSource:
        version = self._filled(table, "version", check.debian_version) if table.has("version") else None
        package = table.string("package", check=check.debian)
        return DebianSource(package=package, version=version, dest=_dest(table))

    def _local(self, table: toml.Table) -> Local:
        path = table.string("path", check=check.path)
        if path and check.path(path) is None and not (self.folder / path).exists():
            table.fail("path", f"{path!r} is not in the recipe's folder")
        return Local(path=path, dest=_dest(table))


def _cargo_lock(table: toml.Table) -> CargoLock:
    return CargoLock(
        path=table.string("path", check=check.path), sha256=table.string("sha256", check=check.sha256)
    )


def _debian_binary(table: toml.Table) -> DebianBinary:
    via = table.maybe_string("via", check=check.debian)
    package = table.string("package", check=check.debian if via is None else check.debian_glob)
    if via is None and check.debian(package) and check.debian_glob(package) is None:
        table.fail("package", "a glob needs 'via', the package whose dependency it is to match")
    return DebianBinary(package=package, via=via, dest=_dest(table))


def _dest(table: toml.Table) -> str:
    return table.string("dest", "", check=check.path, empty=True)
