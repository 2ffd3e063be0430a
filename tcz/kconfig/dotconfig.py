"""The text of .config files, of /proc/config.gz, and of fragments of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tcz.errors import VerifyError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINE: Final = re.compile(r"CONFIG_(\w+)=(.*)")
_OFF: Final = re.compile(r"# CONFIG_(\w+) is not set")
_RELEASE: Final = re.compile(r"# Linux/\S+ (\d[\w.+-]*) Kernel Configuration")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One symbol, without ``CONFIG_``, its value as it is written (``n`` where it is off), and its line."""

    symbol: str
    value: str
    line: int


def settings(text: str) -> Iterator[Setting]:
    """Give all settings in their order; lines that are none are passed over."""
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        found = _LINE.fullmatch(line)
        if found is not None:
            yield Setting(symbol=found[1], value=found[2].strip(), line=number)
            continue
        found = _OFF.fullmatch(line)
        if found is not None:
            yield Setting(symbol=found[1], value="n", line=number)


def values(text: str) -> dict[str, str]:
    """Return each symbol's value; raises ``VerifyError`` where it is none, or says two things of one."""
    found: dict[str, str] = {}
    for one in settings(text):
        if found.setdefault(one.symbol, one.value) != one.value:
            raise VerifyError(
                f"line {one.line}: CONFIG_{one.symbol} is {one.value} here and {found[one.symbol]} before",
                hint="let the kernel's own `make olddefconfig` write it",
            )
    if not found:
        raise VerifyError("this is no kernel configuration", hint="a file such as /boot/config-6.12.0")
    return found


def release(text: str) -> str:
    """Return the release that a configuration's heading names, or an empty text."""
    found = _RELEASE.search(text)
    return found[1] if found else ""


def fragment(text: str, name: str) -> tuple[Setting, ...]:
    """Return what a fragment asks for; raises ``VerifyError`` with the line that asks for nothing.

    A fragment is written by people, so what is neither a setting nor a comment is a mistake in it.
    """
    found = tuple(settings(text))
    known = {one.line for one in found}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if number in known or not line or (line.startswith("#") and not line.startswith("# CONFIG_")):
            continue
        raise VerifyError(
            f"{line!r} asks for nothing",
            where=f"{name}:{number}",
            hint="CONFIG_NAME=y, =m, =text, or: # CONFIG_NAME is not set",
        )
    seen: dict[str, Setting] = {}
    for one in found:
        before = seen.setdefault(one.symbol, one)
        if before.value != one.value:
            raise VerifyError(
                f"CONFIG_{one.symbol} is to be {one.value} here and {before.value} in line {before.line}",
                where=f"{name}:{one.line}",
            )
    return found
