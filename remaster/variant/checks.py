"""What is wrong with a text that a variant or the command line gives: a sentence, or ``None``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tcz.errors import VerifyError
from tcz.tree import safe_path

if TYPE_CHECKING:
    from tcz import toml

PACKAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
SERVICE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,30}")
MODE: Final = re.compile(r"[0-7]{3,4}")
OWNER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*(:[A-Za-z0-9_][A-Za-z0-9_-]*)?")
DATA_LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,15}")


def matching(pattern: re.Pattern[str], what: str) -> toml.Check:
    """Return a check that complains that a text is not ``what``."""
    return lambda text: None if pattern.fullmatch(text) else f"{text!r} is not {what}"


def package_complaint(name: str) -> str | None:
    """Return what is wrong with a package's name, or ``None``."""
    if name.endswith(".tcz"):
        return f"write {name.removesuffix('.tcz')!r}, without .tcz"
    return None if PACKAGE.fullmatch(name) else f"{name!r} is not the name of a package"


def template_complaint(text: str) -> str | None:
    """Return what is wrong with a text that name and version are put into, or ``None``."""
    rest = text.replace("{name}", "").replace("{version}", "")
    if "{" in rest or "}" in rest:
        return "only {name} and {version} can stand in braces"
    return None if text.isprintable() else "must be one line of printable characters"


def path_complaint(text: str) -> str | None:
    """Return what is wrong with a path in the image, or ``None``."""
    if not text.startswith("/"):
        return f"{text!r} does not begin with /"
    try:
        inside = safe_path(text)
    except VerifyError:
        return f"{text!r} must not have .. in it"
    if not inside or text.endswith("/"):
        return f"{text!r} names no file"
    if not text.isprintable():
        return f"{text!r} has control characters"
    if inside == "tmp" or inside.startswith(("tmp/", "proc/", "sys/", "dev/")):
        return f"{text!r} would be hidden on the running machine"
    return None
