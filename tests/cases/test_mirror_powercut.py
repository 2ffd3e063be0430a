"""The power fails in the middle of every command that changes a mirror, at every place and in every way.

Each command is run once, what it does is recorded (see ``tests.unit.straced``), and its work is played back
up to somewhere; TCZ_CRASHES is how many of such folders are looked at for each command.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import pytest

from tcz.errors import ConfigError
from tcz.mirror import changes, elsewhere, snapshots
from tcz.mirror.repair import repair
from tcz.mirror.repository import Mirror
from tcz.mirror.sync import Wish, sync
from tcz.mirror.upstream import FolderUpstream
from tcz.mirror.verify import verify
from tcz.run import HostRunner
from tests.cases.commandline import Home
from tests.unit import powercut, straced
from tests.unit.mirror_made import BRANCH, QUIET, added, begun, package, quick_folder
from tests.unit.repository_made import index, put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.conftest import Counted

CRASHES = int(os.environ.get("TCZ_CRASHES", "100"))

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


@dataclass(frozen=True)
class Scene:
    """A command: its words, what comes before it, and the same once more from Python.

    ``shows`` is false where what is shown before the command is damaged.
    """

    words: tuple[str, ...]
    again: Callable[[Mirror, Path], object]
    before: Callable[[Mirror], object] = lambda _: None
    shows: bool = True


def _damage(mirror: Mirror) -> None:
    """Lose an object whose bytes a state still has, and spoil another."""
    entries = mirror.catalogue().entries(BRANCH)
    mirror.objects.path(entries["a"].sha256).unlink()
    spoilt = mirror.objects.path(entries["b"].sha256)
    data = spoilt.read_bytes()
    spoilt.unlink()
    spoilt.write_bytes(bytes(len(data)))
    shown = mirror.shown()
    assert shown is not None
    (shown / BRANCH.folder / "md5.db").unlink()


def _keep_one(mirror: Mirror) -> None:
    file = mirror.root / "mirror.toml"
    text = file.read_text()
    assert "keep = 2" in text
    file.write_text(text.replace("keep = 2", "keep = 1"))


def _add(mirror: Mirror, top: Path) -> object:
    return added(mirror, *sorted((top / "in/2").glob("*.tcz")), replacing=True)


def _sync(mirror: Mirror, top: Path) -> object:
    return sync(mirror, FolderUpstream(top / "theirs", BRANCH), BRANCH, Wish(everything=True), QUIET)


SCENES = {
    "add": Scene(("add", "../in/2", "--no-lint", "--replace"), _add),
    "remove": Scene(("remove", "a"), lambda m, _: changes.remove(m, ["a"], BRANCH, QUIET)),
    "sync": Scene(("sync", "--all", "--from", "../theirs"), _sync),
    "index": Scene(
        ("index",),
        lambda m, _: changes.index(m, QUIET),
        before=lambda m: (m.root / "mirror.toml").open("a").write('[latest]\nx86_64 = "17.0"\n'),
    ),
    "gc": Scene(("gc",), lambda m, _: snapshots.collect(m, QUIET), before=_keep_one),
    "snapshot create": Scene(
        ("snapshot", "create", "new"),
        lambda m, _: snapshots.create(m, "new", None, QUIET),  # type: ignore[arg-type]
    ),
    "snapshot remove": Scene(
        ("snapshot", "remove", "first"), lambda m, _: snapshots.remove(m, "first", QUIET)
    ),
    "repair": Scene(("repair",), lambda m, _: repair(m, QUIET), before=_damage, shows=False),
    "repair --drop": Scene(
        ("repair", "--drop"), lambda m, _: repair(m, QUIET, drop=True), before=_damage, shows=False
    ),
    "sign": Scene(("sign",), lambda m, _: changes.index(m, QUIET)),
}


@pytest.fixture
def top() -> Iterator[Path]:
    """A folder with a mirror of several states and a snapshot, and packages to come."""
    with quick_folder() as folder:
        mirror = begun(folder / "m", keep=2)
        for version in range(3):
            package(folder / f"in/{version}", "a", "b", version=str(version))
            package(folder / f"in/{version}", "b", version=str(version // 2))
        package(folder / "in/2", "c", "a")
        added(mirror, *(folder / "in/0").glob("*.tcz"))
        snapshots.create(mirror, "first", None, QUIET)  # type: ignore[arg-type]
        added(mirror, *(folder / "in/1").glob("*.tcz"), replacing=True)
        changes.remove(mirror, ["a"], BRANCH, QUIET)
        added(mirror, *(folder / "in/1").glob("*.tcz"), replacing=True)
        put(folder / "theirs/17.x/x86_64/tcz", "x", ["y"])
        put(folder / "theirs/17.x/x86_64/tcz", "y")
        index(folder / "theirs/17.x/x86_64/tcz")
        yield folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def record(top: Path, words: Sequence[str], folder: Path) -> powercut.Recording:
    home = Home(top / "home")
    home.tcz("mirror", "keys", "new", "key")
    argv = [sys.executable, "-m", "tcz", "mirror", *words]
    made, done = straced.record(argv, folder, top, cwd=top / "m", env=home.env())
    assert done.returncode == 0, done.stderr
    assert made.cuts > 3
    return made


def crashes(made: powercut.Recording, top: Path) -> Iterator[Path]:
    """Yield folders as power cuts may leave them; every place to cut has its turn where there is time."""
    random = Random(5)
    cuts = list(range(made.cuts))
    random.shuffle(cuts)
    for number in range(CRASHES):
        loss = powercut.LOSSES[number % len(powercut.LOSSES)]
        cut = cuts[number % len(cuts)]
        folder = top / "crashed"
        powercut.write(made.crash(cut, random, loss, ordered=number % 3 == 0), folder)
        yield folder
        shutil.rmtree(folder)


@pytest.mark.parametrize("name", SCENES)
def test_a_power_cut_leaves_the_old_or_the_new_state(name: str, top: Path, counted: Counted) -> None:
    scene, mirror = SCENES[name], Mirror.open(top / "m")
    scene.before(mirror)
    old, serial = files_of(mirror.public.resolve()), mirror.catalogue().serial
    made = record(top, scene.words, mirror.root)
    new = files_of(mirror.public.resolve())
    assert verify(mirror, QUIET).damage == ()
    for number, folder in enumerate(crashes(made, top)):
        crashed = Mirror.open(folder)
        if scene.shows:
            assert files_of(crashed.public.resolve()) in (old, new), number
        if number % 2 or not scene.shows:
            with suppress(ConfigError):  # what was removed already cannot be removed
                scene.again(crashed, top)
        else:
            changes.index(crashed, QUIET)
        assert verify(crashed, QUIET).damage == (), number
        assert crashed.catalogue().serial >= serial
    counted(f"power cuts during {name}", CRASHES)


@pytest.mark.parametrize("way", ["a link", "a folder"])
def test_a_power_cut_while_publishing_elsewhere(way: str, top: Path, counted: Counted) -> None:
    mirror, www = Mirror.open(top / "m"), top / "www"
    www.mkdir()
    if way == "a folder":
        (www / "tc").mkdir()
    place = www / "tc"
    elsewhere.publish(mirror, str(place), HostRunner(), QUIET)
    old = files_of(place.resolve())
    _add(mirror, top)
    made = record(top, ("publish", "--to", str(place)), www)
    new = files_of(place.resolve())
    assert new == files_of(mirror.public.resolve())
    assert new != old
    for number, folder in enumerate(crashes(made, top)):
        there = folder / "tc"
        if way == "a link":
            assert files_of(there.resolve()) in (old, new), number
        elsewhere.publish(mirror, str(there), HostRunner(), QUIET)
        assert files_of(there.resolve()) == new, number
        assert len(list(folder.iterdir())) == (2 if way == "a link" else 1), number
    counted(f"power cuts while publishing to {way}", CRASHES)
