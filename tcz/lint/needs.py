"""Checks of the .dep file: what a package needs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tcz import metadata
from tcz.lint.finding import Fault, check
from tcz.names import KERNEL, is_package_name
from tcz.toml import guess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcz.lint.context import Context
    from tcz.lint.finding import Level
    from tcz.lint.subject import Subject

_RELEASE = re.compile(r"-(\d+\.\d+(?:\.\d+)?\S*-(?:tinycore|tinycore64|piCore\S*))\Z")


def _repair_dep(subject: Subject, _context: Context) -> Subject:
    needs = tuple(need for need in subject.needs if need != subject.name)
    text = metadata.dep_text(needs)
    return subject.with_companion(".dep", None if text is None else text.encode())


@check(
    "dep-syntax",
    "warning",
    """A .dep holds one file name with .tcz a line, and nothing else: no blanks, no empty lines, no comments,
    a final newline. Tiny Core's scripts read it in five different ways, and this is what all of them
    agree on. The names go to a shell unquoted: anything but letters, digits and + . _ - is an error.""",
    repair=_repair_dep,
    submission="error",
)
def dep_syntax(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    text = subject.text(".dep")
    if text is None:
        return
    if "\r" in text:
        yield Fault(
            message="lines end with CR LF: the loader looks for names with a CR at their end", level="error"
        )
    lines = text.replace("\r", "").split("\n")
    if lines[-1]:
        yield Fault(message="no newline at the end of the file")
    if any(not line.strip() for line in lines[:-1]):
        yield Fault(message="empty lines")
    if not "".join(lines).strip():
        yield Fault(message="the file is empty: a package that needs nothing has none")
    for line in filter(str.strip, lines):
        yield from _dep_line(line)


def _dep_line(line: str) -> Iterator[Fault]:
    words = line.split()
    if line.strip() != line or len(words) > 1:
        level: Level | None = "error" if len(words) > 1 else None
        yield Fault(message=f"blanks in the line {line!r}, which the loader takes out", level=level)
    for word in words:
        if not is_package_name(word.removesuffix(".tcz")):
            yield Fault(
                message=f"{word!r} is no name of a package; the loader gives it to a shell", level="error"
            )
        elif not word.endswith(".tcz"):
            yield Fault(
                message=f"{word!r} without .tcz: the loader looks for a file of exactly this name",
                level="error",
            )


@check(
    "dep-self",
    "error",
    "A package must not need itself: the loader warns of a circle each time it is loaded.",
    repair=_repair_dep,
)
def dep_self(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    if subject.name in subject.needs:
        yield Fault(message=f"names {subject.name}.tcz itself")


@check(
    "dep-duplicate",
    "warning",
    "A need that is named twice in a .dep says nothing more than once.",
    repair=_repair_dep,
)
def dep_duplicate(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    words = [word for line in (subject.text(".dep") or "").splitlines() for word in line.split()]
    for word in dict.fromkeys(word for word in words if words.count(word) > 1):
        yield Fault(message=f"names {word} more than once")


@check(
    "dep-unknown",
    "error",
    """Every need is a package that can be had. The loader gives up on a package whose need cannot be fetched.
    Without a whole mirror to compare with (a folder with provides.db, or a complete set of packages) it
    cannot be told, and nothing is said.""",
)
def dep_unknown(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    if not context.others.complete:
        return
    found = context.others.closure(subject.needs, context.kernel)
    for missing in found.missing:
        if context.others.get(missing.name) is not None:
            continue
        if missing.name.endswith(KERNEL) and _any_kernel(missing.name, context):
            continue
        chain = " -> ".join(missing.chain)
        hint = guess(missing.name, context.others.names())
        yield Fault(message=f"there is no package {missing.name} (needed by way of {chain})", hint=hint)


def _any_kernel(name: str, context: Context) -> bool:
    stem = name.removesuffix("KERNEL")
    return any(other.startswith(stem) for other in context.others.names())


@check(
    "dep-circle",
    "error",
    "Packages that need each other cannot be loaded in any right order; one of the two needs too much.",
)
def dep_circle(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    for chain in context.others.closure((subject.name,), context.kernel).cycles:
        if len(chain) > 2:  # noqa: PLR2004 - a package that needs itself is told of elsewhere
            yield Fault(message=" -> ".join(chain))


@check(
    "dep-redundant",
    "note",
    """A need that another need brings along does not have to be named; submitqc points it out. Naming it is
    no fault where the package uses it itself, and safer where the other may stop needing it.""",
    submission="warning",
)
def dep_redundant(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    for need in subject.needs:
        for other in subject.needs:
            if other != need and need in context.others.closure((other,), context.kernel).order[:-1]:
                yield Fault(message=f"{need} comes with {other}")
                break


@check(
    "dep-kernel",
    "warning",
    """A module package is named NAME-KERNEL.tcz in a .dep, and the loader puts the running kernel's release
    in KERNEL's place. A release in the .dep is out of date with the next kernel.""",
    submission="error",
)
def dep_kernel(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    for need in subject.needs:
        found = _RELEASE.search(need)
        if found is not None and subject.releases == ():
            yield Fault(message=f"{need}: write {need[: found.start()]}-KERNEL")
        if KERNEL in need and not need.endswith(KERNEL):
            yield Fault(message=f"{need}: KERNEL stands for a release only at the end", level="error")


CHECKS = (
    dep_syntax,
    dep_self,
    dep_duplicate,
    dep_unknown,
    dep_circle,
    dep_redundant,
    dep_kernel,
)
