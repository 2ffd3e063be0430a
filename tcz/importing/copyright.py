"""Licences out of Debian's copyright files: the machine-readable format (DEP-5) to SPDX expressions."""

from __future__ import annotations

import re
from typing import Final

from tcz.errors import VerifyError
from tcz.importing.control import parse_stanzas

#: Debian's short names in lower case, without versions where these are written alike.
_NAMES: Final = {
    "expat": "MIT",
    "mit": "MIT",
    "x11": "X11",
    "isc": "ISC",
    "zlib": "Zlib",
    "artistic": "Artistic-1.0-Perl",
    "artistic-1": "Artistic-1.0-Perl",
    "artistic-2": "Artistic-2.0",
    "perl": "Artistic-1.0-Perl OR GPL-1.0-or-later",
    "apache-2": "Apache-2.0",
    "apache-2.0": "Apache-2.0",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "bsd-4-clause": "BSD-4-Clause",
    "0bsd": "0BSD",
    "cc0": "CC0-1.0",
    "cc0-1.0": "CC0-1.0",
    "boost": "BSL-1.0",
    "bsl-1.0": "BSL-1.0",
    "python-2.0": "Python-2.0",
    "psf-2": "PSF-2.0",
    "openssl": "OpenSSL",
    "unlicense": "Unlicense",
    "wtfpl": "WTFPL",
    "curl": "curl",
    "ftl": "FTL",
    "public-domain": "LicenseRef-public-domain",
    "public_domain": "LicenseRef-public-domain",
}
_GNU = re.compile(r"(?P<kind>l?gpl|agpl|gfdl)-(?P<version>\d(?:\.\d)?)(?P<later>\+|-or-later)?(?P<rest>.*)\Z")
_GNU_NAMES = {"gpl": "GPL", "lgpl": "LGPL", "agpl": "AGPL", "gfdl": "GFDL"}
_PLAIN = re.compile(r"([A-Za-z]+-)+\d+\.\d+(?:\.\d+)?\Z")
_EXCEPTIONS = {
    "openssl": "x11vnc-openssl-exception",
    "autoconf": "Autoconf-exception-2.0",
    "bison": "Bison-exception-2.2",
    "gcc": "GCC-exception-3.1",
    "classpath": "Classpath-exception-2.0",
    "font": "Font-exception-2.0",
    "libtool": "Libtool-exception",
    "linux-syscall-note": "Linux-syscall-note",
}
_COMMON = re.compile(
    r"/usr/share/common-licenses/(GPL-[123]|LGPL-[23](?:\.1)?|GFDL-1\.[23]|Apache-2\.0|MPL-[12]\.[01]|BSD|Artistic|CC0-1\.0)"
)
#: What only packaging files are under says nothing of the package.
_PACKAGING = re.compile(r"\s*(?:debian/\S*\s*)+\Z")


def licence_of(text: str) -> str:
    """Return an SPDX expression for a copyright file; empty when nothing can be told.

    Of a machine-readable file, all licences that its files are under; names that SPDX does not know
    become ``LicenseRef-``. Of any other, the texts of Debian's common licences that it refers to:
    those say what is in it, not how versions combine.
    """
    found: dict[str, None] = {}
    if "copyright-format" in text[:1000].lower():
        try:
            for stanza in parse_stanzas(text):
                name = stanza.get("license", "").partition("\n")[0].strip()
                if name and "files" in stanza and not _PACKAGING.match(stanza["files"]):
                    found[spdx(name)] = None
        except VerifyError:
            found = {}
    if not found:
        found = dict.fromkeys(spdx(name) for name in _COMMON.findall(text))
    parts = [part for part in found if part]
    return " AND ".join(f"({part})" if " OR " in part and len(parts) > 1 else part for part in parts)


def spdx(name: str) -> str:
    """Return the SPDX expression for a Debian short name such as ``GPL-2+ or Expat, and BSD-3-clause``."""
    ands = re.split(r",\s*and\s+", name.strip())
    out = []
    for part in ands:
        ors = [_all_of(choice) for choice in re.split(r",?\s+or\s+", part.strip(), flags=re.IGNORECASE)]
        joined = " OR ".join(dict.fromkeys(ors))
        out.append(f"({joined})" if len(ands) > 1 and " OR " in joined else joined)
    return " AND ".join(dict.fromkeys(out))


def _all_of(text: str) -> str:
    parts = [_one(part) for part in re.split(r",?\s+and\s+|,\s*", text.strip(), flags=re.IGNORECASE) if part]
    return " AND ".join(dict.fromkeys(parts))


def _one(text: str) -> str:
    name, _, exception = text.strip().partition(" with ")
    base = _simple(name.strip())
    if not exception:
        return base
    word = exception.lower().removesuffix(" exception").removesuffix("-exception").strip()
    known = _EXCEPTIONS.get(word)
    return f"{base} WITH {known}" if known else _reference(text)


def _simple(name: str) -> str:
    lower = name.lower().replace(" ", "-")
    if lower in _NAMES:
        return _NAMES[lower]
    gnu = _GNU.match(lower)
    if gnu is not None and gnu["rest"] in ("", "-only"):
        version = gnu["version"] if "." in gnu["version"] else gnu["version"] + ".0"
        return f"{_GNU_NAMES[gnu['kind']]}-{version}-{'or-later' if gnu['later'] else 'only'}"
    return name if _PLAIN.match(name) else _reference(name)


def _reference(name: str) -> str:
    word = re.sub("[^A-Za-z0-9.]+", "-", name).strip("-")
    return f"LicenseRef-{word}" if word else ""
