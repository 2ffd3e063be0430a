"""Sources of recipes that need no registry: release files in the store, local files, binaries."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import zipfile
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pytest

from tcz.apt import SUITE, Apt
from tcz.buildroot import BuildRoots
from tcz.errors import ConfigError, FetchError, VerifyError
from tcz.model import Archive, DebianBinary, GoModule, GoToolchain, Local, Recipe, Source
from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tcz.sandbox import Sandbox
from tcz.sources import Sources
from tcz.sources.gohash import hash_zip
from tcz.sources.gomod import ModulePart, build_env, escaped, resolve
from tcz.store import Store
from tests.unit.debs import NoRunner, build_deb, stored
from tests.unit.tars import make_tar

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def dirs(tmp_path: Path) -> Dirs:
    return Dirs(cache=tmp_path / "cache", config=tmp_path / "config", state=tmp_path / "state")


@pytest.fixture
def store(dirs: Dirs) -> Store:
    return Store(dirs.cache / "store")


@pytest.fixture
def sources(dirs: Dirs, store: Store) -> Sources:
    runner, reporter = NoRunner(), SilentReporter()
    apt = Apt(dirs, store, runner, reporter)
    roots = BuildRoots(dirs, apt, reporter)
    return Sources(dirs, store, runner, reporter, apt=apt, roots=roots, sandbox=Sandbox(runner))


def recipe(folder: Path, *found: Source, version: str = "1.2") -> Recipe:
    folder.mkdir(exist_ok=True)
    return Recipe(
        name="r", version=version, summary="s", license="MIT", homepage="", folder=folder, sources=found
    )


def test_release_file_from_the_store(sources: Sources, store: Store, tmp_path: Path) -> None:
    kept = store.take(make_tar(tmp_path / "a.tar", [("file", "r-1.2/f", "f")]), None, what="a")
    source = Archive(url="https://upstream.invalid/r-1.2.tar?x=1", sha256=kept.name, dest="sub/deep")
    plain = replace(source, unpack=False, dest="")
    wanted = recipe(tmp_path / "r", source, plain)
    fetched = sources.fetch(wanted)
    sources.unpack(fetched, tmp_path / "src")
    assert (tmp_path / "src/sub/deep/f").read_text() == "f"
    assert (tmp_path / "src/r-1.2.tar").read_bytes() == kept.read_bytes()
    assert fetched.resolved == sources.resolve(wanted).resolved
    assert fetched.resolved[0].hash == f"sha256:{kept.name}"
    assert not fetched.binds
    assert not fetched.env


def test_strip_that_leaves_nothing(sources: Sources, store: Store, tmp_path: Path) -> None:
    kept = store.take(make_tar(tmp_path / "a.tar", [("file", "f", "f")]), None, what="a")
    fetched = sources.fetch(recipe(tmp_path / "r", Archive(url="https://u.invalid/a", sha256=kept.name)))
    with pytest.raises(VerifyError, match="nothing is left"):
        sources.unpack(fetched, tmp_path / "src")


@pytest.mark.parametrize("dest", ["../out", "/abs", "a/../../b"])
def test_dest_stays_inside(sources: Sources, store: Store, tmp_path: Path, dest: str) -> None:
    kept = store.take(make_tar(tmp_path / "a.tar", [("file", "d/f", "f")]), None, what="a")
    source = Archive(url="https://u.invalid/a", sha256=kept.name, dest=dest)
    fetched = sources.fetch(recipe(tmp_path / "r", source))
    with pytest.raises((ConfigError, VerifyError)):
        sources.unpack(fetched, tmp_path / "src")


def test_modes_do_not_follow_the_umask(sources: Sources, store: Store, tmp_path: Path) -> None:
    entries = [("dir", "r/d", ""), ("file", "r/d/f", ""), ("exec", "r/x", "")]
    kept = store.take(make_tar(tmp_path / "a.tar", entries), None, what="a")
    source = Archive(url="https://u.invalid/a", sha256=kept.name, dest="deep/er")
    before = os.umask(0o077)
    try:
        made = local_recipe(tmp_path / "r")
        made = replace(made, sources=(*made.sources, source, replace(source, unpack=False)))
        sources.unpack(sources.fetch(made), tmp_path / "src")
    finally:
        os.umask(before)
    modes = {
        path.name: path.stat().st_mode & 0o777
        for path in (tmp_path / "src").rglob("*")
        if not path.is_symlink()
    }
    execs = {"run", "x", "deep", "er", "d", "in", "sub"}
    assert modes == dict.fromkeys(execs, 493) | {"a": 0o644, "f": 0o644}


def local_recipe(folder: Path) -> Recipe:
    made = recipe(folder, Local(path="files", dest="in"))
    (folder / "files/sub").mkdir(parents=True)
    (folder / "files/run").write_text("run")
    (folder / "files/run").chmod(0o700)
    (folder / "files/sub/link").symlink_to("../run")
    return made


def test_local(sources: Sources, tmp_path: Path) -> None:
    fetched = sources.fetch(local_recipe(tmp_path / "r"))
    sources.unpack(fetched, tmp_path / "src")
    run = tmp_path / "src/in/run"
    assert run.stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "src/in/sub/link").read_text() == "run"
    assert run.stat().st_mtime == 1735689600


def test_local_hash_sees_names_content_links_and_execute_bits(sources: Sources, tmp_path: Path) -> None:
    made = local_recipe(tmp_path / "r")
    (tmp_path / "elsewhere").mkdir()
    same = local_recipe(tmp_path / "elsewhere/r")
    first = sources.resolve(made)
    assert sources.resolve(same) == first
    seen = {first.resolved[0].hash}
    files = tmp_path / "r/files"
    (files / "run").chmod(0o600)
    seen.add(sources.resolve(made).resolved[0].hash)
    (files / "run").write_text("ran")
    seen.add(sources.resolve(made).resolved[0].hash)
    (files / "run").rename(files / "ran")
    seen.add(sources.resolve(made).resolved[0].hash)
    (files / "sub/link").unlink()
    (files / "sub/link").symlink_to("../ran")
    seen.add(sources.resolve(made).resolved[0].hash)
    assert len(seen) == 5


@pytest.mark.parametrize("path", ["nothing", "..", "/etc"])
def test_local_outside(sources: Sources, tmp_path: Path, path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        sources.fetch(recipe(tmp_path / "r", Local(path=path)))
    assert path in "\n".join(caught.value.lines())


def test_debian_binary_names_the_version(sources: Sources, dirs: Dirs, store: Store, tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    deb = stored(store, build_deb(tmp_path / "w", "linux-image-9-amd64", {"boot/vmlinuz": "k"}), "2:9.1-3")
    key = f"{SUITE}\nlinux-image-*-amd64\nvia linux-image-amd64"
    file = dirs.cache_folder("pins") / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
    file.write_text(json.dumps([asdict(deb)]))
    source = DebianBinary(package="linux-image-*-amd64", via="linux-image-amd64", dest="k")
    wanted = recipe(tmp_path / "r", source, version="debian")
    assert sources.resolve(wanted).version == "9.1"
    fetched = sources.fetch(wanted)
    sources.unpack(fetched, tmp_path / "src")
    assert (tmp_path / "src/k/boot/vmlinuz").read_text() == "k"
    (line,) = fetched.resolved
    assert (line.name, line.version, line.origin) == (deb.name, "2:9.1-3", f"debian:{SUITE}/{deb.name}")


def test_version_debian_without_a_package(sources: Sources, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no source of a Debian package"):
        sources.resolve(recipe(tmp_path / "r", version="debian"))


def module_zip(path: Path, **files: str) -> GoModule:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {"go.mod": "module m\n", **files}.items():
            archive.writestr(f"example.org/Up/m@v1.0.0/{name.replace('_', '.')}", text)
    return GoModule(module="example.org/Up/m", version="v1.0.0", sum=hash_zip(path))


def test_module_with_another_modfile(tmp_path: Path) -> None:
    source = module_zip(tmp_path / "m.zip", vendor_mod="module v\n", vendor_sum="sums\n", a_go="package a\n")
    source = replace(source, modfile="vendor.mod", dest="d")
    ModulePart(source=source, resolved=resolve(source), file=tmp_path / "m.zip").unpack(tmp_path / "src")
    assert (tmp_path / "src/d/go.mod").read_text() == "module v\n"
    assert (tmp_path / "src/d/go.sum").read_text() == "sums\n"
    assert (tmp_path / "src/d/a.go").exists()


def test_module_without_that_modfile(tmp_path: Path) -> None:
    source = replace(module_zip(tmp_path / "m.zip"), modfile="vendor.mod")
    part = ModulePart(source=source, resolved=resolve(source), file=tmp_path / "m.zip")
    with pytest.raises(FetchError, match=r"vendor\.mod"):
        part.unpack(tmp_path / "src")


def test_module_changed_in_the_cache(tmp_path: Path) -> None:
    source = module_zip(tmp_path / "m.zip")
    module_zip(tmp_path / "m.zip", evil_go="package evil\n")
    part = ModulePart(source=source, resolved=resolve(source), file=tmp_path / "m.zip")
    with pytest.raises(VerifyError):
        part.unpack(tmp_path / "src")
    assert not (tmp_path / "src").exists()


def test_escaped_as_go_does() -> None:
    assert escaped("github.com/BurntSushi/toml") == "github.com/!burnt!sushi/toml"


def test_builds_look_for_nothing_outside() -> None:
    env = build_env(toolchain=True)
    assert (env["GOPROXY"], env["GOTOOLCHAIN"], env["GOSUMDB"]) == ("off", "local", "off")
    assert env["PATH"].startswith("/build/go/bin:")


def test_toolchain_line() -> None:
    line = resolve(GoToolchain(version="1.26.8", sum="h1:x"))
    assert (line.kind, line.version, line.hash) == ("go-toolchain", "1.26.8", "h1:x")


def test_release_file_is_the_same_as_gnu_tar_unpacks(sources: Sources, store: Store, tmp_path: Path) -> None:
    tree = tmp_path / "r-1"
    (tree / "a/b").mkdir(parents=True)
    (tree / "a/b/c").write_text("c" * 100_000)
    subprocess.run(["tar", "-C", tmp_path, "-czf", tmp_path / "r.tgz", "r-1"], check=True)
    kept = store.take(tmp_path / "r.tgz", None, what="r")
    fetched = sources.fetch(recipe(tmp_path / "r", Archive(url="https://u.invalid/r.tgz", sha256=kept.name)))
    sources.unpack(fetched, tmp_path / "src")
    subprocess.run(["diff", "-r", tree, tmp_path / "src"], check=True)
