"""From the sources of a recipe to files on disk: resolve, fetch, check, unpack."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

from tcz.aptsource import DebianSources
from tcz.deb import resolved, upstream_version
from tcz.errors import ConfigError
from tcz.fetch import Fetcher
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
    ResolvedSource,
    Source,
)
from tcz.sandbox import Bind
from tcz.sources import archive, cargo, debian, debsource, gitsource, gomod, learn, local
from tcz.unpack import make_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tcz.apt import Apt
    from tcz.buildroot import BuildRoots
    from tcz.model import Recipe
    from tcz.paths import Dirs
    from tcz.reporting import Reporter
    from tcz.run import Runner
    from tcz.sandbox import Sandbox
    from tcz.sources.part import Part
    from tcz.store import Store

__all__ = ["Fetched", "Identity", "Sources"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """All that a build id needs of a recipe's sources: their hashes, in order, and the version."""

    resolved: tuple[ResolvedSource, ...]
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """The sources of a recipe, at hand and checked.

    ``binds`` and ``env`` are for the build's sandbox; the commands of ``preamble`` are run in it
    from /build/src before build.sh and must succeed.
    """

    resolved: tuple[ResolvedSource, ...]
    version: str
    parts: tuple[Part, ...]
    binds: tuple[Bind, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    preamble: tuple[tuple[str, ...], ...] = ()


class Sources:
    """See the module. What is there already costs neither a process nor the network."""

    def __init__(
        self,
        dirs: Dirs,
        store: Store,
        runner: Runner,
        reporter: Reporter,
        *,
        apt: Apt,
        roots: BuildRoots,
        sandbox: Sandbox,
        mirrors: Sequence[str] = (),
    ) -> None:
        """``mirrors`` are the user's own base URLs for release files."""
        self._apt = apt
        self._reporter = reporter
        self._fetcher = fetcher = Fetcher(store, reporter)
        self._mirrors = tuple(mirrors)
        self._debian = DebianSources(dirs, store, apt, reporter)
        self._patcher = debsource.Patcher(sandbox=sandbox, roots=roots)
        self._archives = archive.Archives(store, fetcher, self._debian, reporter, mirrors)
        self._git = gitsource.GitSources(dirs, store, runner, reporter)
        self._go = gomod.GoSources(dirs, roots, sandbox, runner, reporter)
        self._cargo = cargo.CargoSources(dirs, store, roots, sandbox, reporter)

    @property
    def teachers(self) -> learn.Teachers:
        """Those who know hashes and versions that a recipe does not have yet."""
        return learn.Teachers(
            fetcher=self._fetcher,
            debian=self._debian,
            go=self._go,
            cargo=self._cargo,
            git=self._git,
            mirrors=self._mirrors,
        )

    def resolve(self, recipe: Recipe) -> Identity:
        """Say what would be fetched, without fetching it; raises what apt's resolution does.

        ``fetch`` may come to another result where bytes are gone from the Debian archive; what it
        returns counts then.
        """
        version = self._version(recipe)
        return Identity(
            resolved=tuple(self._identify(source, recipe, version) for source in recipe.sources),
            version=version,
        )

    def fetch(self, recipe: Recipe) -> Fetched:
        """Return all sources of a recipe; raises ``FetchError``, ``VerifyError``, ``ConfigError``."""
        # Debian packages first: they may turn out newer than resolved, and name the version.
        packages = {
            source: self._package(source)
            for source in recipe.sources
            if isinstance(source, DebianBinary | DebianSource)
        }
        version = self._version(recipe)
        chain = next((source for source in recipe.sources if isinstance(source, GoToolchain)), None)
        toolchain = self._go.toolchain(chain) if chain else None
        parts: list[Part] = []
        for source in recipe.sources:
            match source:
                case DebianBinary() | DebianSource():
                    parts.append(packages[source])
                case GoToolchain():
                    parts.append(self._go.toolchain(source))
                case GoModule():
                    parts.append(self._go.module(source, toolchain))
                case Crate():
                    parts.append(self._cargo.crate(source))
                case CargoLock():
                    parts.append(self._cargo.lock(source, version))
                case Git():
                    parts.append(self._git.fetch(source, version))
                case Archive():
                    parts.append(self._archives.fetch(source, version))
                case Local():
                    parts.append(local.fetch(source, recipe.folder, version))
                case _:
                    assert_never(source)
        return self._assemble(tuple(parts), version)

    def _package(self, source: DebianBinary | DebianSource) -> Part:
        if isinstance(source, DebianSource):
            return debsource.fetch(source, self._debian, self._patcher, self._reporter)
        return debian.fetch(source, self._apt, self._reporter)

    def unpack(self, fetched: Fetched, into: Path) -> None:
        """Put all sources below the folder ``into``; raises ``VerifyError`` for hostile archives."""
        make_folder(into)
        # A lock is looked for in what the others bring.
        for part in sorted(fetched.parts, key=lambda part: isinstance(part, cargo.LockPart)):
            part.unpack(into)

    def _assemble(self, parts: tuple[Part, ...], version: str) -> Fetched:
        binds: list[Bind] = []
        env: dict[str, str] = {}
        toolchains = [part for part in parts if isinstance(part, gomod.ToolchainPart)]
        modules = [part for part in parts if isinstance(part, gomod.ModulePart)]
        if toolchains:
            binds.append(Bind(host=toolchains[0].folder, inside=gomod.GOROOT))
        if modules:
            binds.append(Bind(host=self._go.module_cache, inside=gomod.GOMODCACHE))
        if toolchains or modules:
            env = gomod.build_env(toolchain=bool(toolchains))
        crates = self._cargo.binds(parts)
        if crates:
            binds += crates
            env |= cargo.build_env()
        folders = [f"/build/src/{part.source.dest}".rstrip("/") for part in modules]
        return Fetched(
            resolved=tuple(part.resolved for part in parts),
            version=version,
            parts=parts,
            binds=tuple(binds),
            env=env,
            preamble=tuple(("go", "-C", folder, "mod", "verify") for folder in folders),
        )

    def _identify(  # noqa: PLR0911 - one for each kind
        self, source: Source, recipe: Recipe, version: str
    ) -> ResolvedSource:
        match source:
            case DebianBinary():
                return resolved(debian.resolve(source, self._apt), self._apt.suite)
            case DebianSource():
                return debsource.line(debsource.resolve(source, self._debian), self._debian.suite)
            case Git():
                return gitsource.resolve(source, version)
            case GoToolchain() | GoModule():
                return gomod.resolve(source)
            case Crate() | CargoLock():
                return cargo.resolve(source, version)
            case Archive():
                return archive.resolve(source, version)
            case Local():
                return local.fetch(source, recipe.folder, version).resolved
            case _:
                assert_never(source)

    def _version(self, recipe: Recipe) -> str:
        if recipe.version != "debian":
            return recipe.version
        for source in recipe.sources:
            if isinstance(source, DebianSource):
                return upstream_version(debsource.resolve(source, self._debian).version)
            if isinstance(source, DebianBinary):
                return upstream_version(debian.resolve(source, self._apt).version)
        raise ConfigError(
            f'recipe {recipe.name} has version = "debian" and no source of a Debian package',
            hint="write the version, or add the Debian package that has it",
        )
