"""The commands that ask, on a mirror of ours, and ``tcz mirror sync`` from its command line."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
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
    assert tcz("deps", "--all", *mirror) == "app: lib\nlib:\n"
    assert json.loads(tcz("deps", "--all", "--json", *mirror))[0] == {"name": "app", "order": ["lib", "app"]}
    assert "goes with none" in tcz("deps", "--all", "app", *mirror, code=2)
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


def test_every_question_as_json(ours: Path) -> None:
    """Each command that asks, on a mirror by -m, in words and as one JSON value that says the same."""
    with Mirror.open(ours).writing(SilentReporter()) as writer:
        writer.name("empty", ours / "states/1")
    told = {
        ("list",): (["app", "lib"], "name"),
        ("search", "LI"): (["lib"], "name"),
        ("search", "-t", "test", "^a"): (["app"], "name"),
        ("rdeps", "lib"): (["app"], None),
        ("rdeps", "lib", "--all"): (["app"], None),
        ("provides", "local/lib$"): (["lib"], None),
        ("deps", "app"): (["lib", "app"], "order"),
    }
    for words, (names, key) in told.items():
        assert tcz(*words, "-m", ours).split() == names
        found = json.loads(tcz(*words, "-m", ours, "--json"))
        if key == "order":
            found = found[key]
        elif key is not None:
            found = [one[key] for one in found]
        assert list(found) == names, words
    found = json.loads(tcz("info", "lib", "-m", ours, "--json"))
    line = next(one for one in tcz("info", "lib", "-m", ours).splitlines() if "1.0" in one)
    assert (found["name"], found["version"]) == ("lib", "1.0")
    assert "ersion" in line
    assert tcz("provides", "local/", "-f", "-m", ours).splitlines() == [
        "app\tusr/local/app",
        "lib\tusr/local/lib",
    ]
    assert json.loads(tcz("provides", "local/", "-m", ours, "--json")) == {
        "app": ["usr/local/app"],
        "lib": ["usr/local/lib"],
    }
    assert tcz("changed", "empty", "public", "-m", ours).split() == ["+", "app", "+", "lib"]
    found = json.loads(tcz("changed", "empty", "public", "-m", ours, "--json"))
    assert [(one["name"], one["kind"]) for one in found] == [("app", "added"), ("lib", "added")]
    assert tcz("changed", 2, "public", "-m", ours) == ""


def test_every_form_of_needs(ours: Path) -> None:
    mirror = ("-m", ours)
    assert tcz("deps", "app", "--tree", *mirror).split() == ["app", "`--", "lib"]
    assert tcz("deps", "app", "--why", "lib", *mirror) == "app -> lib\n"
    assert json.loads(tcz("deps", "app", "--why", "lib", "--json", *mirror))["why"] == ["app", "lib"]
    table = [line.split() for line in tcz("deps", "app", "--size", *mirror).splitlines()]
    sizes = json.loads(tcz("deps", "app", "--size", "--json", *mirror))["sizes"]
    shown = Mirror.open(ours).public / TCZ
    assert {one["name"]: one["download"] for one in sizes} == {
        name: (shown / f"{name}.tcz").stat().st_size for name in ("app", "lib")
    }
    assert [line[0] for line in table if line[0] in ("app", "lib")] == ["lib", "app"]
    dot = tcz("deps", "app", "--dot", *mirror)
    assert re.findall(r'^ *"app" -> "lib"', dot, re.MULTILINE)
    assert (dot.startswith("digraph"), dot.count("{")) == (True, dot.count("}"))
    top = ET.fromstring(tcz("deps", "app", "--svg", *mirror))  # noqa: S314 - our own text
    assert {one.text for one in top.iter("{http://www.w3.org/2000/svg}text")} == {"app", "lib"}
    for form in ("--dot", "--svg", "--tree"):
        assert tcz("deps", "app", form, *mirror) == tcz("deps", "app", form, *mirror)


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
