"""Sources and build roots from the real archive and the real module proxy."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tcz.apt import Apt, Pin, Pins
from tcz.buildroot import BuildRoots, remove_tree
from tcz.errors import ConfigError, VerifyError
from tcz.model import Archive, DebianBinary, GoModule, GoToolchain, Recipe, Source
from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tcz.run import HostRunner, Result
from tcz.sandbox import PATH, Bind, Sandbox
from tcz.sources import Sources
from tcz.store import Store

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.build

BUSYBOX = "3311dff32e746499f4df0d5df04d7eb396382d7e108bb9250e7b519b837043a4"
GO = GoToolchain(version="1.26.8", sum="h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM=")
TOOLS = GoModule(
    module="golang.org/x/tools",
    version="v0.52.0",
    sum="h1:ryxg4U63oaUYk7uOLTF37n43f4qgtGvqV4Ioit1BaEs=",
    packages=("./cmd/stringer",),
)


class Counting(HostRunner):
    """Counts what it starts."""

    started = 0

    def run(self, argv: object, **more: object) -> Result:  # type: ignore[override]
        self.started += 1
        return super().run(argv, **more)  # type: ignore[arg-type]


class Warnings(SilentReporter):
    """Keeps warnings."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def warn(self, text: str) -> None:
        self.told.append(text)


class Bench:
    """Everything on caches of its own, but what has been downloaded once is shared."""

    def __init__(self, place: Path, lock: Pins | None = None) -> None:
        common = Dirs.from_env()
        self.dirs = Dirs(cache=place / "cache", config=place / "config", state=place / "state")
        self.dirs.cache.mkdir(parents=True, exist_ok=True)
        for name in ("apt", "store", "roots", "toolchains"):
            link = self.dirs.cache / name
            if not link.is_symlink():
                link.symlink_to(common.cache_folder(name))
        self.runner = Counting()
        self.reporter = Warnings()
        self.store = Store(self.dirs.cache / "store")
        self.sandbox = Sandbox(self.runner)
        self.apt = Apt(self.dirs, self.store, self.runner, self.reporter, lock=lock)
        self.roots = BuildRoots(self.dirs, self.apt, self.reporter)
        self.sources = Sources(
            self.dirs,
            self.store,
            self.runner,
            self.reporter,
            apt=self.apt,
            roots=self.roots,
            sandbox=self.sandbox,
        )


def recipe(folder: Path, *sources: Source, version: str = "1") -> Recipe:
    return Recipe(
        name="r", version=version, summary="s", license="MIT", homepage="", folder=folder, sources=sources
    )


def test_a_root_compiles_and_the_second_time_nothing_starts(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    root = bench.roots.get(["gcc", "libc6-dev", "make"])
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.c").write_text('#include <stdio.h>\nint main(void) { puts("made"); return 0; }\n')
    (tmp_path / "src/Makefile").write_text("a: a.c\n\tcc -static -o $@ $<\n")
    binds = (Bind(host=tmp_path / "src", inside="/build/src", writable=True),)
    said = bench.sandbox.run(
        root.path, ["sh", "-c", "make && ./a && echo a b | awk '{print $2}'"], binds=binds
    )
    assert said.stdout.decode().splitlines()[-2:] == ["made", "b"]
    assert subprocess.run([tmp_path / "src/a"], capture_output=True, check=True).stdout == b"made\n"
    again = Bench(tmp_path)
    assert again.roots.get(["make", "gcc", "libc6-dev"]) == root
    assert again.runner.started == 0


def test_what_is_gone_is_replaced_by_the_newest(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    newest = bench.roots.get([])
    (file,) = (tmp_path / "cache/pins").iterdir()
    entries = json.loads(file.read_text())
    entries[0] |= {"version": "0.0-1", "sha256": "0" * 64}
    file.write_text(json.dumps(entries))
    again = Bench(tmp_path)
    assert again.roots.get([]) == newest
    assert "0.0-1" in again.reporter.told[0]
    third = Bench(tmp_path)
    assert third.roots.get([]) == newest
    assert not third.reporter.told


def test_a_lock_whose_bytes_are_gone_gives_way(tmp_path: Path) -> None:
    lock = Pins(debian=(Pin(name="bash", version="0.0-1", sha256="0" * 64),))
    bench = Bench(tmp_path, lock)
    found = {deb.name: deb for deb in bench.apt.resolve(["bash"])}
    assert found["bash"].version != "0.0-1"
    assert "bash 0.0-1" in bench.reporter.told[0]


def test_an_unknown_package_is_guessed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        Bench(tmp_path).apt.resolve(["make", "libseccmp-dev"])
    assert "libseccmp-dev" in caught.value.what
    assert "libseccomp-dev" in str(caught.value.hint)


def test_a_package_through_another(tmp_path: Path) -> None:
    source = DebianBinary(package="linux-image-*-amd64", via="linux-image-amd64")
    found = Bench(tmp_path).sources.resolve(recipe(tmp_path, source, version="debian"))
    assert found.resolved[0].name.startswith(f"linux-image-{found.version}")
    assert "-" not in found.version


def test_the_same_bytes_from_debian(tmp_path: Path) -> None:
    source = Archive(url="https://upstream.invalid/b.tar.bz2", sha256=BUSYBOX, debian="busybox")
    bench = Bench(tmp_path)
    bench.store.path(BUSYBOX).unlink(missing_ok=True)
    bench.sources.unpack(bench.sources.fetch(recipe(tmp_path, source)), tmp_path / "src")
    assert "VERSION = 1" in (tmp_path / "src/Makefile").read_text()


def test_go_builds_without_network_from_a_cache_it_cannot_write(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    try:
        made = recipe(tmp_path, TOOLS, GO)
        fetched = bench.sources.fetch(made)
        for name in ("src", "tmp", "dest"):
            (tmp_path / name).mkdir()
        bench.sources.unpack(fetched, tmp_path / "src")
        binds = [
            Bind(host=tmp_path / name, inside=f"/build/{name}", writable=True)
            for name in ("src", "tmp", "dest")
        ]
        env = {"PATH": PATH, "HOME": "/build/tmp", "CGO_ENABLED": "0", **fetched.env}
        root = bench.roots.get([]).path
        argv = ["go", "build", "-o", "/build/dest/", "./cmd/stringer"]
        for command in (*fetched.preamble, argv):
            bench.sandbox.run(root, command, binds=[*fetched.binds, *binds], env=env)
        seen = subprocess.run(
            [tmp_path / "dest/stringer", "-help"], capture_output=True, text=True, check=False
        )
        assert "Usage of stringer" in seen.stderr
        again = Bench(tmp_path)
        assert again.sources.fetch(made) == fetched
        assert again.runner.started == 0
    finally:
        for name in ("cache/gomod", "tmp"):
            remove_tree(tmp_path / name)


def test_a_module_with_another_sum(tmp_path: Path) -> None:
    wrong = GoModule(module="golang.org/x/mod", version="v0.20.0", sum="h1:" + "A" * 43 + "=")
    bench = Bench(tmp_path)
    try:
        with pytest.raises(VerifyError) as caught:
            bench.sources.fetch(recipe(tmp_path, wrong))
        assert wrong.sum in str(caught.value.why)
    finally:
        remove_tree(tmp_path / "cache/gomod")
