"""All checks by name, and running them over a package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tcz.errors import ConfigError, Problem, VerifyError
from tcz.lint import (
    companions,
    content,
    folders,
    info,
    modules,
    needs,
    programs,
    published,
    relations,
    squash_checks,
    startup,
)
from tcz.lint.finding import LEVELS, Check, Fault, Finding, check
from tcz.toml import guess

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tcz.lint.context import Context
    from tcz.lint.subject import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """Checks that belong together, under a heading; ``outside``: they look at the files beside the image."""

    title: str
    checks: tuple[Check, ...]
    outside: bool = False


@check(
    "allow-unknown",
    "warning",
    "The recipe allows a check that there is not: [package.allow] has a name with a mistake, or an old one.",
)
def allow_unknown(subject: Subject, _context: Context) -> Iterable[Fault]:
    """See the text above."""
    return [
        Fault(message=f"there is no check {one.check}", hint=guess(one.check, _BY_NAME))
        for one in subject.allowed
        if one.check not in _BY_NAME
    ]


TOPICS: Final = (
    Topic(title="The image", checks=squash_checks.CHECKS),
    Topic(title="Folders, owners and modes", checks=folders.CHECKS),
    Topic(title="Scripts", checks=startup.CHECKS),
    Topic(title="Programs and libraries", checks=programs.CHECKS),
    Topic(title="Kernel modules", checks=modules.CHECKS),
    Topic(title="Content", checks=content.CHECKS),
    Topic(title="Links, and other packages", checks=relations.CHECKS),
    Topic(title="Name and .info", checks=info.CHECKS, outside=True),
    Topic(title="What it needs: .dep", checks=needs.CHECKS, outside=True),
    Topic(title="The other companion files", checks=companions.CHECKS, outside=True),
    Topic(title="What changed since it was published", checks=published.CHECKS),
    Topic(title="The recipe", checks=(allow_unknown,), outside=True),
)
CHECKS: Final = tuple(one for topic in TOPICS for one in topic.checks)
#: What can be told of a package whose image cannot be read.
_OUTSIDE: Final = {
    "image-damaged",
    "image-compressor",
    *(c.name for topic in TOPICS if topic.outside for c in topic.checks),
}
_BY_NAME: Final = {one.name: one for one in CHECKS}


def get(name: str) -> Check:
    """Return a check. Raises ``ConfigError`` with a guess for an unknown name."""
    if name not in _BY_NAME:
        hint = guess(name, _BY_NAME) or "tcz lint --list shows all there are"
        raise ConfigError(f"there is no check {name!r}", hint=hint)
    return _BY_NAME[name]


def chosen(only: Iterable[str], skip: Iterable[str]) -> tuple[Check, ...]:
    """Return the checks that a user means. Raises one ``ConfigError`` for all unknown names."""
    only, skip = tuple(only), tuple(skip)
    problems = [
        Problem(where=name, message="no such check", hint=guess(name, _BY_NAME))
        for name in (*only, *skip)
        if name not in _BY_NAME
    ]
    if problems:
        raise ConfigError("unknown checks", problems, hint="tcz lint --list shows all there are")
    return tuple(one for one in CHECKS if (not only or one.name in only) and one.name not in skip)


def inspect(subject: Subject, context: Context, checks: Iterable[Check] = CHECKS) -> tuple[Finding, ...]:
    """Run checks over a package; the worst findings come first, in the order of the checks otherwise."""
    reasons = {one.check: one.reason for one in subject.allowed}
    found: list[Finding] = []
    for one in checks:
        if subject.damage is not None and one.name not in _OUTSIDE:
            continue
        level = one.level_for(submission=context.submission)
        try:
            faults = tuple(one.inspect(subject, context))
        except VerifyError as error:
            # A file of the image that cannot be read ends a check, not the whole of them.
            found.append(_damage(subject, error))
            continue
        found += [
            Finding(
                package=subject.name,
                check=one.name,
                level=fault.level or level,
                message=fault.message,
                paths=fault.paths,
                hint=fault.hint,
                fixable=one.repair is not None,
                allowed=reasons.get(one.name),
            )
            for fault in faults
        ]
    return tuple(sorted(dict.fromkeys(found), key=lambda finding: LEVELS.index(finding.level)))


def _damage(subject: Subject, error: VerifyError) -> Finding:
    message = "; ".join(part for part in (error.what, error.why) if part)
    return Finding(package=subject.name, check="image-damaged", level="error", message=message)
