"""Debian source packages through apt: which files, by its signed index, and the files themselves.

What was once chosen stays as it is (a file below ``pins``) until an update is asked for, as for binary
packages.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from tcz.apt import Apt, GoneError
from tcz.dsc import SourceFile, fields, listed
from tcz.errors import ConfigError, FetchError
from tcz.store import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tcz.apt import Run
    from tcz.paths import Dirs
    from tcz.reporting import Reporter
    from tcz.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class DebSource:
    """One source package exactly; the .dsc is the first of its files."""

    name: str
    version: str
    files: tuple[SourceFile, ...]


class DebianSources:
    """Chooses source packages and fetches their files. Nothing is started before something is missing."""

    def __init__(self, dirs: Dirs, store: Store, apt: Apt, reporter: Reporter) -> None:
        """``apt`` knows the archive."""
        self.suite = apt.suite
        self._dirs = dirs
        self._store = store
        self._apt = apt
        self._reporter = reporter
        self._known: dict[str, DebSource] = {}

    def candidate(self, package: str, version: str | None = None, *, newest: bool = False) -> DebSource:
        """Return the source package of this name, the newest where no version is given.

        ``newest`` forgets what was chosen before. Raises ``ConfigError`` for what the archive lacks.
        """
        key = f"{self.suite}\nsource {package} {version}"
        digest = hashlib.sha256(key.encode()).hexdigest()
        if not newest and digest in self._known:
            return self._known[digest]
        file = self._dirs.cache_folder("pins") / f"{digest[:32]}.json"
        found = None if newest or self._apt.updates else _read_pin(file)
        if found is None:
            with self._apt.session() as run:
                found = self._find(run, package, version)
            with replacing(file) as temporary:
                temporary.write_text(json.dumps(asdict(found), indent=1) + "\n")
        self._known[digest] = found
        return found

    def _find(self, run: Run, package: str, version: str | None) -> DebSource:
        offered = _offered(run, package)
        if version is not None:
            chosen = [source for source in offered if source.version == version]
        else:
            argv = ["apt-get", "source", "-qq", "--print-uris", "--download-only", "--only-source"]
            # apt leaves out files that lie where it runs: nothing does there.
            empty = self._dirs.cache_folder("apt") / "etc/empty"
            said = run([*argv, "--", package], empty).stdout.decode(errors="replace")
            hashes = set(re.findall(r"SHA256:([0-9a-f]{64})", said))
            chosen = [source for source in offered if source.files[0].sha256 in hashes]
        if not chosen:
            versions = ", ".join(source.version for source in offered)
            hint = f"it has {versions}" if versions else "the name of a source package may be another one"
            wanted = package if version is None else f"{package} {version}"
            raise ConfigError(f"Debian {self.suite} has no source package {wanted}", hint=hint)
        return chosen[0]

    def fetch(self, source: DebSource) -> tuple[Path, ...]:
        """Return the files of a source package, in order; those that the store lacks are downloaded.

        Raises ``GoneError`` where the archive no longer has the version, ``FetchError``, ``VerifyError``.
        """
        missing = [file for file in source.files if self._store.sound(file.sha256) is None]
        if missing:
            with self._apt.session() as run:
                self._download(run, source, missing)
        return tuple(self._store.path(file.sha256) for file in source.files)

    def _download(self, run: Run, source: DebSource, missing: list[SourceFile]) -> None:
        folder = self._dirs.cache_folder("apt") / "incoming" / source.files[0].sha256[:16]
        folder.mkdir(parents=True, exist_ok=True)
        with self._reporter.step(f"downloading the Debian source package {source.name} {source.version}"):
            argv = ["apt-get", "source", "-qq", "--download-only", "--only-source", "--"]
            result = run([*argv, f"{source.name}={source.version}"], folder)
        for file in missing:
            found = folder / file.name
            if found.exists():
                self._store.take(found, file.sha256, what=file.name)
        absent = [file.name for file in missing if not self._store.has(file.sha256)]
        if not absent:
            shutil.rmtree(folder, ignore_errors=True)
            return
        said = result.stderr.decode(errors="replace").strip() or None
        if source not in _offered(run, source.name):
            raise GoneError(f"no longer in the Debian archive: {source.name} {source.version}", why=said)
        raise FetchError(f"could not be downloaded: {', '.join(absent)}", why=said)

    def file(self, package: str, sha256: str) -> Path | None:
        """Return the file of a source package that has this sha256, fetched into the store.

        ``None`` when no version that the suite offers has it. Raises ``FetchError`` when the download
        fails.
        """
        if self._store.has(sha256):
            return self._store.path(sha256)
        with self._apt.session() as run:
            for source in _offered(run, package):
                wanted = [file for file in source.files if file.sha256 == sha256]
                if wanted:
                    self._download(run, source, wanted)
                    return self._store.path(sha256)
        return None


def _offered(run: Run, package: str) -> tuple[DebSource, ...]:
    """Return every version of a source package that the archive offers."""
    said = run(["apt-cache", "showsrc", "--only-source", "--", package]).stdout.decode(errors="replace")
    return tuple(source for source in stanzas(said) if source.name == package)


def stanzas(said: str) -> Iterator[DebSource]:
    """Read what ``apt-cache showsrc`` prints; stanzas without a .dsc are passed over."""
    for text in said.split("\n\n"):
        found = fields(text.strip("\n"))
        files = sorted(listed(found.get("checksums-sha256", "")), key=lambda file: file.name)
        files.sort(key=lambda file: not file.name.endswith(".dsc"))
        if files and files[0].name.endswith(".dsc") and found.get("package") and found.get("version"):
            yield DebSource(name=found["package"], version=found["version"], files=tuple(files))


def _read_pin(file: Path) -> DebSource | None:
    """Return what was chosen before; a file of another age or a damaged one counts as none."""
    try:
        data = json.loads(file.read_text())
        files = tuple(SourceFile(**entry) for entry in data["files"])
        found = DebSource(name=data["name"], version=data["version"], files=files)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    texts = (found.name, found.version, *(text for f in files for text in (f.name, f.sha256)))
    return found if files and all(isinstance(text, str) for text in texts) else None
