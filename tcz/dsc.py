"""Debian source packages as files: what a .dsc lists, what each file is for, the list of patches.

Formats: deb-src-control(5) for the .dsc, dpkg-source(1) for what is done with each file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from tcz.errors import VerifyError

Format = Literal["1.0", "3.0 (quilt)", "3.0 (native)"]

_FORMATS: tuple[Format, ...] = ("1.0", "3.0 (quilt)", "3.0 (native)")
_TAR = r"\.tar\.(?:gz|bz2|xz|lzma)"
_LISTED = re.compile(r" ([0-9a-f]{64}) (\d{1,15}) ([A-Za-z0-9][A-Za-z0-9+._~%:-]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file of a source package."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What each file of a source package is for; names of files, ``components`` by their folder.

    ``main`` is the upstream tar, or that of a native package; ``debian`` the tar of 3.0 (quilt), ``diff``
    that of 1.0.
    """

    main: str
    components: tuple[tuple[str, str], ...] = ()
    debian: str | None = None
    diff: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dsc:
    """What a .dsc says."""

    name: str
    version: str
    format: Format
    files: tuple[SourceFile, ...]


def fields(text: str) -> dict[str, str]:
    """Return the fields of one stanza by their lower-case names; continuation lines keep their space."""
    found: dict[str, str] = {}
    name = ""
    for line in text.split("\n"):
        if line.startswith((" ", "\t")) and name:
            found[name] += "\n" + line.rstrip()
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.lower()
            found[name] = value.strip()
        else:
            name = ""
    return found


def listed(value: str) -> tuple[SourceFile, ...]:
    """Read a field Checksums-Sha256; lines of another form are left out."""
    matches = (_LISTED.fullmatch(line) for line in value.split("\n"))
    return tuple(SourceFile(sha256=m[1], size=int(m[2]), name=m[3]) for m in matches if m)


def parse(text: str, where: str) -> Dsc:
    """Read a .dsc, signed or not; the signature is not looked at. Raises ``VerifyError``."""
    body = text.replace("\r\n", "\n")
    if body.startswith("-----BEGIN PGP SIGNED MESSAGE-----"):
        body = body.partition("\n\n")[2].partition("\n-----BEGIN PGP SIGNATURE-----")[0]
    found = fields(body.strip("\n").partition("\n\n")[0])
    files = listed(found.get("checksums-sha256", ""))
    version = found.get("version", "")
    kind = next((known for known in _FORMATS if known == found.get("format", "1.0")), None)
    if not files or not version or not found.get("source"):
        raise VerifyError("not a Debian source package", where=where)
    if kind is None:
        raise VerifyError(
            f"a Debian source package of the format {found['format']!r}",
            where=where,
            why=f"known are {', '.join(_FORMATS)}",
        )
    return Dsc(name=found["source"], version=version, format=kind, files=files)


def layout(dsc: Dsc, where: str) -> Layout:
    """Say what each file is for. Raises ``VerifyError`` for files that do not fit the format."""
    names = [file.name for file in dsc.files]

    def only(pattern: str) -> str | None:
        found = [name for name in names if re.fullmatch(pattern, name)]
        if len(found) > 1:
            raise VerifyError(f"two files for one purpose: {', '.join(found)}", where=where)
        return found[0] if found else None

    stem = r"[^_]+_[^_]+"
    original = only(rf"{stem}\.orig{_TAR}")
    debian = only(rf"{stem}\.debian{_TAR}")
    diff = only(rf"{stem}\.diff\.gz")
    native = only(rf"[^_]+_(?:(?!\.orig(?:-[^_]*)?\.tar|\.debian\.tar)[^_])+{_TAR}")
    components = tuple(
        (match[1], name)
        for name in names
        if (match := re.fullmatch(rf"{stem}\.orig-([A-Za-z0-9][A-Za-z0-9-]*){_TAR}", name))
    )
    if dsc.format == "3.0 (quilt)" and original and debian:
        return Layout(main=original, components=components, debian=debian)
    if dsc.format == "1.0" and original and diff:
        return Layout(main=original, diff=diff)
    if dsc.format != "3.0 (quilt)" and native and not (original or debian or diff):
        return Layout(main=native)
    raise VerifyError(
        f"the files are not those of the format {dsc.format}", where=where, why="\n".join(names)
    )


def series(text: str, where: str) -> tuple[str, ...]:
    """Return the patches that a series file names, in order. Raises ``VerifyError`` for paths that leave.

    Comments are whole lines; what follows a name is an option, of which there is only ``-p1``.
    """
    found: list[str] = []
    for line in text.splitlines():
        words = line.split("#")[0].split() if not line.startswith("#") else []
        if not words:
            continue
        if words[0].startswith("/") or ".." in words[0].split("/"):
            raise VerifyError(f"a patch outside of debian/patches: {words[0]!r}", where=where)
        if words[1:] not in ([], ["-p1"]):
            raise VerifyError(f"a patch with an option that is not known: {' '.join(words)!r}", where=where)
        found.append(words[0])
    return tuple(found)
