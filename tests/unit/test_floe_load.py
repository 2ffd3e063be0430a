"""The base's tce-load as whole command lines: BusyBox in a root of its own, against a server with faults."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.unit.repository_made import (
    TCZ,
    Server,
    busy,
    cut,
    gone,
    loop,
    page,
    put,
    reset,
    serving,
    short,
    whole,
    wrong,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.repository_made import Fault

BASE = Path(__file__).parents[2] / "recipes/floe-base/files"
BUSYBOX = shutil.which("busybox")
#: A user that is not root, in a user namespace and a root folder of its own.
APART = ("unshare", "-U", "--map-user=1001", "--map-group=50")


def apart() -> bool:
    """Tell whether a command can be run so."""
    if BUSYBOX is None or shutil.which("unshare") is None:
        return False
    return subprocess.run([*APART, "true"], check=False, capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not apart(), reason="needs busybox-static and user namespaces")


@dataclass(frozen=True)
class Floe:
    """A folder with what tce-load needs of the base."""

    root: Path

    @property
    def tce(self) -> Path:
        return self.root / "tmp/tce"

    @property
    def optional(self) -> Path:
        return self.tce / "optional"

    def load(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [*APART, f"--root={self.root}", "--wd=/tmp", "/bin/busybox", "sh", "/usr/bin/tce-load", *words]
        return subprocess.run(argv, env={"PATH": "/bin"}, capture_output=True, text=True, check=False)


@pytest.fixture
def floe(tmp_path: Path, server: Server) -> Floe:
    root = tmp_path / "floe"
    for folder in ("bin", "etc/sysconfig", "usr/bin", "opt", "proc", "tmp/tce/optional", "dev"):
        (root / folder).mkdir(parents=True)
    for name in ("etc/init.d", "usr/lib/floe"):
        shutil.copytree(BASE / name, root / name)
    # Debian's BusyBox knows no -T; and no test has time to wait.
    script = (BASE / "usr/bin/tce-load").read_text()
    for ours, other in (('PATIENCE="-T 60"', 'PATIENCE=""'), ("sleep 1", "sleep 0")):
        assert ours in script
        script = script.replace(ours, other)
    (root / "usr/bin/tce-load").write_text(script)
    shutil.copyfile(str(BUSYBOX), root / "bin/busybox")
    (root / "bin/busybox").chmod(0o755)
    subprocess.run([*APART, f"--root={root}", "/bin/busybox", "--install", "-s", "/bin"], check=True)
    (root / "proc/cmdline").write_text("base\n")
    (root / "dev/null").touch()
    (root / "etc/os-release").write_text("VERSION_ID=17.0\n")
    (root / "etc/sysconfig/tcedir").symlink_to("/tmp/tce")
    (root / "opt/tcemirror").write_text(f"{server.address}/\n")
    return Floe(root)


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    folder = tmp_path / "theirs" / TCZ
    put(folder, "app", ["lib", "base"])
    put(folder, "lib", ["base"])
    put(folder, "base")
    return folder


@pytest.fixture
def server(theirs: Path) -> Iterator[Server]:
    with serving(theirs.parents[2]) as one:
        yield one


def same(floe: Floe, theirs: Path, *names: str) -> bool:
    return all((floe.optional / name).read_bytes() == (theirs / name).read_bytes() for name in names)


def test_a_closure_is_downloaded_in_order(floe: Floe, server: Server, theirs: Path) -> None:
    done = floe.load("-w", "app")
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("Downloading")] == [
        "Downloading: base.tcz",
        "Downloading: lib.tcz",
        "Downloading: app.tcz",
    ]
    assert same(floe, theirs, "app.tcz", "lib.tcz", "base.tcz", "app.tcz.dep", "lib.tcz.dep")
    assert not (floe.optional / "base.tcz.dep").exists()
    assert {path.suffix for path in floe.optional.iterdir()} == {".tcz", ".txt", ".dep"}
    server.asked.clear()
    assert "already downloaded" in floe.load("-w", "app").stdout
    assert server.asked == []


def test_a_download_is_gone_on_with(floe: Floe, server: Server, theirs: Path) -> None:
    whole_file = (theirs / "lib.tcz").read_bytes()
    (floe.optional / "lib.tcz").write_bytes(whole_file[:1000])
    assert floe.load("-w", "lib").returncode == 0
    assert server.paths(206) == ["lib.tcz"]
    assert same(floe, theirs, "lib.tcz")


def test_what_is_whole_already_is_only_checked(floe: Floe, server: Server, theirs: Path) -> None:
    shutil.copy(theirs / "base.tcz", floe.optional)
    assert floe.load("-w", "base").returncode == 0
    assert "base.tcz" not in server.paths(200) + server.paths(206) + server.paths(416)


@pytest.mark.parametrize("stale", [b"x" * 500, b"x" * 100_000, b""])
def test_the_beginning_of_another_file_is_thrown_away(floe: Floe, theirs: Path, stale: bytes) -> None:
    (floe.optional / "lib.tcz").write_bytes(stale)
    done = floe.load("-w", "lib")
    assert done.returncode == 0, done.stderr
    assert same(floe, theirs, "lib.tcz")


PASSING: list[tuple[str, Fault]] = [("lib.tcz", cut), ("lib.tcz", reset), ("lib.tcz", busy)]


@pytest.mark.parametrize(("name", "fault"), PASSING)
def test_a_broken_connection_is_tried_again(
    floe: Floe, server: Server, theirs: Path, name: str, fault: Fault
) -> None:
    server.on(name, fault, whole)
    done = floe.load("-w", "app")
    assert done.returncode == 0, done.stderr
    assert same(floe, theirs, "app.tcz", "lib.tcz", "base.tcz")
    assert server.paths(206) == (["lib.tcz"] if fault is cut else [])


LASTING: list[tuple[str, Fault, str]] = [
    ("lib.tcz", cut, "lib.tcz: the download broke off"),
    ("lib.tcz", reset, "Error on lib.tcz"),
    ("lib.tcz", busy, "503"),
    ("lib.tcz", gone, "Error on lib.tcz: not on the mirror"),
    ("lib.tcz", wrong, "its md5 is not the one"),
    ("lib.tcz", short, "its md5 is not the one"),
    ("lib.tcz", page, "its md5 is not the one"),
    ("lib.tcz", loop, "Error on lib.tcz"),
    ("lib.tcz.md5.txt", gone, "Error on lib.tcz: not on the mirror"),
    ("lib.tcz.md5.txt", busy, "503"),
    ("lib.tcz.md5.txt", page, "its md5 is not the one"),
    ("lib.tcz.dep", page, "does not hold the names"),
    ("lib.tcz.dep", busy, "Error on lib.tcz.dep"),
    ("lib.tcz.dep", reset, "Error on lib.tcz.dep"),
    ("base.tcz.dep", busy, "Error on base.tcz.dep"),
]


@pytest.mark.parametrize(("name", "fault", "words"), LASTING)
def test_a_fault_that_lasts_is_told(
    floe: Floe, server: Server, theirs: Path, name: str, fault: Fault, words: str
) -> None:
    server.on(name, fault)
    done = floe.load("-w", "app")
    assert done.returncode == 1, done.stdout
    assert words in done.stderr
    assert (floe.root / "tmp/appserr").read_text() == "1\n"
    assert not (floe.optional / "app.tcz").exists()
    if fault is cut:
        # What has come is kept, and the next run goes on with it.
        half = (theirs / "lib.tcz").stat().st_size // 2
        assert (floe.optional / "lib.tcz").stat().st_size >= half
        server.asked.clear()
    else:
        assert not (floe.optional / "lib.tcz").exists()
    server.faults.clear()
    assert floe.load("-w", "app").returncode == 0
    assert same(floe, theirs, "app.tcz", "lib.tcz", "base.tcz", "lib.tcz.dep")
    if fault is cut:
        assert server.paths(206) == ["lib.tcz"]


def test_no_mirror_there(floe: Floe) -> None:
    (floe.root / "opt/tcemirror").write_text("http://127.0.0.1:1/\n")
    done = floe.load("-w", "app")
    assert done.returncode == 1
    assert "can't connect" in done.stderr
    assert list(floe.optional.iterdir()) == []
