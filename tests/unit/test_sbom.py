"""Bills of materials: read by the libraries of those who made the formats."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from hypothesis import strategies as st
from packageurl import PackageURL
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from tcz.gobuild import CompiledModule, GoProgram, inspect
from tcz.model import Built, BuiltPackage, ResolvedSource
from tcz.sbom import bill, cyclonedx, purl, spdx

H1 = "h1:" + base64.b64encode(b"x" * 32).decode()


def line(kind: str, name: str, version: str, hash_: str, origin: str = "x") -> ResolvedSource:
    return ResolvedSource(kind=kind, name=name, version=version, hash=hash_, origin=origin)


SHA = "sha256:" + "a" * 64
SOURCES = (
    line("archive", "thing-1.2.tar.gz", "1.2", SHA, "https://thing.example/thing-1.2.tar.gz?x=1&y=a b"),
    line("go-module", "github.com/A/Thing", "v1.2.3+incompatible", H1),
    line("go-toolchain", "go", "1.26.8", H1, "golang.org/toolchain"),
    line("crate", "serde-json", "1.0.2", SHA, "crate:serde-json"),
    line("git", "thing", "2.0", "sha1:" + "c" * 40, "https://git.example/thing.git"),
    line("local", "files", "1", SHA, "files"),
    line("debian-source", "thing", "1:1.2~rc1-3", SHA, "debian:trixie/thing"),
    line("cargo-lock", "x/Cargo.lock", "1", SHA, "x/Cargo.lock"),
)
ROOT = (
    line("debian-binary", "g++-14", "1:14.2+b1~deb13u1-1", SHA, "debian:trixie/g++-14"),
    line("host-package", "make", "4.3", "", "the machine itself"),
    line("host-tool", "go", "", SHA, "the machine itself"),
    line("tinycore", "compiletc", "17.x", "md5:" + "3" * 32, "tinycore:17.x/tcz/compiletc.tcz"),
)


def package(name: str, *needs: str, form: Any = "extension") -> BuiltPackage:
    return BuiltPackage(
        name=name, form=form, path=Path(name), sha256="9" * 64, size=1, installed=2, needs=needs
    )


def built(recipe: str, *packages: BuiltPackage) -> Built:
    return Built(
        recipe=recipe,
        version="1.2",
        build_id="7" * 64,
        content_id="8" * 64,
        folder=Path(),
        packages=packages,
        sources=SOURCES,
        root=ROOT,
        license="GPL-2.0-only WITH Linux-syscall-note OR (MIT AND LGPL-2.1-or-later)",
        homepage="https://thing.example/",
        summary='Does "things" & more',
    )


MODULES = (CompiledModule(path="golang.org/x/sys", version="v0.1.0", sum=H1),)
THING = bill.Contents(
    built=built("thing", package("thing", "lib", "modules-KERNEL"), package("thing-doc", form="files")),
    programs={"thing": MODULES},
    crates=(replace(SOURCES[3], name="itoa"),),
)
LIB = bill.Contents(built=built("lib", package("lib")), programs={})


def example() -> bill.Bill:
    return bill.make("thing", ["thing", "thing-doc"], ["lib", "thing", "thing-doc"], [THING, LIB], 1735689600)


def test_what_the_bill_says() -> None:
    found = example()
    assert found.subjects == ("package:thing", "package:thing-doc")
    needs = [(r.one, r.other) for r in found.relations if r.link == "needs"]
    assert needs == [("package:thing", "package:lib")]
    libraries = {r.other for r in found.relations if r.link == "library" and r.one == "package:thing"}
    assert libraries == {"library:pkg:golang/golang.org/x/sys@v0.1.0", "library:pkg:cargo/itoa@1.0.2"}
    tools = {r.other for r in found.relations if r.link == "tool" and r.one == "package:lib"}
    assert len(tools) == len(ROOT)
    alone = bill.make("thing", ["thing"], ["thing"], [THING], 1735689600)
    assert {part.ref for part in alone.parts if part.role == "package"} == {"package:thing"}


def test_cyclonedx_is_valid_and_always_the_same() -> None:
    text = cyclonedx.dumps(example())
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert text == cyclonedx.dumps(example())
    document = json.loads(text)
    refs = {component["bom-ref"] for component in document["components"]} | {"subject:thing"}
    assert all({entry["ref"], *entry["dependsOn"]} <= refs for entry in document["dependencies"])
    assert document["metadata"]["timestamp"] == "2025-01-01T00:00:00Z"
    thing = next(one for one in document["components"] if one["bom-ref"] == "package:thing")
    assert thing["hashes"] == [{"alg": "SHA-256", "content": "9" * 64}]
    assert {"name": "tcz:build-id", "value": "7" * 64} in thing["properties"]
    assert {"name": "tcz:build-root", "value": "debian"} in thing["properties"]
    other = cyclonedx.dumps(replace(example(), name="other"))
    assert json.loads(other)["serialNumber"] != document["serialNumber"]


def test_spdx_is_valid_and_always_the_same(tmp_path: Path) -> None:
    text = spdx.dumps(example())
    assert text == spdx.dumps(example())
    file = tmp_path / "thing.spdx.json"
    file.write_text(text)
    document = parse_file(str(file))
    assert validate_full_spdx_document(document) == []
    kinds = {relationship.relationship_type.name for relationship in document.relationships}
    assert kinds == {"DESCRIBES", "DEPENDS_ON", "CONTAINS", "GENERATED_FROM", "BUILD_TOOL_OF"}


def test_package_urls_are_canonical() -> None:
    found = [part.purl for part in example().parts if part.purl]
    for text in found:
        assert PackageURL.from_string(text).to_string() == text
    assert "pkg:deb/debian/g%2B%2B-14@1:14.2%2Bb1~deb13u1-1?arch=amd64&distro=trixie" in found
    assert "pkg:golang/github.com/a/thing@v1.2.3%2Bincompatible" in found
    assert purl.of_source(SOURCES[5]) is None


_names = st.text("abcXYZ019+._-~", min_size=1, max_size=12)
_kinds = st.sampled_from([source.kind for source in (*SOURCES, *ROOT)])
_found = st.builds(
    ResolvedSource,
    kind=_kinds,
    name=_names,
    version=_names,
    hash=st.sampled_from(["sha256:" + "a" * 64, H1, "", "md5:" + "b" * 32, "sha1:" + "c" * 40]),
    origin=st.sampled_from(["https://x.example/a", "debian:trixie/x", "x"]),
)


@settings(max_examples=25)
@given(st.lists(_found, max_size=4))
def test_whatever_the_sources_are(sources: list[ResolvedSource]) -> None:
    contents = replace(THING, built=replace(THING.built, sources=tuple(sources), root=tuple(sources)))
    found = bill.make("thing", ["thing"], ["thing"], [contents], 0)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(cyclonedx.dumps(found)) is None
    parsed = JsonLikeDictParser().parse(json.loads(spdx.dumps(found)))
    assert validate_full_spdx_document(parsed) == []


# -- Go programs ------------------------------------------------------------------------------------


def program(listing: str, version: str = "go1.26.8") -> bytes:
    framed = b"<" * 16 + listing.encode() + b">" * 16
    header = b"\xff Go buildinf:" + bytes([8, 2]) + bytes(16)
    return b"\x7fELF" + bytes(60) + header + _string(version.encode()) + _string(framed) + b"rest"


def _string(data: bytes) -> bytes:
    length, out = len(data), b""
    while length >= 0x80:
        out += bytes([length & 0x7F | 0x80])
        length >>= 7
    return out + bytes([length]) + data


def test_modules_of_a_program() -> None:
    listing = (
        "path\texample.org/cmd\nmod\texample.org\tv1.0.0\t\ndep\ta.example/x\tv1.2.3\th1:a=\n"
        "dep\tb.example/y\tv0.1.0\n=>\tc.example/z\tv0.2.0\th1:c=\nbuild\t-compiler=gc\n"
    )
    assert inspect(program(listing)) == GoProgram(
        go="go1.26.8",
        path="example.org/cmd",
        modules=(
            CompiledModule(path="a.example/x", version="v1.2.3", sum="h1:a="),
            CompiledModule(path="c.example/z", version="v0.2.0", sum="h1:c="),
        ),
    )


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"#!/bin/sh\n\xff Go buildinf:", program("x", "gone")])
def test_what_is_no_go_program(data: bytes) -> None:
    assert inspect(data) is None


@given(st.integers(0, 200), st.binary(max_size=8))
def test_damaged_programs_are_none_or_read(cut: int, more: bytes) -> None:
    whole = program("path\tx\ndep\ta\tv1\n")
    found = inspect(whole[:cut] + more)
    assert found is None or isinstance(found, GoProgram)
