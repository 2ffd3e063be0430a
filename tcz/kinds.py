"""Which part of a package a path belongs to, as Tiny Core divides packages: NAME, -dev, -doc, -locale.

Facts of the public repository: -dev holds headers, static libraries, pkg-config, cmake and autoconf
files; -doc manuals, info and documentation; -locale translations. The licence stays with the package.
"""

from __future__ import annotations

import re
from typing import Final, Literal

Kind = Literal["main", "dev", "doc", "locale"]

_PREFIX = r"(?:usr/(?:local/)?)?"
_DOC: Final = re.compile(rf"{_PREFIX}(?:share/)?(?:man|info|gtk-doc|doc|doc-base|help)(?:/|\Z)", re.ASCII)
_LICENCE: Final = re.compile(
    rf"{_PREFIX}share/doc/[^/]+/(?:copyright|copying|licen[cs]e|notice)[^/]*\Z",
    re.ASCII | re.IGNORECASE,
)
_LOCALE: Final = re.compile(rf"{_PREFIX}(?:share/locale|share/i18n|lib/locale)(?:/|\Z)", re.ASCII)
_DEV: Final = re.compile(
    rf"{_PREFIX}(?:include/|(?:lib|share)/(?:[^/]+-linux-gnu/)?(?:pkgconfig|cmake)/|share/aclocal/"
    r"|lib/(?:[^/]+-linux-gnu/)?[^/]+\.l?a\Z|share/(?:gir-1\.0|vala)/)",
    re.ASCII,
)


def kind_of(path: str) -> Kind:
    """Return the part that a path (relative, no leading slash) belongs to."""
    if _DOC.match(path):
        return "main" if _LICENCE.match(path) else "doc"
    if _LOCALE.match(path):
        return "locale"
    return "dev" if _DEV.match(path) else "main"
