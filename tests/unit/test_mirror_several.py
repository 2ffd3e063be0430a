"""Copying from several upstreams at once: each package from the first that has it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tcz.errors import CheckError, ConfigError, FetchError
from tcz.mirror.several import Several
from tcz.mirror.sync import Wish, sync
from tcz.mirror.upstream import FolderUpstream, WebUpstream
from tests.cases.commandline import Home
from tests.unit.mirror_made import BRANCH, QUIET, begun
from tests.unit.repository_made import TCZ, index, put, reset, serving

if TYPE_CHECKING:
    from pathlib import Path

    from tcz.mirror.repository import Mirror


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """An upstream of few packages."""
    folder = tmp_path / "ours" / TCZ
    put(folder, "base", content="our own base", tags="ours")
    put(folder, "extra", ["lib"])
    index(folder)
    return tmp_path / "ours"


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """An upstream of more, without dep.db."""
    folder = tmp_path / "theirs" / TCZ
    put(folder, "app", ["lib", "mod-KERNEL", "extra"])
    put(folder, "lib", ["base"])
    put(folder, "base", ["app"], content="their base")
    put(folder, "mod-6.18.2-tinycore64")
    index(folder)
    (folder / "dep.db.gz").unlink()
    return tmp_path / "theirs"


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    return begun(tmp_path / "m")


def both(*folders: Path) -> Several:
    return Several([FolderUpstream(folder, BRANCH) for folder in folders])


def test_each_package_comes_from_the_first_that_has_it(mirror: Mirror, ours: Path, theirs: Path) -> None:
    done = sync(mirror, both(ours, theirs), BRANCH, Wish(names=("app",)), QUIET)
    assert done.fetched == ("app", "base", "extra", "lib", "mod-6.18.2-tinycore64")
    entries = mirror.catalogue().entries(BRANCH)
    origin = {name: entry.origin.removeprefix("upstream ") for name, entry in entries.items()}
    a, b = str(ours / TCZ), str(theirs / TCZ)
    assert origin == {"app": b, "lib": b, "mod-6.18.2-tinycore64": b, "base": a, "extra": a}
    for name, folder in origin.items():
        for suffix in ("", ".md5.txt", ".list"):
            file = f"{name}.tcz{suffix}"
            assert (mirror.public / TCZ / file).read_bytes() == (ours / folder / file).read_bytes()
    # what the second says of a package that the first has does not count
    assert entries["base"].needs == ()
    assert entries["base"].tags.strip() == "ours"
    again = sync(mirror, both(ours, theirs), BRANCH, Wish(names=("app",)), QUIET)
    assert (again.fetched, again.same, again.published) == ((), 5, False)


def test_the_order_decides(mirror: Mirror, ours: Path, theirs: Path) -> None:
    sync(mirror, both(theirs, ours), BRANCH, Wish(everything=True), QUIET)
    found = (mirror.public / TCZ / "base.tcz").read_bytes()
    assert found == (theirs / TCZ / "base.tcz").read_bytes()
    assert mirror.catalogue().entries(BRANCH)["base"].needs == ("app",)


def test_what_none_has_is_told(mirror: Mirror, ours: Path, theirs: Path) -> None:
    put(ours / TCZ, "extra", ["libs", "gone"])
    index(ours / TCZ)
    with pytest.raises(CheckError) as told:
        sync(mirror, both(ours, theirs), BRANCH, Wish(names=("app",)), QUIET)
    assert told.value.why == "app -> extra -> gone\napp -> extra -> libs (near: lib)"
    with pytest.raises(ConfigError) as unknown:
        sync(mirror, both(ours, theirs), BRANCH, Wish(names=("extras", "app")), QUIET)
    assert "extra" in "\n".join(unknown.value.lines())
    assert mirror.catalogue().entries(BRANCH) == {}


def test_one_that_does_not_answer_stops_all(mirror: Mirror, ours: Path, theirs: Path, tmp_path: Path) -> None:
    with serving(theirs) as server:
        web = WebUpstream(server.address, BRANCH, tmp_path / "c", pause=0.01, timeout=(1, 1))
        upstream = Several([FolderUpstream(ours, BRANCH), web])
        server.on("info.lst.gz", reset)
        with pytest.raises(FetchError, match="could not be read"):
            sync(mirror, upstream, BRANCH, Wish(names=("extra",)), QUIET)
        server.faults.clear()
        assert sync(mirror, upstream, BRANCH, Wish(names=("extra",)), QUIET).published
        assert [name for name in server.paths(200) if name.endswith(".tcz")] == ["lib.tcz"]


def test_priorities_of_the_configuration(tmp_path: Path, ours: Path, theirs: Path) -> None:
    home = Home(tmp_path / "home")
    home.tcz("mirror", "init", "m")
    with (home.folder / "m/mirror.toml").open("a") as file:
        for name, folder, priority in (("theirs", theirs, 1), ("ours", ours, 5)):
            file.write(f'[[upstream]]\nname = "{name}"\nurl = "{folder}"\npriority = {priority}\n')
    done = home.tcz("mirror", "sync", "app", "--json", "-m", "m")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["fetched"] == ["app", "base", "extra", "lib", "mod-6.18.2-tinycore64"]
    found = home.folder / "m/public" / TCZ
    assert (found / "base.tcz").read_bytes() == (ours / TCZ / "base.tcz").read_bytes()
    assert (found / "lib.tcz").read_bytes() == (theirs / TCZ / "lib.tcz").read_bytes()
    done = home.tcz("mirror", "sync", "base", "--from", theirs, "--allow-missing", "-m", "m")
    assert done.returncode == 0, done.stderr
    assert (found / "base.tcz").read_bytes() == (theirs / TCZ / "base.tcz").read_bytes()
