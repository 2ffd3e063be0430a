"""Recipes built twice, with real tools: what depends on its surroundings is found out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tcz.check import ONE, TWO, Checker, lines

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.build

TOML = """\
schema = 1
name = "twice"
version = "1.0"
summary = "Built twice"
license = "MIT"
homepage = "https://twice.example/"
{more}
[[package]]
name = "twice"
files = ["usr"]
[[package]]
name = "plain"
form = "files"
files = ["plain"]
"""
SAME = """\
mkdir -p "$DEST/usr/local/bin" "$DEST/plain"
printf '#!/bin/sh\\necho twice\\n' >"$DEST/usr/local/bin/twice"
chmod 755 "$DEST/usr/local/bin/twice"
echo "$SOURCE_DATE_EPOCH" >"$DEST/plain/epoch"
"""
LEAKS = {
    "date": "date +%Y",
    "user": "id -u",
    "group": "id -g",
    "machine": "uname -n",
    "jobs": 'echo "$JOBS"',
    "processors": "nproc",
}


def checker(at: Any) -> Checker:
    return Checker(at.workshop, at.reporter, at.dirs.cache_folder("check"))


def test_what_is_the_same(bench: Any, write_recipe: Any) -> None:
    folder = write_recipe("twice", TOML.format(more=""), {"build.sh": SAME}).parent
    at = bench("one", folder)
    before = (os.umask(0o022), dict(os.environ), os.sched_getaffinity(0))
    os.umask(before[0])
    checked = checker(at).check("twice")
    assert checked.differences == ()
    assert checked.passed
    assert checked.folder is None
    assert lines(checked) == ("twice 1.0: two builds are the same, byte for byte",)
    assert not list((at.dirs.cache / "check").iterdir())
    assert not list(at.dirs.cache.glob("builds/*/build.json")), "nothing of it is kept"
    after = (os.umask(before[0]), dict(os.environ), os.sched_getaffinity(0))
    assert after == before


def test_what_leaks_in_is_told(bench: Any, write_recipe: Any) -> None:
    leaks = "".join(f'({command}) >"$DEST/usr/{name}"\n' for name, command in LEAKS.items())
    folder = write_recipe("twice", TOML.format(more=""), {"build.sh": SAME + leaks}).parent
    at = bench("one", folder)
    checked = checker(at).check("twice")
    assert not checked.passed
    members = {found.member.removeprefix("usr/") for found in checked.differences if found.package == "twice"}
    expected = set(LEAKS) if len(os.sched_getaffinity(0)) > 1 else set(LEAKS) - {"jobs", "processors"}
    assert members == expected
    (group,) = (one for one in checked.differences if one.member == "usr/group" and one.field == "content")
    assert (group.one, group.two) == ("byte 0: 30 0a", "37 0a")
    assert checked.folder is not None
    assert (checked.folder / ONE.folder / "out/twice.tcz").is_file()
    assert (checked.folder / TWO.folder / "out/twice.tcz").is_file()


def test_a_reason_excuses(bench: Any, write_recipe: Any) -> None:
    toml = TOML.format(more='irreproducible = "it writes a random number"')
    script = SAME + 'od -N 16 -An -t x1 /dev/urandom >"$DEST/usr/random"\n'
    folder = write_recipe("twice", toml, {"build.sh": script}).parent
    checked = checker(bench("one", folder)).check("twice")
    assert checked.differences
    assert checked.passed
    assert lines(checked)[-1] == "  the recipe says why: it writes a random number"


GO = """\
schema = 1
name = "go-hello"
version = "1.0"
summary = "Says seven"
license = "MIT"
homepage = "https://hello.example/"
[build]
needs.debian = ["gcc", "libc6-dev"]
[[source]]
kind = "go-toolchain"
version = "1.26.8"
sum = "h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM="
[[source]]
kind = "local"
path = "files"
[[package]]
name = "go-hello"
files = ["usr"]
"""
GO_FILES = {
    "files/go.mod": "module hello.example/go-hello\n\ngo 1.24\n",
    "files/main.go": 'package main\n\nimport "hash/crc32"\n\nfunc main() { println(crc32.IEEE) }\n',
    "build.sh": 'mkdir -p "$DEST/usr"\nCGO_ENABLED=0 go build -x -o "$DEST/usr/hello" . 2>&1\n',
}


def test_go_makes_the_same_with_and_without_its_cache(bench: Any, write_recipe: Any) -> None:
    folder = write_recipe("go-hello", GO, GO_FILES).parent
    at = bench("one", folder)
    for name in ("toolchains", "gomod"):
        (at.dirs.cache / name).symlink_to(type(at.dirs).from_env().cache_folder(name))
    (cold,) = at.workshop.build(["go-hello"])
    (cache,) = (at.dirs.cache / "gocache").iterdir()
    assert any(cache.rglob("*-d"))
    log = at.workshop.builder.log_path("go-hello", cold.build_id)
    assert "-p hash/crc32" in log.read_text()
    sums = [package.sha256 for package in cold.packages]
    forget(at.dirs.cache)
    again = bench("one", folder)
    (warm,) = again.workshop.build(["go-hello"])
    assert "-p hash/crc32" not in log.read_text(), "taken from the cache"
    assert [package.sha256 for package in warm.packages] == sums


def forget(cache: Path) -> None:
    for part in ("builds", "stages"):
        (cache / part).rename(cache / f"{part}-before")
