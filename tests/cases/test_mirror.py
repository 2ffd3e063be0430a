"""``tcz mirror`` as whole command lines: what it says, and that nothing breaks it.

TCZ_KILLS is how often a writer is killed (a few dozen times if it is not set).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from random import Random
from typing import TYPE_CHECKING

import pytest

from tcz.mirror.verify import verify
from tests.cases.commandline import TOP, Home
from tests.unit.mirror_made import BRANCH, QUIET, begun, package, quick_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Golden

KILLS = int(os.environ.get("TCZ_KILLS", "24"))


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

COMMANDS = """\
import sys
from pathlib import Path
from datetime import date
from tests.unit.mirror_made import BRANCH, QUIET
from tcz.mirror import changes, snapshots
from tcz.mirror.repository import Mirror
mirror, packages = Mirror.open(Path(sys.argv[1])), Path(sys.argv[2])
print("ready", flush=True)
count = 0
while True:
    count += 1
    files = sorted((packages / str(count % 3)).glob("*.tcz"))
    changes.add(mirror, files, BRANCH, QUIET, replacing=True)
    if count % 4 == 0:
        changes.remove(mirror, ["a"], BRANCH, QUIET, force=True)
    if count % 5 == 0:
        snapshots.collect(mirror, QUIET)
    if count % 6 == 0:
        name = str(mirror.catalogue().serial)
        if name not in mirror.snapshots():
            snapshots.create(mirror, name, date(2026, 1, 1), QUIET)
    if count % 7 == 0:
        for name in mirror.snapshots():
            snapshots.remove(mirror, name, QUIET)
    changes.index(mirror, QUIET)
"""


def test_a_writer_may_be_killed_at_any_time() -> None:
    random = Random(1)
    with quick_folder() as folder:
        mirror = begun(folder / "m", keep=2)
        for version in range(3):
            package(folder / f"in/{version}", "a", "b", version=str(version))
            package(folder / f"in/{version}", "b", version=str(version))
        last = mirror.catalogue().serial
        for _ in range(KILLS):
            writer = subprocess.Popen(
                [sys.executable, "-c", COMMANDS, mirror.root, folder / "in"],
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": str(TOP)},
            )
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            time.sleep(random.random() / 5)
            writer.send_signal(signal.SIGKILL)
            writer.wait()
            writer.stdout.close()
            assert verify(mirror, QUIET).damage == ()
            assert mirror.catalogue().serial >= last
            last = mirror.catalogue().serial
        assert last > 1
        with mirror.writing(QUIET):
            pass
        assert verify(mirror, QUIET).damage == ()


SMALL = """\
set -e
mount -t tmpfs -o size=$1,nr_inodes=4000 none "$2"
cp -a "$3/." "$2"
set +e
"$4" -m tcz mirror add "$5" --no-lint --progress none -m "$2" 2>"$6/err"
echo $? >"$6/rc"
"$4" -m tcz mirror verify --progress none -m "$2" >"$6/verify" 2>&1
echo $? >"$6/verified"
readlink "$2/public" >"$6/public"
rm -r "$2/tmp"
find "$2/tmp" >"$6/left" 2>/dev/null
exit 0
"""


@pytest.mark.parametrize("room", [96, 120, 150, 180, 200, 210, 220, 300])
def test_a_full_disk_changes_nothing(room: int, home: Home) -> None:
    """A tmpfs of few KiB in namespaces of its own, so that no root is needed."""
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no user and mount namespaces")
    mirror = begun(home.folder / "m")
    for name in "abcdefgh":
        package(home.folder / "in", name)
    (home.folder / "small").mkdir()
    args = [f"{room}k", "small", mirror.root, sys.executable, "in", home.folder]
    subprocess.run(
        ["unshare", "-rm", "sh", "-c", SMALL, "sh", *map(str, args)],
        cwd=home.folder,
        env=home.env(),
        check=True,
    )
    said = {name: (home.folder / name).read_text() for name in ("rc", "err", "verified", "public", "verify")}
    assert said["verified"] == "0\n", said
    if said["rc"] == "7\n":
        assert "full" in said["err"]
        assert "Traceback" not in said["err"]
        assert said["public"] == "states/1\n"
    else:
        assert (said["rc"], said["public"]) == ("0\n", "states/2\n"), said


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
