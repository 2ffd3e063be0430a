from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tcz import cachefiles
from tcz.errors import ConfigError
from tcz.paths import Dirs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def dirs(tmp_path: Path) -> Dirs:
    return Dirs(cache=tmp_path / "cache", config=tmp_path / "config", state=tmp_path / "state")


def test_no_cache_yet(dirs: Dirs) -> None:
    assert cachefiles.parts(dirs) == ()
    assert cachefiles.clean(dirs) == ()


def test_hard_links_count_once(dirs: Dirs) -> None:
    folder = dirs.cache_folder("store")
    (folder / "a").write_bytes(b"x" * 100_000)
    os.link(folder / "a", folder / "b")
    (part,) = cachefiles.parts(dirs)
    assert (part.name, part.files) == ("store", 1)
    assert 100_000 <= part.size < 150_000


def test_cleaning_spares_what_links_lead_to(dirs: Dirs, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    folder = dirs.cache_folder("roots")
    (folder / "link").symlink_to(precious)
    (dirs.cache / "linked").symlink_to(precious)
    locked = folder / "locked"
    locked.mkdir()
    (locked / "file").write_text("x")
    locked.chmod(0o555)
    kept = dirs.cache_folder("store")
    assert [part.name for part in cachefiles.clean(dirs, ["roots"])] == ["roots"]
    assert not folder.exists()
    assert kept.exists()
    assert (precious / "file").exists()
    cachefiles.clean(dirs)
    assert not kept.exists()
    assert (precious / "file").exists()


def test_unknown_part(dirs: Dirs) -> None:
    folder = dirs.cache_folder("builds")
    with pytest.raises(ConfigError) as caught:
        cachefiles.clean(dirs, ["build", "builds"])
    assert caught.value.problems[0].hint == "did you mean 'builds'?"
    assert folder.exists()
