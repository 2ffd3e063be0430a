"""Build roots out of packages that dpkg-deb made; what apt would answer lies in the pins beforehand."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from tcz.apt import SUITE, Apt, DebFile, Pin, Pins
from tcz.buildroot import BASE, BuildRoots, alternatives, remove_tree
from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tcz.store import Store
from tests.unit.debs import NoRunner, build_deb, stored


@pytest.fixture
def dirs(tmp_path: Path) -> Dirs:
    return Dirs(cache=tmp_path / "cache", config=tmp_path / "config", state=tmp_path / "state")


def pin(dirs: Dirs, names: list[str], debs: list[DebFile]) -> None:
    """Write the pins of a set of names, as an earlier resolution would have."""
    digest = hashlib.sha256(f"{SUITE}\n{chr(10).join(sorted(set(names)))}".encode()).hexdigest()
    file = dirs.cache_folder("pins") / f"{digest[:32]}.json"
    file.write_text(json.dumps([asdict(deb) for deb in debs]))


@pytest.fixture
def store(dirs: Dirs) -> Store:
    return Store(dirs.cache / "store")


@pytest.fixture
def debs(tmp_path: Path, store: Store) -> list[DebFile]:
    work = tmp_path / "work"
    work.mkdir()
    base = {
        "bin": "-> usr/bin",
        "usr/bin/x": "",
        "usr/share/base-passwd/passwd.master": "root:*:0:0::/root:\n",
    }
    script = (
        "update-alternatives --quiet \\\n --install /usr/bin/cc cc /usr/bin/gcc 20 \\\n"
        " --slave /usr/share/man/cc.1 cc.1 /usr/share/man/gcc.1\n"
    )
    script.replace("gcc 20", "tcc 10")
    return [
        stored(store, build_deb(work, "base-files", base)),
        stored(
            store, build_deb(work, "gcc", {"bin/gcc": "#!/bin/sh\n", "usr/share/man/m": "m"}, postinst=script)
        ),
        stored(
            store, build_deb(work, "tcc", {"usr/bin/tcc": "t"}, postinst=script.replace("gcc 20", "tcc 10"))
        ),
    ]


def roots(dirs: Dirs, store: Store, lock: Pins | None = None) -> BuildRoots:
    return BuildRoots(dirs, Apt(dirs, store, NoRunner(), SilentReporter(), lock=lock), SilentReporter())


def test_root(dirs: Dirs, store: Store, debs: list[DebFile]) -> None:
    pin(dirs, [*BASE, "gcc"], debs)
    root = roots(dirs, store).get(["gcc"])
    assert (root.path / "bin").readlink() == Path("usr/bin")
    assert (root.path / "usr/bin/gcc").exists()
    assert (root.path / "usr/bin/cc").readlink() == Path("/usr/bin/gcc")
    assert (root.path / "etc/passwd").read_text().startswith("root:")
    assert (root.path / "etc/resolv.conf").exists()
    assert not (root.path / "usr/share/man/m").exists()
    assert [line.name for line in root.contents] == ["base-files", "gcc", "tcc"]
    assert root.contents[1].hash == f"sha256:{debs[1].sha256}"
    assert [path.name for path in root.path.parent.iterdir()] == [root.id]


def test_second_time_nothing_is_done(dirs: Dirs, store: Store, debs: list[DebFile]) -> None:
    pin(dirs, [*BASE, "gcc"], debs)
    first = roots(dirs, store).get(["gcc"])
    before = first.path.stat().st_ctime_ns
    remove_tree(store.root)
    assert roots(dirs, store).get(["gcc"]) == first
    assert first.path.stat().st_ctime_ns == before


def test_the_id_is_that_of_the_contents(dirs: Dirs, store: Store, debs: list[DebFile]) -> None:
    pin(dirs, [*BASE, "gcc"], debs)
    pin(dirs, [*BASE, "gcc", "tcc"], debs)
    pin(dirs, [*BASE], debs[:2])
    get = roots(dirs, store).get
    assert get(["gcc"]).id == get(["gcc", "tcc"]).id != get([]).id


def test_a_lock_goes_before_pins(dirs: Dirs, store: Store, debs: list[DebFile], tmp_path: Path) -> None:
    pin(dirs, [*BASE, "gcc"], debs)
    (tmp_path / "older").mkdir()
    older = stored(store, build_deb(tmp_path / "older", "gcc", {"usr/bin/gcc": "older"}), "0.9")
    lock = Pins(debian=(Pin(name="gcc", version="0.9", sha256=older.sha256),))
    root = roots(dirs, store, lock).get(["gcc"])
    assert root.contents[1].version == "0.9"
    assert (root.path / "usr/bin/gcc").read_text() == "older"


def test_damaged_pins_count_as_none(dirs: Dirs, store: Store, debs: list[DebFile]) -> None:
    pin(dirs, [*BASE, "gcc"], debs)
    (file,) = (dirs.cache / "pins").iterdir()
    file.write_text(file.read_text()[:-20])
    with pytest.raises(AssertionError, match="apt"):
        roots(dirs, store).get(["gcc"])


def test_alternatives_with_variables_are_left_out() -> None:
    script = (
        'update-alternatives --install /usr/bin/a a "$dir/a" 5\nupdate-alternatives --remove a /usr/bin/b\n'
    )
    assert list(alternatives(script)) == []
