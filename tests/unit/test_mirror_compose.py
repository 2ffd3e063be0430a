"""Index files made from those before are those that are made from nothing."""

from __future__ import annotations

import gzip
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import pytest

from tcz import zsync
from tcz.mirror import edits, provided
from tcz.mirror.compose import compose, state_files
from tcz.mirror.entries import Entries
from tcz.mirror.model import EMPTY, Branch, Catalogue, Entry
from tcz.mirror.objects import Objects
from tcz.reporting import SilentReporter
from tests.unit.mirror_made import added, begun, package, quick_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tcz.mirror.model import Blob

BRANCH = Branch(release="17.x", arch="x86_64")
TCZ = BRANCH.folder


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with quick_folder() as found:
        yield found


@pytest.fixture(autouse=True)
def _small_members(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a handful of packages fill several members, and their blocks several reads."""
    monkeypatch.setattr(provided, "_MEMBER", 3)
    monkeypatch.setattr(edits, "_BLOCK", 501)


def entry(objects: Objects, name: str, rng: Random, names: list[str]) -> Entry:
    paths = "".join(f"usr/local/share/{name}/ä{rng.random()}\n" for _ in range(rng.randrange(40)))
    return Entry(
        name=name,
        md5=f"{rng.getrandbits(128):032x}",
        files={
            "": objects.add_bytes(rng.randbytes(8)),
            ".list": objects.add_bytes(paths.encode()),
            **({".info": objects.add_bytes(b"Title: x\n")} if rng.random() < 0.5 else {}),
        },
        needs=tuple(rng.sample(names, rng.choice((0, 0, 1, 2)))),
        tags=rng.choice(("", "\ta b", " <x>", "ü\u2028x")),
        summary=rng.choice(("", "<b>&", "ü\x85y")),
    )


def changed(before: Entries, objects: Objects, rng: Random) -> Entries:
    """Return other entries: one to three of them replaced, added or removed."""
    names = [f"{letter}{number}" for letter in "aBc" for number in range(8)] + ["dash-6.1", "dash-KERNEL"]
    made, gone = [], []
    for name in rng.sample(names, rng.choice((1, 1, 2, 3))):
        if name in before and rng.random() < 0.3:
            gone.append(name)
        elif name != "dash-KERNEL":
            made.append(entry(objects, name, rng, names))
    return before.changed(made, gone)


@pytest.mark.parametrize("seed", range(4))
def test_one_after_the_other_they_are_as_from_nothing(tmp_path: Path, seed: int) -> None:
    objects = Objects(tmp_path)
    rng = Random(seed)
    old = replace(EMPTY, branches={BRANCH: {}})
    for serial in range(1, 25):
        entries = changed(Entries.of(old.entries(BRANCH)), objects, rng)
        new = Catalogue(serial=serial, branches={BRANCH: entries})
        made = compose(new, old, objects)
        plain = {name: entries[name] for name in entries}
        assert made == compose(replace(new, branches={BRANCH: plain}), EMPTY, objects)
        provides = objects.read(made.indexes[f"{TCZ}/provides.db"])
        assert gzip.decompress(objects.read(made.indexes[f"{TCZ}/provides.db.gz"])) == provides
        control = objects.read(made.indexes[f"{TCZ}/provides.db.zsync"])
        (tmp_path / "provides.db").write_bytes(provides)
        assert control == zsync.control(tmp_path / "provides.db", epoch=0)
        old = made


@pytest.mark.parametrize(
    "name", ["provides.db", "provides.db.gz", "provides.db.zsync", "tags.db", "tcz.html"]
)
@pytest.mark.parametrize("damage", [None, b"", b"b0.tcz\nx\n\n", "bit"])
def test_what_is_damaged_is_not_built_upon(tmp_path: Path, name: str, damage: bytes | str | None) -> None:
    objects = Objects(tmp_path)
    rng = Random(5)
    names = [f"a{number}" for number in range(20)]
    entries = Entries.of({one: entry(objects, one, rng, names) for one in names})
    old = compose(Catalogue(serial=1, branches={BRANCH: entries}), EMPTY, objects)
    again = entry(objects, "a7", rng, names)
    new = Catalogue(serial=2, branches={BRANCH: Entries.of(old.entries(BRANCH)).changed([again])})
    path = objects.path(old.indexes[f"{TCZ}/{name}"].sha256)
    data = bytearray(path.read_bytes())
    path.unlink()
    if isinstance(damage, bytes):
        path.write_bytes(damage)
    elif damage is not None:
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    assert compose(new, old, objects).indexes == compose(new, EMPTY, objects).indexes


def shown(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.stat().st_ino, path.read_bytes()) for path in files}


def expected(objects: Objects, files: dict[str, Blob]) -> dict[str, tuple[int, bytes]]:
    paths = {path: objects.path(blob.sha256) for path, blob in files.items()}
    return {path: (where.stat().st_ino, where.read_bytes()) for path, where in paths.items()}


def test_a_state_made_from_one_that_would_go_is_as_one_linked_anew(tmp_path: Path) -> None:
    mirror = begun(tmp_path / "m", keep=2)
    inodes = []
    for number in range(6):
        made = [package(tmp_path / str(number), f"p{number}"), package(tmp_path / str(number), "same")]
        if number % 2:
            made.append(package(tmp_path / str(number), "other", f"p{number}", version=str(number)))
        added(mirror, *made, replacing=True)
        state = mirror.shown()
        assert state is not None
        inodes.append(state.stat().st_ino)
        assert shown(state) == expected(mirror.objects, state_files(mirror.catalogue(), mirror.objects))
        assert state.stat().st_mode & 0o777 == 0o755
    assert len(set(inodes)) < len(inodes), "no folder was used again"
    assert not any((mirror.root / "tmp").iterdir())


def test_a_state_with_a_name_or_a_damaged_catalogue_is_not_used_again(tmp_path: Path) -> None:
    mirror = begun(tmp_path / "m", keep=1)
    added(mirror, package(tmp_path / "1", "one"))
    first = mirror.shown()
    assert first is not None
    with mirror.writing(SilentReporter()) as writer:
        writer.name("first", first)
    added(mirror, package(tmp_path / "2", "two"))
    before = shown(first)
    second = mirror.shown()
    assert second is not None
    added(mirror, package(tmp_path / "3", "three"))
    added(mirror, package(tmp_path / "4", "four"))
    assert shown(first) == before
    state = mirror.shown()
    assert state is not None
    assert shown(state) == expected(mirror.objects, state_files(mirror.catalogue(), mirror.objects))
