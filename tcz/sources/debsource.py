"""Debian source packages as sources: unpacked and patched as ``dpkg-source -x`` does it.

See dpkg-source(1), SOURCE PACKAGE FORMATS. Nothing of the package is run. Archives are unpacked by our
own code; patches are applied in a sandbox, and one that does not fit exactly is refused.
"""

from __future__ import annotations

import gzip
import os
import shutil
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcz import dsc
from tcz.apt import GoneError
from tcz.build import PACK_TOOLS
from tcz.buildroot import remove_tree
from tcz.errors import VerifyError
from tcz.model import ResolvedSource
from tcz.run import CommandError
from tcz.sandbox import Bind
from tcz.sources.part import place
from tcz.unpack import make_folder, one_folder, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tcz.aptsource import DebianSources, DebSource
    from tcz.buildroot import BuildRoots
    from tcz.model import DebianSource
    from tcz.reporting import Reporter
    from tcz.sandbox import Sandbox

#: As dpkg-source does it: exactly, forward only; a file that becomes empty goes.
_PATCH = ("patch", "-p1", "-F0", "-N", "-t", "-u", "-E", "-s", "-V", "never", "--reject-file=-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patcher:
    """Applies patches in a sandbox."""

    sandbox: Sandbox
    roots: BuildRoots

    def apply(self, tree: Path, patch: Path, *, name: str) -> None:
        """Change the folder ``tree``; raise ``VerifyError`` for a patch that does not fit exactly."""
        binds = [
            Bind(host=tree, inside="/build/src", writable=True),
            Bind(host=patch, inside="/build/patch"),
        ]
        try:
            root = self.roots.get(PACK_TOOLS).path
            self.sandbox.run(root, [*_PATCH, "-i", "/build/patch"], binds=binds)
        except CommandError as error:
            said = error.result.stdout + error.result.stderr
            raise VerifyError(
                f"{name} does not apply exactly", why=said.decode(errors="replace").strip() or error.why
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianSourcePart:
    """A fetched source package: its files by name."""

    source: DebianSource
    resolved: ResolvedSource
    files: Mapping[str, Path]
    patcher: Patcher

    def unpack(self, into: Path) -> None:
        """Unpack and patch it; files that patches change all have the time of the newest file."""
        folder = place(into, self.source.dest)
        where = f"{self.source.package} {self.resolved.version}"
        name = next(name for name in self.files if name.endswith(".dsc"))
        described = dsc.parse(self.files[name].read_text(errors="replace"), where)
        layout = dsc.layout(described, where)
        absent = {file.name for file in described.files} - set(self.files)
        if absent:
            raise VerifyError(f"the archive's index lacks files: {', '.join(sorted(absent))}", where=where)
        self._unpack(layout.main, folder)
        for component, file in layout.components:
            _clear(folder / component)
            self._unpack(file, folder / component)
        if layout.debian is not None:
            _clear(folder / "debian")
            unpack(self.files[layout.debian], folder)
        before = dict(_times(folder))
        newest = max(before.values(), default=0)
        if layout.diff is not None:
            self._apply_diff(layout.diff, folder)
        elif layout.debian is not None:
            self._apply_series(folder, where)
        rules = folder / "debian/rules"
        if rules.is_file() and not rules.is_symlink():
            rules.chmod(0o755)
        for path, time in _times(folder):
            if before.get(path) != time:
                os.utime(path, ns=(newest, newest))

    def _unpack(self, name: str, folder: Path) -> None:
        file = self.files[name]
        unpack(file, folder, strip=0 if one_folder(file) is None else 1)

    def _apply_series(self, folder: Path, where: str) -> None:
        patches = folder / "debian/patches"
        series = next((patches / n for n in ("debian.series", "series") if (patches / n).is_file()), None)
        for name in dsc.series(series.read_text(errors="replace"), where) if series else ():
            patch = patches / name
            if not patch.is_file() or not patch.resolve().is_relative_to(folder.resolve()):
                raise VerifyError(f"debian/patches/{name} is not there", where=where)
            self.patcher.apply(folder, patch, name=f"{where}: debian/patches/{name}")

    def _apply_diff(self, name: str, folder: Path) -> None:
        plain = folder / f".{name}.plain"
        try:
            with gzip.open(self.files[name]) as source, plain.open("xb") as target:
                shutil.copyfileobj(source, target)
            self.patcher.apply(folder, plain, name=name)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise VerifyError(f"{name} is damaged", why=str(error)) from error
        finally:
            plain.unlink(missing_ok=True)


def resolve(source: DebianSource, debian: DebianSources) -> DebSource:
    """Return which package, exactly; raises what ``DebianSources.candidate`` does."""
    return debian.candidate(source.package, source.version)


def line(found: DebSource, suite: str) -> ResolvedSource:
    """Return the line for build ids and manifests: the .dsc's hash, which lists all others."""
    return ResolvedSource(
        kind="debian-source",
        name=found.name,
        version=found.version,
        hash=f"sha256:{found.files[0].sha256}",
        origin=f"debian:{suite}/{found.name}",
    )


def fetch(
    source: DebianSource, debian: DebianSources, patcher: Patcher, reporter: Reporter
) -> DebianSourcePart:
    """Return the package; where its bytes are gone and no version is asked for, the newest there is."""
    found = resolve(source, debian)
    try:
        files = debian.fetch(found)
    except GoneError as error:
        if source.version is not None:
            raise
        reporter.warn(f"{error.what}; taking the newest version")
        found = debian.candidate(source.package, newest=True)
        files = debian.fetch(found)
    names = (file.name for file in found.files)
    return DebianSourcePart(
        source=source,
        resolved=line(found, debian.suite),
        files=dict(zip(names, files, strict=True)),
        patcher=patcher,
    )


def _clear(folder: Path) -> None:
    """Make room for what replaces a folder."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.is_dir():
        remove_tree(folder)
    make_folder(folder)


def _times(folder: Path) -> Iterator[tuple[Path, int]]:
    for place_, _, names in os.walk(folder):
        for name in names:
            path = folder / place_ / name
            if not path.is_symlink():
                yield path, path.stat().st_mtime_ns
