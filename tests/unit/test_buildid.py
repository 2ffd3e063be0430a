from dataclasses import replace
from pathlib import Path

import pytest

from tcz.buildid import Inputs, Need, build_id, content_id, lines, stage_id
from tcz.model import Archive, Local, PackageSpec, Recipe, ResolvedSource
from tcz.squashfs.options import SquashOptions

SOURCE = ResolvedSource(kind="archive", name="x", version="1", hash="sha256:00", origin="https://a.example/")


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    folder = tmp_path / "x"
    (folder / "patches").mkdir(parents=True)
    (folder / "recipe.toml").write_text("a")
    (folder / "build.sh").write_text("b")
    (folder / "patches/1.patch").write_text("c")
    recipe = Recipe(
        name="x",
        version="1",
        summary="s",
        license="MIT",
        homepage="h",
        folder=folder,
        sources=(Archive(url="u", sha256="0"),),
        packages=(PackageSpec(name="x", files=("usr",)),),
    )
    return Inputs(
        recipe=recipe,
        version="1",
        sources=(SOURCE,),
        root="r",
        pack_root="p",
        needs=(Need(recipe="n", content_id="1"),),
        options=SquashOptions(),
        epoch=0,
    )


def test_everything_counts(inputs: Inputs) -> None:
    recipe = inputs.recipe
    others = [
        replace(inputs, version="2"),
        replace(inputs, sources=(replace(SOURCE, hash="sha256:01"),)),
        replace(inputs, root="q"),
        replace(inputs, pack_root="q"),
        replace(inputs, needs=()),
        replace(inputs, needs=(Need(recipe="n", content_id="2"),)),
        replace(inputs, options=SquashOptions(block=4096)),
        replace(inputs, epoch=1),
        replace(inputs, recipe=replace(recipe, summary="t")),
        replace(inputs, recipe=replace(recipe, sources=(Local(path="u"),))),
        replace(inputs, recipe=replace(recipe, packages=(PackageSpec(name="x", files=("opt",)),))),
    ]
    ids = [build_id(each) for each in (inputs, *others)]
    assert len(set(ids)) == len(ids)


def test_the_folder_counts_and_comments_do_not(inputs: Inputs) -> None:
    folder = inputs.recipe.folder
    seen = {build_id(inputs)}

    def differs() -> bool:
        before = len(seen)
        seen.add(build_id(inputs))
        return len(seen) > before

    (folder / "recipe.toml").write_text("# a comment")
    (folder / "boot-test.sh").write_text("# run on a booted machine")
    assert not differs()
    (folder / "build.sh").write_text("other")
    assert differs()
    (folder / "build.sh").chmod(0o755)
    assert differs()
    (folder / "patches/1.patch").rename(folder / "patches/2.patch")
    assert differs()
    (folder / "files").mkdir()
    assert not differs()
    (folder / "files/link").symlink_to("a")
    assert differs()


def test_the_place_does_not_count(inputs: Inputs, tmp_path: Path) -> None:
    before = build_id(inputs)
    folder = inputs.recipe.folder.rename(tmp_path / "elsewhere")
    moved = replace(inputs, recipe=replace(inputs.recipe, folder=folder))
    assert build_id(moved) == before
    assert str(tmp_path) not in "\n".join(lines(moved))


def test_what_packages_say_compiles_nothing_again(inputs: Inputs) -> None:
    spec = PackageSpec(name="x", files=("opt",))
    divided = replace(inputs, recipe=replace(inputs.recipe, summary="t", packages=(spec,)))
    assert stage_id(divided) == stage_id(inputs)
    assert content_id(divided) != content_id(inputs)


def test_compression_changes_no_content(inputs: Inputs) -> None:
    other = replace(inputs, options=SquashOptions(block=4096))
    assert content_id(other) == content_id(inputs)
    assert build_id(other) != build_id(inputs)


def test_a_field_at_its_default_is_left_out(inputs: Inputs) -> None:
    assert "tags" not in "".join(lines(inputs))
    tagged = PackageSpec(name="x", files=("usr",), tags=("t",))
    assert "tags" in "".join(lines(replace(inputs, recipe=replace(inputs.recipe, packages=(tagged,)))))
