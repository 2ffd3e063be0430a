"""Commands that write, each with a mirror to write to: for tests that end them early.

What a test asks of every one of them: whoever reads sees the old state or the new one, the next command
works, and ``tcz mirror verify`` finds nothing wrong.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import tcz.mirror_commands  # noqa: F401 - what commands import when they run: a kill shall meet their work
from tcz import cli
from tcz.errors import ConfigError
from tcz.mirror import changes, elsewhere, others, signing, snapshots, trust
from tcz.mirror.config import Config
from tcz.mirror.keyring import KeyRing
from tcz.mirror.repair import repair
from tcz.mirror.repository import Mirror
from tcz.mirror.sign import PublicKey
from tcz.mirror.sync import Wish, sync
from tcz.mirror.upstream import FolderUpstream
from tcz.mirror.verify import verify
from tcz.paths import Dirs
from tcz.run import HostRunner
from tests.cases.commandline import Home, become
from tests.unit import powercut
from tests.unit.mirror_made import BRANCH, QUIET, added, begun, package, quick_folder
from tests.unit.repository_made import index, put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Files = dict[str, bytes]

#: The mirror, and the folder beside it where a copy of it is shown.
FOLDER = "m"
HOME = "home"
DAY = date(2026, 1, 1)
PLACE = "www/tc"
#: In the place of ssh: what is to be run on another machine is run on this one.
_SHELL = '#!/bin/sh\nshift\nexec "$@"\n'
#: What is removed already cannot be removed once more, and no key is made anew.
_DONE = ("nothing was removed", "there is no snapshot", "there is a key")
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Scene:
    """A command: its words, what comes before it, and the same once more from Python.

    ``damaged`` tells that the mirror is so before; ``elsewhere`` that the command writes another folder, and
    ``mixes`` that a reader of it may see files of both states; ``keys`` that it changes the ring of keys.
    One that takes long is ended early less often: ``part`` is 4 for a quarter of the times.
    """

    words: tuple[str, ...]
    again: Callable[[Mirror], object]
    before: Callable[[Mirror], object] = lambda _: None
    damaged: bool = False
    elsewhere: bool = False
    mixes: bool = False
    keys: bool = False
    part: int = 1


def _damage(mirror: Mirror) -> None:
    """Lose an object whose bytes a state still has, and spoil another."""
    entries = mirror.catalogue().entries(BRANCH)
    mirror.objects.path(entries["a"].sha256).unlink()
    spoilt = mirror.objects.path(entries["b"].sha256)
    data = spoilt.read_bytes()
    spoilt.unlink()
    spoilt.write_bytes(bytes(len(data)))
    shown = mirror.shown()
    assert shown is not None
    (shown / BRANCH.folder / "md5.db").unlink()


def _keep_one(mirror: Mirror) -> None:
    file = mirror.root / "mirror.toml"
    text = file.read_text()
    assert "keep = 2" in text
    file.write_text(text.replace("keep = 2", "keep = 1"))


def _newest(mirror: Mirror) -> None:
    with (mirror.root / "mirror.toml").open("a") as file:
        file.write('[latest]\nx86_64 = "17.0"\n')


def _added(mirror: Mirror) -> object:
    return added(mirror, *sorted((mirror.root.parent / "in/2").glob("*.tcz")), replacing=True)


def _synced(mirror: Mirror) -> object:
    upstream = FolderUpstream(mirror.root.parent / "theirs", BRANCH)
    return sync(mirror, upstream, BRANCH, Wish(everything=True), QUIET)


def _shown_at(mirror: Mirror) -> object:
    return elsewhere.publish(mirror, str(mirror.root.parent / PLACE), HostRunner(), QUIET)


def _shown_by_rsync(mirror: Mirror) -> None:
    """Publish as ``tcz mirror publish`` to another machine does.

    A file that a power cut spoilt may have the time and the size of the one that it should be.
    """
    shown, top = mirror.public.resolve(), mirror.root.parent
    for name, data in files_of(top / PLACE).items():
        same = shown / name
        if same.is_file() and same.stat().st_size == len(data) and not any(data):
            os.utime(top / PLACE / name, ns=(same.stat().st_mtime_ns, same.stat().st_mtime_ns))
    runner = HostRunner()
    shell = {"RSYNC_RSH": str(top / "shell")}
    before = {name: os.environ.get(name) for name in shell}
    os.environ.update(shell)
    try:
        elsewhere.publish(mirror, f"there:{top / PLACE}", runner, QUIET)
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _shown_by_rsync_before(mirror: Mirror) -> None:
    _shown_by_rsync(mirror)
    _added(mirror)


def _shown_in_a_folder(mirror: Mirror) -> None:
    (mirror.root.parent / PLACE).mkdir()
    _shown_at(mirror)
    _added(mirror)


def _shown_by_a_link(mirror: Mirror) -> None:
    _shown_at(mirror)
    _added(mirror)


def _ring(mirror: Mirror) -> KeyRing:
    return KeyRing(Dirs.from_env({"HOME": str(mirror.root.parent / HOME)}))


def _no_keys(mirror: Mirror) -> None:
    shutil.rmtree(_ring(mirror).folder.parents[1])


def _keys_before(mirror: Mirror) -> None:
    """Make successors, one of them void already: the list of those that are is not the first."""
    ring = _ring(mirror)
    ring.rotate("key", "second")
    ring.rotate("second", "third")
    ring.revoke("second", "third")


def _known_of(ring: KeyRing) -> dict[str, object]:
    """Return what is known of each key: as it is listed, and whom a client believes that trusts it."""
    names = {key.id: key.name for key in ring.keys()}  # noqa: SIM118 - no dict
    told: dict[str, object] = {}
    for key in ring.keys():  # noqa: SIM118
        public = PublicKey.parse((ring.folder / f"{key.name}.pub").read_text())
        followed = trust.followed([public], ring.public_files([public]))
        signs = key.secret and not key.revoked and ring.secret(key.name).public == public
        told[key.name] = (
            key.secret,
            key.after,
            key.revoked,
            signs,
            sorted(names[one.name] for one in followed),
        )
    return told


def _indexed(mirror: Mirror) -> None:
    """What a user does next: in a mirror that is signed by now, with its key."""
    changes.index(mirror, QUIET, sign=signing.signing(mirror, _ring(mirror)))


def _nothing(mirror: Mirror) -> None:
    shutil.rmtree(mirror.root)
    mirror.root.mkdir()


def _begun(mirror: Mirror) -> None:
    """What a user does whose ``init`` was interrupted."""
    if (mirror.root / "mirror.toml").exists():
        changes.index(mirror, QUIET)
    else:
        changes.init(mirror.root, Config(branches=(BRANCH,), latest={}), QUIET)


SCENES = {
    "init": Scene(("init", "."), _begun, before=_nothing),
    "add": Scene(("add", "../in/2", "--no-lint", "--replace"), _added),
    "files add": Scene(
        ("files", "add", "../in/2", "--to", "release"),
        lambda m: others.add(m, [m.root.parent / "in/2"], BRANCH, "release", QUIET),
    ),
    "remove": Scene(("remove", "a"), lambda m: changes.remove(m, ["a"], BRANCH, QUIET)),
    "sync": Scene(("sync", "--all", "--from", "../theirs"), _synced),
    "index": Scene(("index",), lambda m: changes.index(m, QUIET), before=_newest),
    "gc": Scene(("gc",), lambda m: snapshots.collect(m, QUIET), before=_keep_one),
    "snapshot create": Scene(("snapshot", "create", "new"), lambda m: snapshots.create(m, "new", DAY, QUIET)),
    "snapshot remove": Scene(("snapshot", "remove", "first"), lambda m: snapshots.remove(m, "first", QUIET)),
    "repair": Scene(("repair",), lambda m: repair(m, QUIET), before=_damage, damaged=True),
    "repair --drop": Scene(
        ("repair", "--drop"), lambda m: repair(m, QUIET, drop=True), before=_damage, damaged=True
    ),
    "sign": Scene(("sign", "--key", "key"), lambda m: signing.sign(m, _ring(m), None, QUIET)),
    "publish to a link": Scene(
        ("publish", "--to", f"../{PLACE}"), _shown_at, before=_shown_by_a_link, elsewhere=True
    ),
    "publish to a folder": Scene(
        ("publish", "--to", f"../{PLACE}"), _shown_at, before=_shown_in_a_folder, elsewhere=True, mixes=True
    ),
    "publish by rsync": Scene(
        ("publish", "--to", f"there:../{PLACE}"),
        _shown_by_rsync,
        before=_shown_by_rsync_before,
        elsewhere=True,
        mixes=True,
        part=4,
    ),
    "keys new": Scene(("keys", "new", "fresh"), lambda m: _ring(m).new("fresh"), before=_no_keys, keys=True),
    "keys rotate": Scene(
        ("keys", "rotate", "key", "next"), lambda m: _ring(m).rotate("key", "next"), keys=True
    ),
    "keys revoke": Scene(
        ("keys", "revoke", "key", "--by", "third"),
        lambda m: _ring(m).revoke("key", "third"),
        before=_keys_before,
        keys=True,
    ),
}


def files_of(folder: Path) -> Files:
    """Return the content of all files below a folder; nothing where it is not there."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@dataclass
class Stage:
    """A scene about to happen, below ``top``; ``set`` sets it again."""

    name: str
    top: Path
    home: Home
    old: Mapping[str, object] = field(default_factory=dict)
    new: Mapping[str, object] = field(default_factory=dict)

    @property
    def scene(self) -> Scene:
        return SCENES[self.name]

    @property
    def mirror(self) -> Mirror:
        return Mirror(self.top / FOLDER)

    @property
    def shown(self) -> Path:
        """What a reader sees of what the command writes."""
        return (self.top / PLACE if self.scene.elsewhere else self.mirror.public).resolve()

    def seen(self) -> Mapping[str, object]:
        """Return what a reader sees of what the command writes."""
        return self.keys() if self.scene.keys else files_of(self.shown)

    def keys(self) -> Mapping[str, object]:
        """Return what is known of each key."""
        return _known_of(_ring(self.mirror))

    @property
    def written(self) -> Path:
        """The folder that the command writes in."""
        if self.scene.keys:
            return self.home.folder
        return (self.top / PLACE).parent if self.scene.elsewhere else self.mirror.root

    @property
    def env(self) -> dict[str, str]:
        """The environment of the command."""
        return self.home.env(RSYNC_RSH=str(self.top / "shell"))

    def command(self) -> int:
        """Do the command, as from a shell, in a process of its own; return its status."""
        return self.wait(self.begin())

    def begin(self, said: Path | None = None) -> int:
        """Begin the command in a process of its own; return that. No interpreter is started: it is quick."""
        process = os.fork()
        if process:
            with suppress(PermissionError, ProcessLookupError):  # it has done so, or has ended
                os.setpgid(process, process)
            return process
        code = 99
        try:
            os.setpgid(0, 0)
            code = run_here(self.mirror.root, self.env, self.scene.words, said or self.top / "said")
        finally:
            os._exit(code)

    @staticmethod
    def wait(process: int) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

    def kill(self, process: int) -> bool:
        """Kill a command with the programs that it has started; tell whether it was still at work."""
        with suppress(ProcessLookupError):
            os.killpg(process, signal.SIGKILL)
        died = self.wait(process) == -signal.SIGKILL
        with suppress(ChildProcessError):
            while True:
                os.waitpid(-process, 0)
        return died

    def look(self) -> None:
        """Look at what an ended command left, as a reader does, and go on."""
        if self.scene.keys:
            assert self.seen() in (self.old, self.new)
            for file in _ring(self.mirror).folder.glob("*.key*"):
                assert not stat.S_IMODE(file.stat().st_mode) & 0o077
        elif not self.scene.damaged and not self.scene.mixes:
            assert self.seen() in (self.old, self.new)

    def go_on(self, *, same: bool) -> None:
        """Do the next command, the same one or another; all must be right then."""
        if self.scene.keys:
            self._go_on_with_keys(same=same)
            return
        if same or self.scene.damaged or self.scene.elsewhere or self.name == "init":
            try:
                self.scene.again(self.mirror)
            except ConfigError as error:
                if not error.what.startswith(_DONE):
                    raise
        else:
            _indexed(self.mirror)
        assert verify(self.mirror, QUIET).damage == ()
        assert self.mirror.catalogue().serial
        if self.scene.elsewhere:
            assert files_of(self.shown) == self.new
            beside = {path.name for path in self.written.iterdir()}
            assert len(beside) == (1 if self.scene.mixes else 2), beside

    def _go_on_with_keys(self, *, same: bool) -> None:
        ring = _ring(self.mirror)
        before = self.seen()
        if same:
            try:
                self.scene.again(self.mirror)
            except ConfigError as error:
                assert before == self.new
                if not error.what.startswith(_DONE):
                    raise
            assert self.seen() == self.new
        else:
            ring.new("another")
            told = self.seen()
            assert {name: told[name] for name in told if name != "another"} == before
        left = {path.name for path in ring.folder.iterdir() if path.name.startswith(".")}
        assert not left


@contextmanager
def adopting() -> Iterator[None]:
    """Be the parent of what a killed command has started, so that it can be waited for."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    try:
        yield
    finally:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def run_here(folder: Path, env: Mapping[str, str], words: tuple[str, ...], said: Path) -> int:
    """Run ``tcz mirror`` in this process, which is lost then; return its status."""
    return become(cli.main, ("tcz", "mirror", *words), folder=folder, env=env, said=said)


@contextmanager
def staged(name: str) -> Iterator[Stage]:
    """Make a mirror of several states, a snapshot and a key, and packages to come; do ``before``."""
    with quick_folder() as top:
        mirror = begun(top / FOLDER, keep=2)
        for version in range(3):
            package(top / f"in/{version}", "a", "b", version=str(version))
            package(top / f"in/{version}", "b", version=str(version // 2))
        package(top / "in/2", "c", "a")
        added(mirror, *(top / "in/0").glob("*.tcz"))
        snapshots.create(mirror, "first", DAY, QUIET)
        added(mirror, *(top / "in/1").glob("*.tcz"), replacing=True)
        changes.remove(mirror, ["a"], BRANCH, QUIET)
        added(mirror, *(top / "in/1").glob("*.tcz"), replacing=True)
        put(top / "theirs/17.x/x86_64/tcz", "x", ["y"])
        put(top / "theirs/17.x/x86_64/tcz", "y")
        index(top / "theirs/17.x/x86_64/tcz")
        (top / PLACE).parent.mkdir()
        (top / "shell").write_text(_SHELL)
        (top / "shell").chmod(0o755)
        home = Home(top / HOME)
        made = home.tcz("mirror", "keys", "new", "key")
        assert made.returncode == 0, made.stderr
        stage = Stage(name, top, home)
        SCENES[name].before(mirror)
        yield stage


class Again:
    """What lies on a stage, to be put there again: hard links and all."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._parts = {part: powercut.read(stage.top / part) for part in (FOLDER, Path(PLACE).parts[0], HOME)}

    def set(self) -> None:
        for part, node in self._parts.items():
            shutil.rmtree(self._stage.top / part)
            powercut.write(node, self._stage.top / part)
