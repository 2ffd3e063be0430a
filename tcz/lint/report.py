"""Findings for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tcz.lint.finding import LEVELS, at_least
from tcz.lint.registry import TOPICS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tcz.lint.finding import Check, Finding, Level

    #: Colours a text by a level, or by "allowed", "fixed" and "name".
    Paint = Callable[[str, str], str]

SCHEMA: Final = 1
_SHOWN_PATHS = 4
_WIDEST_CHECK = 20
_MORE = " (shown with --level note)"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageReport:
    """What was found in a package; ``fixed`` was put right, or would be with ``--dry-run``."""

    name: str
    path: str
    findings: tuple[Finding, ...]
    fixed: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How many findings there are of each level; allowed ones are counted apart."""

    packages: int
    errors: int
    warnings: int
    notes: int
    allowed: int
    fixed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result of a run, as ``tcz lint --json`` writes it; ``summary`` counts what ``level`` hides too."""

    schema: int
    base: str
    kernel: str | None
    submission: bool
    level: Level
    packages: tuple[PackageReport, ...]
    summary: Summary

    @property
    def failed(self) -> bool:
        """Tell whether there are errors that no recipe allows."""
        return self.summary.errors > 0


def make(
    packages: Iterable[PackageReport],
    *,
    base: str,
    kernel: str | None,
    submission: bool,
    level: Level,
) -> Report:
    """Put a report together; findings below ``level`` are counted and left out."""
    packages = tuple(packages)
    found = [finding for package in packages for finding in package.findings]
    counts = {one: sum(1 for f in found if f.level == one and f.allowed is None) for one in LEVELS}
    shown = tuple(
        replace(package, findings=tuple(f for f in package.findings if at_least(f.level, level)))
        for package in packages
    )
    return Report(
        schema=SCHEMA,
        base=base,
        kernel=kernel,
        submission=submission,
        level=level,
        packages=shown,
        summary=Summary(
            packages=len(packages),
            errors=counts["error"],
            warnings=counts["warning"],
            notes=counts["note"],
            allowed=sum(1 for f in found if f.allowed is not None),
            fixed=sum(len(package.fixed) for package in packages),
        ),
    )


def plain(text: str, _style: str) -> str:
    """Colour nothing."""
    return text


def lines(report: Report, *, dry_run: bool = False, paint: Paint = plain) -> Iterator[str]:
    """Return a report as lines: packages with something to tell, then a summary."""
    for package in report.packages:
        if package.findings or package.fixed:
            yield paint(package.name, "name")
        for finding in package.fixed:
            label = "to fix" if dry_run else "fixed"
            yield _head(label, "fixed", finding, paint)
        for finding in package.findings:
            label = "allowed" if finding.allowed is not None else finding.level
            yield _head(label, label, finding, paint)
            yield from _rest(finding)
    yield _summary(report)


def _head(label: str, style: str, finding: Finding, paint: Paint) -> str:
    where = f"{_paths(finding.paths)}: " if finding.paths else ""
    text = f"{finding.check:<{_WIDEST_CHECK}} {where}{finding.message}"
    return f"  {paint(f'{label:<7}', style)} {_printable(text)}"


def _rest(finding: Finding) -> Iterator[str]:
    if finding.allowed is not None:
        yield _printable(f"          -> allowed: {finding.allowed}")
    elif finding.hint:
        yield _printable(f"          -> {finding.hint}")


def _paths(paths: tuple[str, ...]) -> str:
    shown = ", ".join(f"/{path}" for path in paths[:_SHOWN_PATHS])
    more = len(paths) - _SHOWN_PATHS
    return f"{shown} and {more} more" if more > 0 else shown


def _printable(text: str) -> str:
    """Show what a hostile name holds instead of sending it to the terminal."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _summary(report: Report) -> str:
    found = report.summary
    parts = [
        _count(found.errors, "error"),
        _count(found.warnings, "warning"),
        _count(found.notes, "note") + (_MORE if found.notes and report.level != "note" else ""),
    ]
    if found.allowed:
        parts.append(f"{found.allowed} allowed")
    if found.fixed:
        parts.append(f"{found.fixed} fixed")
    return f"{_count(found.packages, 'package')} against {report.base}: {', '.join(parts)}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


# -- the checks themselves ------------------------------------------------------------------------


def explain(check: Check) -> Iterator[str]:
    """Return what ``tcz lint --explain`` shows of a check."""
    yield f"{check.name} ({_levels(check)})"
    yield ""
    yield from _wrapped(check.explanation)
    yield ""
    yield "tcz lint --fix repairs it." if check.repair is not None else "It is not repaired by --fix."


def _levels(check: Check) -> str:
    if check.submission is None or check.submission == check.level:
        return check.level
    return f"{check.level}; with --submission {check.submission}"


def _wrapped(text: str) -> Iterator[str]:
    import textwrap  # noqa: PLC0415 - not needed to lint

    yield from textwrap.wrap(text, 100)


def listing() -> tuple[tuple[str, str, str], ...]:
    """Return name, level and whether it can be repaired, for every check."""
    return tuple(
        (check.name, _levels(check), "can be fixed" if check.repair is not None else "")
        for topic in TOPICS
        for check in topic.checks
    )


_HEAD = """\
# tcz lint: the checks

`tcz lint` looks at packages: files, folders of them, or packages of recipes by name. This page is made from
the checks' own texts, which `tcz lint --explain NAME` shows too.

Levels: an **error** makes `tcz lint` end with 9; a **warning** should be looked at; a **note** is good to
know and is shown with `--level note`. A check may say a lower or higher level where it knows less or more.
`--submission` uses the levels of the official repository's submitqc, where they differ. A recipe allows a
check with `[package.allow]` (see [recipe.md](recipe.md)); it is shown as allowed and does not count.

`--fix` repairs what is marked so, writes the image and the files beside it anew, and keeps the old ones as
`FILE.orig`; with `--in-place` it does not keep them.

## What packages are held against

`--base` names the base that they are loaded on: its files, owners, modes, libraries and what its kernel
mounts. `floe` is this toolkit's own; the others are those of Tiny Core, of whose files `tcz lint` has
lists.

`--arch` tells what packages are for: `x86_64`, `x86`, `armv6`, `armv7` or `aarch64`. All bases are of
x86_64. For another architecture the same one stands in, with the machine of that and the name of its
dynamic loader, as Tiny Core builds all of them from the same sources: programs and libraries for another
processor are errors, and all else is looked at as well. What is said of missing libraries, of the loader
that programs name and of the C library's version is a guess then, as the files of another base tell it.
`tcz mirror add` takes the architecture, and where it can the base, from the branch, and leaves those three
checks (`elf-library`, `elf-interpreter`, `elf-libc-version`) out for `armv6`, `armv7` and `aarch64`;
`--skip` does so here.

`--kernel` is the release that modules must be for; `--against` names other packages: a folder, a mirror's
or its `provides.db`.

## JSON

`--json` writes one object, schema 1: `base`, `kernel`, `submission`, `level`; `packages`, each with `name`,
`path`, `findings` and `fixed`; and `summary` (`packages` `errors` `warnings` `notes` `allowed` `fixed`). A
finding has `package`, `check`, `level`, `message`, `paths` (without a leading slash), `hint`, `fixable` and
`allowed` (the reason, or null). Keys are only ever added.
"""


def reference() -> str:
    """Return docs/reference/lint.md."""
    import textwrap  # noqa: PLC0415 - not needed to lint

    out = [_HEAD]
    for topic in TOPICS:
        out.append(f"## {topic.title}\n")
        for check in topic.checks:
            fixable = "; can be fixed" if check.repair is not None else ""
            out.append(f"### {check.name}\n")
            out.append(f"*{_levels(check)}{fixable}*\n")
            out.append(
                textwrap.fill(check.explanation, 118, break_long_words=False, break_on_hyphens=False) + "\n"
            )
    return "\n".join(out)
