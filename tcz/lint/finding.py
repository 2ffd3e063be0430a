"""What lint says: levels, faults as checks find them, and findings as users see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tcz.lint.context import Context
    from tcz.lint.subject import Subject

    #: Looks at a package and returns what is wrong with it.
    Inspect = Callable[[Subject, Context], Iterable["Fault"]]
    #: Returns the package without the fault.
    Repair = Callable[[Subject, Context], Subject]

Level = Literal["error", "warning", "note"]
#: From the worst to the least.
LEVELS: Final[tuple[Level, ...]] = ("error", "warning", "note")


def at_least(level: Level, least: Level) -> bool:
    """Tell whether ``level`` is as bad as ``least`` or worse."""
    return LEVELS.index(level) <= LEVELS.index(least)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that a check found; ``level`` overrides that of the check."""

    message: str
    paths: tuple[str, ...] = ()
    hint: str | None = None
    level: Level | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A named check. ``submission`` is its level where a package is to be submitted to Tiny Core."""

    name: str
    level: Level
    explanation: str
    inspect: Inspect
    repair: Repair | None = None
    submission: Level | None = None

    def level_for(self, *, submission: bool) -> Level:
        """Return the level of a fault that sets none itself."""
        return self.submission if submission and self.submission is not None else self.level


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A fault of a package. ``allowed`` is the reason why the package's recipe allows it."""

    package: str
    check: str
    level: Level
    message: str
    paths: tuple[str, ...] = ()
    hint: str | None = None
    fixable: bool = False
    allowed: str | None = None


def check(
    name: str,
    level: Level,
    explanation: str,
    *,
    repair: Repair | None = None,
    submission: Level | None = None,
) -> Callable[[Inspect], Check]:
    """Make a ``Check`` of the function that looks; the text's line breaks are of no account."""

    def make(inspect: Inspect) -> Check:
        return Check(
            name=name,
            level=level,
            explanation=" ".join(explanation.split()),
            inspect=inspect,
            repair=repair,
            submission=submission,
        )

    return make
