"""Recipes to finished builds, each made once: what has the same inputs is never built again.

A build lives in ``builds/ID`` of the user's cache, where ID is the hash of all that went in (see
``tcz.buildid``). It is made in a folder of its own and renamed when it is whole, so a build that
failed or was interrupted leaves nothing behind but its log. What it installed is kept in
``stages/ID``: packing it another way compiles nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tcz import crates, licences, package, record
from tcz.buildid import Inputs, Need, build_id, content_id, lines, stage_id
from tcz.buildroot import remove_tree
from tcz.job import Job
from tcz.journal import Journal
from tcz.limits import Limits
from tcz.model import Built, CargoLock, Crate, GoModule, GoToolchain
from tcz.paths import need_space
from tcz.run import processors
from tcz.sandbox import Bind
from tcz.squashfs.options import SquashOptions
from tcz.why import Past, reasons
from tcz.workplace import locked, work_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tcz.buildroot import BuildRoot, BuildRoots
    from tcz.model import Recipe
    from tcz.paths import Dirs
    from tcz.reporting import Reporter
    from tcz.roots import RecipeRoots
    from tcz.sandbox import Identity, Sandbox
    from tcz.sources import Fetched, Sources
    from tcz.sources import Identity as SourceIdentity
    from tcz.why import Reason

#: 2025-01-01T00:00:00Z: every time stamp in what is built.
DEFAULT_EPOCH = 1735689600

#: What packing runs, in a root of its own so that its versions do not follow a recipe's needs.
PACK_TOOLS = ("binutils", "patch")

_SPACE = 500_000_000
_SPACE_GO = 3_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The choices of whoever builds.

    ``thorough`` hashes cached products instead of measuring them. ``debug_shell`` opens a shell where a
    script fails, and builds one at a time for it. ``keep_going`` builds on after a failure.
    """

    options: SquashOptions = field(default_factory=SquashOptions)
    epoch: int = DEFAULT_EPOCH
    keep_failed: bool = False
    thorough: bool = False
    debug_shell: bool = False
    keep_going: bool = False
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """The surroundings of a build of its own: who it believes to be, and what else its sandbox holds."""

    identity: Identity
    jobs: int
    binds: tuple[Bind, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A recipe with everything known that decides its build, and its build if there is one.

    ``fetched`` is there once the sources and build roots are.
    """

    inputs: Inputs
    id: str
    built: Built | None
    root: BuildRoot
    pack_root: BuildRoot
    fetched: Fetched | None = None


class Builder:
    """Builds recipes; knows nothing of their order (see ``tcz.workshop``)."""

    def __init__(
        self,
        *,
        dirs: Dirs,
        sandbox: Sandbox,
        roots: BuildRoots,
        recipe_roots: RecipeRoots,
        sources: Sources,
        reporter: Reporter,
        settings: Settings | None = None,
    ) -> None:
        """Start nothing yet."""
        self._dirs = dirs
        self.sandbox = sandbox
        self.roots = roots
        self._recipe_roots = recipe_roots
        self._sources = sources
        self._reporter = reporter
        self.settings = settings or Settings()
        self._journal = Journal(dirs.state / "inputs")

    @property
    def epoch(self) -> int:
        """The time stamp of all that is built."""
        return self.settings.epoch

    @property
    def sources(self) -> Sources:
        """What gets the sources of recipes."""
        return self._sources

    @property
    def builds(self) -> Path:
        """Where finished builds are."""
        return self._dirs.cache / "builds"

    def ready(self, recipe: Recipe, needs: Sequence[Need] = ()) -> Ready:
        """Tell the id of a recipe's build, and the build if there is one; nothing is fetched for it.

        ``needs`` are the builds it builds upon; their ids are enough. Raises what resolving the build
        root raises.
        """
        root = self._recipe_roots.resolve(recipe)
        found = self._sources.resolve(recipe)
        pack_root = self.roots.resolve(PACK_TOOLS)
        return self._ready(self._inputs(recipe, needs, found, root, pack_root), root, pack_root)

    def fetch(self, recipe: Recipe, needs: Sequence[Need] = ()) -> Ready:
        """Do what ``ready`` does, and get the sources and build roots.

        The id may differ from what ``ready`` told, where the Debian archive no longer has what was
        resolved. Raises ``FetchError`` and ``VerifyError`` too.
        """
        pack_root = self.roots.get(PACK_TOOLS)
        root = self._recipe_roots.get(recipe)
        fetched = self._sources.fetch(recipe)
        inputs = self._inputs(recipe, needs, fetched, root, pack_root)
        return replace(self._ready(inputs, root, pack_root), fetched=fetched)

    def _ready(self, inputs: Inputs, root: BuildRoot, pack_root: BuildRoot) -> Ready:
        found = build_id(inputs)
        return Ready(inputs=inputs, id=found, built=self.find(found), root=root, pack_root=pack_root)

    def _inputs(
        self,
        recipe: Recipe,
        needs: Sequence[Need],
        found: SourceIdentity | Fetched,
        root: BuildRoot,
        pack_root: BuildRoot,
    ) -> Inputs:
        return Inputs(
            recipe=recipe,
            version=found.version,
            sources=found.resolved,
            root=root.id,
            pack_root=pack_root.id,
            needs=tuple(needs),
            options=self.settings.options,
            epoch=self.settings.epoch,
        )

    def find(self, wanted: str) -> Built | None:
        """Return the finished build of an id; ``None`` where there is none, or it is damaged."""
        built = record.read(self.builds / wanted)
        if (
            built is None
            or built.build_id != wanted
            or not record.is_whole(built, thorough=self.settings.thorough)
        ):
            return None
        if not built.libraries and (known := crates.kept(built, self._dirs.cache)):
            # Its record is from before they were recorded; the cache may not have them for ever.
            built = replace(built, libraries=known)
            record.write(built)
        return built

    def why(self, ready: Ready) -> tuple[Reason, ...]:
        """Tell what differs from the last finished build of a recipe; nothing where this one is built."""
        if ready.built is not None:
            return ()
        present = past(ready)
        return reasons(self._journal.last(ready.inputs.recipe.name, present), present)

    def halting(self) -> AbstractContextManager[None]:
        """End all builds that run in other threads; see ``Runner.halting``."""
        return self.sandbox.halting()

    def check_host(self, recipes: Iterable[Recipe]) -> None:
        """Look whether this machine can build at all and has room, before anything is fetched for it.

        Raises ``MissingToolError``, ``NoSpaceError``, and ``ToolkitError`` where sandboxes are forbidden.
        """
        self.sandbox.probe()
        for recipe in recipes:
            self._need_space(recipe)

    def _need_space(self, recipe: Recipe) -> None:
        large = GoModule | GoToolchain | Crate | CargoLock
        much = any(isinstance(source, large) for source in recipe.sources)
        need_space(self._dirs.cache, _SPACE_GO if much else _SPACE, f"building {recipe.name}")

    def build(self, recipe: Recipe, needs: Sequence[Built] = ()) -> Built:
        """Return the build of a recipe, fetched for and made now if it does not exist; see ``make``."""
        ids = [Need(recipe=built.recipe, content_id=built.content_id) for built in needs]
        return self.ready(recipe, ids).built or self.make(self.fetch(recipe, ids), needs)

    def make(self, ready: Ready, needs: Sequence[Built] = (), *, jobs: int | None = None) -> Built:
        """Build what ``fetch`` returned, unless it is built already; ``jobs`` processors may be used.

        Raises ``BuildError`` (with the last lines of the log) when a script fails, ``ConfigError``
        when staged files and packages do not fit, and ``NoSpaceError``.
        """
        if ready.built is not None:
            return ready.built
        if ready.fetched is None:
            return self.build(ready.inputs.recipe, needs)
        # The second lock is for a build that differs only in packing: it waits rather than compile the same.
        with self._locked(ready.id), self._locked(stage_id(ready.inputs)):
            # Another process may have built it while this one waited.
            return self.find(ready.id) or self._make(ready, ready.fetched, tuple(needs), jobs)

    def log_path(self, name: str, wanted: str) -> Path:
        """Return where the log of a build is."""
        return self._dirs.state / "logs" / f"{name}-{wanted[:12]}.log"

    def _make(
        self, ready: Ready, fetched: Fetched, needs: tuple[Built, ...], jobs: int | None = None
    ) -> Built:
        recipe = ready.inputs.recipe
        self._need_space(recipe)
        parent = self._dirs.cache_folder("work")
        prefix = f"{recipe.name}-{ready.id[:12]}"
        with work_folder(parent, prefix, self._reporter, keep_failed=self.settings.keep_failed) as work:
            cached = replace(fetched, binds=(*fetched.binds, *self._go_cache(ready, fetched)))
            job = self._job(ready, cached, needs, work, jobs)
            staged = self._dirs.cache_folder("stages") / stage_id(ready.inputs)
            if not self._adopt(job, staged):
                self._stage(job, fetched)
            try:
                published = self._publish(self._pack(job, ready))
            finally:
                if not staged.exists():
                    job.dest.rename(staged)
        self._journal.write(recipe.name, past(ready))
        return published

    def make_apart(self, ready: Ready, needs: Sequence[Built], place: Path, apart: Apart) -> Built:
        """Build what ``fetch`` returned in the new folder ``place`` and leave it there.

        Nothing that was built before is used, and nothing of it is kept in the cache. Raises as ``make``.
        """
        if ready.fetched is None:
            raise ValueError("nothing was fetched")
        place.mkdir()
        extra = ready.fetched.binds, ready.fetched.env
        fetched = replace(ready.fetched, binds=(*extra[0], *apart.binds), env={**extra[1], **apart.env})
        job = self._job(ready, fetched, tuple(needs), place, apart.jobs)
        job = replace(job, sandbox=self.sandbox.like(apart.identity))
        self._stage(job, fetched)
        return self._pack(job, ready)

    def _job(
        self, ready: Ready, fetched: Fetched, needs: tuple[Built, ...], work: Path, jobs: int | None
    ) -> Job:
        recipe = ready.inputs.recipe
        log = self.log_path(recipe.name, ready.id)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"--- {recipe.name} {ready.inputs.version}, build {ready.id}\n")
        return Job(
            inputs=ready.inputs,
            needs=needs,
            sandbox=self.sandbox,
            root=ready.root.path,
            root_binds=ready.root.binds,
            pack_root=ready.pack_root.path,
            work=work,
            log=log,
            binds=fetched.binds,
            env=fetched.env,
            preamble=fetched.preamble,
            jobs=jobs or processors(),
            limits=self.settings.limits,
            debug=self._reporter if self.settings.debug_shell else None,
        )

    def _go_cache(self, ready: Ready, fetched: Fetched) -> tuple[Bind, ...]:
        """Return the Go build cache of all builds in the same surroundings; none where Go is not used.

        The go command knows what it compiled by the content of all Go files and flags, not by C headers
        and libraries: these are part of the cache's name.
        """
        inside = fetched.env.get("GOCACHE")
        toolchain = next((one.hash for one in ready.inputs.sources if one.kind == "go-toolchain"), None)
        if inside is None or toolchain is None:
            return ()
        around = repr((toolchain, ready.inputs.root, sorted(need.content_id for need in ready.inputs.needs)))
        folder = self._dirs.cache_folder("gocache") / hashlib.sha256(around.encode()).hexdigest()[:32]
        folder.mkdir(exist_ok=True)
        return (Bind(host=folder, inside=inside, writable=True),)

    def _adopt(self, job: Job, staged: Path) -> bool:
        """Take over what an earlier build installed that differs only in how it was packed."""
        try:
            staged.rename(job.dest)
        except FileNotFoundError:
            return False
        job.out.mkdir()
        self._reporter.note(f"{job.inputs.recipe.name}: built before, packed anew")
        return True

    def _stage(self, job: Job, fetched: Fetched) -> None:
        name = job.inputs.recipe.name
        with self._reporter.step(f"{name}: unpack") as step:
            job.prepare()
            self._sources.unpack(fetched, job.src)
            job.patch(step)
        with self._reporter.step(f"{name}: build") as step:
            job.check_sources()
            job.build(step)
            for missing in licences.ship(job.inputs.recipe, job.src, job.dest, fetched.binds):
                self._reporter.warn(missing)
            job.test(step)

    def _pack(self, job: Job, ready: Ready) -> Built:
        inputs = job.inputs
        recipe = inputs.recipe
        out = job.out
        with self._reporter.step(f"{recipe.name}: pack"):
            how = package.Packing(
                sandbox=job.sandbox,
                root=job.pack_root,
                options=inputs.options,
                epoch=inputs.epoch,
                needs=job.needs,
                warn=self._reporter.warn,
                providers=lambda soname: record.providers(self.builds, soname),
            )
            packages = package.pack(recipe, inputs.version, job.dest, out, how)
            built = Built(
                recipe=recipe.name,
                version=inputs.version,
                build_id=ready.id,
                content_id=content_id(inputs),
                folder=out,
                packages=packages,
                sources=inputs.sources,
                root=ready.root.contents,
                license=recipe.license,
                homepage=recipe.homepage,
                summary=recipe.summary,
                libraries=crates.given(job.binds, inputs.sources),
            )
            record.write(built)
            return built

    def _publish(self, built: Built) -> Built:
        """Move a finished build to its place; what stood there is damaged and goes."""
        final = self.builds / built.build_id
        if final.exists():
            remove_tree(final)
        built.folder.replace(final)
        return replace(
            built,
            folder=final,
            packages=tuple(
                replace(made, path=final / made.path.relative_to(built.folder)) for made in built.packages
            ),
        )

    def _locked(self, wanted: str) -> AbstractContextManager[None]:
        """Hold the lock of an id: a second process that wants the same build waits."""
        self._dirs.cache_folder("builds")
        return locked(self.builds / f".{wanted}.lock", self._reporter, wanted[:12])


def past(ready: Ready) -> Past:
    """Return what is to be remembered of a build."""
    return Past(build_id=ready.id, lines=tuple(lines(ready.inputs)), root=ready.root.contents)
