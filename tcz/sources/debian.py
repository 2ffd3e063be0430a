"""Debian binary packages as sources, trusted through the archive's signed index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcz.apt import Apt, GoneError
from tcz.deb import DebFile, member, resolved
from tcz.sources.part import place
from tcz.unpack import unpack

if TYPE_CHECKING:
    from pathlib import Path

    from tcz.model import DebianBinary, ResolvedSource
    from tcz.reporting import Reporter


def resolve(source: DebianBinary, apt: Apt) -> DebFile:
    """Return which package, exactly; raises what ``Apt.candidate`` does."""
    return apt.candidate(source.package, source.via)


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianPart:
    """A fetched binary package."""

    source: DebianBinary
    deb: DebFile
    resolved: ResolvedSource
    file: Path

    def unpack(self, into: Path) -> None:
        """Unpack its files; owners and set-id bits are dropped."""
        unpack(member(self.file, "data.tar"), place(into, self.source.dest), system=True)


def fetch(source: DebianBinary, apt: Apt, reporter: Reporter) -> DebianPart:
    """Return the package; where its bytes are gone, the newest there is, and say so."""
    deb = resolve(source, apt)
    try:
        (file,) = apt.fetch([deb])
    except GoneError as error:
        reporter.warn(f"{error.what}; taking the newest version")
        deb = apt.candidate(source.package, source.via, newest=True)
        (file,) = apt.fetch([deb])
    return DebianPart(source=source, deb=deb, resolved=resolved(deb, apt.suite), file=file)
