"""Debian packages through apt, without root and apart from the machine's own package state.

``Apt`` resolves what a set of packages needs, starting from nothing installed, and brings the files
into the store; apt checks the archive's signature, the store every file's sha256. What was once
resolved stays as it is (a file below ``pins``) until an update is asked for or its bytes are gone.
"""

from __future__ import annotations

import contextlib
import difflib
import fcntl
import hashlib
import json
import os
import re
import threading
import time
from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tcz import aptconf
from tcz.deb import DebFile, Pin, Pins, debs_of_json
from tcz.errors import ConfigError, FetchError
from tcz.paths import need_space
from tcz.run import CommandError
from tcz.store import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from tcz.paths import Dirs
    from tcz.reporting import Reporter, Step
    from tcz.run import Result, Runner
    from tcz.store import Store

    #: Runs a program, in a folder if one is given, and returns what it left.
    Run = Callable[..., Result]

__all__ = ["SUITE", "Apt", "DebFile", "GoneError", "Pin", "Pins"]

SUITE = "trixie"
_FRESH_FOR = 6 * 3600
#: What the archive's lists take, packed, unpacked and indexed, with some room.
_LISTS = 300_000_000
_URI = re.compile(r"'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) SHA256:(?P<sha256>[0-9a-f]{64})")


class GoneError(FetchError):
    """The archive no longer offers this version of a package, and the store does not have it."""


class Apt:
    """See the module. Nothing is started and no network used before something is missing."""

    def __init__(
        self,
        dirs: Dirs,
        store: Store,
        runner: Runner,
        reporter: Reporter,
        *,
        mirror: str | None = None,
        update: bool = False,
        lock: Pins | None = None,
    ) -> None:
        """``mirror`` as in ``aptconf.find_mirror``; ``update`` resolves anew; ``lock`` goes before pins."""
        self.suite = SUITE
        self._dirs = dirs
        self._store = store
        self._runner = runner
        self._reporter = reporter
        self._mirror = mirror
        self._update = update
        self._lock = lock or Pins()
        self._root = dirs.cache / "apt"
        self._env: dict[str, str] | None = None
        self._refreshed = False
        self._mutex = threading.RLock()
        self._busy = False
        self._known: dict[str, tuple[DebFile, ...]] = {}

    # -- resolving ------------------------------------------------------------------------------

    def resolve(self, names: Sequence[str], *, newest: bool = False) -> tuple[DebFile, ...]:
        """Return all packages that ``names`` need, themselves included, sorted by name.

        ``newest`` forgets what was resolved before. Raises ``ConfigError`` for a package that the
        suite does not have or cannot install, with a guess; ``CommandError`` when apt fails.
        """
        wanted = sorted(set(names))
        return self._sticky("\n".join(wanted), lambda: self._closure(wanted), newest=newest)

    def satisfy(self, depends: str, *, newest: bool = False) -> tuple[DebFile, ...]:
        """Return all packages that a relation field (``libc6 (>= 2.38), a | b``) needs, sorted by name.

        Raises as ``resolve`` does.
        """

        def find() -> tuple[DebFile, ...]:
            with self._reporter.step("resolving Debian dependencies"):
                said = self._ask(["apt-get", "satisfy", "-qq", "--print-uris", "--", depends], [depends])
            return tuple(sorted(_parse_uris(said), key=lambda deb: deb.name))

        return self._sticky(f"satisfy\n{depends}", find, newest=newest)

    def candidate(self, name: str, via: str | None = None, *, newest: bool = False) -> DebFile:
        """Return one package without what it needs.

        With ``via``, ``name`` is a glob and the first direct dependency of ``via`` that matches is
        meant. Raises as ``resolve`` does.
        """
        (deb,) = self._sticky(f"{name}\nvia {via}", lambda: (self._newest(name, via),), newest=newest)
        return deb

    def _sticky(
        self, key: str, find: Callable[[], tuple[DebFile, ...]], *, newest: bool
    ) -> tuple[DebFile, ...]:
        digest = hashlib.sha256(f"{self.suite}\n{key}".encode()).hexdigest()
        if not newest and digest in self._known:
            return self._known[digest]
        file = self._dirs.cache_folder("pins") / f"{digest[:32]}.json"
        debs = None if newest or self._update else _read_pins(file)
        if debs is None:
            debs = find()
            text = json.dumps([asdict(deb) for deb in debs], indent=1) + "\n"
            with replacing(file) as temporary:
                temporary.write_text(text)
        if not newest:
            debs = self._locked(debs, key)
        self._known[digest] = debs
        return debs

    def _locked(self, debs: tuple[DebFile, ...], key: str) -> tuple[DebFile, ...]:
        """Put the lock's versions in place: all of them or, where one is gone, none."""
        swaps: dict[str, DebFile] = {}
        for deb in debs:
            pin = self._pin_for(deb, key)
            if pin and (pin.name, pin.version, pin.sha256) != (deb.name, deb.version, deb.sha256):
                swaps[deb.name] = _from_pin(pin, deb.architecture)
        absent = [deb for deb in swaps.values() if not self._store.has(deb.sha256)]
        if absent:
            offered = {deb.sha256: deb for deb in self._show([f"{d.name}={d.version}" for d in absent])}
            gone = [deb for deb in absent if deb.sha256 not in offered]
            if gone:
                listed = ", ".join(f"{deb.name} {deb.version}" for deb in gone[:5])
                more = f" and {len(gone) - 5} more" if len(gone) > 5 else ""  # noqa: PLR2004
                self._reporter.warn(f"no longer to be had as locked, so the newest is taken: {listed}{more}")
                return debs
            swaps = {name: offered.get(deb.sha256, deb) for name, deb in swaps.items()}
        return tuple(swaps.get(deb.name, deb) for deb in debs)

    def _pin_for(self, deb: DebFile, key: str) -> Pin | None:
        pattern, _, via = key.partition("\nvia ")
        if via not in ("", "None"):
            found = self._lock.matching(pattern)
            return found[0] if len(found) == 1 else self._lock.get(deb.name)
        return self._lock.get(deb.name)

    def _closure(self, names: Sequence[str]) -> tuple[DebFile, ...]:
        with self._reporter.step(f"resolving {len(names)} Debian packages"):
            argv = ["apt-get", "install", "-qq", "--print-uris", "--", *names]
            said = self._ask(argv, names)
        return tuple(sorted(_parse_uris(said), key=lambda deb: deb.name))

    def _newest(self, name: str, via: str | None) -> DebFile:
        target = name
        if via is not None:
            depends = self._show_field(via, "Depends")
            listed = [re.split(r"[\s(:|]", item.strip())[0] for item in depends.split(",")]
            found = [item for item in listed if fnmatchcase(item, name)]
            if not found:
                raise ConfigError(
                    f"{via} needs no package that matches {name}", hint=f"it needs: {', '.join(listed)}"
                )
            target = found[0]
        said = self._ask(["apt-get", "download", "-qq", "--print-uris", "--", target], [target])
        return next(iter(_parse_uris(said)))

    def _show_field(self, name: str, field: str) -> str:
        said = self._ask(["apt-cache", "show", "--no-all-versions", "--", name], [name])
        match = re.search(rf"^{field}: (.*)$", said, re.MULTILINE)
        return match[1] if match else ""

    def _show(self, exact: Sequence[str]) -> tuple[DebFile, ...]:
        """Return those of the ``name=version`` that apt still offers."""
        with self._exclusive():
            self._ready()
        said = self._run(["apt-cache", "show", "--", *exact], check=False).stdout.decode()
        return tuple(deb for text in said.split("\n\n") if (deb := _parse_stanza(text)) is not None)

    # -- fetching -------------------------------------------------------------------------------

    def fetch(self, debs: Iterable[DebFile]) -> tuple[Path, ...]:
        """Return the files of ``debs``, in order; those that the store lacks are downloaded.

        Raises ``GoneError`` where apt no longer offers a version, ``VerifyError`` for wrong bytes.
        """
        wanted = tuple(debs)
        damaged = [
            deb.name for deb in wanted if self._store.has(deb.sha256) and not self._store.sound(deb.sha256)
        ]
        if damaged:
            listed = ", ".join(damaged)
            self._reporter.warn(f"{listed}: the copies in the cache were damaged, so they are fetched anew")
        missing = [deb for deb in wanted if not self._store.has(deb.sha256)]
        if missing:
            self._download(missing)
        return tuple(self._store.path(deb.sha256) for deb in wanted)

    def _download(self, missing: Sequence[DebFile]) -> None:
        total = sum(deb.size for deb in missing)
        need_space(self._dirs.cache, 2 * total, "downloading Debian packages")
        folder = self._root / "incoming"
        title = f"downloading {len(missing)} Debian packages"
        with self._reporter.step(title) as step, self._exclusive():
            self._ready()
            for again in (False, True):
                names = [f"{deb.name}={deb.version}" for deb in missing]
                with _watching(folder, total, step):
                    result = self._run(["apt-get", "download", "-qq", "--", *names], cwd=folder, check=False)
                for deb in missing:
                    file = folder / deb.file_name
                    # What an interrupted run left, and apt could not complete now, is not whole.
                    if file.exists() and (result.returncode == 0 or file.stat().st_size == deb.size):
                        self._store.take(file, deb.sha256, what=deb.file_name)
                missing = [deb for deb in missing if not self._store.has(deb.sha256)]
                if not missing:
                    return
                if not again:
                    self._refresh()
            said = result.stderr.decode(errors="replace").strip()
            offered = {deb.sha256 for deb in self._show([f"{d.name}={d.version}" for d in missing])}
            gone = [deb for deb in missing if deb.sha256 not in offered]
            listed = ", ".join(f"{deb.name} {deb.version}" for deb in gone or missing)
            if gone:
                raise GoneError(f"no longer in the Debian archive: {listed}", why=said or None)
            raise FetchError(f"could not be downloaded: {listed}", why=said or None)

    # -- apt itself -----------------------------------------------------------------------------

    @property
    def updates(self) -> bool:
        """Tell whether everything is to be resolved anew."""
        return self._update

    @contextlib.contextmanager
    def session(self) -> Iterator[Run]:
        """Give a function that runs apt's programs on the archive's lists, for this process alone."""
        with self._exclusive():
            self._ready()
            if self._update:
                self._refresh()
            yield lambda argv, cwd=None: self._run(argv, cwd=cwd, check=False)

    def _ask(self, argv: Sequence[str], names: Sequence[str]) -> str:
        """Run apt to answer a question about ``names``; explain a name it does not know."""
        with self._exclusive():
            self._ready()
            if self._update:
                self._refresh()
        result = self._run(argv, check=False)
        if result.returncode == 0 and result.stdout.strip():
            return result.stdout.decode()
        said = result.stderr.decode(errors="replace") + result.stdout.decode(errors="replace")
        unknown = re.findall(
            r"(?:Unable to locate package|Couldn't find any package by|No packages found) ?(\S*)", said
        )
        if not unknown and "unmet dependencies" not in said and "no installation candidate" not in said:
            raise CommandError(result, None)
        bad = [name for name in unknown if name] or list(names)
        raise ConfigError(
            f"Debian {self.suite} cannot provide: {', '.join(bad)}",
            hint=self._guess(bad) or said.strip(),
        )

    def _guess(self, names: Sequence[str]) -> str | None:
        known = self._run(["apt-cache", "pkgnames"], check=False).stdout.decode().split()
        guesses = [guess for name in names for guess in difflib.get_close_matches(name, known, 1, 0.8)]
        return f"did you mean {', '.join(guesses)}?" if guesses else None

    def _ready(self) -> None:
        """Make the private configuration, and read the archive's lists when they are old or missing."""
        if self._env is not None:
            return
        self._dirs.cache_folder("apt")
        mirror = aptconf.find_mirror(self._mirror, self.suite, self._runner)
        conf = aptconf.write(self._root, mirror, self.suite, self._runner)
        self._env = aptconf.environment(conf)
        stamp = self._root / "stamp"
        same = stamp.exists() and stamp.read_text() == repr(mirror)
        if not same or time.time() - stamp.stat().st_mtime > _FRESH_FOR:
            self._refresh(optional=same)
            stamp.write_text(repr(mirror))

    def _refresh(self, *, optional: bool = False) -> None:
        """Read the archive's lists anew, once; with ``optional`` old lists will do when that fails."""
        if self._refreshed:
            return
        self._refreshed = True
        need_space(self._root, _LISTS, "reading the lists of the Debian archive")
        with self._reporter.step("reading the lists of the Debian archive"):
            argv = ["apt-get", "update", "-qq", "-o", "APT::Update::Error-Mode=any"]
            result = self._run(argv, check=False)
        if result.returncode == 0:
            (self._root / "stamp").touch()
            return
        why = result.stderr.decode(errors="replace").strip()
        if not optional:
            raise FetchError("the lists of the Debian archive could not be read", why=why)
        self._reporter.warn(f"the lists of the Debian archive are from an earlier day: {why.splitlines()[0]}")

    def _run(self, argv: Sequence[str], *, cwd: Path | None = None, check: bool = True) -> Result:
        return self._runner.run(argv, cwd=cwd, env=self._env, check=check)

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Keep other processes of the same user out of the private apt."""
        with self._mutex:
            if self._busy:
                yield
                return
            with (self._dirs.cache_folder("apt") / "busy").open("w") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                self._busy = True
                try:
                    yield
                finally:
                    self._busy = False


@contextlib.contextmanager
def _watching(folder: Path, total: int, step: Step) -> Iterator[None]:
    """Tell the step how many bytes lie in ``folder``, twice a second."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            sizes = [entry.stat().st_size for entry in os.scandir(folder) if entry.is_file()]
            step.progress(min(sum(sizes), total), total, "B")

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _parse_uris(said: str) -> Iterator[DebFile]:
    """Read what ``--print-uris`` prints; name, version and architecture are in apt's file name."""
    for line in said.splitlines():
        match = _URI.fullmatch(line.strip())
        if match is None:
            continue
        name, version, architecture = unquote(match["file"]).removesuffix(".deb").split("_")
        yield DebFile(
            name=name,
            version=version,
            architecture=architecture,
            sha256=match["sha256"],
            size=int(match["size"]),
            uri=match["uri"],
        )


def _parse_stanza(text: str) -> DebFile | None:
    fields = dict(re.findall(r"^(Package|Version|Architecture|SHA256|Size): (\S+)$", text, re.MULTILINE))
    try:
        return DebFile(
            name=fields["Package"],
            version=fields["Version"],
            architecture=fields["Architecture"],
            sha256=fields["SHA256"],
            size=int(fields["Size"]),
            uri="",
        )
    except KeyError:
        return None


def _from_pin(pin: Pin, architecture: str) -> DebFile:
    return DebFile(
        name=pin.name, version=pin.version, architecture=architecture, sha256=pin.sha256, size=0, uri=""
    )


def _read_pins(file: Path) -> tuple[DebFile, ...] | None:
    """Return what was resolved before; a file of another age or a damaged one counts as none."""
    try:
        return debs_of_json(file.read_text())
    except (OSError, ValueError):
        return None
