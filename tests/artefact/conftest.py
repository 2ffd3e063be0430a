"""A workshop with caches of its own; what comes from the Debian archive is shared between them."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tcz.run import HostRunner
from tcz.tinycore import Remote
from tcz.workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tcz.build import Settings
    from tcz.reporting import Step
    from tcz.run import Result
    from tests.artefact.proof_made import Place

#: Parts of the cache that builds only read: fetched packages, their pins, unpacked roots.
SHARED = ("apt", "roots", "store", "pins")


class Counting:
    """Runs programs of this machine and remembers which."""

    def __init__(self) -> None:
        self.inner = HostRunner()
        self.started: list[tuple[str, ...]] = []

    def run(self, argv: Sequence[str], **options: object) -> Result:
        self.started.append(tuple(argv))
        return self.inner.run(argv, **options)  # type: ignore[arg-type]

    def halting(self) -> AbstractContextManager[None]:
        return self.inner.halting()

    def which(self, program: str) -> Path | None:
        return self.inner.which(program)


class Titles(SilentReporter):
    """Remembers the titles of steps, and warnings."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.warned: list[str] = []

    def warn(self, text: str) -> None:
        self.warned.append(text)

    def step(
        self, title: str, *, total: int | None = None, recipe: str | None = None
    ) -> AbstractContextManager[Step]:
        self.seen.append(title)
        return super().step(title, total=total, recipe=recipe)


class Bench:
    """A workshop, with what it started and told."""

    def __init__(
        self,
        place: Path,
        recipes: Sequence[Path],
        settings: Settings | None,
        tinycore_mirror: str | None,
        *,
        apart: bool,
    ) -> None:
        common = Dirs.from_env()
        self.dirs = Dirs(cache=place / "cache", config=place / "config", state=place / "state")
        self.dirs.cache.mkdir(parents=True, exist_ok=True)
        if apart and not (self.dirs.cache / "pins").exists():
            # What is resolved and made here is of no use to anybody else.
            shutil.copytree(common.cache_folder("pins"), self.dirs.cache / "pins")
            (self.dirs.cache / "roots").mkdir()
            for root in common.cache_folder("roots").iterdir():
                (self.dirs.cache / "roots" / root.name).symlink_to(root)
        for name in SHARED:
            if not (self.dirs.cache / name).exists():
                (self.dirs.cache / name).symlink_to(common.cache_folder(name))
        self.runner = Counting()
        self.reporter = Titles()
        mirror = os.environ.get("TCZ_DEBIAN_MIRROR")
        self.workshop = Workshop.open(
            self.dirs,
            self.runner,
            self.reporter,
            recipes,
            mirror=mirror,
            tinycore_mirrors=[Remote(address=tinycore_mirror)] if tinycore_mirror else (),
            settings=settings,
        )


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    def make(
        name: str,
        *recipes: Path,
        settings: Settings | None = None,
        tinycore_mirror: str | None = None,
        apart: bool = False,
    ) -> Bench:
        return Bench(tmp_path / name, recipes, settings, tinycore_mirror, apart=apart)

    return make


@pytest.fixture
def write_recipe(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str, toml: str, files: Mapping[str, str], folder: str = "recipes") -> Path:
        place = tmp_path / folder / name
        for path, text in {"recipe.toml": toml, **files}.items():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_text(text)
        return place

    return write


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Give an image in all formats, and all that it was made of. It is only looked at."""
    from tests.artefact.proof_made import Place as Made  # noqa: PLC0415 - few tests need it

    place = Made(tmp_path_factory.mktemp("proof"))
    place.make(formats=("iso,disk,qcow2,netboot,tar",), files=(f"{place.top / 'given'}:/etc/given",))
    return place
