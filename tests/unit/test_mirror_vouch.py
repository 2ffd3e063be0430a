"""Copying from signed mirrors: whatever was done to them on the way is refused, and nothing changes."""

from __future__ import annotations

import re
import shutil
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from tcz.cli import cli
from tcz.errors import ConfigError, ToolkitError, VerifyError
from tcz.mirror import changes, known, snapshots
from tcz.mirror.config import Config
from tcz.mirror.known import Chosen
from tcz.mirror.sync import Synced, Wish, sync
from tcz.mirror.trust import Seen
from tcz.mirror.upstream import open_signed
from tcz.run import HostRunner
from tests.cases.commandline import Home
from tests.unit.mirror_made import BRANCH, QUIET
from tests.unit.repository_made import serving, whole
from tests.unit.signed_made import (
    ATTACKS,
    TCZ,
    Theirs,
    at,
    dirs,
    evil_package,
    rsync_daemon,
    stripped,
    theirs,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

    from tcz.mirror.repository import Mirror

RSYNC = pytest.mark.skipif(not shutil.which("rsync"), reason="rsync is not installed")
WAYS = ["http", "folder", pytest.param("rsync", marks=RSYNC)]
ALL = Wish(everything=True)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Theirs:
    return theirs(tmp_path_factory.mktemp("theirs"))


@pytest.fixture
def made(begun: Theirs, tmp_path: Path) -> Theirs:
    shutil.copytree(begun.folder, tmp_path / "theirs", symlinks=True)
    return at(tmp_path / "theirs")


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    return changes.init(tmp_path / "ours", Config(branches=(BRANCH,), latest={}), QUIET)


@contextmanager
def reached(way: str, made: Theirs, tmp_path: Path) -> Iterator[str]:
    if way == "http":
        with serving(made.shown) as server:
            yield server.address
    elif way == "rsync":
        (tmp_path / "public").symlink_to(made.shown.relative_to(tmp_path))
        with rsync_daemon(tmp_path, tmp_path / "daemon") as address:
            yield f"{address}/public"
    else:
        yield str(made.shown)


def run(mirror: Mirror, address: str, made: Theirs, tmp_path: Path, wish: Wish = ALL) -> Synced:
    chosen = replace(known.meant(address, ()), keys=(made.key,))
    upstream = open_signed(chosen, BRANCH, dirs(tmp_path / "me"), HostRunner())
    return sync(mirror, upstream, BRANCH, wish, QUIET)


@pytest.mark.parametrize("way", WAYS)
def test_a_signed_mirror_is_copied(way: str, made: Theirs, mirror: Mirror, tmp_path: Path) -> None:
    with reached(way, made, tmp_path) as address:
        assert run(mirror, address, made, tmp_path).fetched == ("app", "base", "lib")
        assert not run(mirror, f"{address}/{TCZ}", made, tmp_path).published
        made.add("more", "app")
        assert run(mirror, address, made, tmp_path).fetched == ("more",)
    ours, others = (
        {name: one.files for name, one in each.catalogue().entries(BRANCH).items()}
        for each in (mirror, made.mirror)
    )
    assert ours == others
    assert Seen(dirs(tmp_path / "me")).last([made.key]) == made.mirror.catalogue().serial


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("way", WAYS)
def test_attacks_are_refused(way: str, attack: str, made: Theirs, mirror: Mirror, tmp_path: Path) -> None:
    with reached(way, made, tmp_path) as address:
        run(mirror, address, made, tmp_path, Wish(names=("base",)))
        state, before = mirror.shown(), mirror.catalogue()
        change, text = ATTACKS[attack]
        change(made)
        with pytest.raises(ToolkitError, match=text) as told:
            run(mirror, address, made, tmp_path)
        assert told.value.where
        assert address in "\n".join(told.value.lines()) or "app.tcz" in told.value.where
        assert (mirror.shown(), mirror.catalogue()) == (state, before)
        made.show()
        assert run(mirror, address, made, tmp_path).fetched == ("app", "lib")


@pytest.mark.parametrize("way", WAYS)
def test_no_way_back(way: str, made: Theirs, mirror: Mirror, tmp_path: Path) -> None:
    with reached(way, made, tmp_path) as address:
        shutil.copytree(made.shown, tmp_path / "before")
        made.add("base", version="2")
        run(mirror, address, made, tmp_path)
        before = mirror.catalogue()
        shutil.rmtree(made.shown)
        shutil.copytree(tmp_path / "before", made.shown)
        with pytest.raises(VerifyError, match="shows its state 4, and its state 5 was seen"):
            run(mirror, address, made, tmp_path)
        assert mirror.catalogue() == before


def test_a_snapshot_that_is_asked_for(made: Theirs, mirror: Mirror, tmp_path: Path) -> None:
    """An old state that is wanted is none that is shown on purpose; what was seen counts for both."""
    snapshots.create(made.mirror, "may", date(2026, 5, 1), QUIET)
    shutil.copytree(made.mirror.snapshots()["may"], tmp_path / "may")
    old = made.mirror.catalogue().serial
    made.add("base", version="2")
    with serving(made.shown) as now, serving(tmp_path / "may") as may:
        run(mirror, now.address, made, tmp_path)
        with pytest.raises(VerifyError, match="was seen before"):
            run(mirror, may.address, made, tmp_path)
        wanted = f"{may.address}#snapshot=may"
        assert run(mirror, wanted, made, tmp_path).fetched == ("base",)
        assert mirror.catalogue().entries(BRANCH)["base"].version == "1"
        assert not run(mirror, f"{may.address}#state={old}", made, tmp_path).published
        # what it is stays the same
        made.mirror.root.joinpath("snapshots/may").unlink()
        snapshots.create(made.mirror, "may", date(2026, 5, 1), QUIET)
        before = mirror.catalogue()
        with pytest.raises(VerifyError, match=f"snapshot=may was the state {old}, and is shown as another"):
            run(mirror, f"{now.address}#snapshot=may", made, tmp_path)
        with pytest.raises(VerifyError, match=f"shows its state {old + 1}, and state={old} was asked for"):
            run(mirror, f"{now.address}#state={old}", made, tmp_path)
        # nobody goes back by having asked for it
        for address in (may.address, f"{may.address}/{TCZ}"):
            with pytest.raises(VerifyError, match="was seen before"):
                run(mirror, address, made, tmp_path)
        assert mirror.catalogue() == before
        # and nobody who has seen a state by its name takes an older one for what is shown now
        made.add("base", version="3")
        shutil.copytree(made.shown, tmp_path / "june")
    with serving(tmp_path / "june") as june, serving(tmp_path / "may") as may:
        run(mirror, f"{june.address}#snapshot=june", made, tmp_path / "late")
        with pytest.raises(VerifyError, match="was seen before"):
            run(mirror, may.address, made, tmp_path / "late")
        # it is signed, or refused
        stripped(made)
        with pytest.raises(VerifyError, match="is not signed"):
            run(mirror, f"{made.shown}#snapshot=x", made, tmp_path / "late")


def test_snapshots_of_a_folder_and_in_the_configuration(
    made: Theirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots.create(made.mirror, "may", date(2026, 5, 1), QUIET)
    made.add("more")
    for name in ("CACHE", "CONFIG", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))

    def tcz(*words: object, code: int = 0) -> str:
        done = CliRunner().invoke(cli, [str(word) for word in words])
        assert done.exit_code == code, done.output
        return done.output

    root, key = made.mirror.root, ("--mirror-key", made.key_file)
    for more in ((), key):
        assert tcz("list", "--mirror", root, *more).split() == ["app", "base", "lib", "more"]
        assert tcz("list", "--mirror", f"{root}#snapshot=may", *more).split() == ["app", "base", "lib"]
        assert "no snapshot 'june'" in tcz("list", "--mirror", f"{root}#snapshot=june", *more, code=2)
        assert "no state 99" in tcz("list", "--mirror", f"{root}#state=99", *more, code=2)
        assert tcz("changed", f"{root}#snapshot=may", root, *more) == "+ more\n"
        assert tcz("deps", "app", "--mirror", f"{root}#snapshot=may", *more) == "base\nlib\napp\n"
    assert "snapshot=NAME" in tcz("list", "--mirror", "http://x/#may", code=2)
    tcz("mirror", "init", tmp_path / "copy")
    words = ("mirror", "sync", "--all", "-m", tmp_path / "copy", "--key", made.key_file, "--progress", "none")
    assert "3 copied" in tcz(*words, "--from", f"{root}#snapshot=may")
    assert "1 copied" in tcz(*words, "--from", root)
    (tmp_path / "CONFIG/tcz").mkdir(parents=True)
    line = made.key_file.read_text().splitlines()[1]
    (tmp_path / "CONFIG/tcz/config.toml").write_text(
        f'[[mirror]]\nname = "may"\nurl = "{root}#snapshot=may"\nkey = "{line}"\n'
    )
    assert tcz("list").split() == tcz("list", "--mirror", "may").split() == ["app", "base", "lib"]


def test_keys_follow_and_are_revoked(made: Theirs, mirror: Mirror, tmp_path: Path) -> None:
    address = str(made.shown)
    stolen = made.ring.secret("one")
    made.ring.rotate("one", "two")
    made.sign("two")
    run(mirror, address, made, tmp_path)
    # "one" is void: who has seen that "two" followed it goes on, who has not cannot know
    made.ring.revoke("one", "two")
    made.add("more")
    assert run(mirror, address, made, tmp_path).fetched == ("more",)
    for _ in range(2):
        with pytest.raises(VerifyError, match="all known are revoked"):
            run(mirror, address, made, tmp_path / "late")
    # whoever has the void key signs with it, and hides the list of those that are void
    made.resign(stolen)
    with pytest.raises(VerifyError, match=f"signed with the key {made.key.name}, which is revoked"):
        run(mirror, address, made, tmp_path)
    shutil.rmtree(made.shown / "keys")
    with pytest.raises(VerifyError, match="which is revoked"):
        run(mirror, address, made, tmp_path)


def test_one_published_while_it_is_asked(made: Theirs, mirror: Mirror, tmp_path: Path) -> None:
    with serving(made.shown) as server:
        root = "/catalogue/catalogue.json"

        def publish(handler: BaseHTTPRequestHandler, data: bytes) -> None:
            server.faults.clear()
            made.add("more")
            whole(handler, data)

        server.faults[root] = [publish]
        assert run(mirror, server.address, made, tmp_path).fetched == ("app", "base", "lib", "more")
        # between the catalogue and an index file
        made.add("base", version="2")

        def publish_before(handler: BaseHTTPRequestHandler, _data: bytes) -> None:
            server.faults.clear()
            made.add("base", version="3")
            handler.send_error(404)

        server.on("md5.db.gz", publish_before)
        run(mirror, server.address, made, tmp_path)
    assert mirror.catalogue().entries(BRANCH)["base"].version == "3"


def test_a_hostile_state_of_this_machine_is_told(made: Theirs, mirror: Mirror, tmp_path: Path) -> None:
    run(mirror, str(made.shown), made, tmp_path)
    for file in (tmp_path / "me/state/mirrors").iterdir():
        file.write_text("half")
    with pytest.raises(VerifyError, match="no longer be read") as told:
        run(mirror, str(made.shown), made, tmp_path)
    assert (told.value.where or "").startswith(str(tmp_path / "me"))


@pytest.mark.parametrize("attack", [name for name in ATTACKS if not name.startswith("package")])
@pytest.mark.parametrize("way", ["http", "folder"])
def test_questions_are_answered_by_what_is_signed(
    way: str, attack: str, made: Theirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CACHE", "CONFIG", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))

    def tcz(*words: object, code: int = 0) -> str:
        done = CliRunner().invoke(cli, [str(word) for word in words])
        assert done.exit_code == code, done.output
        return done.stdout if code == 0 else done.stderr

    with reached(way, made, tmp_path) as address:
        options = ("--mirror", address, "--mirror-key", made.key_file)
        asked = (
            (("deps", "app"), "base\nlib\napp\n"),
            (("rdeps", "base", "--all"), "app\nlib\n"),
            (("list",), "app\nbase\nlib\n"),
            (("provides", "bin/app$"), "app\n"),
        )
        for words, answer in asked:
            assert tcz(*words, *options) == answer
        assert made.mirror.catalogue().entries(BRANCH)["app"].sha256 in tcz("info", "app", *options)
        assert tcz("changed", address, f"{address}/{TCZ}", "--mirror-key", made.key_file) == ""
        change, text = ATTACKS[attack]
        change(made)
        for words, _ in asked:
            assert re.search(text, tcz(*words, *options, code=5))
        # what is configured holds too, and for what was asked before it was
        (tmp_path / "CONFIG/tcz").mkdir(parents=True)
        line = made.key_file.read_text().splitlines()[1]
        config = f'[[mirror]]\nname = "theirs"\nurl = "{address}"\nkey = "{line}"\n'
        (tmp_path / "CONFIG/tcz/config.toml").write_text(config)
        for words in (("list",), ("deps", "app", "--mirror", address), ("list", "--mirror", "theirs")):
            assert re.search(text, tcz(*words, code=5))


def test_an_answer_from_before_the_key_was_known_is_not_given_again(made: Theirs, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    evil_package(made)
    stripped(made)
    words = ("deps", "app", "--mirror", made.shown)
    for _ in range(2):
        assert home.tcz(*words).stdout == "base\nlib\napp\n"
    config = home.folder / ".config/tcz/config.toml"
    config.parent.mkdir(parents=True)
    line = made.key_file.read_text().splitlines()[1]
    config.write_text(f'[[mirror]]\nname = "theirs"\nurl = "{made.shown}"\nkey = "{line}"\n')
    done = home.tcz(*words)
    assert (done.returncode, "the mirror is not signed" in done.stderr) == (5, True)


def test_where_keys_are_known(made: Theirs, tmp_path: Path) -> None:
    me = dirs(tmp_path / "me")
    assert known.chosen(["http://x"], [], me) == (Chosen(address="http://x"),)
    line = made.key_file.read_text().splitlines()[1]
    me.config.mkdir(parents=True)
    (me.config / "config.toml").write_text(
        f'base = "floe"\n[[mirror]]\nname = "far"\nurl = "http://far.example/tc/"\n'
        f'[[mirror]]\nname = "ours"\nurl = "https://tc.example"\npriority = 5\nkey = "{line}"\n'
    )
    ours = Chosen(address="https://tc.example", keys=(made.key,))
    assert known.chosen([], [], me) == (ours, Chosen(address="http://far.example/tc/"))
    assert known.chosen(["ours"], [], me) == (ours,)
    for address in ("https://tc.example/", "https://tc.example/17.x/x86_64/tcz"):
        assert known.chosen([address], [], me)[0].keys == (made.key,)
        assert known.chosen([], [], me, address)[0].keys == (made.key,)
    assert known.chosen(["https://tc.example/other"], [], me)[0].keys == ()
    assert known.chosen(["http://x"], [made.key_file], me)[0].keys == (made.key,)
    with pytest.raises(ConfigError, match="named"):
        known.chosen([], [made.key_file], me)
    with pytest.raises(ConfigError, match="cannot be used as a key"):
        known.chosen(["http://x"], [me.config / "config.toml"], me)
    (me.config / "config.toml").write_text('[[mirror]]\nname = "x"\nurl = "ftp://x"\n')
    with pytest.raises(ConfigError, match="configuration"):
        known.chosen([], [], me)
