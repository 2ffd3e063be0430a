"""Upstream release files. Such a source is its hash; the places to get it from are tried in turn."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tcz.errors import FetchError, ToolkitError, VerifyError
from tcz.model import Archive, ResolvedSource
from tcz.sources.part import place
from tcz.unpack import unpack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tcz.aptsource import DebianSources
    from tcz.fetch import Fetcher
    from tcz.reporting import Reporter
    from tcz.store import Store


def file_name(source: Archive) -> str:
    """Return the last part of the URL's path."""
    return unquote(urlsplit(source.url).path).rstrip("/").rpartition("/")[2] or source.sha256


def resolve(source: Archive, version: str) -> ResolvedSource:
    """Return the line for build ids and manifests; the hash is known beforehand."""
    return ResolvedSource(
        kind="archive",
        name=file_name(source),
        version=version,
        hash=f"sha256:{source.sha256}",
        origin=source.url,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivePart:
    """A fetched release file."""

    source: Archive
    resolved: ResolvedSource
    file: Path

    def unpack(self, into: Path) -> None:
        """Unpack it, or put the file itself there."""
        folder = place(into, self.source.dest)
        if not self.source.unpack:
            target = folder / file_name(self.source)
            shutil.copyfile(self.file, target)
            target.chmod(0o644)
        elif not self._unpacked(folder):
            raise VerifyError(
                f"nothing is left of the archive without its first {self.source.strip} path parts",
                where=file_name(self.source),
                hint="lower `strip` of this source, or set `unpack = false`",
            )

    def _unpacked(self, folder: Path) -> int:
        try:
            return unpack(self.file, folder, strip=self.source.strip)
        except VerifyError as error:
            raise VerifyError(
                f"{file_name(self.source)}: {error.what}",
                where=str(self.file),
                why=error.why,
                hint=f"it has the hash that its recipe names; look at what {self.source.url} is",
            ) from error


class Archives:
    """Looks in the store, in the user's mirrors, at the URL, in the Debian archive."""

    def __init__(
        self,
        store: Store,
        fetcher: Fetcher,
        debian: DebianSources,
        reporter: Reporter,
        mirrors: Sequence[str] = (),
    ) -> None:
        """``mirrors`` are base URLs below which files lie by their sha256 or by their name."""
        self._store = store
        self._fetcher = fetcher
        self._debian = debian
        self._reporter = reporter
        self._mirrors = tuple(mirror.rstrip("/") for mirror in mirrors)

    def fetch(self, source: Archive, version: str) -> ArchivePart:
        """Return the file from the first place that has it.

        Raises ``VerifyError`` with both hashes when a place had other bytes and none the right
        ones, else ``FetchError`` with every place that was tried and why it failed.
        """
        return ArchivePart(source=source, resolved=resolve(source, version), file=self._file(source))

    def _file(self, source: Archive) -> Path:
        name = file_name(source)
        if self._store.has(source.sha256):
            kept = self._store.sound(source.sha256)
            if kept is not None:
                return kept
            self._reporter.warn(f"{name}: the copy in the cache was damaged, so it is fetched anew")
        tried: list[str] = []
        wrong: list[VerifyError] = []
        bases = self._mirrors
        for url in (*(f"{base}/{end}" for base in bases for end in (source.sha256, name)), source.url):
            try:
                file = self._fetcher.fetch(url, source.sha256, what=name)
            except VerifyError as error:
                wrong.append(error)
                tried.append(f"{url}:\n  {error.what}")
            except FetchError as error:
                tried.append(f"{url}:\n  {error.why or error.what}")
            else:
                return self._found(file, wrong)
        if source.debian is not None:
            file_or_reason = self._from_debian(source.debian, source.sha256)
            if not isinstance(file_or_reason, str):
                return self._found(file_or_reason, wrong)
            tried.append(f"Debian source package {source.debian}:\n  {file_or_reason}")
        if wrong:
            first = wrong[0]
            why = f"{first.why}\nplaces tried:\n" + "\n".join(tried)
            raise VerifyError(first.what, why=why, hint=first.hint)
        raise FetchError(
            f"{name} could not be had from any of its places",
            why="\n".join(tried),
            hint=f"check the network, or put the file on a mirror of yours as {source.sha256}",
        )

    def _found(self, file: Path, wrong: Sequence[VerifyError]) -> Path:
        for error in wrong:
            self._reporter.warn(f"{error.what}; another place had the right file")
        return file

    def _from_debian(self, package: str, sha256: str) -> Path | str:
        try:
            file = self._debian.file(package, sha256)
        except ToolkitError as error:
            return error.why or error.what
        return file or f"Debian {self._debian.suite} has no file with this sha256 in it"
