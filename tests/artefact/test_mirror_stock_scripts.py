"""Tiny Core's own scripts, as they are, against a served mirror.

They are no part of this project: TCZ_CORE_SCRIPTS names a folder with them (the repository Core-scripts of
tinycorelinux on GitHub). BusyBox runs them in a root of their own, as the user of a machine does.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.artefact.test_mirror_clients import dirty
from tests.boot.served import publishing
from tests.unit.mirror_made import package

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPTS = Path(os.environ.get("TCZ_CORE_SCRIPTS", "none"))
KERNEL = platform.release()

pytestmark = [
    pytest.mark.skipif(
        not (SCRIPTS / "usr/bin/tce-load").is_file(), reason="TCZ_CORE_SCRIPTS names no folder"
    ),
    pytest.mark.skipif(shutil.which("busybox") is None, reason="no busybox"),
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap"),
]


@dataclass(frozen=True)
class Machine:
    """A folder that is the root of a machine."""

    root: Path
    url: str

    @property
    def optional(self) -> Path:
        return self.root / "tmp/tce/optional"

    def run(self, script: str, said: str = "") -> tuple[int, str]:
        """Run a line of shell; return its status and all that it said, without colours."""
        words = ("bwrap", "--bind", self.root, "/", "--dev", "/dev", "--proc", "/proc", "--unshare-user")
        user = (
            "--uid",
            "1001",
            "--gid",
            "50",
            "--chdir",
            "/tmp",
            "--clearenv",
            "--setenv",
            "PATH",
            "/usr/bin:/bin",
        )
        done = subprocess.run(
            [*words, *user, "/bin/busybox", "sh", "-c", script],
            input=said,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    def lines(self, script: str, said: str = "") -> list[str]:
        return self.run(script, said)[1].splitlines()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("stock")
    dirty(folder / "in")
    package(folder / "in", f"sound-{KERNEL}", "Base")
    with publishing(folder, folder / "in", latest="17.1") as made:
        yield f"http://127.0.0.1:{made.port}/"


@pytest.fixture
def machine(tmp_path: Path, url: str) -> Machine:
    root = tmp_path / "root"
    shutil.copytree(SCRIPTS, root, symlinks=True)
    for folder in (
        "bin",
        "opt",
        "tmp/tce/optional",
        "lib",
        "etc/sysconfig",
        "usr/local/tce.installed",
        "dev",
        "proc",
    ):
        (root / folder).mkdir(parents=True, exist_ok=True)
    shutil.copyfile(str(shutil.which("busybox")), root / "bin/busybox")
    (root / "bin/busybox").chmod(0o755)
    done = subprocess.run(["busybox", "--list"], check=True, capture_output=True, text=True)
    for name in done.stdout.split():
        if name not in ("busybox", "ping") and not (root / "usr/bin" / name).exists():
            (root / "bin" / name).symlink_to("busybox")
    (root / "bin/busybox.suid").symlink_to("busybox")
    # What they do as root is nothing here; and somebody answers to a ping.
    for name in ("ping", "sudo"):
        (root / "bin" / name).write_text('#!/bin/busybox sh\n[ "${0##*/}" = ping ] || "$@"\n')
        (root / "bin" / name).chmod(0o755)
    (root / "lib/ld-linux-x86-64.so.2").touch()
    (root / "etc/os-release").write_text("NAME=TinyCore\nVERSION_ID=17.0\n")
    (root / "opt/tcemirror").write_text(url)
    (root / "etc/sysconfig/tcedir").unlink(missing_ok=True)
    (root / "etc/sysconfig/tcedir").symlink_to("/tmp/tce")
    return Machine(root, url)


ALL = ["Base.tcz", "app.tcz", "libapp.tcz", f"sound-{KERNEL}.tcz", "zstd.tcz"]


def load(machine: Machine) -> None:
    status, said = machine.run("tce-load -w app")
    assert status == 0, said
    assert sorted(path.name for path in machine.optional.glob("*.tcz")) == ALL, said


def test_tce_load(machine: Machine) -> None:
    status, said = machine.run("tce-load -w app")
    assert status == 0, said
    told = [
        line.removeprefix("Downloading: ") for line in said.splitlines() if line.startswith("Downloading")
    ]
    assert told == ["Base.tcz", "zstd.tcz", f"sound-{KERNEL}.tcz", "libapp.tcz", "app.tcz"]
    assert machine.lines("cd tce/optional && for file in *.md5.txt; do md5sum -c $file; done") == [
        f"{name}: OK" for name in ALL
    ]
    assert (machine.optional / "app.tcz.dep").read_text() == "libapp.tcz\nsound-KERNEL.tcz\nzstd.tcz\n"
    assert "already downloaded" in machine.run("tce-load -w app")[1]


def test_tce_load_goes_on_with_what_is_there(machine: Machine) -> None:
    load(machine)
    whole = (machine.optional / "app.tcz").read_bytes()
    (machine.optional / "app.tcz").write_bytes(whole[:1000])
    load(machine)
    assert (machine.optional / "app.tcz").read_bytes() == whole


def test_search(machine: Machine) -> None:
    assert machine.lines("search.sh lib") == ["libapp.tcz"]
    assert machine.lines("search.sh '^Base$'") == ["Base.tcz"]
    assert machine.lines("search.sh -t text editor") == ["app.tcz"]
    assert machine.lines("search.sh -t manual") == ["app-doc.tcz"]


def test_provides(machine: Machine) -> None:
    assert machine.lines("provides.sh 'usr/local/bin/app$' 2>/dev/null") == ["app.tcz"]
    assert machine.lines("provides.sh -nz bin/lib") == ["libapp.tcz"]
    assert machine.lines("provides.sh -nz -f bin/lib") == [f"{'libapp.tcz':30} : usr/local/bin/libapp"]
    assert machine.lines("provides.sh -nz bin/nothing") == []


def test_depends_on(machine: Machine) -> None:
    found = machine.lines("depends-on.sh Base 2>/dev/null")
    assert set(found) == {"libapp.tcz", "zstd.tcz", f"sound-{KERNEL}.tcz", "sound-6.18.2-tinycore64.tcz"}
    assert machine.lines("depends-on.sh -f sound 2>/dev/null") == ["app.tcz"]


def test_tce_size(machine: Machine) -> None:
    load(machine)
    words = [line.replace(",", " ").split() for line in machine.lines("tce-size zstd")]
    found = {one[0]: int(one[1]) for one in words if one and one[0].endswith(".tcz")}
    assert found == {name: (machine.optional / name).stat().st_size for name in ("Base.tcz", "zstd.tcz")}
    assert machine.lines("tce-size app-doc")[0].startswith("+ app-doc.tcz")


def test_tce_fetch(machine: Machine) -> None:
    for suffix in ("info", "list", "tree", "dep", "zsync"):
        assert machine.run(f"tce-fetch.sh app.tcz.{suffix}")[0] == 0
    assert (machine.root / "tmp/app.tcz.list").read_text() == "./usr/local/bin/app\n"
    assert machine.run("tce-fetch.sh Base.tcz.dep")[0] != 0


def test_tce_update(machine: Machine) -> None:
    load(machine)
    assert machine.lines("tce-update list /tmp/tce/optional") == []
    old = "0" * 32
    (machine.optional / "libapp.tcz.md5.txt").write_text(f"{old}  libapp.tcz\n")
    assert machine.lines("tce-update list /tmp/tce/optional") == ["libapp.tcz"]
    assert "libapp.tcz" in machine.run("tce-update query /tmp/tce/optional")[1]
    status, said = machine.run("tce-update update /tmp/tce/optional/libapp.tcz")
    assert (status, "Updating libapp.tcz OK" in said) == (0, True), said
    upgraded = machine.optional / "upgrade"
    assert (upgraded / "libapp.tcz").read_bytes() == (machine.optional / "libapp.tcz").read_bytes()
    assert machine.lines("cd tce/optional/upgrade && md5sum -c libapp.tcz.md5.txt") == ["libapp.tcz: OK"]


def test_tce_audit(machine: Machine) -> None:
    load(machine)
    assert machine.lines("tce-audit md5check") == ["OK: all md5sums are correct"]
    (machine.optional / "app.tcz.dep").unlink()
    said = machine.run("tce-audit updatedeps")[1]
    assert "rror" not in said
    assert (machine.optional / "app.tcz.dep").is_file()
    assert f"sound-{KERNEL}.tcz" in (machine.optional / "tce.db").read_text()
    (machine.optional / "zstd.tcz").unlink()
    assert (
        "For app.tcz zstd.tcz is missing!"
        in machine.run("tce-audit builddb >/dev/null; tce-audit auditall")[1]
    )
    machine.run("tce-audit fetchmissing")
    assert (machine.optional / "zstd.tcz").is_file()


def test_update_everything(machine: Machine) -> None:
    load(machine)
    (machine.optional / "libapp.tcz.dep").unlink()
    (machine.optional / "Base.tcz.dep").write_text("zstd.tcz\n")
    (machine.optional / "zstd.tcz.dep").write_text(" \nBase.tcz  \n")
    (machine.optional / "own.tcz").write_text("a package without .md5.txt is nobody's business")
    said = machine.lines("sh /usr/bin/update-everything", "\n\n\n")
    assert "libapp.tcz.dep is missing, adding it..." in said
    assert "Base.tcz.dep is extraneous, removing it..." in said
    assert not any("changed, updating" in line or "deprecated" in line or "Aborting" in line for line in said)
    assert (machine.optional / "libapp.tcz.dep").read_text() == "Base.tcz\n"
    assert not (machine.optional / "Base.tcz.dep").exists()


def test_tce_status(machine: Machine) -> None:
    load(machine)
    (machine.optional / "own.tcz").touch()
    assert [line for line in machine.lines("tce-status -o") if line.endswith("not found!")] == [
        "own.tcz not found!"
    ]


def test_version(machine: Machine) -> None:
    assert "The latest release is 17.1" in machine.lines("version -c")
    (machine.root / "etc/os-release").write_text("VERSION_ID=17.1\n")
    assert machine.lines("version -c") == []


def test_tce_ab(machine: Machine) -> None:
    """The browser: search, about, needs, tree, files and size of what is found, then what provides a file."""
    said = machine.run("tce-ab", "slibapp\ndtfzpbin/app$\nfq")[1]
    assert "Title:          libapp.tcz\n" in said
    assert "\nBase.tcz\n" in said
    assert "libapp.tcz\n   Base.tcz\n" in said
    assert "/usr/local/bin/libapp\n" in said
    assert "+ Base.tcz" in said
    assert "Title:          app.tcz\n" in said
    assert "./usr/local/bin/app\n" in said
