"""What can go wrong, as values: each error says what, where, why and what to do next.

The exit codes are part of the interface (see docs/reference/exit-codes.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class ToolkitError(Exception):
    """Base of every error a user is meant to see.

    ``what`` is one line. ``where`` names a file, line, key or package. ``why`` gives the cause,
    possibly over several lines. ``hint`` says what to do next.
    """

    exit_code = 1

    def __init__(
        self, what: str, *, where: str | None = None, why: str | None = None, hint: str | None = None
    ) -> None:
        """Keep the parts apart, so that a front end can lay them out."""
        super().__init__(what)
        self.what = what
        self.where = where
        self.why = why
        self.hint = hint

    def lines(self) -> list[str]:
        """Return the message as printed lines, without a trailing newline."""
        head = f"{self.where}: {self.what}" if self.where else self.what
        out = [head]
        if self.why:
            out += [f"  {line}" for line in self.why.splitlines()]
        if self.hint:
            out += [f"  -> {line}" for line in self.hint.splitlines()]
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake in a user's file: its place (``file:line`` or ``file: key``), what is wrong, a guess."""

    where: str
    message: str
    hint: str | None = None


class ConfigError(ToolkitError):
    """A file or an argument that the user wrote is wrong; all of its mistakes are told at once."""

    exit_code = 2

    def __init__(self, what: str, problems: Sequence[Problem] = (), *, hint: str | None = None) -> None:
        """``problems`` may be empty when ``what`` says it all."""
        why = "\n".join(f"{p.where}: {p.message}" + (f" ({p.hint})" if p.hint else "") for p in problems)
        super().__init__(what, why=why or None, hint=hint)
        self.problems = tuple(problems)


class FetchError(ToolkitError):
    """A source could not be had from any of its places."""

    exit_code = 4


class VerifyError(ToolkitError):
    """Bytes are not what was promised: wrong hash, truncated or hostile file."""

    exit_code = 5


class MissingToolError(ToolkitError):
    """A program of the host is needed and absent; the hint names the package that brings it."""

    exit_code = 6


class NoSpaceError(ToolkitError):
    """Not enough free space for what is to be done; the message gives the figure needed."""

    exit_code = 7


class BuildError(ToolkitError):
    """A build step failed; ``why`` holds the last lines of its log, ``where`` the log's path."""

    exit_code = 8


class CheckError(ToolkitError):
    """A check of a finished artefact failed (a self-test, a boot, a comparison)."""

    exit_code = 9
