"""Bases that are kept in the cache: what comes out is what was looked at, whatever happened to the files."""

from __future__ import annotations

import hashlib
import os
import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from remaster import foreign, kept
from remaster.survey import look
from tcz import cpio
from tcz.errors import ConfigError, VerifyError
from tcz.paths import Dirs
from tcz.tree import listing
from tests.unit import standins

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from remaster.foreign import Foreign

RELEASE = "6.12.11-tinycore64"


@pytest.fixture
def dirs(tmp_path: Path) -> Dirs:
    return Dirs(cache=tmp_path / "cache", config=tmp_path, state=tmp_path)


@pytest.fixture
def origin(tmp_path: Path) -> str:
    (tmp_path / "vmlinuz64").write_bytes(standins.kernel_image(RELEASE))
    (tmp_path / "core.gz").write_bytes(cpio.compress(cpio.dumps(standins.root_tree()), "gzip", 1))
    return f"{tmp_path}/core.gz,{tmp_path}/vmlinuz64"


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Note every look at a base."""
    seen: list[Any] = []
    really: Callable[[Any], Any] = look.examine_medium
    monkeypatch.setattr(look, "examine_medium", lambda medium: seen.append(medium) or really(medium))
    return seen


def same(one: Foreign, other: Foreign) -> None:
    """Two that were looked at have everything in common, but for where contents lie."""
    assert replace(one, examined=other.examined) == other
    assert one.examined.survey == other.examined.survey
    assert (one.examined.kernel, one.examined.initrds) == (other.examined.kernel, other.examined.initrds)
    assert one.examined.medium.files == other.examined.medium.files
    assert listing(one.examined.root) == listing(other.examined.root)
    assert cpio.dumps(one.examined.root) == cpio.dumps(other.examined.root)


def facts(dirs: Dirs) -> Path:
    (found,) = (path for path in (dirs.cache / kept.FOLDER).iterdir() if not path.suffix)
    return found


def test_loose_files(origin: str, dirs: Dirs, looks: list[Any]) -> None:
    fresh = foreign.open_foreign(origin)
    first = foreign.open_foreign(origin, dirs=dirs)
    assert len(looks) == 2
    again = foreign.open_foreign(origin, dirs=dirs)
    assert len(looks) == 2
    same(fresh, first)
    same(first, again)


@standins.needs_tools
def test_an_iso_image(tmp_path: Path, dirs: Dirs, looks: list[Any]) -> None:
    path = str(standins.official_iso(tmp_path, "cde"))
    fresh, first, again = (foreign.open_foreign(path, dirs=one) for one in (None, dirs, dirs))
    assert len(looks) == 2
    assert fresh.examined.medium.iso == again.examined.medium.iso is not None
    same(fresh, first)
    same(first, again)


def test_another_base_in_the_same_place(origin: str, dirs: Dirs, tmp_path: Path, looks: list[Any]) -> None:
    before = foreign.open_foreign(origin, dirs=dirs)
    file = tmp_path / "core.gz"
    tree = standins.root_tree()
    path = next(path for path, node in tree.items() if node.is_file and node.size and path != "init")
    status = file.stat()
    changed = type(tree)([*tree.items(), (path, replace(tree[path], data=tree[path].read()[::-1] + b"."))])
    file.write_bytes(cpio.compress(cpio.dumps(changed), "gzip", 1))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = foreign.open_foreign(origin, dirs=dirs)
    assert after.examined.root[path].read() == changed[path].read() != before.examined.root[path].read()
    assert after.identity != before.identity
    assert len(looks) == 2


@pytest.mark.parametrize("what", ["facts cut", "facts", "no facts", "content", "content cut", "no content"])
def test_what_is_damaged_is_looked_at_again(origin: str, dirs: Dirs, looks: list[Any], what: str) -> None:
    first = foreign.open_foreign(origin, dirs=dirs)
    place = facts(dirs)
    place = place if what.endswith("facts") or "facts" in what else place.with_name(f"{place.name}.content")
    data = place.read_bytes()
    if what.startswith("no"):
        place.unlink()
    else:
        middle = len(data) // 2
        place.write_bytes(
            data[:middle] + (b"" if "cut" in what else bytes([data[middle] ^ 1]) + data[middle + 1 :])
        )
    again = foreign.open_foreign(origin, dirs=dirs)
    assert len(looks) == 2
    same(first, again)
    assert place.read_bytes() == data


class _Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("made-by-a-pickle",)


def test_a_pickle_runs_nothing(
    origin: str, dirs: Dirs, tmp_path: Path, looks: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    foreign.open_foreign(origin, dirs=dirs)
    data = pickle.dumps(_Hostile())
    facts(dirs).write_bytes(hashlib.sha256(data).digest() + data)
    assert foreign.open_foreign(origin, dirs=dirs).release
    assert len(looks) == 2
    assert not (tmp_path / "made-by-a-pickle").exists()


def test_what_is_no_base_is_not_kept(origin: str, dirs: Dirs, tmp_path: Path) -> None:
    (tmp_path / "core.gz").write_bytes((tmp_path / "core.gz").read_bytes()[:-100])
    for _ in range(2):
        with pytest.raises(VerifyError):
            foreign.open_foreign(origin, dirs=dirs)
    with pytest.raises(ConfigError, match="there is no"):
        foreign.open_foreign(f"{tmp_path}/absent", dirs=dirs)


def test_a_cache_that_cannot_be_written(origin: str, dirs: Dirs) -> None:
    dirs.cache_folder("sums")
    (dirs.cache_folder(kept.FOLDER)).rmdir()
    (dirs.cache / kept.FOLDER).symlink_to("/proc/self/net")
    same(foreign.open_foreign(origin), foreign.open_foreign(origin, dirs=dirs))


def test_a_base_that_changes_while_it_is_looked_at_is_not_kept(
    origin: str, dirs: Dirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept by the hash of one content must not be what another one is."""
    file = tmp_path / "core.gz"
    data = file.read_bytes()
    really: Callable[[Any], Any] = look.examine_medium

    def meanwhile(medium: Any) -> Any:
        found = really(medium)
        file.write_bytes(data + bytes(4))
        return found

    monkeypatch.setattr(look, "examine_medium", meanwhile)
    foreign.open_foreign(origin, dirs=dirs)
    assert list((dirs.cache / kept.FOLDER).iterdir()) == []
