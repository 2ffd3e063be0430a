"""Where the files of an image come from, and what it is made of, in the formats of others."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from remaster import bill, bom, explaining, image, recorded, wish
from tcz import tar
from tcz.errors import ConfigError
from tcz.reporting import SilentReporter
from tcz.sbom import cyclonedx, spdx
from tcz.squashfs import writer
from tcz.squashfs.options import SquashOptions
from tcz.store import sha256_file
from tcz.tree import Tree, regular
from tests.artefact import test_image as small
from tests.artefact.proof_made import Place

if TYPE_CHECKING:
    from pathlib import Path

    from tcz.sbom.bill import Bill


pytestmark = small.pytestmark


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


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


def go_program(*modules: str) -> bytes:
    """Return a program as far as Go's linker writes into it what it is made of."""
    lines = "".join(f"dep\t{one}\tv1.2.0\th1:{'A' * 43}=\n" for one in ("example.org/x", *modules))
    told = [b"go1.26.1", b"x" * 16 + f"path\texample.org/main\n{lines}".encode() + b"x" * 16]
    sized = b"".join(bytes([len(one) & 127 | 128, len(one) >> 7]) + one for one in told)
    return b"\x7fELF".ljust(32, b"\0") + (b"\xff Go buildinf:" + b"\x08\x02").ljust(32, b"\0") + sized


def test_what_is_compiled_into_programs_that_are_unpacked(made: Place, tmp_path: Path) -> None:
    """A tar archive has its packages' files, and no packages."""
    programs = {
        "usr/local/bin/a": regular(go_program("example.org/y"), 0o755),
        "bin/b": regular(go_program()),
    }
    whole = tar.read(made.top / "out/x.tar")
    tar.write(whole.overlay(Tree(programs)), tmp_path / "x.tar")
    plain, _ = documents(bom.of_image(tmp_path / "x.tar", SilentReporter()), tmp_path)
    found = {one["purl"] for one in plain["components"] if "golang" in one.get("purl", "")}
    assert found == {"pkg:golang/example.org/x@v1.2.0", "pkg:golang/example.org/y@v1.2.0"}
    needs = {one["ref"]: one["dependsOn"] for one in plain["dependencies"]}
    assert {f"library:{one}" for one in found} <= set(needs["base:floe"])


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
    path = "usr/local/etc/init.d/foo"
    writer.write(
        Tree({path: regular(b"own"), "opt/x": regular(b"")}), place.package, SquashOptions(), epoch=0
    )
    (place.top / "given").write_bytes(b"#!/bin/sh\n")
    place.make(files=(f"{place.top / 'given'}:/{path}",))
    assert told_of(place, f"/{path}") == [
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
