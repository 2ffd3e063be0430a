"""What has changed, in words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from tcz.buildid import Inputs, Need, build_id, lines
from tcz.journal import Journal
from tcz.model import ResolvedSource
from tcz.squashfs.options import SquashOptions
from tcz.why import Past, Reason, reasons
from tests.unit.recipes_made import FULL, recipes

if TYPE_CHECKING:
    from pathlib import Path

    from tcz.model import Recipe

GCC = ResolvedSource(kind="debian-binary", name="gcc", version="14.2", hash="sha256:" + "a" * 64, origin="d")
MAKE = replace(GCC, name="make", version="4.4")
TARBALL = ResolvedSource(
    kind="archive", name="a.tar.gz", version="1.2", hash="sha256:" + "1" * 64, origin="u"
)


def inputs(recipe: Recipe = FULL) -> Inputs:
    return Inputs(
        recipe=recipe,
        version=recipe.version,
        sources=(TARBALL,),
        root="root1",
        pack_root="pack1",
        needs=(Need(recipe="zlib", content_id="c" * 64),),
        options=SquashOptions(),
        epoch=7,
    )


def past(found: Inputs, *root: ResolvedSource) -> Past:
    return Past(build_id=build_id(found), lines=tuple(lines(found)), root=root or (GCC, MAKE))


def told(change: Inputs, *root: ResolvedSource) -> list[str]:
    return [reason.text for reason in reasons(past(inputs()), past(change, *root))]


def test_never_and_gone() -> None:
    assert [reason.kind for reason in reasons(None, past(inputs()))] == ["new"]
    assert [reason.kind for reason in reasons(past(inputs()), past(inputs()))] == ["gone"]


def test_each_input_is_named() -> None:
    other = inputs()
    assert told(replace(other, sources=(replace(TARBALL, hash="sha256:" + "2" * 64),))) == [
        "source archive a.tar.gz 1.2, other bytes: 111111111111 -> 222222222222"
    ]
    assert told(replace(other, sources=(replace(TARBALL, version="1.3"),))) == [
        "source archive a.tar.gz: 1.2 -> 1.3"
    ]
    assert told(replace(other, sources=(TARBALL, TARBALL))) == ["source archive a.tar.gz (2): 1.2 is new"]
    assert told(replace(other, needs=(Need(recipe="zlib", content_id="d" * 64),))) == [
        "zlib, which it builds upon, has changed: cccccccccccc -> dddddddddddd"
    ]
    assert told(replace(other, needs=())) == ["builds upon: zlib is gone"]
    assert told(replace(other, root="root2"), replace(GCC, version="14.3"), replace(MAKE, name="mawk")) == [
        "build root: gcc: 14.2 -> 14.3",
        "build root: make: 4.4 is gone",
        "build root: mawk: 4.4 is new",
    ]
    assert told(replace(other, root="root2")) == ["the build root is laid out in another way: root1 -> root2"]
    assert told(replace(other, options=SquashOptions(block=4096))) == ["squashfs: block: the default -> 4096"]
    assert told(replace(other, epoch=8)) == ["the time that is written into packages: 7 -> 8"]
    assert told(replace(other, version="1.3", recipe=replace(FULL, version="1.3"))) == [
        "recipe: version: 1.2 -> 1.3"
    ]
    assert told(replace(other, recipe=replace(FULL, build=replace(FULL.build, debian=("gcc",))))) == [
        "recipe: build.debian: gcc make -> gcc"
    ]


def test_files_of_the_recipe(tmp_path: Path) -> None:
    folder = tmp_path / "sample"
    (folder / "files").mkdir(parents=True)
    recipe = replace(FULL, folder=folder)
    (folder / "build.sh").write_text("one")
    (folder / "files/a").write_text("a")
    before = past(inputs(recipe))
    (folder / "build.sh").write_text("two")
    (folder / "files/a").rename(folder / "files/b")
    found = reasons(before, past(inputs(recipe)))
    assert [(reason.what, reason.old, reason.new) for reason in found[1:]] == [
        ("the recipe's folder", "files/a", None),
        ("the recipe's folder", None, "files/b"),
    ]
    assert found[0].text.startswith("build.sh has changed: ")
    before = past(inputs(recipe))
    (folder / "build.sh").chmod(0o755)
    assert [reason.text for reason in reasons(before, past(inputs(recipe)))] == ["build.sh: file -> exec"]


@settings(max_examples=40)
@given(recipes())
def test_recipes_that_differ_have_reasons(other: Recipe) -> None:
    before, after = past(inputs()), past(inputs(other))
    found = reasons(before, after)
    assert found
    assert all(reason.text for reason in found)
    assert (found[0].kind == "gone") == (before.build_id == after.build_id)


def test_the_journal_keeps_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "inputs")
    present = past(inputs())
    assert journal.last("a", present) is None
    journal.write("a", present)
    assert journal.last("a", present) == present
    assert journal.last("b", present) is None
    packed_otherwise = past(replace(inputs(), options=SquashOptions(compressor="xz")))
    assert journal.last("a", packed_otherwise) is None


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"format": 2}', b'{"format": 1, "lines": 3}'])
def test_a_damaged_journal_is_none(tmp_path: Path, damage: bytes) -> None:
    journal = Journal(tmp_path)
    journal.write("a", past(inputs()))
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage)
    assert journal.last("a", past(inputs())) is None


def test_texts() -> None:
    assert Reason(kind="need", what="x", old="1", new="2").text == "x: 1 -> 2"
