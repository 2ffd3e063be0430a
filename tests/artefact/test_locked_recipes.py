"""Images from a lock whose packages of recipes are gone: built again, to the same bytes."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from remaster import imagelock, lockwish, suppliers, wish
from remaster.wish import Wish
from tcz.buildroot import remove_tree
from tcz.errors import VerifyError
from tcz.reporting import SilentReporter
from tests.artefact.proof_made import Place, why
from tests.artefact.test_build import HEAD

if TYPE_CHECKING:
    from pathlib import Path

    from remaster.image import Finished

pytestmark = pytest.mark.build

TOML = HEAD.format(name="greeting") + '[[package]]\nname = "greeting"\nfiles = ["usr"]\n'
SCRIPT = 'mkdir -p "$DEST/usr/local/share"\necho hi >"$DEST/usr/local/share/greeting"\n'


class Locked:
    """An image with a package of a recipe, its lock, and the recipe."""

    def __init__(self, bench: Any, write_recipe: Any, top: Path, script: str) -> None:
        self.folder: Path = write_recipe("greeting", TOML, {"build.sh": script}).parent
        self.dirs = bench("place", self.folder).dirs
        self.place = Place(top / "place")
        assert self.place.here.dirs == self.dirs
        asked: dict[str, Any] = {"packages": ("greeting",), "files": (), "recipe_folders": (self.folder,)}
        request = wish.request(self.place.wish(**asked), self.dirs, SilentReporter())
        workshop = bench("place", self.folder, settings=suppliers.build_settings(request)).workshop
        (package,) = workshop.packages(["greeting"])
        (self.built,) = workshop.build(["greeting"])
        self.place.shelf.all["greeting"] = (package, self.built)
        self.first = self.place.make(**asked)
        self.lock = shutil.copyfile(self.first.outputs.lock, self.place.top / "mine.lock")
        self.path: Path = self.dirs.cache / "builds" / self.built.build_id

    def forget(self) -> None:
        """Take the build away, and what it was packed from."""
        for path in (self.path, *(self.dirs.cache / "stages").iterdir()):
            remove_tree(path)

    def again(self) -> Finished:
        wanted = Wish(variant="", recipe_folders=(self.folder,), output=self.place.top / "again/y.iso")
        return lockwish.fulfil(wanted, self.lock, self.place.here)


def test_what_is_gone_is_built_again(bench: Any, write_recipe: Any, tmp_path: Path) -> None:
    made = Locked(bench, write_recipe, tmp_path, SCRIPT)
    assert imagelock.read(made.lock).image.build("greeting").build_id == made.built.build_id
    made.forget()
    found = made.again()
    assert found.changed
    assert found.sha256 == made.first.sha256
    assert found.outputs.lock.read_bytes() == made.lock.read_bytes()
    assert made.path.is_dir()

    made.forget()
    (made.folder / "greeting/build.sh").write_text(SCRIPT.replace("hi", "ho"))
    with pytest.raises(VerifyError) as caught:
        made.again()
    assert "recipe greeting 1.0: has the build id " in why(caught)
    assert f"locked is {made.built.build_id}" in why(caught)


def test_what_comes_out_otherwise_is_refused(bench: Any, write_recipe: Any, tmp_path: Path) -> None:
    """A recipe that does not make the same twice: nothing is written."""
    chance = SCRIPT.replace("echo hi", "head -c 16 /dev/urandom")
    made = Locked(bench, write_recipe, tmp_path, chance)
    made.forget()
    with pytest.raises(VerifyError) as caught:
        made.again()
    sha256 = made.built.packages[0].sha256
    assert "package greeting: built again it is " in why(caught)
    assert f"not {sha256} (recipe greeting)" in why(caught)
    assert not (made.place.top / "again").exists()
