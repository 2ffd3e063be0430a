"""Images of small stand-ins with a lock, a manifest and finished builds: what proofs are tested on."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from remaster import image, wish
from remaster.lockwish import Here
from remaster.supply import FileSupplier, MirrorSupplier
from remaster.wish import Wish
from tcz import record
from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tcz.run import HostRunner
from tcz.squashfs import writer
from tcz.squashfs.options import SquashOptions
from tcz.tree import Tree, regular
from tests.artefact import test_image as small
from tests.artefact.test_image_formats import CORE, stocked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

    from tcz.errors import ToolkitError
    from tcz.mirror.parcels import Parcels
    from tcz.workshop import Planned

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJAvPBoQ0O8F3EkGmfH0gmwJ8m2ZyXkbXQ0VAwcm3+3B me"
MINE = """schema = 1
name = "mine"
summary = "Mine"
boot-codes = ["noembed", "cde", "console=ttyS0,115200"]
services = ["sshd"]
packages.onboot = ["foo"]
packages.optional = ["extra"]
[image]
version-of = "foo"
data-mib = 16
[[file]]
path = "/opt/motd"
mode = "640"
owner = "tc:staff"
content = "hi\\n"
[[file]]
path = "/etc/issue"
content = "welcome\\n"
"""


class Here2(small.Shelf):
    """A shelf that a ``FileSupplier`` can stand in front of."""

    def makes(self, name: str) -> bool:
        return name in self.all

    def kernel(self) -> str | None:
        return "6.1"

    def planned(self, names: Sequence[str]) -> tuple[Planned, ...]:
        assert all(map(self.makes, names))
        return ()


class Place:
    """A user's folders with the stand-ins as finished builds, a variant, and a package in a file."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.here = Here(
            dirs=Dirs(cache=top / "cache", config=top / "config", state=top / "state"),
            runner=HostRunner(),
            reporter=SilentReporter(),
        )
        shelf = stocked(top / "shelf", CORE)
        shelf.__class__ = Here2
        assert isinstance(shelf, Here2)
        self.shelf = shelf
        self.variant = top / "mine.toml"
        self.variant.write_text(MINE)
        (top / "key.pub").write_text(f"{KEY}\n")
        (top / "given").write_text("given\n")
        self.package = top / "own.tcz"
        writer.write(
            Tree({"usr/local/bin/own": regular(b"own", 0o755)}), self.package, SquashOptions(), epoch=0
        )
        (top / "own.tcz.dep").write_text("libfoo.tcz\n")
        (top / "own.tcz.info").write_text("Title:\t\town.tcz\nVersion:\t2.0\nCopying-policy:\tMIT\n")
        for name, (package, built) in list(shelf.all.items()):
            folder = self.build(name)
            made = replace(package, path=folder / package.path.name)
            for path in sorted((top / "shelf").glob(f"{package.path.name}*")):
                if path.is_dir():
                    shutil.copytree(path, folder / path.name)
                elif path.name.removeprefix(package.path.name) in ("", ".dep", ".md5.txt"):
                    folder.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, folder / path.name)
            again = replace(built, folder=folder, packages=(made,))
            record.write(again)
            shelf.all[name] = (made, again)

    def build(self, name: str) -> Path:
        return self.here.dirs.cache / "builds" / self.shelf.all[name][1].build_id

    def wish(self, **changes: Any) -> Wish:
        asked: dict[str, Any] = {
            "variant": str(self.variant),
            "base": "floe",
            "packages": (str(self.package),),
            "files": (f"{self.top / 'given'}:/etc/given:600",),
            "ssh_keys": (self.top / "key.pub",),
            "boot_codes": ("nodhcp",),
            "output": self.top / "out/x.iso",
        }
        return Wish(**{**asked, **changes})

    def make(self, parcels: Parcels | None = None, **changes: Any) -> image.Finished:
        """Make an image; what nothing here makes comes from ``parcels``."""
        asked = wish.request(self.wish(**changes), self.here.dirs, SilentReporter())
        files, none = {"own": self.package}, frozenset[str]()
        own = FileSupplier(self.shelf, files, kernel="", present=none, alone=parcels is None)
        supplier = own if parcels is None else MirrorSupplier(own, parcels)
        return image.make(image.prepare(asked, supplier), self.here.dirs, SilentReporter(), HostRunner())


def why(caught: pytest.ExceptionInfo[ToolkitError]) -> str:
    """Return all that an error says."""
    return "\n".join(caught.value.lines())
