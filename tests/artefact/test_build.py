"""Recipes built end to end in a real build root; the artefacts are read by tools of others."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tcz.build import Settings
from tcz.errors import BuildError, ConfigError
from tcz.limits import Limits
from tcz.run import processors
from tcz.squashfs.options import SquashOptions

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.build

HELLO_C = '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n'
HEAD = """\
schema = 1
name = "{name}"
version = "1.0"
summary = "Says hello"
license = "MIT"
homepage = "https://hello.example/"
"""
HELLO = (
    HEAD.format(name="hello")
    + """
[build]
needs.debian = ["gcc", "libc6-dev"]
[[source]]
kind = "local"
path = "files"
[[package]]
name = "hello"
files = ["usr/local"]
needs = ["greeting", "hello-mod-KERNEL"]
owners = [ { path = "usr/local/bin/hello", mode = "4755" } ]
tags = ["demo"]
[[package]]
name = "hello-mod-KERNEL"
files = ["lib/modules"]
form = "layer"
devices = [ { path = "dev/hello", kind = "c", major = 10, minor = 7, mode = "660" } ]
"""
)
BUILD_SH = """\
cc -static -g -O1 -o hello hello.c
mkdir -p "$DEST/usr/local/bin" "$DEST/usr/local/tce.installed" "$DEST/lib/modules/6.12.0-x/kernel"
cp hello "$DEST/usr/local/bin/hello"
ln "$DEST/usr/local/bin/hello" "$DEST/usr/local/bin/hullo"
ln -s hello "$DEST/usr/local/bin/hallo"
printf '#!/bin/sh\\n' >"$DEST/usr/local/tce.installed/hello"
echo x >"$DEST/lib/modules/6.12.0-x/kernel/hello.ko"
echo junk >"$DEST/usr/local/bin/libx.la"
test "$(cat /build/needs/greeting/usr/local/share/greeting)" = hi
test "$(cat /build/needs/kit/tool.txt)" = tool
test "$(cat /build/needs/base/etc/base)" = base
! touch /build/recipe/x 2>/dev/null
! touch /build/needs/greeting/x 2>/dev/null
"""
PATCH = """\
--- a/hello.c
+++ b/hello.c
@@ -1,2 +1,2 @@
 #include <stdio.h>
-int main(void) { puts("hello"); return 0; }
+int main(void) { puts("hello, patched"); return 0; }
"""
TEST_SH = 'test "$("$DEST/usr/local/bin/hello")" = "hello, patched"\n! touch "$DEST/x" 2>/dev/null\n'
GREETING = (
    HEAD.format(name="greeting")
    + """
[[package]]
name = "greeting"
files = ["usr"]
[[package]]
name = "kit"
form = "files"
files = ["tool.txt"]
[[package]]
name = "base"
form = "layer"
files = ["etc"]
"""
)
GREETING_SH = """\
mkdir -p "$DEST/usr/local/share" "$DEST/etc"
echo hi >"$DEST/usr/local/share/greeting"
echo tool >"$DEST/tool.txt"
echo base >"$DEST/etc/base"
"""


def write_hello(write_recipe: Callable[..., Path], folder: str = "recipes") -> Path:
    toml = HELLO.replace('"libc6-dev"]', '"libc6-dev"]\nneeds.recipes = ["greeting"]')
    files = {
        "build.sh": BUILD_SH,
        "test.sh": TEST_SH,
        "patches/01-greet.patch": PATCH,
        "files/hello.c": HELLO_C,
    }
    write_recipe("greeting", GREETING, {"build.sh": GREETING_SH}, folder)
    return write_recipe("hello", toml, files, folder).parent


def lines(*argv: str | Path) -> list[str]:
    return subprocess.run(
        argv, check=True, capture_output=True, text=True, env={"TZ": "UTC"}
    ).stdout.splitlines()


def products(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".lock")
    }


def test_end_to_end_twice_the_same(bench: Any, write_recipe: Any) -> None:
    one = bench("one", write_hello(write_recipe))
    packages = one.workshop.packages(["hello"])
    assert [package.name for package in packages] == ["hello-mod-6.12.0-x", "greeting", "hello"]
    assert packages[2].needs == ("greeting", "hello-mod-KERNEL")
    assert [title for title in one.reporter.seen if title.startswith("[")] == [
        "[1/2] greeting 1.0",
        "[2/2] hello 1.0",
    ]
    check_extension(packages[2].path)
    check_layer(packages[0].path)
    assert not list((one.dirs.cache / "work").iterdir())

    two = bench("two/deeper", write_hello(write_recipe, "elsewhere"))
    two.workshop.packages(["hello"])
    assert products(two.dirs.cache / "builds") == products(one.dirs.cache / "builds")


def check_extension(tcz: Path) -> None:
    seen = {
        line.split(" squashfs-root", 1)[1]: line.split()
        for line in lines("unsquashfs", "-lln", tcz)
        if "squashfs-root" in line
    }
    assert seen[""][:2] == ["drwxr-xr-x", "0/0"]
    assert seen["/usr/local"][:2] == ["drwxrwxr-x", "0/50"]
    assert seen["/usr/local/tce.installed"][:2] == ["drwxrwxr-x", "0/50"]
    assert seen["/usr/local/tce.installed/hello"][:2] == ["-rwxrwxr-x", "0/50"]
    assert seen["/usr/local/bin/hello"][:2] == ["-rwsr-xr-x", "0/0"]
    assert seen["/usr/local/bin/hullo"][:-1] == seen["/usr/local/bin/hello"][:-1]
    assert "/usr/local/bin/libx.la" not in seen
    assert {line[3] for line in seen.values()} == {"2025-01-01"}
    subprocess.run(["md5sum", "--strict", "-c", f"{tcz.name}.md5.txt"], cwd=tcz.parent, check=True)
    beside = {
        path.name.removeprefix("hello.tcz"): path.read_text() for path in tcz.parent.glob("hello.tcz.*")
    }
    assert beside[".dep"] == "greeting.tcz\nhello-mod-KERNEL.tcz\n"
    assert beside[".list"].split() == [
        *("usr/local/bin/hallo", "usr/local/bin/hello", "usr/local/bin/hullo"),
        "usr/local/tce.installed/hello",
    ]
    assert "Copying-policy: MIT\n" in beside[".info"]
    unpacked = tcz.parent.parent.parent / "unpacked"
    lines("unsquashfs", "-q", "-n", "-no-exit-code", "-d", unpacked, tcz)
    program = unpacked / "usr/local/bin/hello"
    assert lines(program) == ["hello, patched"]
    assert "not stripped" not in lines("file", "-b", program)[0]
    assert (unpacked / "usr/local/bin/hullo").stat().st_ino == program.stat().st_ino
    shutil.rmtree(unpacked)


def check_layer(tar: Path) -> None:
    seen = lines("tar", "--numeric-owner", "-tvf", tar)
    assert any(line.startswith("crw-rw---- 0/0") and line.endswith(" dev/hello") for line in seen)
    assert any(line.endswith(" lib/modules/6.12.0-x/kernel/hello.ko") for line in seen)


def test_the_second_time_nothing_is_done(bench: Any, write_recipe: Any) -> None:
    folder = write_hello(write_recipe)
    first = bench("one", folder).workshop.build(["hello"])
    again = bench("one", folder)
    assert [planned.cached for planned in again.workshop.plan(["hello"])] == [True, True]
    assert again.workshop.build(["hello"]) == first
    assert again.runner.started == []
    assert not [title for title in again.reporter.seen if title.startswith("[")]


def test_what_changes_an_input_builds_anew(bench: Any, write_recipe: Any) -> None:
    folder = write_recipe("greeting", GREETING, {"build.sh": GREETING_SH}).parent
    (built,) = bench("one", folder).workshop.build(["greeting"])
    script = folder / "greeting/build.sh"
    script.write_text(script.read_text().replace("echo hi", "echo ho"))
    (planned,) = bench("one", folder).workshop.plan(["greeting"])
    assert [(reason.kind, reason.what) for reason in planned.reasons] == [("file", "build.sh has changed")]
    (changed,) = bench("one", folder).workshop.build(["greeting"])
    assert changed.build_id != built.build_id
    assert changed.packages[0].sha256 != built.packages[0].sha256
    toml = folder / "greeting/recipe.toml"
    toml.write_text("# a comment\n" + toml.read_text())
    assert bench("one", folder).workshop.build(["greeting"]) == (changed,)
    settings = Settings(options=SquashOptions(compressor="zstd", block=4096))
    (other,) = bench("one", folder, settings=settings).workshop.build(["greeting"])
    assert "Compression zstd" in lines("unsquashfs", "-s", other.packages[0].path)


def test_damage_is_built_again(bench: Any, write_recipe: Any) -> None:
    folder = write_recipe("greeting", GREETING, {"build.sh": GREETING_SH}).parent
    (built,) = bench("one", folder).workshop.build(["greeting"])
    tcz = built.packages[0].path
    whole = tcz.read_bytes()
    tcz.write_bytes(whole[:-1])
    assert bench("one", folder).workshop.build(["greeting"]) == (built,)
    assert tcz.read_bytes() == whole
    tcz.write_bytes(whole[:-1] + b"x")
    bench("one", folder).workshop.build(["greeting"])
    assert tcz.read_bytes() != whole, "the same size is taken as whole"
    bench("one", folder, settings=Settings(thorough=True)).workshop.build(["greeting"])
    assert tcz.read_bytes() == whole
    (built.folder / "build.json").write_text("{")
    assert bench("one", folder).workshop.build(["greeting"]) == (built,)


def test_a_failure_shows_the_end_of_the_log(bench: Any, write_recipe: Any) -> None:
    script = "for n in $(seq 50); do echo line $n; done\nfalse\necho never\n"
    folder = write_recipe("greeting", GREETING, {"build.sh": script}).parent
    at = bench("one", folder)
    with pytest.raises(BuildError) as caught:
        at.workshop.build(["greeting"])
    assert caught.value.exit_code == 8
    assert caught.value.why is not None
    assert caught.value.why.splitlines() == [f"line {n}" for n in range(31, 51)]
    assert caught.value.where is not None
    log = Path(caught.value.where)
    assert log.parent == at.dirs.state / "logs"
    assert "line 1\n" in log.read_text()
    assert not list((at.dirs.cache / "work").iterdir())
    assert not [path for path in (at.dirs.cache / "builds").iterdir() if path.is_dir()]

    kept = bench("one", folder, settings=Settings(keep_failed=True))
    with pytest.raises(BuildError):
        kept.workshop.build(["greeting"])
    assert len(list((kept.dirs.cache / "work").iterdir())) == 1


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"build.sh": ":\n", "test.sh": "exit 3\n"}, r"test.sh failed \(status 3\)"),
        ({"build.sh": "echo $UNSET_NAME\n"}, "build.sh failed"),
        ({"build.sh": ":\n", "patches/x.patch": PATCH}, "patches/x.patch does not apply"),
    ],
)
def test_other_failures(bench: Any, write_recipe: Any, files: dict[str, str], message: str) -> None:
    folder = write_recipe("greeting", GREETING, files).parent
    with pytest.raises(BuildError, match=message):
        bench("one", folder).workshop.build(["greeting"])


@pytest.mark.parametrize(
    "text",
    [
        '#include <stdlib.h>\nint main(void) { puts("hello"); return 0; }\n',
        '#include <stdio.h>\nint main(void) { puts("hello, patched"); return 0; }\n',
    ],
    ids=["fuzz", "applied already"],
)
def test_patches_that_do_not_fit_exactly(bench: Any, write_recipe: Any, text: str) -> None:
    toml = GREETING.replace("[[package]]", '[[source]]\nkind = "local"\npath = "files"\n[[package]]', 1)
    files = {"build.sh": GREETING_SH, "patches/x.patch": PATCH, "files/hello.c": text}
    folder = write_recipe("greeting", toml, files).parent
    with pytest.raises(BuildError, match=r"patches/x\.patch does not apply exactly") as caught:
        bench("one", folder).workshop.build(["greeting"])
    assert "hello.c" in str(caught.value.why)


def test_all_that_does_not_fit_is_told(bench: Any, write_recipe: Any) -> None:
    script = GREETING_SH + 'echo x >"$DEST/stray"\n'
    toml = GREETING.replace('files = ["etc"]', 'files = ["etc", "usr/local", "none"]')
    folder = write_recipe("greeting", toml, {"build.sh": script}).parent
    with pytest.raises(ConfigError) as caught:
        bench("one", folder).workshop.build(["greeting"])
    assert [problem.where for problem in caught.value.problems] == [
        "package base",
        "stray",
        "usr/local/share/greeting",
    ]


def test_needs_that_cannot_be_met(bench: Any, write_recipe: Any) -> None:
    toml = GREETING.replace('files = ["usr"]', 'files = ["usr"]\nneeds = ["gone"]')
    folder = write_recipe("greeting", toml, {"build.sh": GREETING_SH}).parent
    at = bench("one", folder)
    with pytest.raises(ConfigError, match="that do not exist") as caught:
        at.workshop.packages(["greeting"])
    assert caught.value.problems[0].message == "needs gone"
    with pytest.raises(ConfigError) as caught:
        at.workshop.packages(["greetin"])
    assert "greeting" in str(caught.value.lines())
    for name, need in (("a", "b"), ("b", "a")):
        write_recipe(
            name,
            HEAD.format(name=name)
            + f'[build]\nneeds.recipes = ["{need}"]\n[[package]]\nname = "{name}"\nfiles = ["x"]\n',
            {"build.sh": ":\n"},
        )
    with pytest.raises(ConfigError) as caught:
        bench("one", folder).workshop.build(["a"])
    assert caught.value.problems[0].message == "builds upon itself: a -> b -> a"


def simple(name: str, more: str = "") -> str:
    return HEAD.format(name=name) + f'{more}\n[[package]]\nname = "{name}"\nfiles = ["usr"]\n'


def test_independent_builds_run_at_the_same_time(bench: Any, write_recipe: Any) -> None:
    meet = "mkdir -p $DEST/usr\necho $JOBS >$DEST/usr/jobs-$NAME\necho here\n"
    for name in ("a", "b"):
        folder = write_recipe(name, simple(name), {"build.sh": meet + "sleep 1\n"}).parent
    write_recipe("c", simple("c", '[build]\nneeds.recipes = ["a", "b"]'), {"build.sh": meet})
    at = bench("one", folder)
    built = {one.recipe: one for one in at.workshop.build(["c"])}
    assert list(built) == ["b", "a", "c"]
    have = processors()
    jobs = {name: int(next(at.dirs.cache.glob(f"stages/*/usr/jobs-{name}")).read_text()) for name in built}
    assert jobs["c"] == have
    assert jobs["a"] + jobs["b"] <= max(have, 2)


def test_all_failures_are_told_and_what_is_left(bench: Any, write_recipe: Any) -> None:
    for name in ("a", "b"):
        script = f"sleep 0.5\necho {name} says no\nfalse\n"
        folder = write_recipe(name, simple(name), {"build.sh": script}).parent
    write_recipe("c", simple("c", '[build]\nneeds.recipes = ["a"]'), {"build.sh": "exit 5\n"})
    write_recipe("d", simple("d"), {"build.sh": 'mkdir -p "$DEST/usr"\necho >"$DEST/usr/d"\n'})
    at = bench("one", folder, settings=Settings(keep_going=True))
    with pytest.raises(BuildError, match=r"2 builds failed: [ab], [ab]") as caught:
        at.workshop.build(["c", "b", "d"])
    assert "a says no" in (caught.value.why or "")
    assert "b says no" in (caught.value.why or "")
    assert not list(at.dirs.state.glob("logs/c-*"))
    assert len(list(at.dirs.cache.glob("builds/*/d.tcz"))) == 1
    assert not list((at.dirs.cache / "work").iterdir())


def test_a_build_that_takes_too_much_is_ended(bench: Any, write_recipe: Any) -> None:
    script = "echo working\nsleep 1000\n"
    folder = write_recipe("a", simple("a"), {"build.sh": script}).parent
    at = bench("one", folder, settings=Settings(limits=Limits(timeout=0.5)))
    with pytest.raises(BuildError) as caught:
        at.workshop.build(["a"])
    assert caught.value.what == "a 1.0: build.sh was ended"
    assert caught.value.why == "it used more time by the clock than it may: 0.5 s"
    assert not list((at.dirs.cache / "work").iterdir())


KERNELS = """
[build]
tools = ["kconfig"]
needs.debian = ["python3"]
[[package]]
name = "{name}"
form = "files"
files = ["release"]
[[package]]
name = "modules-KERNEL"
files = ["usr/local"]
"""
KERNEL_SH = """\
printf 'config NET\\n\\tbool "Net"\\n' >Kconfig
echo CONFIG_NET=y >.config
echo CONFIG_NET=y >net.config
python3 -m tcz.kconfig net.config
echo '# CONFIG_NET is not set' >.config
! python3 -m tcz.kconfig net.config
mkdir -p "$DEST/usr/local/lib/modules/$VERSION-$NAME/kernel"
echo "$VERSION-$NAME" >"$DEST/release"
echo x >"$DEST/usr/local/lib/modules/$VERSION-$NAME/kernel/x.ko"
"""


def test_two_kernels_and_what_follows_them(bench: Any, write_recipe: Any) -> None:
    """The tool runs in the sandbox; each kernel has its own modules, one that no recipe makes has none."""
    for name in ("one", "two"):
        toml = HEAD.format(name=name) + KERNELS.format(name=name)
        write_recipe(name, toml, {"build.sh": KERNEL_SH})
    app = '[[package]]\nname = "app"\nfiles = ["usr"]\nneeds = ["modules-KERNEL"]\n'
    script = 'mkdir -p "$DEST/usr/local"; echo x >"$DEST/usr/local/x"\n'
    folder = write_recipe("app", HEAD.format(name="app") + app, {"build.sh": script}).parent

    def names(kernel: str, *, taken: str = "") -> list[str]:
        workshop = bench("one", folder).workshop
        workshop.recipes.prefer(kernel)
        if taken:
            workshop.take_kernel(taken)
        return [package.name for package in workshop.packages(["app", *([] if taken else [kernel])])]

    assert names("two") == ["modules-1.0-two", "app", "two"]
    assert names("one") == ["modules-1.0-one", "app", "one"]
    assert names("one", taken="9.9-mine") == ["app"]
