"""Images with packages out of mirrors: real signed mirrors over http, and what is done to them on the way."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from remaster import image
from remaster.supply import MirrorSupplier
from tcz import lock
from tcz.errors import ConfigError, ToolkitError, VerifyError
from tcz.mirror import snapshots
from tcz.mirror.known import Chosen
from tcz.mirror.parcels import Parcels
from tcz.reporting import SilentReporter
from tcz.run import HostRunner
from tests.artefact.test_image import VARIANT, Shelf, names_on, pytestmark, read_iso, stock
from tests.cases.commandline import Home
from tests.unit.mirror_made import BRANCH
from tests.unit.repository_made import serving
from tests.unit.signed_made import ATTACKS, TCZ, Theirs, at, dirs, theirs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tcz.workshop import Planned

__all__ = ["pytestmark"]


class Here(Shelf):
    """Stand-ins for what recipes make."""

    def makes(self, name: str) -> bool:
        return name in self.all or name == "modules-KERNEL"

    def kernel(self) -> str | None:
        return "6.1"

    def planned(self, names: Sequence[str]) -> tuple[Planned, ...]:
        assert all(map(self.makes, names))
        return ()


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Theirs:
    made = theirs(tmp_path_factory.mktemp("theirs"))
    made.add("driver-6.1", "base")
    made.add("tool", "foo", "driver-KERNEL")
    return made


@pytest.fixture
def made(begun: Theirs, tmp_path: Path) -> Theirs:
    shutil.copytree(begun.folder, tmp_path / "theirs", symlinks=True)
    return at(tmp_path / "theirs")


@pytest.fixture
def here(tmp_path: Path) -> Here:
    shelf = stock(tmp_path / "shelf")
    shelf.__class__ = Here
    assert isinstance(shelf, Here)
    return shelf


def supplier(here: Here, address: str, made: Theirs, tmp_path: Path) -> MirrorSupplier:
    chosen = (Chosen(address=address, keys=(made.key,)),)
    return MirrorSupplier(
        here, Parcels(chosen, BRANCH, dirs(tmp_path / "me"), HostRunner(), SilentReporter())
    )


def prepared(packages: MirrorSupplier, tmp_path: Path, *onboot: str) -> image.Job:
    variant = replace(VARIANT, onboot=("foo", *onboot))
    request = image.Request(variant=variant, base="floe", output=tmp_path / "out/x.iso")
    return image.prepare(request, packages)


def test_packages_of_a_signed_mirror_are_in_the_image(here: Here, made: Theirs, tmp_path: Path) -> None:
    with serving(made.shown) as server:
        job = prepared(supplier(here, server.address, made, tmp_path), tmp_path, "app", "tool")
        order = [package.name for package in job.extensions]
        assert order.index("base") < order.index("lib") < order.index("app")
        assert max(order.index("driver-6.1"), order.index("libfoo")) < order.index("tool")
        finished = image.make(job, dirs(tmp_path / "me"), SilentReporter())
        # what was brought is not asked for again, and the image is the same
        asked = len([path for path in server.paths(200) if path.endswith(".tcz")])
        again = prepared(supplier(here, server.address, made, tmp_path), tmp_path, "app", "tool")
        assert again.key == job.key
        assert len([path for path in server.paths(200) if path.endswith(".tcz")]) == asked == 5
    iso = finished.outputs.image
    assert {"/cde/optional/app.tcz", "/cde/optional/tool.tcz", "/cde/optional/tool.tcz.dep"} <= names_on(iso)
    data = read_iso(iso, "/cde/optional/app.tcz")
    assert data == (made.mirror.public / TCZ / "app.tcz").read_bytes()
    sums = f"{hashlib.md5(data, usedforsecurity=False).hexdigest()}  app.tcz\n"
    assert read_iso(iso, "/cde/optional/app.tcz.md5.txt").decode() == sums
    assert read_iso(iso, "/cde/optional/tool.tcz.dep").decode() == "foo.tcz\ndriver-KERNEL.tcz\n"
    told = json.loads(read_iso(iso, "/manifest.json"))
    (one,) = [one for one in told["recipes"] if one["name"] == "mirror:app"]
    sha256 = hashlib.sha256(data).hexdigest()
    assert (one["sources"][0]["hash"], one["sources"][0]["kind"]) == (f"sha256:{sha256}", "mirror")
    assert sha256 in {package.sha256 for package in lock.read(finished.outputs.lock).packages}
    # the mirror keeps what the lock beside the image names, as long as it names that lock
    config = made.mirror.root / "mirror.toml"
    before = config.read_text()
    config.write_text(f'locks = ["{finished.outputs.lock}"]\n{before}')
    for version in range(2, 8):
        made.add("app", "lib", version=str(version))
    for text, kept in ((config.read_text(), True), (before, False)):
        config.write_text(text)
        snapshots.collect(made.mirror, SilentReporter())
        assert made.mirror.objects.path(sha256).is_file() == kept


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_are_refused(attack: str, here: Here, made: Theirs, tmp_path: Path) -> None:
    change, text = ATTACKS[attack]
    with serving(made.shown) as server:
        prepared(supplier(here, server.address, made, tmp_path), tmp_path, "base")
        change(made)
        with pytest.raises(ToolkitError, match=text):
            prepared(supplier(here, server.address, made, tmp_path), tmp_path, "app")
        made.show()
        prepared(supplier(here, server.address, made, tmp_path), tmp_path, "app")


def test_no_way_back_and_no_revoked_key(here: Here, made: Theirs, tmp_path: Path) -> None:
    with serving(made.shown) as server:
        shutil.copytree(made.shown, tmp_path / "before")
        stolen = made.ring.secret("one")
        made.ring.rotate("one", "two")
        made.sign("two")
        prepared(supplier(here, server.address, made, tmp_path), tmp_path, "app")
        shutil.rmtree(made.shown)
        shutil.copytree(tmp_path / "before", made.shown)
        with pytest.raises(VerifyError, match="was seen before"):
            prepared(supplier(here, server.address, made, tmp_path), tmp_path, "app")
        made.ring.revoke("one", "two")
        made.sign("two")
        prepared(supplier(here, server.address, made, tmp_path), tmp_path, "app")
        made.resign(stolen)
        with pytest.raises(VerifyError, match="which is revoked"):
            prepared(supplier(here, server.address, made, tmp_path), tmp_path, "app")


def test_what_nobody_has_and_what_was_damaged_here(here: Here, made: Theirs, tmp_path: Path) -> None:
    packages = supplier(here, str(made.shown), made, tmp_path)
    with pytest.raises(ConfigError, match="do not exist") as told:
        prepared(packages, tmp_path, "ap")
    assert told.value.problems[0].where == "variant test: packages.onboot"
    assert told.value.problems[0].message == "ap: no recipe makes it, and no mirror has it"
    assert "app" in (told.value.problems[0].hint or "")
    (first,) = Parcels(
        (Chosen(address=str(made.shown)),), BRANCH, dirs(tmp_path / "me"), HostRunner(), SilentReporter()
    ).bring(["app"])
    right = first.path.read_bytes()
    first.path.unlink()
    first.path.write_bytes(right[:-1])
    job = prepared(supplier(here, str(made.shown), made, tmp_path), tmp_path, "app")
    assert job.part("app").path.read_bytes() == right


def test_the_command_refuses_before_anything_is_built(made: Theirs, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with serving(made.shown) as server:
        options = ("--variant", "linux", "--package", "app", "--mirror", server.address)
        made.resign(made.ring.secret("one"))
        (made.shown / "catalogue/catalogue.json.minisig").unlink()
        done = home.remaster("build", *options, "--mirror-key", made.key_file, "--dry-run")
        assert (done.returncode, "the mirror is not signed" in done.stderr) == (5, True), done.stderr
        # the key may be configured as well
        config = home.folder / ".config/tcz/config.toml"
        config.parent.mkdir(parents=True)
        line = made.key_file.read_text().splitlines()[1]
        config.write_text(f'[[mirror]]\nname = "ours"\nurl = "{server.address}"\nkey = "{line}"\n')
        for mirror in ((), ("--mirror", "ours"), options[-2:]):
            done = home.remaster("build", *options[:4], *mirror)
            assert (done.returncode, "the mirror is not signed" in done.stderr) == (5, True), done.stderr
