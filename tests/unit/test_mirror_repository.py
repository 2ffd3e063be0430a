from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tcz.errors import ConfigError, ToolkitError
from tcz.mirror.compose import compose, state_files
from tcz.mirror.model import Blob, Branch, Catalogue, Entry
from tcz.mirror.repository import Mirror
from tcz.reporting import SilentReporter
from tests.unit.mirror_made import quick_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tcz.mirror.objects import Objects

BRANCH = Branch(release="17.x", arch="x86_64")


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with quick_folder() as found:
        yield found


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    (tmp_path / "m").mkdir()
    (tmp_path / "m/mirror.toml").write_text("")
    return Mirror.open(tmp_path / "m")


def entry(objects: Objects, name: str, content: str) -> Entry:
    return Entry(
        name=name,
        md5="0" * 32,
        files={
            "": objects.add_bytes(content.encode()),
            ".list": objects.add_bytes(f"usr/local/bin/{name}\n".encode()),
        },
        needs=("dash-KERNEL",),
        tags="\tone two",
    )


def publish(mirror: Mirror, serial: int, names: list[str]) -> Catalogue:
    """Publish a state in which every package's content is the serial."""
    with mirror.writing(SilentReporter()) as writer:
        objects = writer.objects
        entries = {name: entry(objects, name, f"{name} {serial}") for name in names}
        made = compose(Catalogue(serial=serial, branches={BRANCH: entries}), mirror.catalogue(), objects)
        writer.publish(state_files(made, objects), serial)
        return made


def test_what_is_published_is_read_back(mirror: Mirror) -> None:
    assert mirror.catalogue().serial == 0
    made = publish(mirror, 1, ["b", "A"])
    assert mirror.catalogue() == made
    tcz = mirror.public / "17.x/x86_64/tcz"
    assert (tcz / "b.tcz").read_text() == "b 1"
    assert (tcz / "info.lst").read_text() == "A.tcz\nb.tcz\n"
    assert (tcz / "tags.db").read_text() == "A.tcz\t\tone two\nb.tcz\t\tone two\n"
    assert (tcz / "md5.db").read_text() == f"{'0' * 32}  A.tcz\n{'0' * 32}  b.tcz\n"
    assert (tcz / "sizelist").read_text() == "A.tcz 3\nb.tcz 3\n"
    assert (tcz / "dep.db").read_text() == "A.tcz\ndash-KERNEL.tcz\n\nb.tcz\ndash-KERNEL.tcz\n\n"
    assert (tcz / "provides.db").read_text() == "A.tcz\nusr/local/bin/A\n\nb.tcz\nusr/local/bin/b\n\n"
    unpacked = subprocess.run(
        ["gzip", "-dc", tcz / "provides.db.gz"], check=True, stdout=subprocess.PIPE
    ).stdout
    assert unpacked == (tcz / "provides.db").read_bytes()


def test_an_index_is_the_same_made_anew_or_from_the_last(mirror: Mirror, tmp_path: Path) -> None:
    publish(mirror, 1, ["a", "b"])
    later = publish(mirror, 2, ["a", "c", "b"])
    (tmp_path / "n").mkdir()
    (tmp_path / "n/mirror.toml").write_text("")
    assert publish(Mirror.open(tmp_path / "n"), 2, ["a", "c", "b"]) == later


def test_a_state_that_a_reader_has_open_stays(mirror: Mirror) -> None:
    publish(mirror, 1, ["a"])
    shown = mirror.shown()
    assert shown is not None
    publish(mirror, 2, ["a"])
    assert (shown / BRANCH.folder / "a.tcz").read_text() == "a 1"
    assert (mirror.public / BRANCH.folder / "a.tcz").read_text() == "a 2"


def test_named_states_outlive_the_others(mirror: Mirror) -> None:
    for serial in range(1, 6):
        publish(mirror, serial, ["a"])
        if serial == 2:
            with mirror.writing(SilentReporter()) as writer:
                writer.name("spring", mirror.root / "states/2")
    with mirror.writing(SilentReporter()) as writer:
        assert writer.prune(1) == ("1", "3", "4")
        with pytest.raises(ConfigError, match="there is a snapshot"):
            writer.name("spring", mirror.root / "states/5")
    assert (mirror.snapshots()["spring"] / BRANCH.folder / "a.tcz").read_text() == "a 2"


def test_a_second_writer_is_told(mirror: Mirror) -> None:
    held = mirror.writing(SilentReporter())
    with (
        held,
        pytest.raises(ToolkitError, match="another command"),
        mirror.writing(SilentReporter(), wait=False),
    ):
        pass


def test_no_mirror(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no mirror"):
        Mirror.open(tmp_path)


def test_an_object_that_is_wrong_is_not_kept(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    with pytest.raises(ToolkitError, match="not the bytes"):
        mirror.objects.add_file(tmp_path / "x", Blob(sha256="0" * 64, size=1))
    assert not list((mirror.root / "tmp").iterdir())
