"""A library and a program that links it, built for real: split, needs, licences, companions."""

from __future__ import annotations

import io
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from tcz import companions, zsync
from tcz.elf import inspect
from tcz.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from tcz.model import Built, BuiltPackage

pytestmark = pytest.mark.build

HEAD = """\
schema = 1
name = "{name}"
version = "1.0"
summary = "Greets"
license = "MIT"
homepage = "https://greet.example/"
[build]
needs.debian = ["gcc", "libc6-dev"]
{build}
[[source]]
kind = "local"
path = "files"
"""
LIBRARY = (
    HEAD.format(name="libgreet", build="")
    + """
[[package]]
name = "libgreet"
startup = "start.sh"
owners = [
    { path = "usr/local/bin/greet-helper", mode = "4755" },
    { path = "usr/local/share/man/man3/*", mode = "444" },
]
"""
)
LIBRARY_SH = """\
cc -c -g -fPIC greet.c
ar rc libgreet.a greet.o
cc -shared -Wl,-soname,libgreet.so.1 -o libgreet.so.1.0 greet.o
cc -shared -Wl,-soname,libplain.so -o libplain.so greet.o
cd "$DEST"
mkdir -p usr/local/lib/pkgconfig usr/local/include usr/local/bin usr/lib/modules/6.1-x/kernel
mkdir -p usr/local/share/man/man3 usr/local/share/locale/de/LC_MESSAGES usr/local/share/doc/libgreet
mkdir -p usr/local/var/empty
cp "$SRC/libgreet.a" "$SRC/libgreet.so.1.0" "$SRC/libplain.so" usr/local/lib/
ln -s libgreet.so.1.0 usr/local/lib/libgreet.so.1
ln -s libgreet.so.1 usr/local/lib/libgreet.so
echo 'void greet(void);' >usr/local/include/greet.h
echo 'Name: greet' >usr/local/lib/pkgconfig/greet.pc
echo man >usr/local/share/man/man3/greet.3
echo hallo >usr/local/share/locale/de/LC_MESSAGES/greet.mo
echo read >usr/local/share/doc/libgreet/README
echo la >usr/local/lib/libgreet.la
echo ko >usr/lib/modules/6.1-x/kernel/x.ko
echo dep >usr/lib/modules/6.1-x/modules.dep
printf '#!/bin/sh\\n' >usr/local/bin/greet-helper
printf '#!/bin/sh\\n' >usr/local/bin/greet-other
chmod 4755 usr/local/bin/greet-helper usr/local/bin/greet-other
"""
PROGRAM = HEAD.format(name="greet", build='needs.recipes = ["libgreet"]') + '[[package]]\nname = "greet"\n'
PROGRAM_SH = """\
mkdir -p "$DEST/usr/local/bin" "$DEST/usr/local/share/doc/greet"
cc -g -o "$DEST/usr/local/bin/greet" main.c -I/build/needs/libgreet-dev/usr/local/include \\
    /build/needs/libgreet/usr/local/lib/libgreet.so.1
chmod 555 "$DEST/usr/local/bin/greet"
echo mine >"$DEST/usr/local/share/doc/greet/COPYING"
"""
SOURCES = {
    "files/greet.c": '#include <stdio.h>\nvoid greet(void) { puts("hi"); }\n',
    "files/main.c": "#include <greet.h>\nint main(void) { greet(); return 0; }\n",
}


@pytest.fixture
def recipes(write_recipe: Any) -> Path:
    library = {
        **SOURCES,
        "files/COPYING": "all yours\n",
        "start.sh": "#!/bin/sh\necho up\n",
        "build.sh": LIBRARY_SH,
    }
    write_recipe("libgreet", LIBRARY, library)
    return write_recipe("greet", PROGRAM, {**SOURCES, "build.sh": PROGRAM_SH}).parent


def _package(builts: tuple[Built, ...], name: str) -> BuiltPackage:
    return next(package for built in builts for package in built.packages if package.name == name)


def _listing(package: BuiltPackage) -> dict[str, str]:
    lines = subprocess.run(
        ["unsquashfs", "-lln", "-d", "", str(package.path)], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    rows = (line.split(maxsplit=5) for line in lines if line[:1] in "-dlcb")
    return {row[5].lstrip("/").split(" -> ")[0]: f"{row[0]} {row[1]}" for row in rows if len(row) == 6}


def _files(package: BuiltPackage) -> list[str]:
    return companions.beside(package.path, ".list").read_text().splitlines()


def test_library_and_program(bench: Any, recipes: Path, tmp_path: Path) -> None:
    one = bench("one", recipes)
    builts = one.workshop.build(["greet"])
    one.workshop.complete(builts)
    assert [package.name for built in builts for package in built.packages] == [
        *("libgreet", "libgreet-dev", "libgreet-doc", "libgreet-locale", "greet"),
    ]
    main, dev = _package(builts, "libgreet"), _package(builts, "libgreet-dev")
    assert _files(main) == [
        "usr/local/bin/greet-helper",
        "usr/local/bin/greet-other",
        "usr/local/lib/libgreet.so.1",
        "usr/local/lib/libgreet.so.1.0",
        "usr/local/lib/libplain.so",
        "usr/local/lib/modules/6.1-x/kernel/x.ko",
        "usr/local/share/doc/libgreet/COPYING",
        "usr/local/tce.installed/libgreet",
    ]
    assert _files(dev) == [
        "usr/local/include/greet.h",
        "usr/local/lib/libgreet.a",
        "usr/local/lib/libgreet.so",
        "usr/local/lib/pkgconfig/greet.pc",
    ]
    assert _files(_package(builts, "libgreet-doc")) == [
        "usr/local/share/doc/libgreet/README",
        "usr/local/share/man/man3/greet.3",
    ]
    assert _files(_package(builts, "libgreet-locale")) == ["usr/local/share/locale/de/LC_MESSAGES/greet.mo"]
    shown = _listing(main)
    assert shown["usr/local/tce.installed"] == "drwxrwxr-x 0/50"
    assert shown["usr/local/tce.installed/libgreet"] == "-rwxrwxr-x 0/50"
    assert shown["usr/local/lib/modules"] == "drwxrwxr-x 0/50"
    assert shown["usr/local/bin/greet-helper"] == "-rwsr-xr-x 0/0"
    assert shown["usr/local/bin/greet-other"] == "-rwxr-xr-x 0/0"
    assert "usr/lib" not in shown
    assert _listing(_package(builts, "libgreet-doc"))["usr/local/share/man/man3/greet.3"] == "-r--r--r-- 0/0"
    [warned] = one.reporter.warned
    assert "greet-other" in warned
    assert "greet-helper" not in warned

    program = _package(builts, "greet")
    assert program.needs == ("libgreet",)
    assert main.provides == ("libgreet.so.1", "libplain.so")
    assert companions.beside(program.path, ".dep").read_text() == "libgreet.tcz\n"
    assert companions.beside(program.path, ".tree").read_text() == "greet.tcz\n   libgreet.tcz\n\n"
    assert companions.beside(dev.path, ".dep").read_text() == "libgreet.tcz\n"
    assert not companions.beside(main.path, ".tree").exists()
    control = zsync.parse(companions.beside(main.path, ".zsync").read_bytes())
    assert (control.name, control.length) == ("libgreet.tcz", main.size)
    assert {path.suffix for path in companions.of(program.path)} == {
        *(".tcz", ".dep", ".info", ".json", ".list", ".txt", ".tree", ".zsync"),
    }
    # What comes with the program itself is kept as it is.
    assert "usr/local/share/doc/greet/COPYING" in _files(program)

    taken_out = tmp_path / "program"
    subprocess.run(
        ["unsquashfs", "-q", "-n", "-d", taken_out, program.path], check=True, stdout=subprocess.DEVNULL
    )
    headers = subprocess.run(
        ["readelf", "-lS", taken_out / "usr/local/bin/greet"], check=True, capture_output=True, text=True
    ).stdout
    assert "[Requesting program interpreter: /lib/ld-linux-x86-64.so.2]" in headers
    assert ".debug" not in headers
    assert _listing(program)["usr/local/bin/greet"] == "-rwxr-xr-x 0/0"

    unpacked = tmp_path / "dev"
    subprocess.run(
        ["unsquashfs", "-q", "-n", "-d", str(unpacked), str(dev.path)], check=True, capture_output=True
    )
    archive = unpacked / "usr/local/lib/libgreet.a"
    member = subprocess.run(["ar", "p", str(archive)], check=True, capture_output=True).stdout
    facts = inspect(member)
    assert facts is not None
    assert (facts.kind, facts.debug) == ("object", False)
    row = subprocess.run(["ar", "tv", str(archive)], check=True, capture_output=True, text=True).stdout
    assert row.startswith("rw-r--r-- 0/0")
    assert "1970" in row

    assert [package.name for package in one.workshop.packages(["greet"])] == ["libgreet", "greet"]
    assert [package.name for package in one.workshop.packages(["libgreet-dev"])] == [
        "libgreet",
        "libgreet-dev",
    ]


def test_a_library_that_nothing_brings(bench: Any, write_recipe: Any, recipes: Path) -> None:
    one = bench("one", recipes)
    one.workshop.build(["libgreet"])
    # The same program, with the library of a build that it does not name.
    toml = PROGRAM.replace('needs.recipes = ["libgreet"]', "")
    script = (
        "cc -c -fPIC greet.c && cc -shared -Wl,-soname,libgreet.so.1 -o libgreet.so.1 greet.o\n"
        'mkdir -p "$DEST/usr/local/bin" && echo "void greet(void);" >greet.h\n'
        'cc -I. -o "$DEST/usr/local/bin/greet" main.c libgreet.so.1\n'
    )
    write_recipe("greet", toml, {**SOURCES, "files/LICENSE": "x\n", "build.sh": script})
    two = bench("one", recipes)
    with pytest.raises(ConfigError, match="that nothing brings") as caught:
        two.workshop.build(["greet"])
    [problem] = caught.value.problems
    assert problem.where == "package greet"
    assert problem.message == "usr/local/bin/greet asks for libgreet.so.1"
    assert problem.hint == "it is in libgreet (recipe libgreet)"
    write_recipe("greet", toml + "auto-needs = false\n", {})
    three = bench("one", recipes)
    assert _package(three.workshop.build(["greet"]), "greet").needs == ()


def test_a_part_that_is_empty(bench: Any, write_recipe: Any) -> None:
    build = 'mkdir -p "$DEST/usr/local/bin" && echo >"$DEST/usr/local/bin/tool"\n'
    tool = HEAD.format(name="tool", build="") + '[[package]]\nname = "tool"\n'
    folder = write_recipe("tool", tool, {"files/COPYING": "x\n", "build.sh": build}).parent
    user = (
        HEAD.format(name="user", build="") + '[[package]]\nname = "user"\nfiles = []\nneeds = ["tool-dev"]\n'
    )
    write_recipe("user", user, {"files/COPYING": "x\n", "build.sh": "true\n"})
    workshop = bench("one", folder).workshop
    for ask in (workshop.packages, workshop.build):
        with pytest.raises(ConfigError, match="do not exist") as caught:
            ask(["user"])
        [problem] = caught.value.problems
        assert (problem.where, problem.message) == ("package user", "needs tool-dev")
        assert problem.hint == "the build of the recipe tool has nothing that goes into it"


def test_a_tree_names_the_kernel(bench: Any, write_recipe: Any) -> None:
    build = 'mkdir -p "$DEST/lib/modules/6.1-x/kernel" && echo >"$DEST/lib/modules/6.1-x/kernel/a.ko"\n'
    toml = HEAD.format(name="mods", build="") + '[[package]]\nname = "mods-KERNEL"\nfiles = ["lib"]\n'
    folder = write_recipe("mods", toml, {"files/x": "x\n", "build.sh": build}).parent
    user = (
        HEAD.format(name="user", build="")
        + '[[package]]\nname = "user"\nfiles = []\nneeds = ["mods-KERNEL"]\n'
    )
    write_recipe("user", user, {"files/x": "x\n", "build.sh": "true\n"})
    workshop = bench("one", folder).workshop
    builts = workshop.build(["user"])
    workshop.complete(builts, zsync=False)
    package = _package(builts, "user")
    assert companions.beside(package.path, ".tree").read_text() == "user.tcz\n   mods-6.1-x.tcz\n\n"
    assert companions.beside(package.path, ".dep").read_text() == "mods-KERNEL.tcz\n"
    assert not companions.beside(package.path, ".zsync").exists()


def test_layers_are_divided_as_before(bench: Any, write_recipe: Any) -> None:
    build = 'mkdir -p "$DEST/usr/share/man/man1" && echo >"$DEST/usr/share/man/man1/x.1"\n'
    toml = HEAD.format(name="base", build="") + '[[package]]\nname = "base"\nform = "layer"\n'
    folder = write_recipe("base", toml, {"files/COPYING": "x\n", "build.sh": build}).parent
    [built] = bench("one", folder).workshop.build(["base"])
    with tarfile.open(fileobj=io.BytesIO(built.packages[0].path.read_bytes())) as tar:
        assert "usr/share/man/man1/x.1" in tar.getnames()
