"""One build, from sources to a staged folder: unpack, patch, run build.sh, run test.sh.

Inside the sandbox every path is the same for everybody: /build/src (the sources, writable),
/build/dest (what is installed goes there), /build/recipe, /build/needs/PACKAGE, all of these together
in /build/local (see ``tcz.uses``) and /build/tmp.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tcz import buildtools, tar, uses
from tcz.errors import BuildError
from tcz.layout import lay_out
from tcz.limits import ExceededError, Limits, Watch
from tcz.run import CommandError, processors
from tcz.sandbox import PATH, Bind
from tcz.squashfs import image

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tcz.buildid import Inputs
    from tcz.model import Built
    from tcz.reporting import Reporter, Step
    from tcz.sandbox import Sandbox

_LOOK_EVERY = 0.5
_CWD = "/build/src"

#: Runs a script as sh -eu does; the umask of whoever builds must not get into archives that it makes.
_SCRIPT = ("sh", "-c", 'umask 022; exec sh -eu "$1"', "sh")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A build under way: where it is on disk, and what it runs in.

    ``jobs`` is how many processors it may use. With ``debug`` a script that fails is followed by a
    shell in its place.
    """

    inputs: Inputs
    needs: tuple[Built, ...]
    sandbox: Sandbox
    root: Path
    pack_root: Path
    work: Path
    log: Path
    binds: tuple[Bind, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    preamble: tuple[tuple[str, ...], ...] = ()
    root_binds: tuple[Bind, ...] = ()
    jobs: int = field(default_factory=processors)
    limits: Limits = field(default_factory=Limits)
    debug: Reporter | None = None

    @property
    def src(self) -> Path:
        """The source tree."""
        return self.work / "src"

    @property
    def dest(self) -> Path:
        """The staged folder."""
        return self.work / "dest"

    @property
    def out(self) -> Path:
        """The folder of finished packages."""
        return self.work / "out"

    def prepare(self) -> None:
        """Make the folders of the job, and lay out the products it builds upon."""
        for name in ("src", "dest", "tmp", "needs", "out"):
            (self.work / name).mkdir()
        for built in self.needs:
            for package in built.packages:
                place = self.work / "needs" / package.name
                if package.form == "layer":
                    lay_out(tar.read(package.path), place)
                elif package.form == "extension":
                    # Unpacked when asked for: cheaper than keeping a second copy of every build.
                    lay_out(image.read(package.path), place)
        uses.merge(self._extensions(), self.work / "local")

    def _extensions(self) -> list[Path]:
        packages = (package for built in self.needs for package in built.packages)
        return [self.work / "needs" / package.name for package in packages if package.form == "extension"]

    def patch(self, step: Step) -> None:
        """Apply the recipe's patches in the order of their names; raises ``BuildError``."""
        folder = self.inputs.recipe.folder / "patches"
        for patch in sorted(folder.glob("*.patch")) if folder.is_dir() else ():
            step.detail(patch.name)
            self._note(f"applying patches/{patch.name}")
            # Without -N a patch that upstream has taken in would be undone.
            argv = ("patch", "-p1", "-F0", "-N", "--batch", "-i", f"/build/recipe/patches/{patch.name}")
            self._run(argv, self.pack_root, f"patches/{patch.name} does not apply exactly")

    def check_sources(self) -> None:
        """Run the checks that the sources themselves ask for; raises ``BuildError``."""
        for argv in self.preamble:
            self._note(f"running {' '.join(argv)}")
            self._run(argv, self.root, f"{' '.join(argv)} failed")

    def build(self, step: Step) -> None:
        """Run build.sh; raises ``BuildError``."""
        self._note("running build.sh")
        with following(self.log, step):
            self._run((*_SCRIPT, "/build/recipe/build.sh"), self.root, "build.sh failed")

    def test(self, step: Step) -> None:
        """Run the recipe's test.sh, if it has one, on the staged folder; raises ``BuildError``."""
        if (self.inputs.recipe.folder / "test.sh").is_file():
            self._note("running test.sh")
            with following(self.log, step):
                argv = (*_SCRIPT, "/build/recipe/test.sh")
                self._run(argv, self.root, "test.sh failed", staged_writable=False)

    def _note(self, text: str) -> None:
        with self.log.open("a", encoding="utf-8") as file:
            file.write(f"--- {text}\n")

    def _run(self, argv: Sequence[str], root: Path, failure: str, *, staged_writable: bool = True) -> None:
        own = self.root_binds if root == self.root else ()
        binds = (*own, *self._mounts(staged_writable=staged_writable), *self.binds)
        env = self._environment()
        watch = Watch(self.limits, self.work) if self.limits.any else None
        try:
            self.sandbox.run(root, argv, binds=binds, env=env, cwd=_CWD, log=self.log, watch=watch)
        except (CommandError, ExceededError) as error:
            recipe = self.inputs.recipe
            if isinstance(error, CommandError):
                failure = f"{failure} (status {error.result.returncode})"
                hint = "these are the last lines of the log; the whole of it is in the file named above"
            else:
                failure, hint = f"{failure.removesuffix(' failed')} was ended", error.hint or ""
            failed = BuildError(
                f"{recipe.name} {self.inputs.version}: {failure}",
                where=str(self.log),
                why=error.why or error.what,
                hint=hint,
            )
            if self.debug is not None:
                self._explore(failed, root, binds, env, self.debug)
            raise failed from error

    def _explore(
        self,
        failed: BuildError,
        root: Path,
        binds: Sequence[Bind],
        env: Mapping[str, str],
        reporter: Reporter,
    ) -> None:
        """Open a shell where a script has failed, with the same environment."""
        for line in failed.lines():
            reporter.note(line)
        reporter.note("this shell is where it failed, and `exit` leaves it; the command was in /build/recipe")
        with reporter.pausing():
            self.sandbox.shell(root, binds=binds, env=env, cwd=_CWD)

    def _mounts(self, *, staged_writable: bool) -> tuple[Bind, ...]:
        work = self.work
        files = (
            Bind(host=package.path, inside=f"/build/needs/{package.name}", writable=False)
            for built in self.needs
            for package in built.packages
            if package.form == "files"
        )
        unpacked = (
            Bind(host=work / "needs" / package.name, inside=f"/build/needs/{package.name}", writable=False)
            for built in self.needs
            for package in built.packages
            if package.form != "files"
        )
        return (
            Bind(host=work / "src", inside="/build/src", writable=True),
            Bind(host=work / "dest", inside="/build/dest", writable=staged_writable),
            Bind(host=work / "tmp", inside="/build/tmp", writable=True),
            Bind(host=work / "local", inside=uses.INSIDE, writable=False),
            Bind(host=self.inputs.recipe.folder, inside="/build/recipe", writable=False),
            *files,
            *unpacked,
            *self._tools(),
        )

    def _tools(self) -> tuple[Bind, ...]:
        places = buildtools.places(self.inputs.recipe.build.tools)
        return tuple(Bind(host=host, inside=inside) for host, inside in places)

    def _environment(self) -> dict[str, str]:
        return {
            "NAME": self.inputs.recipe.name,
            "VERSION": self.inputs.version,
            "SRC": "/build/src",
            "DEST": "/build/dest",
            "RECIPE": "/build/recipe",
            "JOBS": str(self.jobs),
            "ARCH": "x86_64",
            "SOURCE_DATE_EPOCH": str(self.inputs.epoch),
            "HOME": "/build/tmp",
            "TMPDIR": "/build/tmp",
            "PATH": PATH,
            "LC_ALL": "C",
            "TZ": "UTC",
            **(uses.environment() if self._extensions() else {}),
            **({"PYTHONPATH": buildtools.INSIDE} if self.inputs.recipe.build.tools else {}),
            **self.env,
        }


@contextmanager
def following(log: Path, step: Step) -> Iterator[None]:
    """Tell the last line of a growing log as the detail of ``step`` while the context lasts."""
    over = threading.Event()

    def follow() -> None:
        told = ""
        while not over.wait(_LOOK_EVERY):
            line = last_line(log)
            if line and line != told:
                step.detail(line)
                told = line

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def last_line(log: Path) -> str:
    """Return the last non-empty line near the end of a file, shortened, without control characters."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 2000))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "".join(char for char in lines[-1][:100] if char.isprintable()) if lines else ""
