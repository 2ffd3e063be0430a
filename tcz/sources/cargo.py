"""Crates, and all that they need, fetched by cargo itself and checked against their Cargo.lock.

Cargo runs in a build root of its own, with the network and with what this machine says about how crates
are reached. What it brings goes into the store by its sha256; a build gets the crates that its lock
names as a folder that it can only read, and a configuration that knows nothing else.
"""

from __future__ import annotations

import json
import re
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tcz.buildroot import remove_tree
from tcz.crates import CACHE, CRATES, FOLDER, identity
from tcz.errors import ConfigError, FetchError, VerifyError
from tcz.model import CargoLock, Crate, ResolvedSource
from tcz.sandbox import PATH, Bind
from tcz.sources import cargolock
from tcz.sources.cargohost import CAINFO, host_settings
from tcz.sources.part import place
from tcz.store import sha256_file
from tcz.unpack import unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tcz.buildroot import BuildRoots
    from tcz.paths import Dirs
    from tcz.reporting import Reporter
    from tcz.run import Result
    from tcz.sandbox import Sandbox
    from tcz.sources.part import Part
    from tcz.store import Store

#: Where cargo finds the configuration that says where crates are: it looks for .cargo/config.toml in all
#: folders above the one it runs in.
CONFIG = "/build/.cargo/config.toml"

_FETCH_ROOT = ("cargo-web",)
_HOME = "/build/cargo"
_HINT = "cargo's own settings apply: config.toml and credentials.toml in CARGO_HOME, CARGO_*, HTTPS_PROXY"


def resolve(source: Crate | CargoLock, version: str) -> ResolvedSource:
    """Return the line for build ids and manifests; the hash is known beforehand."""
    if isinstance(source, CargoLock):
        return ResolvedSource(
            kind="cargo-lock",
            name=source.path,
            version=version,
            hash=f"sha256:{source.sha256}",
            origin=source.path,
        )
    return ResolvedSource(
        kind="crate",
        name=source.name,
        version=source.version,
        hash=f"sha256:{source.sha256}",
        origin=f"crate:{source.name}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CratePart:
    """A fetched crate."""

    source: Crate
    resolved: ResolvedSource
    file: Path

    def unpack(self, into: Path) -> None:
        """Unpack it without its first folder, NAME-VERSION."""
        try:
            unpack(self.file, place(into, self.source.dest), strip=1)
        except VerifyError as error:
            raise VerifyError(
                f"crate {self.source.name}: {error.what}", where=str(self.file), why=error.why
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class LockPart:
    """A Cargo.lock that other sources bring; there is nothing of its own to unpack."""

    source: CargoLock
    resolved: ResolvedSource

    def unpack(self, into: Path) -> None:
        """Check, once the sources are unpacked, that the file is the one that is named."""
        _named_lock(self.source, into)


def build_env() -> dict[str, str]:
    """Return the environment for builds with cargo: nothing is downloaded, no path of a build is kept.

    ``RUSTFLAGS`` may be added to by a build, but should not be replaced.
    """
    return {
        "CARGO_HOME": "/build/tmp/cargo",
        "CARGO_NET_OFFLINE": "true",
        "CARGO_INCREMENTAL": "0",
        "CARGO_TERM_COLOR": "never",
        "RUSTFLAGS": f"--remap-path-prefix={CRATES}=/crates --remap-path-prefix=/build/src=/src",
    }


def build_config(crates: Iterable[cargolock.LockedCrate]) -> str:
    """Return the config.toml of builds: whatever registry a crate comes from, it is in ``CRATES``."""
    # The default registry's address stands in locks, but it must be configured by its name.
    registries = {crate.registry for crate in crates if not crate.registry.endswith("/crates.io-index")}
    lines = ['[source.crates-io]\nreplace-with = "fetched"', f'[source.fetched]\ndirectory = "{CRATES}"']
    for registry in sorted(registries):
        text = json.dumps(registry)
        lines.append(f'[source.{text}]\nregistry = {text}\nreplace-with = "fetched"')
    return "\n\n".join(lines) + "\n"


class CargoSources:
    """Brings crates into the store, and folders of them into the cache."""

    def __init__(
        self, dirs: Dirs, store: Store, roots: BuildRoots, sandbox: Sandbox, reporter: Reporter
    ) -> None:
        """Start nothing yet."""
        self._dirs = dirs
        self._store = store
        self._roots = roots
        self._sandbox = sandbox
        self._reporter = reporter

    def crate(self, source: Crate) -> CratePart:
        """Return a crate's file; raises ``FetchError`` with what cargo said, ``VerifyError``."""
        file = self._store.sound(source.sha256) or self._fetch(source.name, source.version, source.sha256)
        return CratePart(source=source, resolved=resolve(source, ""), file=file)

    def _fetch(self, name: str, version: str, sha256: str | None) -> Path:
        what = f"the crate {name} {version}"
        with self._reporter.step(f"fetching {what}"), self._scratch() as scratch:
            # Shows a crate's description, for which it gets the crate alone.
            self._cargo(["info", "--quiet", f"{name}@{version}"], scratch, what, named=True)
            found = _downloaded(scratch).get(f"{name}-{version}.crate")
            if found is None:
                raise FetchError(f"cargo did not leave {what} in its cache", hint=_HINT)
            return self._store.take(found, sha256, what=found.name)

    def sum(self, name: str, version: str) -> str:
        """Return the sha256 that a crate has now; raises ``FetchError``."""
        return self._fetch(name, version, None).name

    def newest(self, name: str) -> str:
        """Return the newest version of a crate; raises ``FetchError``."""
        with self._scratch() as scratch:
            argv = ["info", "--quiet", name]
            said = self._cargo(argv, scratch, f"the crate {name}", named=True).stdout.decode()
        found = re.search(r"^version: (?:\S+ \(latest )?([^\s)]+)", said, re.MULTILINE)
        if found is None:
            raise FetchError(f"cargo did not tell the version of the crate {name}", why=said.strip())
        return found[1]

    def lock(self, source: CargoLock, version: str) -> LockPart:
        """Return the part of a Cargo.lock that is among the other sources."""
        return LockPart(source=source, resolved=resolve(source, version))

    def binds(self, parts: Sequence[Part]) -> tuple[Bind, ...]:
        """Return what a build with these parts must see: all crates of all of its locks.

        They are fetched the first time. Raises ``FetchError`` with what cargo said, ``VerifyError`` for
        wrong bytes, ``ConfigError`` for a Cargo.lock that is missing, another or that pins too little.
        """
        locked = [part for part in parts if isinstance(part, CratePart | LockPart)]
        if not locked:
            return ()
        folder = self._dirs.cache_folder(CACHE) / identity(part.resolved for part in locked)
        if not folder.is_dir():
            with self._scratch() as scratch:
                self._make(parts, scratch)
                if not folder.exists():
                    (scratch / "result").rename(folder)
        return (
            Bind(host=folder / FOLDER, inside=CRATES),
            Bind(host=folder / "config.toml", inside=CONFIG),
        )

    def _make(self, parts: Sequence[Part], scratch: Path) -> None:
        """Fetch the crates of all locks, and put them into ``scratch``/result."""
        for part in parts:
            if not isinstance(part, LockPart):
                part.unpack(scratch / "src")
        crates: dict[cargolock.LockedCrate, None] = {}
        for part in parts:
            match part:
                case CratePart():
                    what = f"the crate {part.source.name} {part.source.version}"
                    lock = scratch / "src" / part.source.dest / "Cargo.lock"
                    if not lock.is_file():
                        raise ConfigError(
                            f"{what} has no Cargo.lock, so nothing pins what it needs",
                            hint="put a Cargo.lock of your own beside its Cargo.toml: a source of the kind\n"
                            '"local" that holds it, and one of the kind "cargo-lock" that names it',
                        )
                case LockPart():
                    what = part.source.path
                    lock = _named_lock(part.source, scratch / "src")
                case _:
                    continue
            crates |= dict.fromkeys(self._locked(lock, what, scratch))
        result = scratch / "result"
        (result / "crates").mkdir(parents=True)
        with self._reporter.step("unpacking crates", total=len(crates)) as step:
            for count, crate in enumerate(crates):
                step.progress(count, len(crates))
                self._unpack(crate, result / "crates")
        (result / "config.toml").write_text(build_config(crates))

    def _locked(self, lock: Path, what: str, scratch: Path) -> tuple[cargolock.LockedCrate, ...]:
        """Return the crates of one lock, all in the store."""
        text = lock.read_text(encoding="utf-8", errors="replace")
        crates = cargolock.parse(text, f"{what}: Cargo.lock")
        missing = [crate for crate in crates if self._store.sound(crate.sha256) is None]
        if not missing:
            return crates
        with self._reporter.step(f"fetching {len(missing)} crates that {what} needs"):
            manifest = f"/build/src/{(lock.parent / 'Cargo.toml').relative_to(scratch / 'src')}"
            self._cargo(
                ["fetch", "--quiet", "--locked", "--manifest-path", manifest], scratch, f"what {what} needs"
            )
            files = _downloaded(scratch)
            for crate in missing:
                file = files.pop(crate.file_name, None)
                if file is not None:
                    self._store.take(file, crate.sha256, what=crate.file_name)
                elif not self._store.has(crate.sha256):
                    raise FetchError(
                        f"cargo did not fetch {crate.name} {crate.version}, which {what} needs", hint=_HINT
                    )
        return crates

    def _unpack(self, crate: cargolock.LockedCrate, into: Path) -> None:
        folder = into / f"{crate.name}-{crate.version}"
        if folder.exists():
            raise ConfigError(
                f"{crate.name} {crate.version} is wanted from two registries, with other bytes each",
                hint="build the two programs in recipes of their own",
            )
        unpack(self._store.path(crate.sha256), folder, strip=1)
        # What cargo wants beside each crate of such a folder; the hash is what the lock is compared with.
        checksum = {"files": {}, "package": crate.sha256}
        (folder / ".cargo-checksum.json").write_text(json.dumps(checksum))

    def _cargo(self, argv: Sequence[str], scratch: Path, what: str, *, named: bool = False) -> Result:
        """Run cargo with the network; with ``named``, a command that wants to hear of a replaced registry."""
        root = self._roots.get(_FETCH_ROOT)
        machine = host_settings(scratch / "cargo")
        env = machine.env
        if named and machine.registry is not None:
            argv = [*argv, "--registry", machine.registry]
        binds = [
            Bind(host=scratch / "cargo", inside=_HOME, writable=True),
            Bind(host=scratch / "tmp", inside="/build/tmp", writable=True),
            Bind(host=scratch / "src", inside="/build/src"),
        ]
        if machine.authorities is not None:
            binds.append(Bind(host=machine.authorities, inside=CAINFO))
        env = {"PATH": PATH, "HOME": "/build/tmp", "LC_ALL": "C", **env, "CARGO_HOME": _HOME}
        result = self._sandbox.run(
            root.path,
            ["cargo", *argv],
            binds=binds,
            env=env,
            network=True,
            # Not the program's folder: its own .cargo/config.toml is not for us.
            cwd="/build/tmp",
            check=False,
        )
        if result.returncode != 0:
            why = result.stderr.decode(errors="replace").strip()
            raise FetchError(f"{what} could not be had", why=why, hint=_HINT)
        return result

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """Give a folder beside the results, removed afterwards."""
        folder = Path(tempfile.mkdtemp(prefix=".new-", dir=self._dirs.cache_folder(CACHE)))
        try:
            for name in ("cargo", "src", "tmp"):
                (folder / name).mkdir()
            yield folder
        finally:
            remove_tree(folder)


def _downloaded(scratch: Path) -> dict[str, Path]:
    """Return the crates in cargo's cache by their file names."""
    return {path.name: path for path in (scratch / "cargo").glob("registry/cache/*/*.crate")}


def _named_lock(source: CargoLock, src: Path) -> Path:
    """Return the file that a source of the kind cargo-lock names, checked."""
    lock = src / source.path
    if not lock.is_file() or not lock.resolve().is_relative_to(src.resolve()):
        raise ConfigError(
            f"the sources have no file {source.path}",
            hint="`path` is relative to the source tree, /build/src",
        )
    actual = sha256_file(lock)
    if actual != source.sha256:
        raise VerifyError(
            f"{source.path}: wrong sha256",
            why=f"expected {source.sha256}\nfound    {actual}",
            hint="it comes with another source of the recipe; if that was changed, write the new hash",
        )
    return lock
