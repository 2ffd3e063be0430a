"""Damaged images as bases of builds, and as what is started: refused in a word, or not; nothing is left."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from remaster import image
from remaster.survey import look
from tcz import cpio
from tcz.errors import ToolkitError
from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tests.artefact import test_foreign as foreign_images
from tests.artefact.test_foreign import PLAIN, VARIANT, Maker
from tests.cases.commandline import Home
from tests.unit import standins
from tests.unit.mutations import mutated, tried

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from tests.artefact.test_image import Shelf
    from tests.conftest import Counted

pytestmark = foreign_images.pytestmark
shelf = foreign_images.shelf
TIMES = int(os.environ.get("TCZ_MUTATIONS", "1"))


class Upon:
    """Builds upon damaged bases in folders of their own."""

    def __init__(self, shelf: Shelf, top: Path, name: str, variant: Any, **more: Any) -> None:
        self.top, self.name, self.variant, self.more = top, name, variant, more
        (top / "base").mkdir()
        dirs = Dirs(cache=top / "cache", config=top / "config", state=top / "state")
        self.maker = Maker(shelf, dirs, top / "made")
        self.built = 0

    def build(self, data: bytes, *beside: Path) -> None:
        """Build, and look at what is there then: a sound image with all its companions, or nothing."""
        (self.top / "base" / self.name).write_bytes(data)
        origin = ",".join(map(str, (self.top / "base" / self.name, *beside)))
        try:
            made = image.make(
                self.maker.job(origin, self.variant, **self.more), self.maker.dirs, SilentReporter()
            )
        except ToolkitError:
            assert list((self.top / "made").rglob("*")) == []
            raise
        finally:
            assert [path for path in self.top.rglob(".*") if path.name != ".in-use"] == []
        assert "init" in look.examine(made.outputs.image).root
        assert {path for path in (self.top / "made").rglob("*") if path.is_file()} == set(made.outputs.all())
        for path in made.outputs.all():
            path.unlink()
        made.outputs.image.parent.rmdir()


@pytest.mark.parametrize("mode", ["layers", "append"])
def test_damaged_iso_images_as_bases(shelf: Shelf, tmp_path: Path, counted: Counted, mode: Any) -> None:
    iso = standins.official_iso(tmp_path, "cde").read_bytes()
    upon = Upon(shelf, tmp_path, "base.iso", VARIANT, mode=mode)
    upon.build(iso)
    places = [
        0x8000,
        *(iso.find(mark) for mark in (b"\x1f\x8b\x08", b"default", b"HdrS", b"onboot", b"hsqs")),
    ]
    places = [place for place in places if place > 0]
    assert len(places) > 3

    def build(chance: Random) -> None:
        begin = max(0, chance.choice(places) - 64)
        upon.build(mutated(chance, iso, begin=begin))

    told = tried(25 * TIMES, build, seed=f"iso {mode}")
    assert told.wrong == ()
    assert told.sound
    assert told.refused
    counted(f"builds upon damaged ISO images, {mode}", told.count)


@pytest.mark.parametrize("compressor", ["gzip", "none"])
def test_damaged_initrds_as_bases(shelf: Shelf, tmp_path: Path, counted: Counted, compressor: Any) -> None:
    initrd = cpio.compress(
        cpio.dumps(standins.root_tree(modules=True)), compressor, None if compressor == "none" else 1
    )
    kernel = tmp_path / "vmlinuz64"
    kernel.write_bytes(standins.kernel_image(standins.Release().kernel))
    upon = Upon(shelf, tmp_path, "core.gz", PLAIN)
    upon.build(initrd, kernel)
    told = tried(40 * TIMES, lambda chance: upon.build(mutated(chance, initrd), kernel), seed=compressor)
    assert told.wrong == ()
    assert told.refused
    counted(f"builds upon damaged initrds, {compressor}", told.count)


def test_damaged_images_are_not_started(tmp_path: Path) -> None:
    """The commands themselves: an error that tells what is wrong, before any machine is made."""
    iso = standins.official_iso(tmp_path, "cde").read_bytes()
    home = Home(tmp_path / "home")
    folder = bytes([255]) * 34
    damaged = {
        "empty.iso": b"",
        "cut.iso": iso[: len(iso) // 2],
        "folder.iso": iso[: 0x8000 + 156] + folder + iso[0x8000 + 190 :],
        "x.qcow2": b"QFI\xfb" + b"\xff" * 600,
        "cut.img": b"\0" * 446
        + bytes.fromhex("80000200830fffff0008000000000100")
        + bytes(48)
        + b"\x55\xaa"
        + bytes(9000),
        "x.netboot/vmlinuz": b"no kernel",
    }
    for name, data in damaged.items():
        path = home.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    for name in ("initrd", "cmdline"):
        (home.folder / "x.netboot" / name).write_text("quiet")
    (home.folder / "tmp").mkdir()

    def files() -> set[Path]:
        return {path for path in home.folder.rglob("*") if ".cache" not in path.parts}

    before = files()
    for number, name in enumerate(dict.fromkeys(name.partition("/")[0] for name in damaged)):
        words = (
            ("run", name),
            ("test", name),
            ("build", "--variant", "linux", "--base", name, "-o", "out/x.iso"),
        )[number % 3]
        done = home.remaster(*words, env={"TMPDIR": str(home.folder / "tmp")})
        assert done.returncode == 5, (name, done.stderr)
        assert done.stderr.startswith(name), done.stderr
        assert "Traceback" not in done.stderr
        assert len(done.stderr.splitlines()) < 4
    assert files() == before
