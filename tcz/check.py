"""A recipe built twice from nothing, in surroundings that differ, and compared (``tcz build --check``).

What differs between the two: the work folder (its name, depth and place), the time of day and the date,
the user and group, the host's name, the number of processors, the umask, the locale and time zone of the
process that packs, and that nothing was compiled before. What does not: the machine and its kernel, its
file system and with it the order of folder entries, and programs that ask the kernel for the time without
the C library (statically linked ones, such as Go's) see the true time, which differs by some minutes.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tcz import compare
from tcz.build import Apart
from tcz.buildroot import remove_tree
from tcz.sandbox import Bind, Identity
from tcz.squashfs import image

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tcz.build import Ready
    from tcz.compare import Difference
    from tcz.model import Built
    from tcz.reporting import Reporter
    from tcz.workshop import Workshop

_CLOCK = "libfaketime"
_LIBRARY = "usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
_INSIDE = "/build/clock/libfaketime.so.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What one of the two builds is made in; ``days`` is how far its clock is off."""

    name: str
    folder: str
    identity: Identity
    processors: int | None
    umask: int
    env: Mapping[str, str]
    days: int = 0


#: The first is like any build on a machine with one processor, the second like nothing else.
ONE = Surroundings(
    name="first",
    folder="one",
    identity=Identity(),
    processors=1,
    umask=0o022,
    env={"LC_ALL": "C", "TZ": "UTC"},
)
TWO = Surroundings(
    name="second",
    folder="another/and-deeper/two",
    # A user that Debian and Tiny Core know: some programs do not start without a name.
    identity=Identity(uid=7, gid=7, hostname="elsewhere"),
    processors=None,
    umask=0o077,
    env={"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "TZ": "Pacific/Kiritimati"},
    days=400,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What came of it. ``folder`` holds both builds where they differ, and is ``None`` where they do not."""

    recipe: str
    version: str
    build_id: str
    differences: tuple[Difference, ...]
    excuse: str | None
    folder: Path | None
    seconds: tuple[float, float]

    @property
    def passed(self) -> bool:
        """Tell whether nothing differs, or the recipe says why it may."""
        return not self.differences or self.excuse is not None


class Checker:
    """Builds recipes twice."""

    def __init__(self, workshop: Workshop, reporter: Reporter, folder: Path) -> None:
        """``folder`` is where both builds are made, below the name of the recipe."""
        self._workshop = workshop
        self._builder = workshop.builder
        self._reporter = reporter
        self._folder = folder

    def check(self, name: str) -> Checked:
        """Build a recipe twice and compare. What it builds upon is built in the ordinary way first.

        For the main thread: the process's own umask, time zone and processors change meanwhile. Raises
        what building raises.
        """
        ready, needs = self._workshop.prepared(name)
        place = self._folder / name
        if place.exists():
            remove_tree(place)
        place.mkdir(parents=True)
        keep = False
        try:
            with self._reporter.step(f"check {name} {ready.inputs.version}", recipe=name):
                one, first = self._make(ready, needs, place, ONE)
                two, second = self._make(ready, needs, place, TWO)
            differences = compare.builds(one, two, image.read)
            keep = bool(differences)
            return Checked(
                recipe=name,
                version=ready.inputs.version,
                build_id=ready.id,
                differences=differences,
                excuse=ready.inputs.recipe.irreproducible,
                folder=place if keep else None,
                seconds=(round(first, 1), round(second, 1)),
            )
        finally:
            if not keep:
                remove_tree(place)

    def _make(
        self, ready: Ready, needs: Sequence[Built], place: Path, around: Surroundings
    ) -> tuple[Built, float]:
        folder = place / around.folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        apart = Apart(identity=around.identity, jobs=around.processors or len(os.sched_getaffinity(0)))
        if around.days:
            apart = self._with_clock(apart, ready, around.days)
        began = time.monotonic()
        with self._reporter.step(f"{around.name} build"), _process(around):
            built = self._builder.make_apart(ready, needs, folder, apart)
        for name in ("src", "tmp", "needs"):
            if (folder / name).exists():
                remove_tree(folder / name)
        return built, time.monotonic() - began

    def _with_clock(self, apart: Apart, ready: Ready, days: int) -> Apart:
        """Make programs that use Debian's C library believe in another date."""
        if ready.inputs.recipe.build.root != "debian":
            return apart
        library = self._builder.roots.get((_CLOCK,)).path / _LIBRARY
        # Files keep the times that they have: on a machine with another date those are the same, too.
        env = {"LD_PRELOAD": _INSIDE, "FAKETIME": f"+{days}d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        env |= {"NO_FAKE_STAT": "1", "FAKE_UTIME": "0"}
        return replace(apart, binds=(Bind(host=library, inside=_INSIDE),), env=env)


@contextmanager
def _process(around: Surroundings) -> Iterator[None]:
    """Change what this process hands down, for as long as the context lasts."""
    allowed = os.sched_getaffinity(0)
    env = dict(os.environ)
    umask = os.umask(around.umask)
    if around.processors is not None:
        os.sched_setaffinity(0, sorted(allowed)[: around.processors])
    os.environ.update(around.env)
    time.tzset()
    try:
        yield
    finally:
        os.umask(umask)
        os.sched_setaffinity(0, allowed)
        os.environ.clear()
        os.environ.update(env)
        time.tzset()


def lines(checked: Checked) -> tuple[str, ...]:
    """Return what to print of a check."""
    head = f"{checked.recipe} {checked.version}"
    if not checked.differences:
        return (f"{head}: two builds are the same, byte for byte",)
    count = len(checked.differences)
    told = [f"{head}: two builds differ in {count} {'place' if count == 1 else 'places'} (first | second)"]
    told += [f"  {one.text}" for one in checked.differences]
    told.append(f"  both are kept in {checked.folder}")
    if shutil.which("diffoscope"):
        told.append(
            f"  for more: diffoscope {checked.folder}/{ONE.folder}/out {checked.folder}/{TWO.folder}/out"
        )
    if checked.excuse is not None:
        told.append(f"  the recipe says why: {checked.excuse}")
    return tuple(told)
