"""The nouns of a mirror: branches, entries and catalogues, as values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from tcz.errors import ConfigError
from tcz.names import file_name, package_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: What may lie beside NAME.tcz, in the order in which it is published: whoever reads a companion
#: finds what it speaks of.
SUFFIXES: Final = ("", ".md5.txt", ".dep", ".tree", ".info", ".list", ".zsync", ".build-dep")
ARCHITECTURES: Final = ("x86", "x86_64", "armv6", "armv7", "aarch64")

#: What does not count in the order of names: all but digits and small letters.
_PUNCTUATION: Final = bytes(set(range(256)) - set(b"0123456789abcdefghijklmnopqrstuvwxyz"))
_RELEASE = re.compile(r"[1-9][0-9]{0,3}\.x\Z")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Branch:
    """Packages of one release (``17.x``) and architecture (``x86_64``)."""

    release: str
    arch: str

    def __post_init__(self) -> None:
        """Raise ``ConfigError`` for what Tiny Core's scripts would never ask for."""
        if not _RELEASE.match(self.release):
            raise ConfigError(f"{self.release!r} is not a release such as 17.x")
        if self.arch not in ARCHITECTURES:
            raise ConfigError(
                f"{self.arch!r} is not an architecture", hint=f"one of: {', '.join(ARCHITECTURES)}"
            )

    @classmethod
    def parse(cls, text: str) -> Branch:
        """Read ``17.x/x86_64``; raises ``ConfigError``."""
        release, _, arch = text.partition("/")
        return cls(release=release, arch=arch)

    def __str__(self) -> str:
        """Return ``17.x/x86_64``."""
        return f"{self.release}/{self.arch}"

    @property
    def folder(self) -> str:
        """The folder of its packages, relative to the mirror: ``17.x/x86_64/tcz``."""
        return f"{self.release}/{self.arch}/tcz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A file by content. ``size`` is in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A package of a branch: its files, and what of their contents the indexes repeat.

    ``files`` are by suffix, ``""`` for the .tcz itself. ``needs`` are the names of its .dep without
    ``.tcz``, ``KERNEL`` left as it is. ``tags`` is what follows ``Tags:`` in its .info, verbatim.
    ``installed`` counts bytes unpacked, ``origin`` says where it came from.
    """

    name: str
    md5: str
    files: Mapping[str, Blob]
    needs: tuple[str, ...] = ()
    tags: str = ""
    version: str = ""
    summary: str = ""
    license: str = ""
    installed: int = 0
    origin: str = ""

    def __post_init__(self) -> None:
        """Raise ``ConfigError`` for names that must never reach a client's shell."""
        for name in (self.name, *self.needs):
            package_name(name)

    @property
    def size(self) -> int:
        """Bytes of the .tcz."""
        return self.files[""].size

    @property
    def sha256(self) -> str:
        """The hash of the .tcz."""
        return self.files[""].sha256

    def names(self) -> Iterable[tuple[str, Blob]]:
        """Return file names with their content, in the order of publishing."""
        for suffix in SUFFIXES:
            if suffix in self.files:
                yield file_name(self.name) + suffix, self.files[suffix]


def listing_key(name: str) -> bytes:
    """Return what names are sorted by in the public repository's indexes; it ends in NUL and the name.

    File names count, without regard to case and punctuation: ``gtk2-dev.tcz gtk2mm.tcz gtk2.tcz`` is in
    order, for what is compared is ``gtk2devtcz gtk2mmtcz gtk2tcz``.
    """
    file = file_name(name).lower().encode(errors="surrogateescape")
    return file.translate(None, _PUNCTUATION) + b"\0" + name.encode(errors="surrogateescape")


def listed(names: Iterable[str]) -> list[str]:
    """Sort names as the public repository's indexes do (see ``listing_key``)."""
    return sorted(names, key=listing_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All that a mirror offers at one time.

    ``serial`` rises by one with every publication: a client refuses one lower than it has seen.
    ``branches`` map to entries by name. ``extra`` are other public files by path relative to the
    mirror (release images, ``latest-x86_64``), ``indexes`` those that follow from the entries.
    """

    serial: int
    branches: Mapping[Branch, Mapping[str, Entry]]
    extra: Mapping[str, Blob] = field(default_factory=dict)
    indexes: Mapping[str, Blob] = field(default_factory=dict)

    def entries(self, branch: Branch) -> Mapping[str, Entry]:
        """Return the entries of a branch; empty for one that is not there."""
        return self.branches.get(branch, {})

    def with_branch(self, branch: Branch, entries: Mapping[str, Entry]) -> Catalogue:
        """Return the catalogue with the entries of one branch replaced."""
        return replace(self, branches={**self.branches, branch: entries})

    def blobs(self) -> Iterable[Blob]:
        """Return all content that the catalogue names."""
        for entries in self.branches.values():
            for entry in entries.values():
                yield from entry.files.values()
        yield from self.extra.values()
        yield from self.indexes.values()

    def files(self) -> Iterable[tuple[str, Blob]]:
        """Return all public files by path, in the order of publishing: packages before their indexes."""
        for branch, entries in self.branches.items():
            for entry in entries.values():
                for name, blob in entry.names():
                    yield f"{branch.folder}/{name}", blob
        yield from self.extra.items()
        yield from self.indexes.items()


EMPTY: Final = Catalogue(serial=0, branches={})
