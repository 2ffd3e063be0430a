"""Checks of a package beside the same package as it was published before (``--against``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcz.lint.finding import Fault, check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcz.lint.catalogue import Known
    from tcz.lint.context import Context
    from tcz.lint.subject import Subject


def _before(subject: Subject, context: Context) -> Known | None:
    """Return the published package of this name, where it is another one than this."""
    known = context.published.get(subject.name)
    if known is None or (subject.image is not None and known.md5 == subject.image.md5):
        return None
    return known


@check(
    "update-info",
    "warning",
    """An update changes the .info: at least Current tells when and what. submitqc compares it with the .info
    in the repository and asks for it.""",
    submission="error",
)
def update_info(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    known = _before(subject, context)
    data = subject.companion(".info")
    if known is not None and data is not None and known.info == data:
        yield Fault(message="the .info is that of the package before: Current should tell what changed")


@check(
    "update-needs",
    "note",
    """The package needs others than the published one did. That may well be right; submitqc shows it, for a
    .dep that was forgotten looks just the same.""",
)
def update_needs(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    known = _before(subject, context)
    if known is None or known.needs is None:
        return
    new, gone = set(subject.needs) - set(known.needs), set(known.needs) - set(subject.needs)
    if new:
        yield Fault(message=f"needs in addition: {', '.join(sorted(new))}")
    if gone:
        yield Fault(message=f"needs no more: {', '.join(sorted(gone))}")


@check(
    "update-files",
    "note",
    """The published package held files that this one does not hold any more. What others used of them is gone
    with the update; submitqc shows the difference of both .list files.""",
)
def update_files(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    known = _before(subject, context)
    if known is None:
        return
    gone = set(known.files) - set(subject.paths)
    if gone:
        yield Fault(message="was in the package before", paths=tuple(sorted(gone)))


CHECKS = (update_info, update_needs, update_files)
