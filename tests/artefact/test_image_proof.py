"""Locks, rebuilds and what they say when something is another thing: images of small stand-in packages."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from remaster import bill, bom, explaining, image, imagelock, lockwish, rebuild, recorded, signatures, wish
from remaster.formats import FORMATS
from remaster.lockwish import Here
from remaster.outputs import Outputs
from remaster.supply import FileSupplier
from remaster.wish import Wish
from tcz import record
from tcz.errors import ConfigError, FetchError, VerifyError
from tcz.mirror.sign import SecretKey
from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tcz.run import HostRunner
from tcz.sbom import cyclonedx, spdx
from tcz.squashfs import writer
from tcz.squashfs.options import SquashOptions
from tcz.store import sha256_file
from tcz.tree import Tree, regular
from tests.artefact import test_image as small
from tests.artefact.test_image_formats import CORE, stocked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tcz.sbom.bill import Bill
    from tcz.workshop import Planned

pytestmark = small.pytestmark

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

    def make(self, **changes: Any) -> image.Finished:
        wanted = self.wish(**changes)
        asked = wish.request(wanted, self.here.dirs, SilentReporter())
        supplier = FileSupplier(self.shelf, {"own": self.package}, kernel="", present=frozenset(), alone=True)
        return image.make(image.prepare(asked, supplier), self.here.dirs, SilentReporter(), HostRunner())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("proof"))
    place.make(formats=("iso,disk,qcow2,netboot,tar",), files=(f"{place.top / 'given'}:/etc/given",))
    return place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def why(caught: pytest.ExceptionInfo[VerifyError | FetchError]) -> str:
    return "\n".join(caught.value.lines())


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


# -- bills of materials -----------------------------------------------------------------------------


def documents(made: Bill, folder: Path) -> tuple[dict[str, Any], Any]:
    """Return a bill in both formats, each validated by the library of who made the format."""
    text = cyclonedx.dumps(made)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert text == cyclonedx.dumps(made)
    (folder / "bill.spdx.json").write_text(spdx.dumps(made))
    document = parse_file(str(folder / "bill.spdx.json"))
    assert validate_full_spdx_document(document) == []
    return json.loads(text), document


@pytest.mark.parametrize("name", ["x.iso", "x.netboot"])
def test_the_bill_of_an_image(made: Place, tmp_path: Path, name: str) -> None:
    found = bom.of_image(made.top / "out" / name, SilentReporter())
    plain, document = documents(found, tmp_path)
    assert (found.name, found.version) == ("mine", "1.0")
    by_name = {one["name"]: one for one in plain["components"] if one["bom-ref"].startswith("package:")}
    assert set(by_name) == set(made.shelf.all) - {"mine"} | {"own"}
    own = by_name["own"]
    assert own["hashes"] == [{"alg": "SHA-256", "content": sha256_file(made.package)}]
    assert (own["version"], own["licenses"]) == ("2.0", [{"expression": "MIT"}])
    assert by_name["kernel"]["type"] == "operating-system"
    needs = {one["ref"]: one["dependsOn"] for one in plain["dependencies"]}
    assert needs["package:own"] == ["package:libfoo"]
    assert "package:glibc" in needs["base:floe"]
    assert "base:floe" in needs["subject:mine"]
    assert any(one["name"] == "gcc" for one in plain["components"]) == (name == "x.iso")
    assert {one.name for one in document.packages} >= {"floe", "kernel", "own"}


def test_the_bill_of_what_is_not_built(made: Place, tmp_path: Path) -> None:
    asked = wish.request(made.wish(packages=()), made.here.dirs, SilentReporter())
    found = bill.of_job(image.prepare(asked, made.shelf), SilentReporter())
    plain, _ = documents(found, tmp_path)
    assert {"base:floe", "package:foo"} <= {one["bom-ref"] for one in plain["components"]}


def test_the_bill_of_a_base_of_others(made: Place, tmp_path: Path) -> None:
    text = json.loads((made.top / "out/x.manifest.json").read_text())
    text["base"], text["packages"] = (
        "tinycore-17.0",
        [one for one in text["packages"] if one["role"] == "package"],
    )
    text["recipes"] = [
        one for one in text["recipes"] if one["name"] in {p["recipe"] for p in text["packages"]}
    ]
    next(one for one in text["recipes"] if one["name"] == "foo")["license"] = "as it says in its box"
    text["origin"] = {
        "release": "17.0",
        "kernel": "6.18.2-tinycore64",
        "libc": "glibc 2.42",
        "sha256": "a" * 64,
        "asked": "",
        "files": [{"name": "CorePure64-17.0.iso", "sha256": "b" * 64}],
    }
    told = recorded.loads(json.dumps(text), "x")
    plain, _ = documents(bom.of_parts(told, {}, SilentReporter()), tmp_path)
    by_ref = {one["bom-ref"]: one for one in plain["components"]}
    assert by_ref["base:tinycore-17.0"]["version"] == "17.0"
    assert by_ref["kernel:base"]["version"] == "6.18.2-tinycore64"
    assert by_ref["source:base:CorePure64-17.0.iso"]["hashes"] == [{"alg": "SHA-256", "content": "b" * 64}]
    assert by_ref["package:foo"]["licenses"] == [{"license": {"name": "as it says in its box"}}]


# -- explain ----------------------------------------------------------------------------------------


def told_of(made: Place, path: str, image: str = "x.iso") -> list[tuple[str, str]]:
    found = explaining.in_image(path, made.top / "out" / image, made.here.dirs)
    return [(one.kind, one.name) for one in found.owners]


@pytest.mark.parametrize(
    ("path", "owners"),
    [
        ("/bin/busybox", [("layer", "busybox")]),
        ("bin/sh", [("layer", "busybox")]),
        ("/usr/local/bin/foo", [("package", "foo")]),
        ("/usr/local/bin/own", [("package", "own")]),
        ("/etc/passwd", [("layer", "floe-base")]),
        ("/etc/issue", [("file", "mine")]),
        ("/etc/given", [("file", "mine")]),
        ("/etc/sysconfig/services", [("generated", "remaster")]),
        ("/usr/share/doc/floe/manifest.json", [("generated", "remaster")]),
        ("/boot/vmlinuz64", [("medium", "kernel")]),
        ("/cde/optional/foo.tcz", [("medium", "foo")]),
        ("/nothing", []),
    ],
)
def test_where_a_file_comes_from(made: Place, path: str, owners: list[tuple[str, str]]) -> None:
    assert told_of(made, path) == owners


def test_all_of_an_owner(made: Place) -> None:
    found = explaining.in_image("/usr/local/bin/foo", made.top / "out/x.qcow2", made.here.dirs)
    (owner,) = found.owners
    package, built = made.shelf.all["foo"]
    assert (owner.type, owner.mode, owner.owner, owner.size) == ("file", "4755", "0:50", 1500)
    assert owner.sha256 == hashlib.sha256(b"foo" * 500).hexdigest()
    assert (owner.recipe, owner.version, owner.build_id) == ("foo", "1.0", built.build_id)
    assert owner.package_sha256 == package.sha256
    assert [source.origin for source in owner.sources] == ["https://example.net/x"]
    text = "\n".join(explaining.lines(found))
    assert f"package sha256 {package.sha256}" in text
    assert "source archive foo 1.0: https://example.net/x sha256:" in text


def test_several_owners_and_folders(place: Place) -> None:
    """One path in a layer, in [[file]] and in two packages."""
    writer.write(
        Tree({"etc/passwd": regular(b"own"), "opt/x": regular(b"")}), place.package, SquashOptions(), epoch=0
    )
    (place.top / "given").write_bytes(small.PASSWD + b"me:x:1002:50::/:/bin/sh\n")
    place.make(files=(f"{place.top / 'given'}:/etc/passwd",))
    assert told_of(place, "/etc/passwd") == [
        ("layer", "floe-base"),
        ("file", "mine"),
        ("package", "own"),
    ]
    found = explaining.in_image("/opt", place.top / "out/x.iso", place.here.dirs)
    assert [(one.name, one.type, one.entries) for one in found.owners] == [
        ("floe-base", "directory", 0),
        ("own", "directory", 1),
    ]
    text = "\n".join(explaining.lines(found))
    assert "1 entries below it" in text
    shutil.rmtree(place.build("busybox"))
    found = explaining.in_image("/bin/busybox", place.top / "out/x.iso", place.here.dirs)
    assert [(one.kind, one.name) for one in found.owners] == [("base", "floe")]
    assert "the files of busybox are not here: build it, and they are told apart" in found.notes


def test_near_misses_and_a_variant(made: Place) -> None:
    found = explaining.in_image("/usr/bin/busybx", made.top / "out/x.iso", made.here.dirs)
    assert "/bin/busybox" in found.near
    with pytest.raises(ConfigError, match="has no /usr/bin/busybx"):
        explaining.require(found)
    asked = wish.request(made.wish(packages=()), made.here.dirs, SilentReporter())
    job = image.prepare(asked, made.shelf)
    one = explaining.in_job("/usr/local/bin/foo", job, made.here.dirs)
    assert [owner.name for owner in one.owners] == ["foo"]
    assert [owner.name for owner in explaining.in_job("/etc/issue", job, made.here.dirs).owners] == ["mine"]


# -- signatures -------------------------------------------------------------------------------------

needs_minisign = pytest.mark.skipif(shutil.which("minisign") is None, reason="no minisign here")


def outputs_in(folder: Path) -> Outputs:
    names = ("x.iso", "x.img", "x.qcow2", "x.tar")
    nets = tuple(folder / "x.netboot" / name for name in FORMATS["netboot"].files)
    return Outputs.at(folder / "x.iso", (*(folder / name for name in names), *nets), stem="x")


@pytest.fixture
def copied(made: Place, tmp_path: Path) -> Path:
    """The image in all formats in a folder of its own, and a key that minisign made."""
    shutil.copytree(made.top / "out", tmp_path / "out")
    minisign("-G", "-W", "-p", tmp_path / "key.pub", "-s", tmp_path / "key")
    (tmp_path / "key").chmod(0o600)
    return tmp_path / "out"


def minisign(*argv: object) -> str:
    done = subprocess.run(["minisign", *map(str, argv)], check=True, capture_output=True, text=True)
    return done.stdout


@needs_minisign
def test_minisign_reads_what_is_signed(copied: Path, made: Place) -> None:
    key = signatures.secret(str(copied.parent / "key"), made.here.dirs)
    written = signatures.sign(outputs_in(copied), key)
    assert {path.name for path in written} == {
        f"{name}.minisig" for name in ("x.iso", "x.img", "x.qcow2", "x.tar", "x.sha256")
    }
    for path in written:
        said = minisign("-V", "-m", path.with_suffix(""), "-p", copied.parent / "key.pub")
        assert "Signature and comment signature verified" in said
        assert f"file:{path.stem}" in said
    before = [path.read_bytes() for path in written]
    assert [path.read_bytes() for path in signatures.sign(outputs_in(copied), key)] == before
    keys = signatures.public([copied.parent / "key.pub"])
    for name in ("x.iso", "x.qcow2", "x.netboot", "x.tar", "x.sha256"):
        found = signatures.check(copied / name, keys)
        assert found.signed_by == key.public.name
        assert len(found.files) == (5 if name == "x.netboot" else 1)


@needs_minisign
def test_what_minisign_signed_is_read(copied: Path) -> None:
    for options in ((), ("-l",)):  # the hash of the file, and the file itself as old versions did
        minisign("-S", *options, "-s", copied.parent / "key", "-m", copied / "x.iso", "-t", "made by another")
        keys = signatures.public([copied.parent / "key.pub"])
        (found,) = signatures.check(copied / "x.iso", keys).files
        assert (found.comment, found.signed_by) == ("made by another", keys[0].name)


@needs_minisign
def test_what_was_changed_is_refused(copied: Path, made: Place, tmp_path: Path) -> None:
    key = signatures.secret(str(copied.parent / "key"), made.here.dirs)
    signatures.sign(outputs_in(copied), key)
    keys = signatures.public([copied.parent / "key.pub"])
    minisign("-G", "-W", "-p", tmp_path / "other.pub", "-s", tmp_path / "other")
    with pytest.raises(VerifyError) as caught:
        signatures.check(copied / "x.iso", signatures.public([tmp_path / "other.pub"]))
    assert "which is not trusted" in why(caught)
    with (copied / "x.netboot/cmdline").open("a") as file:
        file.write("init=/bin/sh\n")
    with pytest.raises(VerifyError) as caught:
        signatures.check(copied / "x.netboot", keys)
    assert "x.netboot/cmdline: " in why(caught)
    with (copied / "x.iso").open("r+b") as file:
        file.seek(40_000)
        file.write(b"damage")
    with pytest.raises(VerifyError) as caught:
        signatures.check(copied / "x.iso", keys)
    assert "x.iso.minisig: the signature does not fit" in why(caught)
    assert "is not what x.sha256 says" in why(caught)
    (copied / "x.sha256").unlink()
    with pytest.raises(VerifyError, match="not the image"):
        signatures.check(copied / "x.iso", ())
    (copied / "x.tar.minisig").unlink()
    with pytest.raises(VerifyError) as caught:
        signatures.check(copied / "x.tar", keys)
    assert "no signature vouches for it" in why(caught)


def test_keys_that_cannot_sign(tmp_path: Path, made: Place) -> None:
    (tmp_path / "open").write_text(SecretKey.new().text())
    (tmp_path / "open").chmod(0o644)
    with pytest.raises(ConfigError, match="others may read"):
        signatures.secret(str(tmp_path / "open"), made.here.dirs)
    with pytest.raises(ConfigError, match="there is no secret key release"):
        signatures.secret("release", made.here.dirs)
    with pytest.raises(ConfigError, match="cannot be read"):
        signatures.secret(str(tmp_path / "absent"), made.here.dirs)
