"""Debian binary packages as values and as files: what names one, and where its tar members lie.

The container is the common ``ar`` format with fixed 60-byte headers, as deb(5) describes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from tcz.errors import VerifyError
from tcz.model import ResolvedSource
from tcz.tree import FileRef

if TYPE_CHECKING:
    from pathlib import Path

_MAGIC = b"!<arch>\n"
_HEADER = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class DebFile:
    """One binary package exactly: ``uri`` is where apt said it is (empty when only a lock named it)."""

    name: str
    version: str
    architecture: str
    sha256: str
    size: int
    uri: str

    @property
    def file_name(self) -> str:
        """Return the name apt gives the downloaded file (the epoch's colon is written ``%3a``)."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """What a lock says of a Debian package: this version, these bytes."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """The Debian packages of a lock."""

    debian: tuple[Pin, ...] = ()

    def get(self, name: str) -> Pin | None:
        """Return the pin of exactly this package."""
        return next((pin for pin in self.debian if pin.name == name), None)

    def matching(self, pattern: str) -> tuple[Pin, ...]:
        """Return the pins whose names match a glob."""
        return tuple(pin for pin in self.debian if fnmatchcase(pin.name, pattern))


def debs_of_json(text: str) -> tuple[DebFile, ...]:
    """Read back a list of packages, the fields of each; raise ``ValueError`` where it is none."""
    try:
        debs = tuple(DebFile(**entry) for entry in json.loads(text))
    except (TypeError, RecursionError) as error:
        raise ValueError("not a list of Debian packages") from error
    texts = (text for d in debs for text in (d.name, d.version, d.architecture, d.sha256, d.uri))
    if not debs or not all(isinstance(text, str) for text in texts):
        raise ValueError("not a list of Debian packages")
    if not all(isinstance(deb.size, int) for deb in debs):
        raise ValueError("a size that is no number")
    return debs


def upstream_version(version: str) -> str:
    """Return a Debian version without epoch and Debian revision (deb-version(7))."""
    without_epoch = version.partition(":")[2] if ":" in version else version
    return without_epoch.rpartition("-")[0] if "-" in without_epoch else without_epoch


def resolved(deb: DebFile, suite: str) -> ResolvedSource:
    """Return the line that goes into build ids, locks and manifests."""
    return ResolvedSource(
        kind="debian-binary",
        name=deb.name,
        version=deb.version,
        hash=f"sha256:{deb.sha256}",
        origin=f"debian:{suite}/{deb.name}",
    )


def members(path: Path) -> dict[str, FileRef]:
    """Return the members of an ``ar`` file by name; raise ``VerifyError`` where it is not one."""
    found: dict[str, FileRef] = {}
    with path.open("rb") as file:
        end = file.seek(0, 2)
        file.seek(0)
        if file.read(len(_MAGIC)) != _MAGIC:
            raise VerifyError("not a Debian package", where=str(path))
        at = len(_MAGIC)
        while at + _HEADER <= end:
            file.seek(at)
            header = file.read(_HEADER)
            match = re.fullmatch(rb"(.{16})(.{12})(.{6})(.{6})(.{8})(\d{1,10}) *`\n", header, re.DOTALL)
            if match is None:
                raise VerifyError("damaged Debian package: a member's header is wrong", where=str(path))
            size = int(match[6])
            name = match[1].decode("ascii", "replace").strip().rstrip("/")
            at += _HEADER
            if at + size > end:
                raise VerifyError("truncated Debian package", where=str(path))
            found[name] = FileRef(path=path, offset=at, size=size)
            at += size + size % 2
    return found


def member(path: Path, stem: str) -> FileRef:
    """Return the member ``stem`` with whatever compression suffix it has (``data.tar.xz``)."""
    for name, region in members(path).items():
        if name == stem or name.startswith(stem + "."):
            return region
    raise VerifyError(f"Debian package without {stem}", where=str(path))
