"""Builds of images, each with all that it needs beside it: for tests that end them early.

What a test asks of every one of them: a file of the output is the old one or the new one, whole; whoever has
a new image has what belongs to it; the next build makes all of it new, and nothing temporary stays.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

import pycdlib  # noqa: F401 - what commands import when they run: a kill shall meet their work

from remaster import cli, image, initrds, wish
from remaster.formats import disk
from remaster.iso import IsoPlan, write_iso
from tcz.store import sha256_file
from tests.artefact.test_image_formats import CORE, stocked
from tests.cases.commandline import Home, become
from tests.unit import standins
from tests.unit.mirror_made import quick_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.artefact.test_image import Shelf

    Files = dict[str, str]

OUT = "out"
#: What companions are called, and how files end that lie there only while a build runs.
_COMPANIONS = re.compile(r".*\.(lock|manifest\.json|sha256|sizes\.txt)")
_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}")
_USUAL = ("--initrd-compressor", "gzip", "--initrd-level", "1")
_ALL = "iso,disk,qcow2,netboot,tar"
SCENES: dict[str, tuple[str, ...]] = {
    "iso": (),
    "disk": ("--format", "disk"),
    "qcow2": ("--format", "qcow2"),
    "netboot": ("--format", "netboot"),
    "tar": ("--format", "tar"),
    "every format": ("--format", _ALL),
    "appended": ("--initrd-mode", "append"),
    "of another base": ("--base", "base.iso", "--kernel", "base"),
}
_VARIANT = """schema = 1
name = "scene"
summary = "To be ended early"
boot-codes = ["noembed", "cde"]
{packages}
[image]
data-mib = 16
[[file]]
path = "/etc/motd"
content = "{which}"
"""


def files_of(folder: Path) -> Files:
    """Return what is in all files below a folder, as hashes; nothing where it is not there."""
    return {str(path.relative_to(folder)): sha256_file(path) for path in folder.rglob("*") if path.is_file()}


@dataclass
class Stage:
    """A build about to happen, below ``top``."""

    name: str
    top: Path
    home: Home
    shelf: Shelf
    old: Files = field(default_factory=dict)
    new: Files = field(default_factory=dict)
    #: Whether builds look at how much room there is before they write.
    blind: bool = False

    @property
    def out(self) -> Path:
        return self.top / OUT

    @property
    def said(self) -> str:
        return (self.top / "said").read_text()

    def set(self, *, packed: bool) -> None:
        """Put the old image there; ``packed`` tells whether the new one's initrd is in the cache."""
        for path in self.out.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(self.top / "old", self.out, copy_function=os.link, dirs_exist_ok=True)
        shutil.rmtree(self.home.dirs.cache / "images", ignore_errors=True)
        if not packed:
            shutil.rmtree(self.home.dirs.cache / "initrds", ignore_errors=True)

    def command(self, which: str = "new") -> int:
        """Make an image in a process of its own, as from a shell; return its status."""
        return self.wait(self.begin(which))

    def begin(self, which: str = "new", said: Path | None = None) -> int:
        """Begin a build in a process of its own; return that. No program is started: it is quick."""
        process = os.fork()
        if process:
            return process
        code = 99
        try:
            code = self._run(which, said or self.top / "said")
        except KeyboardInterrupt:
            code = 130
        finally:
            os._exit(code)

    @staticmethod
    def wait(process: int) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

    def _run(self, which: str, said: Path) -> int:
        """Run ``remaster`` in this process, which is lost then. What it builds from is on the shelf."""
        wish.supplier = lambda *_: self.shelf  # type: ignore[assignment]
        # Nobody puts anything on these disks: less to write and to hash.
        disk._SPARE = 1 << 20  # type: ignore[misc]
        if self.blind:
            image.need_space = initrds.need_space = lambda *_: None  # type: ignore[assignment]
        words = ("--variant", f"./{which}.toml", "--output", f"{OUT}/x.iso", *_USUAL, *SCENES[self.name])
        env = self.home.env(TMPDIR=str(self.top / "tmp"))
        return become(cli.main, ("remaster", "build", *words), folder=self.top, env=env, said=said)

    def look(self) -> None:
        """Look at what an ended build left, as a user does."""
        found = {
            name: data for name, data in files_of(self.out).items() if not is_temporary(name.split("/")[-1])
        }
        assert set(found) == set(self.old) == set(self.new)
        for name, data in found.items():
            assert data in (self.old[name], self.new[name]), f"{name} is neither the old one nor the new one"
        images = [name for name in found if not _COMPANIONS.fullmatch(name)]
        if any(found[name] == self.new[name] != self.old[name] for name in images):
            assert all(found[name] == self.new[name] for name in set(found) - set(images))

    def leftovers(self) -> list[str]:
        """Return what is temporary, wherever a build may have put it."""
        return [
            str(path.relative_to(self.top))
            for folder in (self.out, self.home.dirs.cache, self.top / "tmp")
            for path in folder.rglob("*")
            # A signal may come between a folder's making and its first use: an empty one goes next time.
            if is_temporary(path.name) or (folder.name == "tmp" and path.is_file())
        ]

    def go_on(self) -> None:
        """Do the next build; all must be right then."""
        assert self.command() == 0, self.said
        assert files_of(self.out) == self.new
        assert self.leftovers() == []


def is_temporary(name: str) -> bool:
    return _TEMPORARY.fullmatch(name) is not None


@contextmanager
def staged(name: str) -> Iterator[Stage]:
    """Make packages and a base, two variants, and the image of each of them once."""
    with quick_folder() as top:
        shelf = stocked(top / "shelf", CORE)
        (top / "shelf/kernel/vmlinuz").write_bytes(Random(1).randbytes(3 << 20))
        (top / "shelf/kernel/SHA256SUMS").unlink()
        shelf.put("kernel", "files", top / "shelf/kernel")
        (top / "tmp").mkdir()
        packages = 'packages.onboot = ["foo"]'
        if name == "of another base":
            packages = ""
            _base(top)
        for which in ("old", "new"):
            (top / f"{which}.toml").write_text(_VARIANT.format(which=which, packages=packages))
        stage = Stage(name, top, Home(top / "home"), shelf)
        assert stage.command("old") == 0, stage.said
        stage.old = files_of(stage.out)
        # Builds write new files and rename them: one that wrote into the old ones would change these, too.
        shutil.copytree(stage.out, top / "old", copy_function=os.link)
        assert stage.command("new") == 0, stage.said
        stage.new = files_of(stage.out)
        assert stage.leftovers() == []
        assert files_of(top / "old") == stage.old
        assert stage.old.keys() == stage.new.keys()
        assert all(stage.old[one] != stage.new[one] for one in stage.old if one.endswith((".iso", ".sha256")))
        yield stage


def _base(top: Path) -> None:
    made = standins.medium(top / "medium", "efi")
    (made / "boot/vmlinuz64").write_bytes(
        standins.kernel_image("6.12.11-tinycore64") + Random(2).randbytes(3 << 20)
    )
    files = tuple(
        (path.relative_to(made).as_posix(), path) for path in sorted(made.rglob("*")) if path.is_file()
    )
    mbr = standins.ISOLINUX.with_name("isohdpfx.bin").read_bytes()
    write_iso(IsoPlan(volume_id="base", files=files, epoch=0, mbr_code=mbr), top / "base.iso")


#: How a build may end that is told to.
ENDS = {
    signal.SIGKILL: (-signal.SIGKILL,),
    signal.SIGINT: (130,),
    # Where it comes before the command has begun, it is not handled.
    signal.SIGTERM: (143, -signal.SIGTERM),
}
