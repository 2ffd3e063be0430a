"""The commands that ask, on a mirror of ours, and ``tcz mirror sync`` from its command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from tcz.cli import cli
from tcz.mirror.repository import Mirror
from tcz.reporting import SilentReporter
from tests.unit.repository_made import TCZ, index, put

if TYPE_CHECKING:
    from pathlib import Path


def tcz(*words: object, code: int = 0) -> str:
    done = CliRunner().invoke(cli, list(map(str, words)))
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    folder = tmp_path / "theirs" / TCZ
    put(folder, "app", ["lib"])
    put(folder, "lib")
    put(folder, "other")
    index(folder)
    return folder


@pytest.fixture
def ours(tmp_path: Path, theirs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "ours"
    tcz("mirror", "init", folder)
    said = tcz("mirror", "sync", "app", "-m", folder, "--from", theirs.parents[2], "--progress", "none")
    assert "2 copied, 0 as they were; state 2 is shown" in said
    return folder


def test_asking(ours: Path) -> None:
    mirror = ("--mirror", ours)
    assert tcz("list", *mirror) == "app\nlib\n"
    assert tcz("deps", "app", *mirror) == "lib\napp\n"
    assert tcz("rdeps", "lib", *mirror) == "app\n"
    assert tcz("provides", "local/app$", *mirror) == "app\n"
    assert tcz("search", "-t", "test", "ap", *mirror) == "app\n"
    found = json.loads(tcz("info", "app", "--json", *mirror))
    assert (found["version"], found["summary"], found["needs"]) == ("1.0", "About app", ["lib"])
    assert found["origin"].startswith("upstream ")
    sizes = json.loads(tcz("deps", "app", "--size", "--json", *mirror))["sizes"]
    assert [one["name"] for one in sizes] == ["lib", "app"]
    assert all(one["download"] and one["installed"] == 3 * 3000 for one in sizes)
    assert "has no packages" not in tcz("list", "-l", *mirror)


def test_syncing_again_and_what_changed(ours: Path, theirs: Path) -> None:
    source = ("-m", ours, "--from", theirs.parents[2], "--progress", "none")
    assert "nothing published" in tcz("mirror", "sync", *source)
    with Mirror.open(ours).writing(SilentReporter()) as writer:
        writer.name("before", ours / "states/2")
    put(theirs, "lib", ["other"], content="new")
    index(theirs)
    assert "would copy lib" in tcz("mirror", "sync", "--dry-run", *source)
    done = json.loads(tcz("mirror", "sync", "--json", *source))
    assert (done["fetched"], done["published"], done["serial"]) == (["lib", "other"], True, 3)
    assert tcz("changed", "before", "public", "--mirror", ours) == tcz("changed", 2, 3, "--mirror", ours)
    assert tcz("changed", "before", "public", "--mirror", ours).splitlines() == [
        "~ lib: other bytes, needs other",
        "+ other",
    ]
    assert "no state 'nothing'" in tcz("changed", "nothing", "public", "--mirror", ours, code=2)


def test_what_sync_refuses(ours: Path, theirs: Path) -> None:
    source = ("-m", ours, "--progress", "none")
    assert "no upstream is named" in tcz("mirror", "sync", "app", *source, code=2)
    assert "no address" in tcz("mirror", "sync", "app", "--from", "ftp://x/", *source, code=2)
    assert "no folder" in tcz("mirror", "sync", "app", "--from", theirs / "x", *source, code=2)
    (theirs / "other.tcz").unlink()
    said = tcz("mirror", "sync", "other", "--from", theirs, *source, code=4)
    assert "other.tcz" in said
    assert tcz("list", "--mirror", ours) == "app\nlib\n"
