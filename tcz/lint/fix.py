"""Repairing a package: what checks know how to put right, and what follows from that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tcz.lint.registry import CHECKS, inspect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tcz.lint.context import Context
    from tcz.lint.finding import Check, Finding
    from tcz.lint.subject import Subject

#: Companions that are made from the image, and out of date when that changes.
_FOLLOW: Final = ("list-content", "info-size", "md5-mismatch", "zsync-stale")


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """A package after its repair; ``done`` are the findings that are gone."""

    subject: Subject
    done: tuple[Finding, ...]

    @property
    def changed(self) -> bool:
        """Tell whether there was anything to repair."""
        return bool(self.done)


def repair(subject: Subject, context: Context, checks: Iterable[Check] = CHECKS) -> Repair:
    """Put right what can be, once for each check that finds something that is not allowed.

    Nothing is done to a package whose image cannot be read: what it should hold is not known.
    """
    if subject.damage is not None:
        return Repair(subject=subject, done=())
    allowed = {one.check for one in subject.allowed}
    done: list[Finding] = []
    for check in checks:
        if check.repair is None or check.name in allowed:
            continue
        found = inspect(subject, context, [check])
        if not found:
            continue
        repaired = check.repair(subject, context)
        left = inspect(repaired, context, [check])
        if repaired != subject:
            done += [finding for finding in found if finding not in left]
            subject = repaired
    return Repair(subject=subject, done=tuple(done))


def follow(subject: Subject, context: Context) -> Subject:
    """Bring up to date what speaks of an image that was just written: .list, Size, .md5.txt."""
    for check in (check for check in CHECKS if check.name in _FOLLOW):
        if check.repair is not None and any(True for _ in check.inspect(subject, context)):
            subject = check.repair(subject, context)
    return subject
