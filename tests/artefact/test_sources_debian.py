"""Debian source packages against dpkg-source: made by it, unpacked by us and by it, and compared."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tcz.apt import Apt
from tcz.aptsource import DebianSources, DebSource
from tcz.buildroot import BuildRoots
from tcz.dsc import SourceFile
from tcz.errors import ConfigError, VerifyError
from tcz.model import DebianSource
from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tcz.run import HostRunner
from tcz.sandbox import Sandbox
from tcz.sources import debsource
from tcz.store import Store

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.build,
    pytest.mark.skipif(shutil.which("dpkg-source") is None, reason="needs dpkg-dev"),
]

CONTROL = """\
Source: hello
Maintainer: A <a@example.org>
Standards-Version: 4.6.2

Package: hello
Architecture: any
Description: d
"""
PATCH = """\
--- a/main.c
+++ b/main.c
@@ -1,3 +1,3 @@
 one
-two
+2
 three
--- a/gone
+++ /dev/null
@@ -1 +0,0 @@
-x
--- /dev/null
+++ b/new/file
@@ -0,0 +1 @@
+n
"""


class Offline(HostRunner):
    """Fails whoever starts a process."""

    def run(self, argv: object, **_more: object) -> object:  # type: ignore[override]
        raise AssertionError(argv)


class Shelf(DebianSources):
    """An archive of what was put into the store beforehand."""

    def __init__(self, dirs: Dirs, store: Store, apt: Apt, found: DebSource) -> None:
        super().__init__(dirs, store, apt, SilentReporter())
        self._found = found

    def candidate(self, package: str, version: str | None = None, *, newest: bool = False) -> DebSource:
        assert package == self._found.name
        assert version is None
        assert not newest
        return self._found


def tree(tmp_path: Path, kind: str, version: str) -> Path:
    folder = tmp_path / "hello-1.0"
    (folder / "debian/source").mkdir(parents=True)
    (folder / "main.c").write_text("one\ntwo\nthree\n")
    (folder / "gone").write_text("x\n")
    (folder / "debian/control").write_text(CONTROL)
    (folder / "debian/rules").write_text("#!/usr/bin/make -f\n")
    (folder / "debian/changelog").write_text(
        f"hello ({version}) unstable; urgency=low\n\n  * c\n\n"
        " -- A <a@example.org>  Thu, 01 Jan 2025 00:00:00 +0000\n"
    )
    (folder / "debian/source/format").write_text(f"{kind}\n")
    return folder


def original(tmp_path: Path, folder: Path, name: str, *, bomb: bool = False) -> None:
    """Pack what is in the folder but debian/ as upstream's tar, with or without a folder around it."""
    what = sorted(p.name for p in folder.iterdir() if p.name != "debian") if bomb else [folder.name]
    argv = ["tar", "-cJf", tmp_path / name, "--exclude=debian", "-C", folder if bomb else tmp_path, *what]
    subprocess.run(argv, check=True)


def pack(tmp_path: Path, folder: Path) -> Path:
    subprocess.run(["dpkg-source", "-b", folder.name], cwd=tmp_path, check=True, capture_output=True)
    (found,) = tmp_path.glob("*.dsc")
    return found


def part(tmp_path: Path, file: Path, version: str = "1.0-1") -> debsource.DebianSourcePart:
    common = Dirs.from_env()
    dirs = Dirs(cache=tmp_path / "cache", config=tmp_path / "config", state=tmp_path / "state")
    store = Store(dirs.cache / "store")
    names = [file.name, *(p.name for p in tmp_path.glob("hello_*") if p != file and p.is_file())]
    files = []
    for name in names:
        data = (tmp_path / name).read_bytes()
        store.add_bytes(data)
        files.append(SourceFile(name=name, sha256=hashlib.sha256(data).hexdigest(), size=len(data)))
    runner, reporter = HostRunner(), SilentReporter()
    mirror = os.environ.get("TCZ_DEBIAN_MIRROR")
    apt = Apt(common, Store(common.cache / "store"), runner, reporter, mirror=mirror)
    patcher = debsource.Patcher(sandbox=Sandbox(runner), roots=BuildRoots(common, apt, reporter))
    shelf = Shelf(dirs, store, apt, DebSource(name="hello", version=version, files=tuple(files)))
    return debsource.fetch(DebianSource(package="hello", dest="in"), shelf, patcher, reporter)


def same_as_dpkg(tmp_path: Path, file: Path, ours: Path) -> None:
    theirs = tmp_path / "theirs"
    argv = ["dpkg-source", "--no-check", "-x", file, theirs]
    subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True)
    shutil.rmtree(theirs / ".pc", ignore_errors=True)
    (theirs / "debian/patches/.dpkg-source-applied").unlink(missing_ok=True)
    done = subprocess.run(
        ["diff", "-r", "--no-dereference", ours, theirs], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""
    assert (ours / "debian/rules").stat().st_mode & 0o111


def test_quilt_with_components(tmp_path: Path) -> None:
    folder = tree(tmp_path, "3.0 (quilt)", "1.0-1")
    original(tmp_path, folder, "hello_1.0.orig.tar.xz", bomb=True)
    (folder / "lib").mkdir()
    (folder / "lib/l.c").write_text("l\n")
    subprocess.run(["tar", "-czf", tmp_path / "hello_1.0.orig-lib.tar.gz", "-C", folder, "lib"], check=True)
    (folder / "debian/patches").mkdir()
    (folder / "debian/patches/series").write_text("# all\na.patch -p1\n")
    (folder / "debian/patches/a.patch").write_text(PATCH)
    file = pack(tmp_path, folder)
    made = part(tmp_path, file)
    made.unpack(tmp_path / "out")
    ours = tmp_path / "out/in"
    assert (ours / "main.c").read_text() == "one\n2\nthree\n"
    same_as_dpkg(tmp_path, file, ours)
    made.unpack(tmp_path / "again")
    times = [
        {p.relative_to(top).as_posix(): p.stat().st_mtime_ns for p in top.rglob("*") if p.is_file()}
        for top in (tmp_path / "out", tmp_path / "again")
    ]
    assert times[0] == times[1]
    assert times[0]["in/main.c"] == times[0]["in/new/file"] == max(times[0].values())


def test_native(tmp_path: Path) -> None:
    file = pack(tmp_path, tree(tmp_path, "3.0 (native)", "1.0"))
    part(tmp_path, file, "1.0").unpack(tmp_path / "out")
    same_as_dpkg(tmp_path, file, tmp_path / "out/in")


def test_first_format_with_a_diff(tmp_path: Path) -> None:
    folder = tree(tmp_path, "1.0", "1.0-1")
    subprocess.run(
        ["tar", "-czf", "hello_1.0.orig.tar.gz", "--exclude=debian", folder.name], cwd=tmp_path, check=True
    )
    (folder / "main.c").write_text("one\n2\nthree\n")
    file = pack(tmp_path, folder)
    part(tmp_path, file).unpack(tmp_path / "out")
    same_as_dpkg(tmp_path, file, tmp_path / "out/in")


@pytest.mark.parametrize("base", ["ONE\ntwo\nthree\n", "one\n2\nthree\n"], ids=["fuzz", "applied already"])
def test_patches_that_do_not_fit(tmp_path: Path, base: str) -> None:
    folder = tree(tmp_path, "3.0 (quilt)", "1.0-1")
    (folder / "debian/patches").mkdir()
    (folder / "debian/patches/series").write_text("a.patch\n")
    (folder / "debian/patches/a.patch").write_text(PATCH)
    original(tmp_path, folder, "hello_1.0.orig.tar.xz")
    subprocess.run(
        ["patch", "-p1", "-i", "debian/patches/a.patch"], cwd=folder, check=True, capture_output=True
    )
    file = pack(tmp_path, folder)
    # The same package on other upstream sources.
    (folder / "main.c").write_text(base)
    (folder / "gone").write_text("x\n")
    shutil.rmtree(folder / "new")
    shutil.rmtree(folder / ".pc", ignore_errors=True)
    original(tmp_path, folder, "hello_1.0.orig.tar.xz")
    with pytest.raises(VerifyError, match=r"debian/patches/a.patch does not apply exactly"):
        part(tmp_path, file).unpack(tmp_path / "out")


def test_from_the_archive(tmp_path: Path) -> None:
    """One real package, chosen by the signed index; the second time without starting anything."""
    common = Dirs.from_env()
    runner, reporter = HostRunner(), SilentReporter()
    mirror = os.environ.get("TCZ_DEBIAN_MIRROR")
    apt = Apt(common, Store(common.cache / "store"), runner, reporter, mirror=mirror)
    debian = DebianSources(common, Store(common.cache / "store"), apt, reporter)
    patcher = debsource.Patcher(sandbox=Sandbox(runner), roots=BuildRoots(common, apt, reporter))
    source = DebianSource(package="bzip2")
    made = debsource.fetch(source, debian, patcher, reporter)
    made.unpack(tmp_path / "out")
    assert (tmp_path / "out/debian/changelog").is_file()
    assert (tmp_path / "out/bzip2.c").is_file()
    again = DebianSources(
        common, Store(common.cache / "store"), Apt(common, debian._store, Offline(), reporter), reporter
    )
    assert debsource.fetch(source, again, patcher, reporter).resolved == made.resolved
    exact = debsource.fetch(
        DebianSource(package="bzip2", version=made.resolved.version), debian, patcher, reporter
    )
    assert exact.resolved == made.resolved
    with pytest.raises(ConfigError, match="no source package bzip2 9"):
        debsource.fetch(DebianSource(package="bzip2", version="9-9"), debian, patcher, reporter)
    with pytest.raises(ConfigError, match="no source package"):
        debsource.fetch(DebianSource(package="no-such-package-here"), debian, patcher, reporter)
