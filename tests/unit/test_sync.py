"""Copying from an upstream: all or nothing, whatever the upstream does."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tcz.errors import CheckError, ConfigError, FetchError, ToolkitError, VerifyError
from tcz.fetch import LONGEST_WAIT, retry_after
from tcz.mirror import bring, changes
from tcz.mirror.config import Config
from tcz.mirror.known import Chosen
from tcz.mirror.model import Branch
from tcz.mirror.repository import INCOMING
from tcz.mirror.sync import Synced, Wish, brought_before, sync
from tcz.mirror.upstream import FolderUpstream, RsyncUpstream, Upstream, WebUpstream, open_upstream
from tcz.reporting import SilentReporter
from tcz.run import HostRunner
from tests.unit.repository_made import (
    TCZ,
    Server,
    busy,
    cut,
    endless,
    gone,
    index,
    later,
    loop,
    page,
    put,
    reset,
    serving,
    short,
    slow,
    whole,
    wrong,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

    from tcz.mirror.repository import Mirror
    from tests.unit.repository_made import Fault

BRANCH = Branch.parse("17.x/x86_64")
ALL = Wish(everything=True)


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """Return the folder of an upstream's packages."""
    folder = tmp_path / "theirs" / TCZ
    put(folder, "app", ["lib", "mod-KERNEL"])
    put(folder, "lib", ["base"])
    put(folder, "base")
    put(folder, "mod-6.18.2-tinycore64")
    put(folder, "other")
    index(folder)
    return folder


@pytest.fixture
def server(theirs: Path) -> Iterator[Server]:
    with serving(theirs.parents[2]) as one:
        yield one


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bring, "_BESIDE_MAX", 1 << 16)


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    return changes.init(tmp_path / "ours", Config(branches=(BRANCH,), latest={}), SilentReporter())


def web(server: Server, tmp_path: Path) -> Upstream:
    return WebUpstream(server.address, BRANCH, tmp_path / "cache", pause=0.01, timeout=(1, 0.4))


def run(mirror: Mirror, upstream: Upstream, wish: Wish = ALL, *, dry_run: bool = False) -> Synced:
    return sync(mirror, upstream, BRANCH, wish, SilentReporter(), dry_run=dry_run)


def shown(mirror: Mirror) -> list[str]:
    return sorted(path.name for path in (mirror.public / TCZ).glob("*.tcz"))


def test_a_set_with_all_it_needs(mirror: Mirror, server: Server, theirs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing came"):
        brought_before(mirror, BRANCH)
    planned = run(mirror, web(server, tmp_path), Wish(names=("app.tcz",)), dry_run=True)
    assert (planned.published, shown(mirror)) == (False, [])
    done = run(mirror, web(server, tmp_path), Wish(names=("app.tcz",)))
    wanted = ("app", "base", "lib", "mod-6.18.2-tinycore64")
    assert (done.fetched, planned.fetched, done.published) == (wanted, wanted, True)
    assert shown(mirror) == [f"{name}.tcz" for name in wanted]
    for path in (theirs / f"{name}.tcz{suffix}" for name in wanted for suffix in ("", ".md5.txt", ".list")):
        assert (mirror.public / TCZ / path.name).read_bytes() == path.read_bytes()
    assert (mirror.public / TCZ / "app.tcz.dep").read_text() == "lib.tcz\nmod-KERNEL.tcz\n"
    assert brought_before(mirror, BRANCH) == wanted
    assert not (mirror.root / INCOMING).exists()


def test_nothing_new_asks_for_index_files_alone(mirror: Mirror, server: Server, tmp_path: Path) -> None:
    first = run(mirror, web(server, tmp_path))
    server.asked.clear()
    again = run(mirror, web(server, tmp_path))
    assert (again.fetched, again.same, again.published, again.serial) == ((), 5, False, first.serial)
    assert server.paths(200) == []
    assert {name.split(".")[0] for name in server.paths(304)} == {"info", "md5", "dep", "tags"}


def test_only_what_changed(mirror: Mirror, server: Server, theirs: Path, tmp_path: Path) -> None:
    run(mirror, web(server, tmp_path))
    put(theirs, "base", content="newer")
    (theirs / "lib.tcz.dep").write_text("base.tcz\nother.tcz\n")
    index(theirs)
    server.asked.clear()
    done = run(mirror, web(server, tmp_path))
    assert done.fetched == ("base", "lib")
    # the bytes of lib are here already: only what lies beside it was asked for
    assert [name for name in server.paths(200) if name.endswith(".tcz")] == ["base.tcz"]
    assert mirror.catalogue().entries(BRANCH)["lib"].needs == ("base", "other")


def test_own_packages_stay(mirror: Mirror, server: Server, tmp_path: Path) -> None:
    put(tmp_path / "built", "lib", content="ours")
    changes.add(mirror, [tmp_path / "built/lib.tcz"], BRANCH, SilentReporter())
    done = run(mirror, web(server, tmp_path))
    ours = (tmp_path / "built/lib.tcz").read_bytes()
    assert (mirror.public / TCZ / "lib.tcz").read_bytes() == ours
    assert "lib" not in done.fetched
    assert any("lib.tcz was added here" in line for line in done.warnings)
    run(mirror, web(server, tmp_path), Wish(everything=True, replacing=True))
    assert (mirror.public / TCZ / "lib.tcz").read_bytes() != ours


def test_what_is_missing_is_told_with_its_chain(mirror: Mirror, theirs: Path) -> None:
    put(theirs, "lib", ["bases"])
    index(theirs)
    upstream = FolderUpstream(theirs.parents[2], BRANCH)
    with pytest.raises(CheckError) as told:
        run(mirror, upstream, Wish(names=("app",)))
    assert told.value.why == "app -> lib -> bases (near: base)"
    assert shown(mirror) == []
    done = run(mirror, upstream, Wish(names=("app",), lenient=True))
    assert done.fetched == ("app", "lib", "mod-6.18.2-tinycore64")
    with pytest.raises(ConfigError) as unknown:
        run(mirror, upstream, Wish(names=("ap",)))
    assert "app" in "\n".join(unknown.value.lines())


@pytest.mark.parametrize("name", ["lib.tcz", "md5.db.gz"])
def test_a_server_that_asks_to_be_left_alone_is(
    mirror: Mirror, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    server.on(name, later, whole)
    assert run(mirror, web(server, tmp_path)).published
    assert waited == [1.0]
    assert server.paths(503) == [name]


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("99999999999999", LONGEST_WAIT),
        ("Thu, 01 Jan 1970 00:00:30 GMT", 20.0),
        ("Thu, 01 Jan 1970 00:00:05 GMT", 0.0),
        ("", 0.0),
        ("soon", 0.0),
        ("-1", 0.0),
        ("²", 0.0),
    ],
)
def test_how_long_a_server_wants_to_be_left_alone(told: str, seconds: float) -> None:
    assert retry_after(told, now=10.0) == seconds


PASSING: list[tuple[Fault, ...]] = [(cut, whole), (reset, whole), (busy, busy, whole), (slow, whole)]


@pytest.mark.parametrize("faults", PASSING, ids=lambda faults: faults[0].__name__)
def test_faults_that_pass(mirror: Mirror, server: Server, tmp_path: Path, faults: tuple[Fault, ...]) -> None:
    server.on("lib.tcz", *faults)
    done = run(mirror, web(server, tmp_path))
    assert done.published
    assert len(shown(mirror)) == 5
    if faults[0] is cut:
        assert server.paths(206) == ["lib.tcz"]  # gone on with, not begun again


LASTING: list[tuple[str, Fault, type[ToolkitError], str]] = [
    ("lib.tcz", page, VerifyError, "web page"),
    ("lib.tcz", cut, FetchError, "could not be fetched"),
    ("lib.tcz", short, VerifyError, "not what the index files promise"),
    ("lib.tcz", endless, VerifyError, "larger than it should be"),
    ("lib.tcz.info", endless, VerifyError, "larger than it should be"),
    ("lib.tcz", wrong, VerifyError, "not what the index files promise"),
    ("lib.tcz", loop, FetchError, "could not be fetched"),
    ("lib.tcz", reset, FetchError, "could not be fetched"),
    ("lib.tcz", busy, FetchError, "could not be fetched"),
    ("lib.tcz", slow, FetchError, "could not be fetched"),
    ("lib.tcz", gone, FetchError, "not there"),
    ("lib.tcz.list", reset, FetchError, "could not be fetched"),
    ("md5.db.gz", page, VerifyError, "web page"),
    ("md5.db.gz", cut, FetchError, "could not be read"),
    ("md5.db.gz", short, VerifyError, "cut off"),
    ("md5.db.gz", wrong, VerifyError, "damaged"),
    ("md5.db.gz", loop, FetchError, "could not be read"),
    ("md5.db.gz", reset, FetchError, "could not be read"),
    ("dep.db.gz", busy, FetchError, "refused"),
    ("dep.db.gz", slow, FetchError, "could not be read"),
]


@pytest.mark.parametrize(("name", "fault", "kind", "text"), LASTING)
def test_faults_that_last_change_nothing(
    mirror: Mirror,
    server: Server,
    tmp_path: Path,
    name: str,
    fault: Fault,
    kind: type[ToolkitError],
    text: str,
) -> None:
    run(mirror, web(server, tmp_path), Wish(names=("base",)))
    state, before = mirror.shown(), mirror.catalogue()
    server.on(name, fault)
    with pytest.raises(kind, match=text) as told:
        run(mirror, web(server, tmp_path))
    assert name in "\n".join(told.value.lines())
    assert (mirror.shown(), mirror.catalogue()) == (state, before)
    # the next run ends it; what was brought by the one that failed is not asked for again
    server.faults.clear()
    server.asked.clear()
    assert run(mirror, web(server, tmp_path)).published
    if name.startswith("lib"):
        assert {one for one in server.paths(200) if one.endswith(".tcz")} <= {"lib.tcz"}
    assert len(shown(mirror)) == 5


def test_a_page_for_what_may_be_missing_is_no_companion(
    mirror: Mirror, server: Server, tmp_path: Path
) -> None:
    for suffix in (".list", ".zsync", ".build-dep"):
        server.on(f"lib.tcz{suffix}", page)
    run(mirror, web(server, tmp_path))
    assert (mirror.public / TCZ / "lib.tcz.list").read_text() == "usr/local/lib\n"
    assert not (mirror.public / TCZ / "lib.tcz.build-dep").exists()


def test_an_upstream_that_changes_meanwhile(
    mirror: Mirror, server: Server, theirs: Path, tmp_path: Path
) -> None:
    def change(handler: BaseHTTPRequestHandler, _data: bytes) -> None:
        server.faults.clear()
        put(theirs, "lib", ["base"], content="newer")
        put(theirs, "base", content="newer")
        index(theirs)
        whole(handler, (theirs / "lib.tcz").read_bytes())

    server.on("lib.tcz", change)
    run(mirror, web(server, tmp_path))
    for name in ("lib.tcz", "base.tcz", "lib.tcz.md5.txt"):
        assert (mirror.public / TCZ / name).read_bytes() == (theirs / name).read_bytes()


def test_an_upstream_that_never_rests(mirror: Mirror, server: Server, theirs: Path, tmp_path: Path) -> None:
    count = iter(range(100))
    one_at_a_time = threading.Lock()

    def change(handler: BaseHTTPRequestHandler, _data: bytes) -> None:
        with one_at_a_time:
            put(theirs, "base", content=f"newer {next(count)}")
            index(theirs)
        whole(handler, (theirs / "lib.tcz.info").read_bytes())

    server.on("other.tcz", whole)
    for name in ("lib.tcz.info", "base.tcz.info", "app.tcz.info"):
        server.on(name, change)
    with pytest.raises(FetchError, match="again and again"):
        run(mirror, web(server, tmp_path))
    assert shown(mirror) == []


@pytest.mark.parametrize("line", ["a;reboot.tcz", "../../x.tcz", "$(reboot).tcz", "-rf.tcz"])
def test_hostile_names_are_refused(mirror: Mirror, theirs: Path, line: str) -> None:
    for name in ("info.lst.gz", "dep.db.gz"):
        (theirs / name).unlink()
    (theirs / "info.lst").write_text(f"app.tcz\n{line}\n")
    with pytest.raises(VerifyError, match="not a package name"):
        run(mirror, FolderUpstream(theirs, BRANCH))
    assert shown(mirror) == []


def test_a_sync_that_was_killed_is_gone_on_with(mirror: Mirror, server: Server, tmp_path: Path) -> None:
    """What was brought is not asked for again, and what was begun only from where it ended."""

    def half(handler: BaseHTTPRequestHandler, data: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[: len(data) // 2])
        handler.wfile.flush()
        arrived.set()
        time.sleep(0.5)

    arrived = threading.Event()
    server.on("other.tcz", half)
    process = os.fork()
    if not process:
        upstream = WebUpstream(server.address, BRANCH, tmp_path / "cache", pause=0.01, timeout=(9, 9))
        sync(mirror, upstream, BRANCH, Wish(everything=True, jobs=1), SilentReporter())
        os._exit(9)
    assert arrived.wait(20)
    part = mirror.root / INCOMING
    while not [one for one in part.glob("other.*.part") if one.stat().st_size]:
        time.sleep(0.01)
    os.kill(process, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
    assert shown(mirror) == []
    whole_before = {name for name in server.paths(200) if name.endswith(".tcz")}
    server.faults.clear()
    server.asked.clear()
    assert run(mirror, web(server, tmp_path)).published
    assert whole_before == {"app.tcz", "base.tcz", "lib.tcz", "mod-6.18.2-tinycore64.tcz", "other.tcz"}
    assert [name for name in server.paths(200) if name.endswith(".tcz")] == []
    assert server.paths(206) == ["other.tcz"]
    assert len(shown(mirror)) == 5


def test_an_upstream_that_goes_away_for_good(mirror: Mirror, server: Server, tmp_path: Path) -> None:
    run(mirror, web(server, tmp_path), Wish(names=("base",)))
    state = mirror.shown()
    with serving(server.folder) as other:
        for name in ("lib.tcz", "app.tcz", "other.tcz"):

            def leave(handler: BaseHTTPRequestHandler, _data: bytes) -> None:
                other.faults |= {f"/{TCZ}/{path.name}": [reset] for path in (server.folder / TCZ).iterdir()}
                reset(handler, b"")

            other.on(name, leave)
        with pytest.raises(FetchError):
            run(mirror, web(other, tmp_path))
    assert mirror.shown() == state
    with pytest.raises(FetchError, match="could not be read"):
        run(mirror, web(other, tmp_path))
    assert run(mirror, web(server, tmp_path)).published


def test_mirrors_of_ours_promise_more(mirror: Mirror, server: Server, tmp_path: Path) -> None:
    run(mirror, web(server, tmp_path))
    second = changes.init(tmp_path / "second", Config(branches=(BRANCH,), latest={}), SilentReporter())
    with serving(mirror.public) as ours:
        done = run(second, WebUpstream(ours.address, BRANCH, tmp_path / "cache2", pause=0.01, timeout=(1, 1)))
        assert "catalogue.json" in ours.paths(200)
    assert len(done.fetched) == 5
    third = changes.init(tmp_path / "third", Config(branches=(BRANCH,), latest={}), SilentReporter())
    run(third, open_upstream(Chosen(address=str(mirror.root)), BRANCH, tmp_path / "c", HostRunner()))
    hashes = [
        {n: e.sha256 for n, e in m.catalogue().entries(BRANCH).items()} for m in (mirror, second, third)
    ]
    assert hashes[0] == hashes[1] == hashes[2]


@pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")
def test_rsync(mirror: Mirror, theirs: Path, tmp_path: Path) -> None:
    # rsync copies from a folder by the same code as from a server
    upstream = RsyncUpstream(str(theirs.parents[2]), BRANCH, tmp_path / "copied", HostRunner())
    assert len(run(mirror, upstream).fetched) == 5
    assert run(mirror, upstream).fetched == ()
    put(theirs, "base", content="newer")
    index(theirs)
    assert run(mirror, upstream).fetched == ("base",)
    shutil.rmtree(theirs)
    with pytest.raises(FetchError, match="rsync failed"):
        run(mirror, upstream)
    assert len(shown(mirror)) == 5


def test_the_published_mirror_passes_checks_we_did_not_write(
    mirror: Mirror, server: Server, tmp_path: Path
) -> None:
    run(mirror, web(server, tmp_path))
    folder = mirror.public / TCZ
    done = subprocess.run(
        ["sh", "-c", "cat *.md5.txt | cmp - md5.db && md5sum -c md5.db && gzip -t *.gz"],
        cwd=folder,
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0, done
