"""Crates of builds: named by what cargo wrote beside them, and told in every bill of materials alike."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from remaster import bom, manifest, recorded
from tcz import crates
from tcz.model import ResolvedSource
from tcz.reporting import SilentReporter
from tcz.sandbox import Bind
from tcz.sbom import bill
from tests.unit.test_recorded import facts

if TYPE_CHECKING:
    from pathlib import Path


def crate(name: str, version: str, digit: str) -> ResolvedSource:
    return ResolvedSource(
        kind="crate", name=name, version=version, hash=f"sha256:{digit * 64}", origin=f"crate:{name}"
    )


OWN = crate("netavark", "2.1.0", "0")
LOCK = ResolvedSource(
    kind="cargo-lock", name="Cargo.lock", version="1", hash="sha256:" + "1" * 64, origin="Cargo.lock"
)
OTHERS = (crate("serde-json", "1.0.2-rc.1", "2"), crate("x509-parser", "0.16.0", "3"))


def fetched(folder: Path) -> Path:
    for one in (OWN, *OTHERS):
        place = folder / f"{one.name}-{one.version}"
        place.mkdir(parents=True)
        text = json.dumps({"files": {}, "package": one.hash.removeprefix("sha256:")})
        (place / ".cargo-checksum.json").write_text(text)
    return folder


def test_what_a_build_is_given(tmp_path: Path) -> None:
    host = fetched(tmp_path / "crates")
    binds = (Bind(host=tmp_path, inside="/build/other"), Bind(host=host, inside=crates.CRATES))
    assert crates.given(binds, (OWN,)) == OTHERS
    assert crates.given(binds, (LOCK,)) == (OWN, *OTHERS)
    assert crates.given(binds[:1], (OWN,)) == ()


@pytest.mark.parametrize("sources", [(OWN,), (LOCK,), (OWN, LOCK)])
def test_what_the_cache_still_has(tmp_path: Path, sources: tuple[ResolvedSource, ...]) -> None:
    built = replace(facts().parts[0].built, sources=sources)
    assert crates.kept(built, tmp_path) == ()
    fetched(tmp_path / crates.CACHE / crates.identity(sources) / crates.FOLDER)
    assert crates.kept(built, tmp_path)[-2:] == OTHERS
    assert crates.kept(replace(built, sources=()), tmp_path) == ()
    assert crates.kept(replace(built, sources=(*sources, replace(LOCK, hash="sha256:9"))), tmp_path) == ()


def test_both_bills_tell_the_same() -> None:
    """That of an image tells what its manifest does, that of a recipe what the record of its build does."""
    (part,) = facts().parts
    built = replace(part.built, sources=(OWN,), libraries=OTHERS)
    told = recorded.loads(
        manifest.document(replace(facts(), parts=(replace(part, built=built),))).decode(), "x"
    )
    image = bom.of_told(told, lambda _: nullcontext(None), SilentReporter())
    contents = bill.Contents(built=built, programs={}, crates=built.libraries)
    recipe = bill.make("foo", ["foo"], ["foo"], [contents], 0)

    def libraries(found: bill.Bill) -> list[bill.Part]:
        refs = {one.other for one in found.relations if one.link == "library" and one.one == "package:foo"}
        return [one for one in found.parts if one.ref in refs]

    assert libraries(image) == libraries(recipe)
    assert [one.purl for one in libraries(image)] == [
        "pkg:cargo/serde-json@1.0.2-rc.1",
        "pkg:cargo/x509-parser@0.16.0",
    ]
