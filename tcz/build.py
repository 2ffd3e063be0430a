"""Recipes to finished builds, each made once: what has the same inputs is never built again.

A build lives in ``builds/ID`` of the user's cache, where ID is the hash of all that went in (see
``tcz.buildid``). It is made in a folder of its own and renamed when it is whole, so a build that
failed or was interrupted leaves nothing behind but its log. What it installed is kept in
``stages/ID``: packing it another way compiles nothing.
"""

from __future__ import annotations

import fcntl
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tcz import package, record
from tcz.buildid import Inputs, Need, build_id, content_id, stage_id
from tcz.buildroot import remove_tree
from tcz.errors import ConfigError
from tcz.job import Job
from tcz.model import Built, GoModule, GoToolchain
from tcz.paths import need_space
from tcz.squash import Squasher, SquashOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tcz.buildroot import BuildRoot, BuildRoots
    from tcz.model import Recipe
    from tcz.paths import Dirs
    from tcz.reporting import Reporter
    from tcz.sandbox import Sandbox
    from tcz.sources import Fetched, Identity, Sources

#: 2025-01-01T00:00:00Z: every time stamp in what is built.
DEFAULT_EPOCH = 1735689600

#: What packing runs, in a root of its own so that its versions do not follow a recipe's needs.
PACK_TOOLS = ("binutils", "patch")
SQUASH_TOOLS = ("squashfs-tools",)

_SPACE = 500_000_000
_SPACE_GO = 3_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The choices of whoever builds. ``thorough`` hashes cached products instead of measuring them."""

    options: SquashOptions = field(default_factory=SquashOptions)
    epoch: int = DEFAULT_EPOCH
    keep_failed: bool = False
    thorough: bool = False


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
        sources: Sources,
        reporter: Reporter,
        settings: Settings | None = None,
    ) -> None:
        """Start nothing yet."""
        self._dirs = dirs
        self._sandbox = sandbox
        self._roots = roots
        self._sources = sources
        self._reporter = reporter
        self._settings = settings or Settings()

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

        ``needs`` are the builds it builds upon; their ids are enough. Raises ``ConfigError`` for a
        kind of build root that cannot be had, and what resolving Debian packages raises.
        """
        root = self._roots.resolve(_packages(recipe))
        found = self._sources.resolve(recipe)
        pack_root = self._roots.resolve(PACK_TOOLS)
        return self._ready(self._inputs(recipe, needs, found, root, pack_root), root, pack_root)

    def fetch(self, recipe: Recipe, needs: Sequence[Need] = ()) -> Ready:
        """Do what ``ready`` does, and get the sources and build roots.

        The id may differ from what ``ready`` told, where the Debian archive no longer has what was
        resolved. Raises ``FetchError`` and ``VerifyError`` too.
        """
        pack_root = self._roots.get(PACK_TOOLS)
        root = self._roots.get(_packages(recipe))
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
        found: Identity | Fetched,
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
            options=self._settings.options,
            epoch=self._settings.epoch,
        )

    def find(self, wanted: str) -> Built | None:
        """Return the finished build of an id; ``None`` where there is none, or it is damaged."""
        built = record.read(self.builds / wanted)
        if (
            built is None
            or built.build_id != wanted
            or not record.is_whole(built, thorough=self._settings.thorough)
        ):
            return None
        return built

    def check_host(self, recipes: Iterable[Recipe]) -> None:
        """Look whether this machine can build at all and has room, before anything is fetched for it.

        Raises ``MissingToolError``, ``NoSpaceError``, and ``ToolkitError`` where sandboxes are forbidden.
        """
        self._sandbox.probe()
        for recipe in recipes:
            self._need_space(recipe)

    def _need_space(self, recipe: Recipe) -> None:
        go = any(isinstance(source, GoModule | GoToolchain) for source in recipe.sources)
        need_space(self._dirs.cache, _SPACE_GO if go else _SPACE, f"building {recipe.name}")

    def build(self, recipe: Recipe, needs: Sequence[Built] = ()) -> Built:
        """Return the build of a recipe, fetched for and made now if it does not exist; see ``make``."""
        ids = [Need(recipe=built.recipe, content_id=built.content_id) for built in needs]
        return self.ready(recipe, ids).built or self.make(self.fetch(recipe, ids), needs)

    def make(self, ready: Ready, needs: Sequence[Built] = ()) -> Built:
        """Build what ``fetch`` returned, unless it is built already.

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
            return self.find(ready.id) or self._make(ready, ready.fetched, tuple(needs))

    def log_path(self, name: str, wanted: str) -> Path:
        """Return where the log of a build is."""
        return self._dirs.state / "logs" / f"{name}-{wanted[:12]}.log"

    def _make(self, ready: Ready, fetched: Fetched, needs: tuple[Built, ...]) -> Built:
        inputs = ready.inputs
        recipe = inputs.recipe
        self._need_space(recipe)
        log = self.log_path(recipe.name, ready.id)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"--- {recipe.name} {inputs.version}, build {ready.id}\n")
        with self._work_folder(f"{recipe.name}-{ready.id[:12]}") as work:
            job = Job(
                inputs=inputs,
                needs=needs,
                sandbox=self._sandbox,
                root=ready.root.path,
                pack_root=ready.pack_root.path,
                squasher=Squasher(self._sandbox, self._roots.get(SQUASH_TOOLS).path, work),
                work=work,
                log=log,
                binds=fetched.binds,
                env=fetched.env,
                preamble=fetched.preamble,
            )
            staged = self._dirs.cache_folder("stages") / stage_id(inputs)
            if not self._adopt(job, staged):
                self._stage(job, fetched)
            try:
                return self._pack(job, ready)
            finally:
                if not staged.exists():
                    job.dest.rename(staged)

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
            job.test(step)

    def _pack(self, job: Job, ready: Ready) -> Built:
        inputs = job.inputs
        recipe = inputs.recipe
        out = job.out
        with self._reporter.step(f"{recipe.name}: pack"):
            how = package.Packing(
                sandbox=self._sandbox,
                root=job.pack_root,
                squasher=job.squasher,
                options=inputs.options,
                epoch=inputs.epoch,
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
            )
            record.write(built)
            return self._publish(built)

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

    @contextmanager
    def _work_folder(self, prefix: str) -> Iterator[Path]:
        """Give a scratch folder that is gone afterwards, unless failed builds are to be kept."""
        parent = self._dirs.cache_folder("work")
        for leftover in parent.glob(f"{prefix}-*"):
            # This id is locked by us: whoever made it was killed.
            remove_tree(leftover)
        work = Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=parent))
        try:
            yield work
        except Exception:
            if self._settings.keep_failed:
                self._reporter.note(f"the failed build is kept in {work}")
            else:
                remove_tree(work)
            raise
        except BaseException:
            remove_tree(work)
            raise
        else:
            remove_tree(work)

    @contextmanager
    def _locked(self, wanted: str) -> Iterator[None]:
        """Hold the lock of a build id: a second process that wants the same build waits."""
        self._dirs.cache_folder("builds")
        with (self.builds / f".{wanted}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._reporter.note(f"waiting for another process that builds {wanted[:12]}")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _packages(recipe: Recipe) -> tuple[str, ...]:
    """Return the Debian packages of a recipe's build root."""
    if recipe.build.root == "host":
        raise ConfigError(
            f"{recipe.name}: recipes cannot be built on the machine itself",
            hint='write root = "debian", or leave it out',
        )
    return recipe.build.debian
