"""What is wrong with a text that a variant or the command line gives: a sentence, or ``None``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from remaster.variant.fields import Rule
from tcz.errors import ConfigError, VerifyError
from tcz.tree import safe_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tcz.errors import Problem


def _suffix(name: str) -> str | None:
    return f"write {name.removesuffix('.tcz')!r}, without .tcz" if name.endswith(".tcz") else None


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


PACKAGE: Final = Rule(r"[A-Za-z0-9][A-Za-z0-9._+-]*", "the name of a package", more=_suffix)
SERVICE: Final = Rule(r"[A-Za-z0-9][A-Za-z0-9._-]*", "the name of a service")
NAME: Final = Rule(r"[a-z][a-z0-9-]{0,30}", "a lower-case name such as docker")
MODE: Final = Rule(r"[0-7]{3,4}", "an octal mode such as 644")
OWNER: Final = Rule(r"[A-Za-z0-9_][A-Za-z0-9_-]*(:[A-Za-z0-9_][A-Za-z0-9_-]*)?", "user:group")
DATA_LABEL: Final = Rule(r"[A-Za-z0-9][A-Za-z0-9._-]{0,15}", "a label of 1 to 16 characters")
TEMPLATE: Final = Rule(r"([^{}]|\{name\}|\{version\})*", "a text", more=template_complaint)
PATH: Final = Rule(r"/.*[^/]", "a path in the image", more=path_complaint)


def package_complaint(name: str) -> str | None:
    """Return what is wrong with a package's name, or ``None``."""
    return PACKAGE.complaint(name)


def mistakes(what: str, problems: Iterable[Problem]) -> ConfigError:
    """Return the error that tells of ``problems``, those of a file in the order of its lines."""
    told = sorted(dict.fromkeys(problems), key=_order)
    count = len(told)
    return ConfigError(f"{what} has {'a mistake' if count == 1 else f'{count} mistakes'}", told)


def _order(problem: Problem) -> tuple[str, int]:
    file, _, line = problem.where.partition(": ")[0].rpartition(":")
    return (file, int(line)) if line.isdecimal() else (problem.where, 0)
