"""Upstream versions: their order, and which of them are releases."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_PART = re.compile(r"\d+|[a-zA-Z]+")
_EARLY = re.compile(
    r"(?i)(?<![a-z])(alpha|beta|dev|git|nightly|pre|preview|rc|snapshot|test)(?![a-z])|[0-9](a|b)[0-9]+$"
)


def key(version: str) -> tuple[tuple[int, int, str], ...]:
    """Return what versions are sorted by: numbers by value; early words before nothing, others after it.

    ``1.0-rc1`` < ``1.0`` < ``1.0a`` < ``1.0.1`` < ``1.10``.
    """
    found = [
        (3, int(part), "") if part.isdigit() else (0 if _EARLY.search(f" {part} ") else 2, 0, part.lower())
        for part in _PART.findall(version)
    ]
    return (*found, (1, 0, ""))


def is_release(version: str) -> bool:
    """Tell whether a version is meant for everybody."""
    return any(char.isdigit() for char in version) and _EARLY.search(version) is None


def newest(versions: Iterable[str]) -> str | None:
    """Return the newest release among versions, ``None`` where there is none."""
    return max((version for version in versions if is_release(version)), key=key, default=None)


def matching(template: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return the versions for which ``template``, with ``{version}`` in it, gives one of ``names``."""
    parts = [re.escape(part) for part in template.split("{version}")]
    if len(parts) < 2:  # noqa: PLR2004 - a template without a version
        return ()
    first = r"(?P<version>[0-9][0-9A-Za-z.+~_-]*?)"
    pattern = re.compile(parts[0] + first + parts[1] + "".join(f"(?P=version){part}" for part in parts[2:]))
    found = (pattern.fullmatch(name) for name in names)
    return tuple(dict.fromkeys(match["version"] for match in found if match))
