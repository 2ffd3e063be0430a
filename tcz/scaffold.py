"""A first recipe for sources: how they are built, and what they say of themselves.

Everything here is a guess from names and texts; what comes out is meant to be read and finished by a person.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

System = Literal["autotools", "autoreconf", "meson", "cmake", "cargo", "go", "make", "unknown"]

#: The file that tells each build system, in the order of trust.
_SIGNS: tuple[tuple[str, System], ...] = (
    ("Cargo.toml", "cargo"),
    ("go.mod", "go"),
    ("configure", "autotools"),
    ("meson.build", "meson"),
    ("CMakeLists.txt", "cmake"),
    ("configure.ac", "autoreconf"),
    ("configure.in", "autoreconf"),
    ("GNUmakefile", "make"),
    ("Makefile", "make"),
    ("makefile", "make"),
)

#: What a build root needs for each; the C compiler comes with what links programs.
NEEDS: Mapping[System, tuple[str, ...]] = {
    "autotools": ("gcc", "libc6-dev", "make"),
    "autoreconf": ("autoconf", "automake", "gcc", "libc6-dev", "libtool", "make", "pkgconf"),
    "meson": ("gcc", "libc6-dev", "meson", "ninja-build", "pkgconf"),
    "cmake": ("cmake", "gcc", "g++", "libc6-dev", "make"),
    "cargo": ("cargo-web",),
    "go": (),
    "make": ("gcc", "libc6-dev", "make"),
    "unknown": ("gcc", "libc6-dev", "make"),
}

_CONFIGURE = """\
./configure --prefix=/usr/local --sysconfdir=/usr/local/etc --localstatedir=/var --disable-static
make -j"$JOBS"
make install DESTDIR="$DEST"
"""
_SCRIPTS: Mapping[System, str] = {
    "autotools": _CONFIGURE,
    "autoreconf": "autoreconf -fi\n" + _CONFIGURE,
    "meson": """\
meson setup build --prefix=/usr/local --libdir=lib --sysconfdir=/usr/local/etc --localstatedir=/var \\
    --buildtype=release --wrap-mode=nodownload
ninja -C build -j "$JOBS"
DESTDIR="$DEST" ninja -C build install
""",
    "cmake": """\
cmake -B build -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=/usr/local -DCMAKE_INSTALL_LIBDIR=lib
cmake --build build -j "$JOBS"
DESTDIR="$DEST" cmake --install build
""",
    "cargo": """\
cargo build --release --frozen
mkdir -p "$DEST/usr/local/bin"
find target/release -maxdepth 1 -type f -perm -100 -exec install -m 755 {} "$DEST/usr/local/bin/" \\;
""",
    "go": """\
mkdir -p "$DEST/usr/local/bin"
CGO_ENABLED=0 go build -ldflags "-s -w -buildid=" -o "$DEST/usr/local/bin/" ./...
""",
    "make": """\
make -j"$JOBS"
make install DESTDIR="$DEST" PREFIX=/usr/local prefix=/usr/local
""",
    "unknown": """\
echo "how $NAME is built could not be told: write it here" >&2
exit 1
""",
}

_LICENCE_FILE = re.compile(r"(licen[cs]e|copying|unlicense)([._-].*)?", re.IGNORECASE)
#: Words that only one licence has, tried in this order.
_LICENCES = (
    ("AGPL-3.0-or-later", r"GNU AFFERO GENERAL PUBLIC LICENSE\s+Version 3"),
    ("LGPL-3.0-or-later", r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 3"),
    ("LGPL-2.1-or-later", r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 2\.1"),
    ("LGPL-2.0-or-later", r"GNU LIBRARY GENERAL PUBLIC LICENSE\s+Version 2"),
    ("GPL-3.0-or-later", r"GNU GENERAL PUBLIC LICENSE\s+Version 3"),
    ("GPL-2.0-or-later", r"GNU GENERAL PUBLIC LICENSE\s+Version 2"),
    ("Apache-2.0", r"Apache License\s+Version 2\.0"),
    ("MPL-2.0", r"Mozilla Public License,? [Vv]ersion 2\.0"),
    ("ISC", r"Permission to use, copy, modify, and(?:/or)? distribute this software for any purpose"),
    (
        "BSD-3-Clause",
        r"Redistribution and use in source and binary forms[\s\S]*(?:[Nn]either the name|names? of)",
    ),
    ("BSD-2-Clause", r"Redistribution and use in source and binary forms"),
    ("MIT", r"Permission is hereby granted, free of charge, to any person obtaining"),
    ("Zlib", r"This software is provided 'as-is', without any express or implied\s+warranty"),
    ("Unlicense", r"This is free and unencumbered software released into the public domain"),
)
#: Names in debian/copyright that SPDX writes otherwise.
_DEBIAN_LICENCES = {
    "expat": "MIT", "gpl-2": "GPL-2.0-only", "gpl-2+": "GPL-2.0-or-later", "gpl-3": "GPL-3.0-only",
    "gpl-3+": "GPL-3.0-or-later", "lgpl-2": "LGPL-2.0-only", "lgpl-2+": "LGPL-2.0-or-later",
    "lgpl-2.1": "LGPL-2.1-only", "lgpl-2.1+": "LGPL-2.1-or-later", "lgpl-3": "LGPL-3.0-only",
    "lgpl-3+": "LGPL-3.0-or-later", "apache-2.0": "Apache-2.0", "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause", "isc": "ISC", "mit": "MIT", "zlib": "Zlib", "mpl-2.0": "MPL-2.0",
}  # fmt: skip
#: Said where nothing could be told; it is a proper expression, and lint points at it.
UNKNOWN_LICENCE = "LicenseRef-unknown"

_PACKAGING = re.compile(
    r"debhelper.*|dh-.*|dpkg-.*|lintian|devscripts|po-debconf|quilt|fakeroot|config-package-dev"
)
_ARCHIVE_NAME = re.compile(
    r"(?P<name>[A-Za-z][A-Za-z0-9+._]*?(?:-[A-Za-z][A-Za-z0-9+._]*?)*)[-_]v?(?P<version>\d[0-9A-Za-z.+~_]*?)"
    r"(?:[._-](?:orig|src|source))?\.(?:tar\.[a-z0-9]+|tgz|tbz2?|txz|zip|crate)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What sources say of themselves; empty where they do not."""

    system: System = "unknown"
    license: str = UNKNOWN_LICENCE
    homepage: str = ""
    summary: str = ""
    needs: tuple[str, ...] = ()


def name_and_version(file: str) -> tuple[str, str] | None:
    """Return name and version from a release file's name; ``None`` where it has no version."""
    found = _ARCHIVE_NAME.fullmatch(file)
    return (found["name"], found["version"]) if found else None


def system_of(names: Iterable[str]) -> System:
    """Return the build system of a source tree from the files at its top."""
    top = set(names)
    return next((system for sign, system in _SIGNS if sign in top), "unknown")


def licence_files(names: Iterable[str]) -> tuple[str, ...]:
    """Return the files at the top of a source tree that hold licences, sorted."""
    return tuple(sorted(name for name in names if _LICENCE_FILE.fullmatch(name)))


def licence_of(texts: Iterable[str]) -> str:
    """Return the licences that texts hold, as an SPDX expression; ``UNKNOWN_LICENCE`` for none."""
    found: dict[str, None] = {}
    for text in texts:
        name = next((name for name, words in _LICENCES if re.search(words, text)), None)
        if name is not None:
            found[name] = None
    return " AND ".join(found) or UNKNOWN_LICENCE


def licence_of_debian(copyright_text: str) -> str:
    """Return the licence that a debian/copyright (format 1.0) names for ``Files: *``."""
    for stanza in re.split(r"\n\s*\n", copyright_text):
        files = re.search(r"^Files:\s*\*\s*$", stanza, re.MULTILINE)
        named = re.search(r"^License:[ \t]*(\S.*)$", stanza, re.MULTILINE)
        if files and named:
            words = re.split(r"\s+(and/or|and|or)\s+", named[1].strip(), flags=re.IGNORECASE)
            spdx = [_DEBIAN_LICENCES.get(word.lower()) for word in words[::2]]
            if all(spdx):
                between = ["AND" if word.lower() == "and" else "OR" for word in words[1::2]]
                parts = [str(spdx[0])]
                for operator, name in zip(between, spdx[1:], strict=True):
                    parts += [operator, str(name)]
                return " ".join(parts)
    return UNKNOWN_LICENCE


def needs_of_debian(build_depends: str) -> tuple[str, ...]:
    """Return the packages of a Build-Depends that a build without Debian's own packaging needs.

    Of alternatives the first, without what is for tests, documents or other architectures.
    """
    found: dict[str, None] = {}
    for item in build_depends.replace("\n", " ").split(","):
        first = item.split("|")[0].strip()
        match = re.match(r"([a-z0-9][a-z0-9+.-]+)(?::(?:any|native))?", first)
        if match is None or _PACKAGING.fullmatch(match[1]):
            continue
        only = re.search(r"\[([^\]]*)\]", first)
        if (
            only
            and not any(a in ("amd64", "linux-any", "any-amd64") for a in only[1].split())
            and "!" not in only[1]
        ):
            continue
        if only and re.search(r"!(amd64|linux-any|any-amd64)\b", only[1]):
            continue
        if re.search(r"<[^>]*!(nocheck|nodoc)[^>]*>", first):
            continue
        found[match[1]] = None
    return tuple(found)


def build_script(system: System) -> str:
    """Return a build.sh."""
    return _SCRIPTS[system]


def test_script() -> str:
    """Return a test.sh that says whether anything was installed where Tiny Core looks for it."""
    return (
        'test -n "$(find "$DEST/usr/local" -type f | head -n 1)"\n'
        "# Run what was built here: the build root is still there, and $DEST cannot be written to.\n"
    )


def summary_of(readme: str, name: str) -> str:
    """Return the first sentence of a README that could be a summary, else the name."""
    for line in readme.splitlines():
        text = re.sub(r"\s+", " ", re.sub(r"[`*_]|<[^>]*>|!?\[([^\]]*)\]\([^)]*\)", r"\1", line)).strip(
            " =#-:."
        )
        if len(text.split()) >= 3 and len(text) <= 100 and text.isprintable():  # noqa: PLR2004
            return text
    return name


def merged(*lists: Sequence[str]) -> tuple[str, ...]:
    """Return all of several lists, sorted, each once."""
    return tuple(sorted({item for one in lists for item in one}))
