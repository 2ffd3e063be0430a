"""Locks, rebuilds and what they say when something is another thing: images of small stand-in packages."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from remaster import imagelock, lockwish, rebuild, wish
from remaster.wish import Wish
from tcz.errors import ConfigError, FetchError, VerifyError
from tcz.mirror.known import Chosen
from tcz.mirror.parcels import Parcels
from tcz.reporting import SilentReporter
from tcz.run import HostRunner
from tcz.store import sha256_file
from tests.artefact import test_image as small
from tests.artefact.proof_made import MINE, Place, why
from tests.unit import standins
from tests.unit.mirror_made import BRANCH
from tests.unit.repository_made import serving
from tests.unit.signed_made import theirs

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = small.pytestmark


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# -- rebuild --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x.iso", "x.img", "x.qcow2", "x.netboot", "x.tar"])
def test_every_format_is_made_again_byte_for_byte(made: Place, name: str) -> None:
    """From another folder, and from nothing but the image, the finished builds and the store."""
    found = rebuild.verify(made.top / "out" / name, Wish(variant=str(made.variant)), made.here)
    assert found.outcome == "same", rebuild.lines(found)
    assert all(one.sha256 == one.rebuilt for one in found.files)
    assert len(found.files) == (5 if name == "x.netboot" else 1)
    assert f"{made.top / 'out' / name}: same, byte for byte" in rebuild.lines(found)
    if name != "x.netboot":
        assert sha256_file(made.top / "out" / name) in "\n".join(rebuild.lines(found))


def test_a_changed_byte_is_found_where_it_is(made: Place, tmp_path: Path) -> None:
    bad = tmp_path / "bad.iso"
    data = bytearray((made.top / "out/x.iso").read_bytes())
    at = data.index(b"/boot/vmlinuz64 noembed")
    data[at + 16 : at + 23] = b"noembex"
    bad.write_bytes(data)
    found = rebuild.verify(bad, Wish(variant=str(made.variant)), made.here)
    assert found.outcome == "different"
    assert found.files[0].first_difference == at + 22
    told = "\n".join(rebuild.lines(found))
    assert "code noembex removed" in told
    assert "~ boot/" in told


def test_what_is_gone_is_named_by_hash(place: Place) -> None:
    place.make(packages=(), files=(f"{place.top / 'given'}:/etc/given",))
    iso = place.top / "out/x.iso"
    same = rebuild.verify(iso, Wish(variant=str(place.variant)), place.here, dry_run=True)
    assert same.outcome == "possible"
    shutil.rmtree(place.build("foo"))
    with pytest.raises(FetchError) as caught:
        rebuild.verify(iso, Wish(variant=str(place.variant)), place.here)
    assert f"recipe foo 1.0: is not there any more; locked is {place.shelf.all['foo'][1].build_id}" in why(
        caught
    )
    shutil.rmtree(place.here.dirs.cache / "store")
    with pytest.raises(FetchError) as caught:
        rebuild.verify(iso, Wish(variant=str(place.variant)), place.here)
    digest = sha256_file(place.top / "given")
    assert f"--file: HOST:/etc/given:644:root:root with sha256 {digest}" in why(caught)
    variant = sha256_file(place.variant)
    place.variant.unlink()
    with pytest.raises(FetchError, match="not all here") as caught:
        rebuild.verify(iso, Wish(variant=""), place.here)
    assert f"--variant: mine.toml with sha256 {variant}" in why(caught)
    assert digest in why(caught)


def test_a_changed_variant_is_told(place: Place) -> None:
    place.make(packages=(), files=())
    before = sha256_file(place.variant)
    place.variant.write_text(MINE.replace("welcome", "go away"))
    with pytest.raises(FetchError) as caught:
        rebuild.verify(place.top / "out/x.iso", Wish(variant=str(place.variant)), place.here)
    told = why(caught)
    assert f"variant file mine.toml: sha256 {before} is needed, {sha256_file(place.variant)} is here" in told
    assert "file /etc/issue: 644 root:root sha256:" in told
    assert "/opt/motd" not in told


def test_what_remaster_did_not_make(tmp_path: Path, place: Place) -> None:
    (tmp_path / "medium").mkdir()
    (tmp_path / "medium/x").write_text("x")
    subprocess.run(["genisoimage", "-quiet", "-R", "-o", tmp_path / "x.iso", tmp_path / "medium"], check=True)
    with pytest.raises(VerifyError, match="no manifest"):
        rebuild.verify(tmp_path / "x.iso", Wish(variant=""), place.here)


def test_secrets_are_not_in_the_manifest(place: Place) -> None:
    (place.top / "given").write_text("hunter2\n")
    place.make()
    for name in ("x.manifest.json", "x.lock"):
        text = (place.top / "out" / name).read_text()
        assert "hunter2" not in text
        assert sha256_file(place.top / "given") not in text
        assert "scrypt:" in text
    store = [path.read_bytes() for path in (place.here.dirs.cache / "store").rglob("*") if path.is_file()]
    assert b"hunter2\n" not in store


# -- locks ----------------------------------------------------------------------------------------


def test_a_lock_builds_the_same_image_and_the_same_lock(place: Place) -> None:
    first = place.make(files=(f"{place.top / 'given'}:/etc/given",))
    lock = shutil.copyfile(first.outputs.lock, place.top / "mine.lock")
    place.package.unlink()
    (place.top / "given").unlink()
    again = lockwish.fulfil(Wish(variant="", output=place.top / "again/y.iso"), lock, place.here)
    assert again.sha256 == first.sha256
    assert again.outputs.lock.read_bytes() == lock.read_bytes()
    checked = lockwish.check(Wish(variant="", output=place.top / "no/z.iso"), lock, place.here)
    assert "own" in checked.packages
    assert not (place.top / "no").exists()


def test_every_difference_is_told_at_once(place: Place) -> None:
    lock = shutil.copyfile(place.make().outputs.lock, place.top / "mine.lock")
    place.variant.write_text(
        MINE.replace('["sshd"]', '["sshd", "more"]').replace('["extra"]', "[]").replace("hi", "ho")
    )
    tcz = place.build("libfoo") / "libfoo.tcz"
    tcz.write_bytes(tcz.read_bytes()[:-1] + b"x")
    text = json.loads(lock.read_text())
    text["tools"][0]["version"] = "0.0.1"
    lock.write_text(json.dumps(text))
    with pytest.raises(VerifyError, match="this is not what") as caught:
        lockwish.fulfil(place.wish(output=place.top / "no/y.iso"), lock, place.here)
    told = why(caught)
    for part in (
        "services: +more",
        "optional: extra is no longer asked for",
        "file /opt/motd: -640 tc:staff scrypt:",
        "tool deflate: 0.0.1 is locked",
        "package extra: is locked, and nothing needs it any more",
        "recipe libfoo 1.0: is not there any more; locked is",
    ):
        assert part in told
    assert not (place.top / "no").exists()


def test_locks_are_read_strictly(place: Place) -> None:
    lock = place.make().outputs.lock
    read = imagelock.read(lock)
    assert read.formats == ("iso",)
    assert read.image.version == "1.0"
    assert {one.name for one in read.image.packages} >= {"own", "foo", "kernel"}
    text = json.loads(lock.read_text())
    assert list(text) == sorted(text)
    text["image"]["nonsense"] = text["image"]["packages"][0]["colour"] = 1
    lock.write_text(json.dumps(text))
    with pytest.raises(ConfigError) as caught:
        imagelock.read(lock)
    assert caught.value.why is not None
    assert "nonsense: unknown key" in caught.value.why
    assert "packages[0].colour" in caught.value.why
    (place.top / "plain.lock").write_text('{"schema": 1, "recipes": [], "epoch": 0, "variant": null}')
    with pytest.raises(ConfigError, match="not of an image"):
        imagelock.read(place.top / "plain.lock")


def test_packages_of_a_mirror_by_hash(place: Place, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The mirror has moved on; its objects, and other mirrors, still have the locked bytes."""
    mirror = theirs(tmp_path_factory.mktemp("theirs"))
    root = str(mirror.mirror.root)
    chosen = Chosen(address=root, keys=(mirror.key,))
    parcels = Parcels((chosen,), BRANCH, place.here.dirs, HostRunner(), SilentReporter())
    first = place.make(parcels, packages=("app",), files=())
    lock = shutil.copyfile(first.outputs.lock, place.top / "mine.lock")
    told = imagelock.read(lock)
    app = told.image.build("mirror:app").sources[0]
    assert app.origin == "folder:17.x/x86_64/tcz"
    assert [one.origin for one in told.lock.sources if one.name == "app"] == [
        f"folder:17.x/x86_64/tcz#serial={mirror.mirror.catalogue().serial}"
    ]
    mirror.add("app", "lib", version="2")
    for folder in ("mirrors", "locked", "store"):
        shutil.rmtree(place.here.dirs.cache / folder, ignore_errors=True)
    again = Wish(variant="", output=place.top / "again/y.iso", mirrors=(root,))
    assert lockwish.fulfil(again, lock, place.here).sha256 == first.sha256
    same = rebuild.verify(first.outputs.image, Wish(variant=str(place.variant), mirrors=(root,)), place.here)
    assert same.outcome == "same"
    for folder in ("mirrors", "locked", "store"):
        shutil.rmtree(place.here.dirs.cache / folder, ignore_errors=True)
    with serving(mirror.shown) as server, pytest.raises(VerifyError) as caught:
        lockwish.fulfil(
            Wish(variant="", mirrors=(server.address,), output=place.top / "z.iso"), lock, place.here
        )
    assert f"package app: no file with sha256 {app.hash.removeprefix('sha256:')}" in why(caught)
    assert "package lib" not in why(caught)


@standins.needs_tools
def test_a_base_of_others_is_asked_for_by_its_hash(place: Place) -> None:
    iso = standins.official_iso(place.top / "theirs", "cde")
    first = place.make(base=str(iso), kernel="base", packages=(), files=(), formats=("iso",))
    lock = shutil.copyfile(first.outputs.lock, place.top / "mine.lock")
    mine = Wish(variant=str(place.variant))
    with pytest.raises(FetchError) as caught:
        rebuild.verify(first.outputs.image, mine, place.here)
    assert f"--base: {iso.name} with sha256 {sha256_file(iso)}" in why(caught)
    found = rebuild.verify(first.outputs.image, replace(mine, base=str(iso)), place.here)
    assert found.outcome == "same", rebuild.lines(found)
    other = standins.official_iso(place.top / "other", "cde", standins.Release(number="16.2"))
    with pytest.raises(VerifyError) as caught2:
        lockwish.fulfil(Wish(variant="", base=str(other), output=place.top / "y.iso"), lock, place.here)
    assert "base: -tinycore-16.1 +tinycore-16.2" in why(caught2)
    assert "base: content " in why(caught2)
    shutil.copyfile(iso, lock.with_name(iso.name))
    again = lockwish.fulfil(Wish(variant="", output=place.top / "again/y.iso"), lock, place.here)
    assert again.sha256 == first.sha256


RICH = """hostname = "node"
timezone = "Europe/Berlin"
keymap = "de"
ntp = ["time.example"]
modules = ["overlay"]
[sysctl]
"vm.swappiness" = 10
"""


def test_no_setting_tells_where_a_file_lies(place: Place) -> None:
    """The hash of all settings is in the image: the same variant elsewhere makes the same image."""
    text = (
        MINE.replace("services =", f"{RICH.partition('[sysctl]')[0]}services =")
        + "[sysctl]"
        + RICH.partition("[sysctl]")[2]
    )
    found = []
    for folder in (place.top / "one", place.top / "two/deeper"):
        folder.mkdir(parents=True)
        (folder / "mine.toml").write_text(text)
        wanted = place.wish(variant=str(folder / "mine.toml"), packages=())
        found.append(imagelock.settings(wish.request(wanted, place.here.dirs, SilentReporter())))
    assert found[0] == found[1]
    assert any("vm.swappiness" in line for line in found[0])
    assert str(place.top) not in "".join(found[0])
