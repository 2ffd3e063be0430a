from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tcz import zsync
from tcz.errors import ConfigError, ToolkitError, VerifyError
from tcz.mirror.examine import examine
from tcz.mirror.objects import Objects
from tests.unit.mirror_made import package

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return Objects(tmp_path / "kept")


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def test_a_clean_package(tmp_path: Path, objects: Objects) -> None:
    path = package(tmp_path / "in", "thing", "other", "m-KERNEL", version="1.2", tags="\t a  b ")
    beside(path, ".build.json").write_text(json.dumps({"recipe": "thing", "build_id": "abc"}))
    found = examine(path, objects)
    entry = found.entry
    assert (entry.name, entry.version, entry.license) == ("thing", "1.2", "MIT")
    assert (entry.summary, entry.needs) == ("The package thing", ("other", "m-KERNEL"))
    assert entry.origin == "recipe thing abc"
    assert entry.installed == len("#!/bin/sh\necho thing 1.2\n")
    assert set(entry.files) == {"", ".md5.txt", ".dep", ".info", ".list", ".zsync"}
    assert found.notes == ()
    for suffix in ("", ".md5.txt", ".dep", ".info", ".list"):
        assert objects.read(entry.files[suffix]) == beside(path, suffix).read_bytes()
    control = zsync.parse(objects.read(entry.files[".zsync"]))
    assert (control.name, control.length) == ("thing.tcz", path.stat().st_size)
    assert not list((objects.root / "tmp").iterdir())


def test_tags_are_taken_as_they_stand(tmp_path: Path, objects: Objects) -> None:
    path = package(tmp_path, "thing")
    beside(path, ".info").write_bytes(b"Title: x\r\nTags:\t  one  two \r\nComments: Tags: no\r\n")
    assert examine(path, objects).entry.tags == "\t  one  two "


@pytest.mark.parametrize(
    ("dep", "needs"),
    [
        (b" a.tcz\t\r\n\n b", ("a", "b")),
        (b"a.tcz\na.tcz\n", ("a",)),
        (b"thing.tcz\na.tcz\n", ("a",)),
        (b"\n\n", ()),
        (b"a.tcz", ("a",)),
    ],
)
def test_a_dirty_dep_is_cleaned_and_told(
    dep: bytes, needs: tuple[str, ...], tmp_path: Path, objects: Objects
) -> None:
    path = package(tmp_path, "thing")
    beside(path, ".dep").write_bytes(dep)
    found = examine(path, objects)
    assert found.entry.needs == needs
    assert any(".dep was cleaned" in note for note in found.notes)
    if needs:
        clean = "".join(f"{need}.tcz\n" for need in needs).encode()
        assert objects.read(found.entry.files[".dep"]) == clean
    else:
        assert ".dep" not in found.entry.files


@pytest.mark.parametrize(
    "dep",
    [
        b"a;reboot.tcz\n",
        b"$(reboot).tcz\n",
        b"# a comment\n",
        b"../a.tcz\n",
        b"`x`\n",
        b"-a.tcz\n",
        b"<html>\n",
    ],
)
def test_a_hostile_dep_is_refused(dep: bytes, tmp_path: Path, objects: Objects) -> None:
    path = package(tmp_path, "thing")
    beside(path, ".dep").write_bytes(dep)
    with pytest.raises(ConfigError, match=r"\.dep cannot be published") as caught:
        examine(path, objects)
    assert caught.value.where == str(path)


def test_what_is_missing_is_made(tmp_path: Path, objects: Objects) -> None:
    path = package(tmp_path, "thing")
    for suffix in (".md5.txt", ".list", ".info"):
        beside(path, suffix).unlink()
    found = examine(path, objects)
    assert objects.read(found.entry.files[".list"]) == b"usr/local/bin/thing\n"
    assert objects.read(found.entry.files[".md5.txt"]).startswith(found.entry.md5.encode() + b"  thing.tcz\n")
    assert ".info" not in found.entry.files
    assert len(found.notes) == 3


@pytest.mark.parametrize("md5", [f"{'1' * 32}  thing.tcz\n", "<html>not found</html>", ""])
def test_an_md5_that_does_not_fit_is_refused(md5: str, tmp_path: Path, objects: Objects) -> None:
    path = package(tmp_path, "thing")
    beside(path, ".md5.txt").write_text(md5)
    with pytest.raises(VerifyError, match="md5"):
        examine(path, objects)


def test_an_md5_in_another_form_is_rewritten(tmp_path: Path, objects: Objects) -> None:
    path = package(tmp_path, "thing")
    right = beside(path, ".md5.txt").read_bytes()
    beside(path, ".md5.txt").write_bytes(right.upper().replace(b"THING.TCZ\n", b"./thing.tcz\r\n\r\n"))
    assert objects.read(examine(path, objects).entry.files[".md5.txt"]) == right


@pytest.mark.parametrize("data", [b"", b"hsqs", b"<html>404</html>" * 100, b"hsqs" + b"\xff" * 200])
def test_what_is_no_image_is_refused(data: bytes, tmp_path: Path, objects: Objects) -> None:
    path = tmp_path / "thing.tcz"
    path.write_bytes(data)
    with pytest.raises(VerifyError) as caught:
        examine(path, objects)
    assert caught.value.where == str(path)


def test_an_image_that_is_cut_off_anywhere_is_refused(tmp_path: Path, objects: Objects) -> None:
    path = package(tmp_path, "thing")
    beside(path, ".md5.txt").unlink()
    whole = path.read_bytes()
    for size in range(0, 96, 7):
        path.write_bytes(whole[:size])
        with pytest.raises(VerifyError):
            examine(path, objects)


@pytest.mark.parametrize(
    "name", ["a b.tcz", "a;b.tcz", "$(x).tcz", "-x.tcz", ".tcz", "a\nb.tcz", "thing.txt", "ü.tcz"]
)
def test_hostile_names_are_refused(name: str, tmp_path: Path, objects: Objects) -> None:
    package(tmp_path, "thing").rename(tmp_path / name)
    with pytest.raises(ConfigError, match="name"):
        examine(tmp_path / name, objects)


def test_links_out_of_the_folder_are_not_published(tmp_path: Path, objects: Objects) -> None:
    path = package(tmp_path / "in", "thing")
    secret = tmp_path / "secret"
    secret.write_text("secret")
    beside(path, ".info").unlink()
    beside(path, ".info").symlink_to(secret)
    with pytest.raises(ConfigError, match="leads out"):
        examine(path, objects)
    beside(path, ".info").unlink()
    beside(path, ".info").mkdir()
    with pytest.raises(ConfigError, match="not a file"):
        examine(path, objects)


def test_a_companion_without_end_is_refused(tmp_path: Path, objects: Objects) -> None:
    path = package(tmp_path, "thing")
    with beside(path, ".list").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(VerifyError, match="larger"):
        examine(path, objects)


def test_a_right_zsync_is_kept_and_a_wrong_one_made_again(tmp_path: Path, objects: Objects) -> None:
    path = package(tmp_path, "thing")
    given = zsync.control(path, epoch=77)
    beside(path, ".zsync").write_bytes(given)
    assert objects.read(examine(path, objects).entry.files[".zsync"]) == given
    for wrong in (
        given.replace(b"thing", b"other"),
        given[:-1],
        b"<html>",
        given.replace(b"SHA-1: ", b"SHA-1: 0"),
    ):
        beside(path, ".zsync").write_bytes(wrong)
        made = objects.read(examine(path, objects).entry.files[".zsync"])
        assert zsync.parse(made).sha1 == zsync.parse(given).sha1


def test_texts_of_other_encodings_become_utf8(tmp_path: Path, objects: Objects) -> None:
    path = package(tmp_path, "thing")
    beside(path, ".info").write_bytes(b"Description: caf\xe9\x00\x1b[31m\r\nTags: x\r\n")
    entry = examine(path, objects).entry
    assert entry.summary == "café[31m"
    assert objects.read(entry.files[".info"]) == "Description: café[31m\nTags: x\n".encode()


def test_a_file_that_is_not_there(tmp_path: Path, objects: Objects) -> None:
    with pytest.raises(ToolkitError, match="not a file"):
        examine(tmp_path / "gone.tcz", objects)
