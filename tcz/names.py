"""The grammar of package names, and what ``-KERNEL`` in one stands for.

Tiny Core's loader passes names from .dep files to a shell unquoted: a name that does not fit this
grammar must never reach a mirror or an image.
"""

from __future__ import annotations

import re
from typing import NewType

from tcz.errors import ConfigError

#: A name that ``package_name`` has checked; without ``.tcz``.
PackageName = NewType("PackageName", str)

SUFFIX = ".tcz"
KERNEL = "-KERNEL"

#: So that every file beside a package, a temporary one too, has a name that file systems take.
LONGEST = 200

_GRAMMAR = re.compile(rf"[A-Za-z0-9][A-Za-z0-9+._-]{{0,{LONGEST - 1}}}\Z")


def is_package_name(raw: str) -> bool:
    """Tell whether ``raw``, without ``.tcz``, fits the grammar."""
    return _GRAMMAR.match(raw) is not None and not raw.endswith(SUFFIX)


def package_name(raw: str) -> PackageName:
    """Check a name, with or without ``.tcz``, and return it without; raises ``ConfigError``."""
    name = raw.removesuffix(SUFFIX)
    if not is_package_name(name):
        raise ConfigError(
            f"{raw[:80]!r} is not a package name",
            hint="a name starts with a letter or a digit and holds letters, digits and + . _ - only, "
            f"{LONGEST} at most",
        )
    return PackageName(name)


def file_name(name: str) -> str:
    """Return the file name of a package: ``NAME.tcz``."""
    return name + SUFFIX


def follows_kernel(name: str) -> bool:
    """Tell a name that stands for one package per kernel release.

    Only at the end: the loader replaces ``-KERNEL.tcz`` and nothing else.
    """
    return name.endswith(KERNEL)


def with_kernel(name: str, release: str) -> PackageName:
    """Return ``name`` with ``-KERNEL`` replaced by a kernel's release; other names as they are."""
    if follows_kernel(name):
        name = f"{name.removesuffix(KERNEL)}-{release}"
    return package_name(name)
