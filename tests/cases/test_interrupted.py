"""Builds and images that are interrupted or whose cache is damaged, by the real commands.

The recipes are tiny; what an image is made of are stand-ins for the real packages.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cases.commandline import PATIENCE, Home, archive, interrupt_when

if TYPE_CHECKING:
    from tests.cases.commandline import Finished

ISOLINUX = Path("/usr/lib/ISOLINUX")
LDLINUX = Path("/usr/lib/syslinux/modules/bios/ldlinux.c32")
SLOW = 'echo begun\nsleep 2\nmkdir -p "$DEST/usr"\necho x >"$DEST/usr/x"\n'
OWN = ("--recipes", "recipes")
pytestmark = pytest.mark.build


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.with_real_roots()
    return home


def builds(home: Home) -> list[Path]:
    return list((home.dirs.cache / "builds").glob("*/build.json"))


def begun(home: Home) -> bool:
    return any("begun" in log.read_text() for log in home.dirs.state.glob("logs/*.log"))


# -- tcz build --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signals", "code"),
    [((signal.SIGINT,), 130), ((signal.SIGINT, signal.SIGINT), 130), ((signal.SIGTERM,), 143)],
    ids=["once", "twice", "terminated"],
)
def test_an_interrupted_build(home: Home, signals: tuple[int, ...], code: int) -> None:
    home.recipe("x", script=SLOW)
    process = home.start("tcz", "build", *OWN, "x")
    out, err = interrupt_when(process, lambda: begun(home), *signals)
    assert (process.returncode, out) == (code, ""), err
    assert err.endswith("interrupted; nothing half-written was kept; run again to resume\n")
    assert "Traceback" not in err
    assert builds(home) == []
    assert home.leftovers() == []
    again = home.tcz("build", *OWN, "x")
    assert again.returncode == 0, again.stderr
    assert Path(again.stdout.strip()).is_file()
    assert home.leftovers() == []


@pytest.mark.parametrize("title", ["x: unpack", "x: pack"])
def test_an_interrupt_at_each_step(home: Home, title: str) -> None:
    home.recipe("x", script=SLOW.replace("sleep 2", "sleep 0"))
    process = home.start("tcz", "build", *OWN, "x", "--progress", "json", "--json")
    events = until(process, title)
    out, err = process.communicate(timeout=PATIENCE)
    events += [json.loads(line) for line in err.splitlines()]
    assert (process.returncode, out) == (130, "")
    assert events[-1]["event"] == "error"
    assert home.leftovers() == []
    assert home.tcz("build", *OWN, "x").returncode == 0
    assert len(builds(home)) == 1


def until(process: Any, title: str) -> list[dict[str, Any]]:
    """Read events until a step begins, then press Ctrl-C."""
    events = []
    for line in process.stderr:
        events.append(json.loads(line))
        if events[-1]["event"] == "start" and events[-1]["title"] == title:
            process.send_signal(signal.SIGINT)
            return events
    raise AssertionError(f"{title} never began: {events}")


def test_damaged_builds_are_made_anew(home: Home) -> None:
    home.recipe("x", script=SLOW.replace("sleep 2", "true"))
    first = home.tcz("build", *OWN, "x")
    package = Path(first.stdout.strip())
    whole, record = package.read_bytes(), package.with_name("build.json").read_bytes()

    def again() -> None:
        said = home.tcz("build", *OWN, "x")
        assert (said.returncode, said.stdout) == (0, first.stdout), said.stderr
        assert package.read_bytes() == whole
        assert package.with_name("build.json").read_bytes() == record
        assert home.leftovers() == []

    for damage in (record[:-50], b"", record.replace(b'"build_id": "', b'"build_id": "0')):
        package.with_name("build.json").write_bytes(damage)
        again()
    package.write_bytes(whole[:-100])
    again()
    package.unlink()
    again()


def test_a_failing_build_names_its_log(home: Home) -> None:
    home.recipe("x", script="echo one\necho the last words >&2\nfalse\n")
    said = home.tcz("build", *OWN, "x", "--json", "--progress", "json")
    assert (said.returncode, said.stdout) == (8, "")
    error = json.loads(said.stderr.splitlines()[-1])
    assert "the last words" in error["why"]
    assert "the last words" in Path(error["where"]).read_text()
    assert home.leftovers() == []


def test_a_lock_that_names_what_is_gone(home: Home) -> None:
    home.recipe("x", script=SLOW.replace("sleep 2", "true"))
    assert home.tcz("build", *OWN, "x", "--write-lock", "x.lock").returncode == 0
    locked = json.loads((home.folder / "x.lock").read_text())
    pinned = next(one for one in locked["debian"] if one["name"] == "sed")
    pinned |= {"version": "0.1-1", "sha256": "3" * 64}
    (home.folder / "x.lock").write_text(json.dumps(locked))
    said = home.tcz("build", *OWN, "x", "--lock", "x.lock")
    assert said.returncode == 0, said.stderr
    assert "no longer to be had as locked, so the newest is taken: sed 0.1-1" in said.stderr


def test_every_place_of_a_source_is_told(home: Home) -> None:
    source = archive("http://127.0.0.1:9/x.tar.gz", b"nothing that exists", debian="hello")
    home.recipe("x", source)
    said = home.tcz("fetch", *OWN, "x")
    assert said.returncode == 4
    assert "http://127.0.0.1:9/x.tar.gz:\n    Connection refused" in said.stderr
    assert "Debian source package hello:\n" in said.stderr


# -- remaster ---------------------------------------------------------------------------------------

LAYER = '[[package]]\nname = "{name}"\nform = "layer"\nfiles = ["*"]\n'
FILES = '[[package]]\nname = "{name}"\nform = "files"\nfiles = ["*"]\n'
LOCAL = '[[source]]\nkind = "local"\npath = "files"\n'


def stand_ins(home: Home) -> None:
    """Write recipes of the names that the base is made of. The kernel is large, the root easy to pack."""
    base = (
        'mkdir -p "$DEST/etc"\necho "#!/bin/sh" >"$DEST/init"\n'
        'echo root:x:0:0:root:/root:/bin/sh >"$DEST/etc/passwd"\necho root:x:0: >"$DEST/etc/group"\n'
    )
    home.recipe("floe-base", script=base, packages=LAYER.format(name="floe-base"))
    for name in ("glibc", "busybox", "sudo"):
        script = f'mkdir "$DEST/{name}"\nseq 1 200000 >"$DEST/{name}/x"\n'
        home.recipe(name, script=script, packages=LAYER.format(name=name))
    kernel = FILES.format(name="kernel").replace("*", "vmlinuz") + LAYER.format(name="kernel-base")
    script = 'seq 1 4000000 >"$DEST/vmlinuz"\nmkdir -p "$DEST/lib/modules"\necho x >"$DEST/lib/modules/x"\n'
    home.recipe("kernel", script=script, packages=kernel.replace('["*"]', '["lib"]'))
    copy = 'cp -r "$SRC/." "$DEST"\n'
    for name in ("syslinux", "grub-efi"):
        home.recipe(name, LOCAL, copy, FILES.format(name=name))
        (home.recipes / name / "files").mkdir()
    for file in (ISOLINUX / "isolinux.bin", ISOLINUX / "isohdpfx.bin", LDLINUX):
        shutil.copyfile(file, home.recipes / "syslinux/files" / file.name)
    (home.recipes / "grub-efi/files/efiboot.img").write_bytes(bytes(1 << 20))


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which all stand-ins are built and an image was made."""
    if not (ISOLINUX / "isolinux.bin").is_file():
        pytest.skip("no isolinux here")
    home = Home(tmp_path_factory.mktemp("works"))
    home.with_real_roots()
    stand_ins(home)
    process = home.start("remaster", "--variant", "linux", *OWN, "--progress", "json")
    until(process, "sudo: build")
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (130, ""), err
    assert not (home.folder / "out").exists()
    assert home.leftovers() == []
    assert image(home).returncode == 0
    return home


def image(home: Home, *more: str) -> Finished:
    return home.remaster("--variant", "linux", *OWN, "--progress", "plain", *more)


def sums_hold(home: Home) -> str:
    """Check the image that is there with sha256sum; return its hash."""
    folder = home.folder / "out"
    argv = ["sha256sum", "--strict", "-c", "floe-linux.sha256"]
    subprocess.run(argv, cwd=folder, check=True, capture_output=True)
    assert {path.name for path in folder.iterdir()} == {
        f"floe-linux.{end}" for end in ("iso", "lock", "manifest.json", "sha256", "sizes.txt")
    }
    return (folder / "floe-linux.sha256").read_text().split()[0]


@pytest.mark.parametrize(("title", "compressor"), [("initrd", "xz"), ("ISO", "none")])
def test_an_interrupted_image_leaves_the_one_before(works: Home, title: str, compressor: str) -> None:
    before = sums_hold(works)
    more = ("--boot-code", f"host={title}", "--initrd-compressor", compressor)
    process = works.start("remaster", "--variant", "linux", *OWN, "--progress", "json", *more)
    events = until(process, title)
    out, err = process.communicate(timeout=PATIENCE)
    events += [json.loads(line) for line in err.splitlines()]
    assert (process.returncode, out) == (130, ""), err
    assert (events[-1]["event"], events[-1]["code"]) == ("error", 130)
    assert works.leftovers() == []
    assert sums_hold(works) == before
    said = image(works)
    assert "nothing has changed since it was made" in said.stdout


def test_a_damaged_cache_gives_the_same_image(works: Home) -> None:
    assert image(works).returncode == 0
    before = sums_hold(works)
    cache = works.dirs.cache
    folder = {
        path.name: path.parent
        for path in (cache / "builds").glob("*/*")
        if path.name in ("glibc.tar", "sudo.tar", "busybox.tar", "floe-base.tar")
    }
    initrds = [*(cache / "initrds").iterdir()]
    damages = (
        [*(cache / "images").glob("*.json"), *(path for path in initrds if path.suffix != ".sha256")],
        [folder["glibc.tar"] / "glibc.tar", *(path for path in initrds if path.suffix == ".sha256")],
        [folder["sudo.tar"] / "build.json"],
    )
    for files in damages:
        for file in files:
            data = file.read_bytes()
            file.write_bytes(data[: len(data) // 2])
        (works.folder / "out/floe-linux.iso").unlink()
        said = image(works)
        assert said.returncode == 0, said.stderr
        assert sums_hold(works) == before


def test_damage_that_keeps_the_size_is_not_put_into_an_image(works: Home) -> None:
    before = sums_hold(works)
    (file,) = (works.dirs.cache / "builds").glob("*/busybox.tar")
    data = bytearray(file.read_bytes())
    data[5000] ^= 1
    file.write_bytes(data)
    (works.folder / "out/floe-linux.iso").unlink()
    said = image(works)
    assert said.returncode == 5
    assert said.stdout == ""
    assert f"{file}: busybox: not the bytes that were built" in said.stderr
    removed = re.search(r"-> remove (\S+), then build again", said.stderr)
    assert removed is not None
    shutil.rmtree(removed[1])
    assert image(works).returncode == 0
    assert sums_hold(works) == before


def test_a_disk_too_small_for_the_image(works: Home) -> None:
    own = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*own, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no user namespaces")
    (works.folder / "small").mkdir()
    script = 'mount -t tmpfs -o size=20m none small && "$@"; status=$?; ls -A small >&2; exit $status'
    argv = [sys.executable, "-m", "remaster", "--variant", "linux", *OWN, "--output", "small/x.iso"]
    said = subprocess.run(
        [*own, "sh", "-c", script, "sh", *argv, "--progress", "none"],
        cwd=works.folder,
        env=works.env(),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert said.returncode == 7
    assert re.search(r"the image needs \d+ MB and only 2\d MB are free", said.stderr)
    assert "x.iso" not in said.stderr
