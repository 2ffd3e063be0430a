"""Several mirrors as one: a real repository's closures, Tiny Core's order, dirt and hostile files."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from tcz import drawing, query_commands, quick, resolve
from tcz.cli import cli
from tcz.errors import ConfigError, VerifyError
from tcz.mirror import official
from tcz.mirror.known import Chosen
from tcz.mirror.opening import open_shelf
from tcz.mirror.place import Folder, Web
from tcz.mirror.shelf import Indexed, Shelf
from tcz.names import is_package_name
from tcz.paths import Dirs
from tests.unit.repository_made import TCZ, dep_db, index, put, real_needs, serving, write_deps

if TYPE_CHECKING:
    from collections.abc import Sequence

#: sha256 of the closures as they were published: a line a package, ``name: needs...``, all sorted.
REAL = "7c528f4a0c2dd918dea1dd451b6b4bee355e92ea4981c2adfbf661c86808ecd5"

#: The walk of Tiny Core's tce-load: each name met is put in front, each line of its .dep is walked.
TCE_LOAD = r"""
function scan(name,    file, line, own, n, i) {
    list = name " " list
    file = dir "/" name ".dep"
    while ((getline line < file) > 0) {
        gsub(/[ \t]/, "", line)
        if (line != "") own[++n] = line
    }
    close(file)
    for (i = 1; i <= n; i++) scan(own[i])
}
{
    list = ""
    scan($1)
    count = split(list, names, " ")
    split("", seen)
    out = ""
    for (k = 1; k <= count; k++) if (!(names[k] in seen)) { seen[names[k]] = 1; out = out " " names[k] }
    print out
}
"""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    write_deps(folder, real_needs())
    return folder


def mirrors(*places: Path | str) -> list[Chosen]:
    return [Chosen(address=str(place)) for place in places]


def visits(graph: dict[str, list[str]]) -> dict[str, int]:
    """Return how many steps the walk of tce-load takes from each package."""
    found: dict[str, int] = {}
    for name in graph:
        for one in resolve.closure([name], lambda name: graph.get(name, [])).order:
            found.setdefault(one, 1 + sum(found[need] for need in graph.get(one, ())))
    return found


def digest(shelf: Shelf, graph: dict[str, list[str]]) -> str:
    whole = hashlib.sha256()
    for name in sorted(graph):
        found = shelf.closure([name])
        names = {*found.order, *(one.name for one in found.missing)} - {name}
        whole.update(f"{name}: {' '.join(sorted(names))}\n".encode())
    return whole.hexdigest()


def test_all_closures_of_a_real_repository(real: Path, tmp_path: Path) -> None:
    graph = real_needs()
    assert len(graph) == 2841
    assert digest(Shelf((Indexed(Folder(real)),)), graph) == REAL
    shutil.copy(real / "info.lst", tmp_path)
    (tmp_path / "dep.db.gz").write_bytes(gzip.compress(dep_db(graph).encode()))
    assert digest(Shelf((Indexed(Folder(tmp_path)),)), graph) == REAL


def test_all_orders_of_a_real_repository_at_once(real: Path) -> None:
    shelf = Shelf((Indexed(Folder(real)),))
    graph = dict(shelf.graph())
    found = query_commands.Everything(graph, None)
    assert {one.name: one.order for one in found} == {
        name: resolve.closure([name], graph.get).order for name in graph
    }
    gone = {need for needs in graph.values() for need in needs} - graph.keys()
    assert len([line for line in found.warnings() if line.startswith("not to be had")]) == len(gone)


@pytest.mark.skipif(shutil.which("busybox") is None, reason="busybox is not installed")
def test_order_is_that_of_tce_load(real: Path, tmp_path: Path) -> None:
    graph = real_needs()
    costs = visits(graph)
    cheap = sorted(name for name in graph if 3 <= costs[name] <= 300)[::5]
    assert len(cheap) > 150
    script = tmp_path / "tce-load.awk"
    script.write_text(TCE_LOAD)
    done = subprocess.run(
        ["busybox", "awk", "-v", f"dir={real}", "-f", str(script)],
        input="".join(f"{name}.tcz\n" for name in cheap),
        capture_output=True,
        text=True,
        check=True,
    )
    shelf = Shelf((Indexed(Folder(real)),))
    for name, line in zip(cheap, done.stdout.splitlines(), strict=True):
        found = shelf.closure([name])
        gone = {one.name for one in found.missing}
        theirs = [one.removesuffix(".tcz") for one in line.split()]
        assert list(found.order) == [one for one in theirs if one not in gone], name


# -- index files ----------------------------------------------------------------------------------


def test_the_dirt_of_real_index_files() -> None:
    assert list(official.needs("a.tcz\nb.tcz \n c.t cz\n\n\n\nd.tcz\n \t\ne")) == [
        ("a", ("b", "c")),
        ("d", ("e",)),
    ]
    assert list(official.names("a.tcz\n\nb.tcz\n c \na.tcz")) == ["a", "b", "c", "a"]
    assert list(official.sizes("a.tcz 12\n\nb.tcz\t3")) == [("a", "12"), ("b", "3")]
    assert dict(official.md5s(f"{'A' * 32} *a.tcz\n{'b' * 32}  ./b.tcz")) == {"a": "a" * 32, "b": "b" * 32}
    assert dict(official.tags("a.tcz\t one two \n\nb.tcz\n")) == {"a": " one two", "b": ""}
    found = dict(official.paths([b"a.tcz\r", b"\nusr/x\n/usr/", b"y\n./usr/z\n", b"\n\r\nb.tcz\n"]))
    assert found == {"a": ("usr/x", "usr/y", "usr/z"), "b": ()}
    assert official.text(b"a.tcz\r\nb.tcz\r\n", "x") == "a.tcz\nb.tcz\n"
    two = gzip.compress(b"a") + gzip.compress(b"b")
    assert official.text(two, "x") == "ab"


def test_what_stands_twice_in_an_index(tmp_path: Path) -> None:
    (tmp_path / "info.lst").write_text("b.tcz\na.tcz\nb.tcz\nc.tcz\n")
    (tmp_path / "sizelist").write_text("b.tcz 1\na.tcz 2\nb.tcz 3\n")
    # a .dep with an empty line within leaves a piece that is no record
    (tmp_path / "dep.db").write_text("a.tcz\nb.tcz\n\nc.tcz\n\nc.tcz\nd.tcz\n\nd.tcz\n\nc.tcz\n")
    found = Indexed(Folder(tmp_path))
    assert (list(found.names()), len(found.names())) == (["a", "b", "c"], 3)
    assert list(found.sizes.pairs()) == [("a", 2), ("b", 3)]
    assert list(found.graph()) == [("a", ("b",)), ("b", ()), ("c", ("d",))]
    assert (found.needs("c"), found.needs("d"), found.sizes.get("c")) == (("d",), None, None)


@given(text=st.text(alphabet=st.sampled_from("ab/\n\r"), max_size=60), size=st.integers(1, 9))
@settings(max_examples=100)
def test_blocks_of_any_size_are_read_as_one(text: str, size: int) -> None:
    blocks = [text.encode()[at : at + size] for at in range(0, len(text), size)]
    found = []
    for one in (blocks, [text.encode()]):
        try:
            found.append(list(official.paths(one)))
        except VerifyError:
            found.append([])
    assert found[0] == found[1]


READERS = (official.names, official.sizes, official.md5s, official.tags, official.needs)


@pytest.mark.parametrize("line", ["$(reboot).tcz", "../a.tcz 1", "a;b.tcz", "-f.tcz", "`x`", "a/b.tcz\t1"])
def test_hostile_index_files_are_refused(line: str) -> None:
    for read in READERS:
        with pytest.raises(VerifyError):
            list(read(line + "\n"))
    with pytest.raises(VerifyError):
        dict(official.paths([line.encode() + b"\nusr\n"]))
    with pytest.raises(VerifyError):
        list(official.md5s(f"{'0' * 32}  {line}\n"))


@given(text=st.text(alphabet=st.sampled_from("ab.tcz \t\n\r/$;0-é\x00"), max_size=60))
@settings(max_examples=200)
def test_whatever_is_read_are_names(text: str) -> None:
    for read in READERS:
        try:
            found = list(read(text))
        except VerifyError:
            continue
        names = [one if isinstance(one, str) else one[0] for one in found]
        if read is official.needs:
            names += [need for _, needs in found for need in needs]
        assert all(map(is_package_name, names))


@given(data=st.binary(max_size=80))
@settings(max_examples=100)
def test_any_bytes_are_text_or_refused(data: bytes) -> None:
    for one in (data, b"\x1f\x8b" + data, gzip.compress(data)[: len(data)]):
        try:
            read = official.text(one, "x")
        except VerifyError:
            continue
        assert "\r" not in read


def test_bombs_and_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(official, "UNPACKED_MAX", 1000)
    assert official.text(gzip.compress(b"a" * 1000), "x") == "a" * 1000
    for bomb in (gzip.compress(b"a" * 1001), gzip.compress(b"a" * 600) * 2):
        with pytest.raises(VerifyError, match="unpacks to more"):
            official.text(bomb, "x")
    with pytest.raises(VerifyError):
        list(official.sizes(f"a.tcz {'9' * 5000}\n"))


# -- several mirrors ------------------------------------------------------------------------------


def test_the_first_that_has_a_package_counts(tmp_path: Path) -> None:
    write_deps(tmp_path / "one", {"app": ["lib"], "mod-6.1.2-tinycore64": []})
    write_deps(
        tmp_path / "two", {"app": ["other"], "lib": ["base-KERNEL", "gone"], "base-6.1.2-tinycore64": []}
    )
    shelf = open_shelf(mirrors(tmp_path / "one", tmp_path / "two"), "", Dirs.from_env())
    found = shelf.closure(["app.tcz"], "6.1.2-tinycore64")
    assert found.order == ("base-6.1.2-tinycore64", "lib", "app")
    assert [one.chain for one in found.missing] == [("app", "lib", "gone")]
    assert shelf.names() == ["app", "base-6.1.2-tinycore64", "lib", "mod-6.1.2-tinycore64"]
    assert query_commands.dependants(
        dict(shelf.graph()), ["base-6.1.2-tinycore64"], "6.1.2-tinycore64", deep=True
    ) == (
        "app",
        "lib",
    )


def test_near_misses() -> None:
    known = ["openssl", "openssl-1.1.1", "alsa-modules-6.18.2-tinycore64", "GraphicsMagick", "icu74", "nano"]
    assert resolve.near("alsa-modules-5.15.10-tinycore", known)[0] == "alsa-modules-6.18.2-tinycore64"
    assert resolve.near("alsa-modules-KERNEL", known)[0] == "alsa-modules-6.18.2-tinycore64"
    assert resolve.near("graphicsmagick", known)[0] == "GraphicsMagick"
    assert resolve.near("icu65", known)[0] == "icu74"
    assert resolve.near("openssl-3", known)[0] == "openssl"
    assert resolve.near("zzz", known) == ()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a small mirror with everything."""
    folder = tmp_path / "theirs" / TCZ
    put(folder, "app", ["lib", "mod-KERNEL"], tags="editor ncurses")
    put(folder, "lib")
    put(folder, "mod-6.1.2-tinycore64")
    index(folder)
    return folder


def tcz(*words: object, code: int = 0) -> str:
    done = CliRunner().invoke(cli, list(map(str, words)))
    assert done.exit_code == code, done.output
    return done.output


def test_commands(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TCZ_MIRROR", str(folder.parents[2]))
    kernel = ("--mirror", folder, "--kernel", "6.1.2-tinycore64")
    assert tcz("deps", "app", *kernel) == "mod-6.1.2-tinycore64\nlib\napp\n"
    assert "name the kernel with --kernel" in tcz("deps", "app", "--mirror", folder, code=2)
    assert "3 packages" in tcz("deps", "app", "--size", *kernel)
    assert tcz("deps", "app", "--why", "lib", *kernel) == "app -> lib\n"
    assert "did you mean" not in tcz("deps", "ap", *kernel, code=2)
    assert "near: app" in tcz("deps", "ap", *kernel, code=2)
    assert tcz("rdeps", "lib", "--mirror", folder) == "app\n"
    assert tcz("search", "AP") == "app\n"
    assert tcz("search", "ncurses", "-t") == "app\n"
    assert tcz("search", "ncurses") == ""
    assert "no pattern" in tcz("search", "(", code=2)
    assert "editor ncurses" in tcz("info", "app.tcz")
    assert "near: app" in tcz("info", "ap", code=2) or "app" in tcz("info", "ap", code=2)
    assert tcz("provides", "local/lib$") == "lib\n"
    assert tcz("provides", "/usr/local/app", "-f") == "app\tusr/local/app\n"
    assert tcz("provides", "local/nothing") == ""
    assert tcz("list").split() == ["app", "lib", "mod-6.1.2-tinycore64"]
    monkeypatch.delenv("TCZ_MIRROR")
    assert "no mirror is named" in tcz("list", code=2)


def test_changed(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    put(other, "lib", content="newer")
    put(other, "new")
    put(other, "app", ["new"])
    (other / "mod-6.1.2-tinycore64.tcz").unlink()
    index(other)
    assert tcz("changed", folder, other).splitlines() == [
        "~ app: needs new, needs lib no more, needs mod-KERNEL no more",
        "~ lib: other bytes",
        "- mod-6.1.2-tinycore64",
        "+ new",
    ]
    assert tcz("changed", folder, folder) == ""


def test_a_web_mirror_is_asked_only_for_what_changed(folder: Path, tmp_path: Path) -> None:
    with serving(folder.parents[2]) as server:
        for status in (200, 304):
            server.asked.clear()
            place = Web(f"{server.address}/{TCZ}", tmp_path / "cache")
            assert Shelf((Indexed(place),)).closure(["app"]).order == ("lib", "app")
            assert server.paths(status) == ["info.lst.gz", "dep.db.gz"]


# -- drawings -------------------------------------------------------------------------------------


def test_drawings() -> None:
    graph = {"a": ("b", "c", "gone"), "b": ("c",), "c": ("d",), "d": ("b",)}
    found = resolve.closure(["a"], graph.get)
    assert found.cycles
    top = ET.fromstring(drawing.svg(found))  # noqa: S314 - our own text
    space = "{http://www.w3.org/2000/svg}"
    assert sorted(one.text or "" for one in top.iter(f"{space}text")) == ["a", "b", "c", "d", "gone"]
    assert len(list(top.iter(f"{space}path"))) == sum(map(len, graph.values()))
    assert drawing.svg(found) == drawing.svg(resolve.closure(["a"], graph.get))
    assert '  "a" -> "gone";' in drawing.dot(found).splitlines()


@given(
    graph=st.dictionaries(
        st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=4).map(tuple), max_size=6
    )
)
@settings(max_examples=100)
def test_any_graph_is_drawn(graph: dict[str, Sequence[str]]) -> None:
    found = resolve.closure(["a"], graph.get)
    placed = [name for column in drawing.columns(found) for name in column]
    assert sorted(placed) == sorted({*found.order, *(one.name for one in found.missing)} | {"a"})


# -- the quick way --------------------------------------------------------------------------------


def test_the_quick_way_says_the_same(real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    graph = real_needs()
    (real / "dep.db.gz").write_bytes(gzip.compress(dep_db(graph).encode()))
    mirror = str(real)
    assert quick.order(["app"], mirror, "", None) is None
    shelf = open_shelf(mirrors(mirror), "", Dirs.from_env())
    query_commands.remember([mirror], "", shelf, quick.signature(mirror, ""))
    for name in sorted(graph)[::20]:
        found = shelf.closure([name])
        order = quick.order([name], mirror, "", None)
        assert order == (None if found.missing else list(found.order))
    assert quick.order(["nothing"], mirror, "", None) is None
    assert quick.answer(["deps", "nano", "--mirror", mirror]) == list(shelf.closure(["nano"]).order)
    assert quick.answer(["deps", "nano", "-m", mirror]) == list(shelf.closure(["nano"]).order)
    assert quick.answer(["deps", "nano", "-m", mirror, "--mirror", mirror]) is None
    for words in (["nano"], ["nano", "--tree", "--mirror", mirror], ["--mirror", mirror]):
        assert quick.answer(["deps", *words]) is None
    os.utime(real / "dep.db.gz", (1, 1))
    assert quick.order(["nano"], mirror, "", None) is None
    (real / "dep.db.gz").unlink()


def test_the_quick_way_imports_next_to_nothing(folder: Path, tmp_path: Path) -> None:
    top = str(Path(__file__).parents[2])
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONPATH": top}
    words = ["-m", "tcz", "deps", "app", "--mirror", str(folder), "--kernel", "6.1.2-tinycore64"]
    said = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", *words], env=env, capture_output=True, text=True, check=True
        )
        said.append((done.stdout, "click" in done.stderr))
    assert said == [("mod-6.1.2-tinycore64\nlib\napp\n", True), ("mod-6.1.2-tinycore64\nlib\napp\n", False)]


def test_folders_and_branches(folder: Path, tmp_path: Path) -> None:
    top = folder.parents[2]
    put(top / "17.x/x86/tcz", "app")
    index(top / "17.x/x86/tcz")
    with pytest.raises(ConfigError, match="several branches"):
        open_shelf(mirrors(top), "", Dirs.from_env())
    assert open_shelf(mirrors(top), "17.x/x86", Dirs.from_env()).names() == ["app"]
    for where, branch in ((tmp_path / "nowhere", ""), (top, "16.x/x86"), ("ftp://x/", "")):
        with pytest.raises(ConfigError):
            open_shelf(mirrors(where), branch, Dirs.from_env())
