from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from tcz import cachefiles
from tcz.errors import ConfigError, ToolkitError
from tcz.paths import Dirs, alone

if TYPE_CHECKING:
    from collections.abc import Callable


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


# -- what nothing has used ------------------------------------------------------------------------

DAY = 86_400
NOW = 2_000_000_000


def put(path: Path, days: float, size: int = 1) -> Path:
    """Write a file that was last used so many days ago; the time of its inode says nothing of that."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (NOW - days * DAY,) * 2)
    return path


@pytest.fixture
def pruned(dirs: Dirs, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, int]]:
    """Return what is pruned, by name, with its days. No test can set the time that an inode changed."""
    really = Path.lstat

    def lstat(path: Path) -> os.stat_result:
        status = really(path)
        fields = {name: getattr(status, name) for name in dir(status) if name.startswith("st_")}
        return cast("os.stat_result", SimpleNamespace(**{**fields, "st_ctime": 0.0}))

    monkeypatch.setattr(Path, "lstat", lstat)

    def prune(days: int, *parts: str, dry_run: bool = False) -> dict[str, int]:
        found = cachefiles.prune(dirs, days, parts, now=NOW, dry_run=dry_run)
        return {f"{one.part}/{one.name}": one.days for one in found}

    return prune


def test_what_nothing_has_used_goes(dirs: Dirs, pruned: Callable[..., dict[str, int]]) -> None:
    old = [
        put(dirs.cache_folder("initrds") / "member-a", 40),
        put(dirs.cache / "initrds/member-a.sha256", 45),
        put(dirs.cache / "builds/1234/build.json", 50),
        put(dirs.cache / "builds/1234/deep/x.tcz", 31),
        put(dirs.cache / "store/sha256/ab/abcd", 99),
        put(dirs.cache / "store/partial/x", 31),
        put(dirs.cache / "kernels/cafe.done", 31),
        put(dirs.cache / "kernels/.cafe.lock", 31),
        put(dirs.cache / "rebuilt/rebuild-x/out/x.iso", 60),
        put(dirs.cache / "initrds/.whole.abcdefgh", 60),
    ]
    new = [
        put(dirs.cache / "initrds/member-b", 29.9),
        # What belongs together stays together.
        put(dirs.cache / "bases/beef", 40),
        put(dirs.cache / "bases/beef.content", 3),
        put(dirs.cache / "builds/5678/build.json", 50),
        put(dirs.cache / "builds/5678/x.tcz", 2),
        put(dirs.cache / "store/sha256/ab/abff", 1),
        put(dirs.cache / "gomod/mod/cache/old", 400),
        put(dirs.cache / "gomod/done/new", 4),
        put(dirs.cache / "apt/state/old", 400),
        put(dirs.cache / "apt/stamp", 4),
    ]
    for folder in (
        dirs.cache / "builds/1234",
        dirs.cache / "builds/1234/deep",
        dirs.cache / "rebuilt/rebuild-x",
    ):
        os.utime(folder, (0, 0))
    told = pruned(30, dry_run=True)
    assert told == {
        "builds/1234": 31,
        "initrds/member-a": 40,
        "initrds/whole": 60,
        "kernels/cafe": 31,
        "rebuilt/rebuild-x": 60,
        "store/partial/x": 31,
        "store/sha256/ab/abcd": 99,
    }
    assert all(path.exists() for path in (*old, *new))
    assert pruned(30) == told
    assert [path for path in old if path.exists()] == []
    assert [path for path in new if not path.exists()] == []
    assert pruned(30) == {}


def test_a_folder_that_a_sandbox_read_was_used(dirs: Dirs, pruned: Callable[..., dict[str, int]]) -> None:
    root = dirs.cache_folder("roots") / "cafe"
    put(root / "usr/bin/sh", 400)
    os.utime(root, (0, NOW - 2 * DAY))
    assert pruned(3) == {}
    assert pruned(2) == {"roots/cafe": 2}
    assert not root.exists()


def test_one_part_and_no_other(dirs: Dirs, pruned: Callable[..., dict[str, int]]) -> None:
    put(dirs.cache_folder("initrds") / "x", 40)
    kept = put(dirs.cache_folder("builds") / "1/build.json", 40)
    assert pruned(30, "initrds") == {"initrds/x": 40}
    assert kept.exists()
    with pytest.raises(ConfigError, match="nothing was deleted"):
        pruned(30, "initrd")


def test_what_links_lead_to_stays(dirs: Dirs, tmp_path: Path, pruned: Callable[..., dict[str, int]]) -> None:
    precious = put(tmp_path / "precious/file", 400)
    (dirs.cache_folder("roots") / "link").symlink_to(precious.parent)
    os.utime(dirs.cache / "roots/link", (0, 0), follow_symlinks=False)
    assert "roots/link" in pruned(30)
    assert precious.exists()
    assert not (dirs.cache / "roots/link").is_symlink()


_USES = """
import sys
from pathlib import Path
from tcz.paths import Dirs
here = Path(sys.argv[1])
Dirs(cache=here, config=here, state=here).cache_folder("builds")
print("ready", flush=True)
sys.stdin.read()
"""


def test_nothing_goes_while_somebody_builds(dirs: Dirs, pruned: Callable[..., dict[str, int]]) -> None:
    file = put(dirs.cache_folder("initrds") / "x", 40)
    argv = [sys.executable, "-c", _USES, str(dirs.cache)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        for deletes in (lambda: pruned(30), lambda: cachefiles.clean(dirs)):
            with pytest.raises(ToolkitError, match="the cache is in use"):
                deletes()
        assert file.exists()
        assert pruned(30, dry_run=True) == {"initrds/x": 40}
        other.stdin.close()
        other.wait(10)
    assert pruned(30) == {"initrds/x": 40}
    assert not file.exists()


def test_a_build_waits_until_all_is_deleted(dirs: Dirs) -> None:
    dirs.cache.mkdir()
    argv = [sys.executable, "-c", _USES, str(dirs.cache)]
    with alone(dirs.cache):
        other = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(1)
        assert other.stdout is not None
        assert select.select([other.stdout], [], [], 0)[0] == []
    assert other.communicate("", timeout=30)[0] == "ready\n"
