"""``tcz mirror`` as whole command lines: what it says, and that nothing breaks it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tcz.mirror.verify import verify
from tests.cases.commandline import Home
from tests.unit.mirror_made import BRANCH, QUIET, begun, package, quick_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Golden


@pytest.fixture
def home() -> Iterator[Home]:
    with quick_folder() as folder:
        yield Home(folder / "home")


def test_a_mirror_from_the_command_line(home: Home) -> None:
    packages = home.folder / "in"
    package(packages, "thing", "zstd")
    package(packages, "zstd", "thing-lib")
    package(packages, "thing-lib")
    env = {"TCZ_MIRROR_DIR": str(home.folder / "m")}
    assert home.tcz("mirror", "init", "m", "--title", "Ours").stdout == "m/public\n"
    info = packages / "thing.tcz.info"
    right = info.read_text()
    info.write_text(right.replace("Author", "Writer"))
    done = home.tcz("mirror", "add", "in", env=env)
    assert (done.returncode, "the key Author is missing" in done.stderr) == (9, True)
    info.write_text(right)
    done = home.tcz("mirror", "add", "in", env=env)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "published as 2")
    told = json.loads(home.tcz("mirror", "status", "--json", env=env).stdout)
    assert [(one["branch"], one["packages"]) for one in told["branches"]] == [("17.x/x86_64", 3)]
    assert "Ours\nserial 2" in home.tcz("mirror", "status", env=env).stdout
    assert home.tcz("mirror", "snapshot", "create", "first", env=env).returncode == 0
    assert home.tcz("mirror", "remove", "zstd", env=env).returncode == 9
    assert home.tcz("mirror", "remove", "thing", env=env).returncode == 0
    assert home.tcz("mirror", "diff", "first", "now", env=env).stdout.startswith("- thing.tcz 1 (")
    assert home.tcz("mirror", "index", env=env).stdout == "nothing has changed since 3\n"
    assert home.tcz("mirror", "verify", env=env).returncode == 0
    with (home.folder / "m/public/17.x/x86_64/tcz/zstd.tcz").open("ab") as file:
        file.write(b"x")
    assert home.tcz("mirror", "verify", env=env).returncode == 9
    assert home.tcz("mirror", "repair", env=env).returncode == 9
    assert home.tcz("mirror", "repair", "--from", "in", env=env).returncode == 0
    assert home.tcz("mirror", "gc", env=env).returncode == 0
    assert home.tcz("mirror", "verify", env=env).returncode == 0


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["status"], "there is no mirror"),
        (["add", "gone.tcz", "-m", "m"], "is not a file"),
        (["add", "nonesuch", "-m", "m"], "no such file, recipe or package"),
        (["add", "evil", "-m", "m", "--no-lint"], "not a package name"),
        (["add", "in", "-m", "m", "-b", "16.x/x86"], "no branch 16.x/x86"),
        (["add", "in", "-m", "m", "-b", "x"], "not a release"),
        (["remove", "gone", "-m", "m"], "nothing was removed"),
        (["snapshot", "remove", "gone", "-m", "m"], "no snapshot"),
        (["diff", "gone", "now", "-m", "m"], "no snapshot"),
        (["init", "m"], "already"),
    ],
)
def test_mistakes_are_one_clear_error(args: list[str], word: str, home: Home) -> None:
    begun(home.folder / "m")
    package(home.folder / "in", "thing")
    package(home.folder / "evil", "thing").rename(home.folder / "evil/a;reboot.tcz")
    done = home.tcz("mirror", *args)
    assert done.returncode == 2
    assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_the_files_of_a_branch(golden: Golden) -> None:
    with quick_folder() as folder:
        mirror = begun(folder / "m")
        home = Home(folder / "home")
        package(folder / "in", "zstd", "Thing", tags="  compress  fast")
        package(folder / "in", "Thing", "m-KERNEL", version="2.0")
        package(folder / "in", "m-6.18.2-tinycore64")
        package(folder / "in", "alpha", "zstd", tags="")
        assert home.tcz("mirror", "add", folder / "in", "--no-lint", "-m", mirror.root).returncode == 0
        tcz = mirror.public / BRANCH.folder
        names = ["info.lst", "tags.db", "sizelist", "dep.db", "provides.db", "tcz.html"]
        names += ["alpha.tcz.tree", "alpha.tcz.dep", "alpha.tcz.list"]
        golden("mirror/branch.txt", "".join(f"== {name}\n{(tcz / name).read_text()}" for name in names))


# -- writers that end early, or meet ---------------------------------------------------------------


def test_two_writers_wait_for_each_other(home: Home) -> None:
    mirror = begun(home.folder / "m")
    for name in "ab":
        package(home.folder / name, name)
    running = [home.start("tcz", "mirror", "add", name, "--no-lint", "-m", mirror.root) for name in "ab"]
    with mirror.writing(QUIET):
        running.append(home.start("tcz", "mirror", "index", "-m", mirror.root))
        before = mirror.catalogue().serial
        said = [one.stderr.readline() for one in running]
        assert mirror.catalogue().serial == before
    told = [one.communicate(timeout=60) for one in running]
    assert [one.returncode for one in running] == [0, 0, 0], told
    assert sorted(mirror.catalogue().entries(BRANCH)) == ["a", "b"]
    assert all("waiting for another command" in line for line in said), said
    assert verify(mirror, QUIET).damage == ()
