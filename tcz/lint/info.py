"""Checks of the .info file, and of the package's name and version."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tcz import metadata
from tcz.lint.finding import Fault, check
from tcz.names import is_package_name
from tcz.toml import guess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcz.lint.context import Context
    from tcz.lint.subject import Subject

#: The keys in their canonical order.
KEYS: Final = (
    "Title",
    "Description",
    "Version",
    "Author",
    "Original-site",
    "Copying-policy",
    "Size",
    "Extension_by",
    "Tags",
    "Comments",
    "Change-log",
    "Current",
)
_COLUMN = 16
_KEY = re.compile(r"([A-Za-z][A-Za-z_-]*)[ \t]*:(.*)\Z")
_DATE = re.compile(r"\d{4}/\d{2}/\d{2}\b")
_VERSION_IN_NAME = re.compile(r".*[a-z]-\d+(\.\d+){2,}\Z")
_SIZE = re.compile(r"([0-9]+(?:[.,][0-9]+)?)\s*([KkMmGg]?)i?[Bb]?(?:ytes)?\b")
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_KERNEL_RELEASE = re.compile(r"-\d+\.\d+[\d.]*\S*-(?:tinycore|tinycore64|amd64|piCore)\S*\Z")


def _lines(subject: Subject) -> tuple[str, ...]:
    return tuple((subject.text(".info") or "").replace("\r", "").split("\n"))


def _found(subject: Subject) -> dict[str, str]:
    """Return the first lines of all keys as they are written."""
    found: dict[str, str] = {}
    for line in _lines(subject):
        match = _KEY.match(line)
        if match is not None:
            found.setdefault(match[1], line)
    return found


def _repair_info(subject: Subject, _context: Context) -> Subject:
    if subject.info is None:
        return subject
    info = subject.info
    if subject.image is not None:
        info = replace(info, size=metadata.human_size(subject.image.size))
    info = replace(info, title=f"{subject.name}.tcz", change_log=info.change_log or "----")
    return subject.with_companion(".info", metadata.info_text(info).encode())


@check(
    "info-missing",
    "warning",
    """The .info tells users what a package is, where it comes from and under which licence; the official
    repository takes none without.""",
    submission="error",
)
def info_missing(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    if subject.companion(".info") is None:
        yield Fault(message="there is no .info")


@check(
    "info-keys",
    "error",
    """An .info has the twelve keys Title, Description, Version, Author, Original-site, Copying-policy, Size,
    Extension_by, Tags, Comments, Change-log and Current, in this order and spelt like this. Project may stand
    behind Title. The package browser and the mirror's tags.db look for them by name.""",
    repair=_repair_info,
)
def info_keys(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    if subject.companion(".info") is None:
        return
    found = _found(subject)
    unknown = [key for key in found if key not in KEYS and guess(key, KEYS) is not None]
    for key in (key for key in KEYS if key not in found):
        near = next((one for one in unknown if guess(one, [key]) is not None), None)
        yield Fault(message=f"the key {key} is missing", hint=f"is {near} meant to be it?" if near else None)
    order = [key for key in found if key in KEYS]
    if order != sorted(order, key=KEYS.index):
        yield Fault(message=f"the keys are in another order: {', '.join(order)}", level="note")


@check(
    "info-empty",
    "note",
    """Every key has a value; submitqc calls the file wrong where one has none. A first version writes its
    date and First version behind Change-log as well as behind Current.""",
    submission="error",
)
def info_empty(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    found = _found(subject)
    if subject.info is None:
        return
    empty = [key for key in KEYS if key in found and not getattr(subject.info, key.lower().replace("-", "_"))]
    if empty:
        yield Fault(message=f"without a value: {', '.join(empty)}")


@check(
    "info-title",
    "error",
    "Title is the file name, with .tcz: the package browser looks packages up by it.",
    repair=_repair_info,
)
def info_title(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    if subject.info is not None and subject.info.title and subject.info.title != f"{subject.name}.tcz":
        yield Fault(message=f"Title is {subject.info.title!r}, not {subject.name}.tcz")


@check(
    "info-column",
    "note",
    """Values begin at column 17 and further lines are set in as far, with blanks and not with tabs, as nine
    of ten official packages have it.""",
    repair=_repair_info,
)
def info_column(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    if subject.companion(".info") is None:
        return
    if any("\t" in line for line in _lines(subject)):
        yield Fault(message="tabs")
    crooked = [
        match[1]
        for line in _lines(subject)
        if (match := _KEY.match(line)) is not None
        and match[1] in KEYS
        and match[2].strip()
        and "\t" not in line
        and (len(line) <= _COLUMN or line[_COLUMN - 1] != " " or line[_COLUMN] == " ")
    ]
    if crooked:
        yield Fault(message=f"values not at column 17: {', '.join(crooked)}")


@check(
    "info-encoding",
    "warning",
    "The .info is UTF-8 with line ends as Unix has them: CRs and other encodings show up as rubbish.",
    repair=_repair_info,
    submission="error",
)
def info_encoding(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    data = subject.companion(".info")
    if data is None:
        return
    if b"\r" in data:
        yield Fault(message="lines end with CR LF")
    try:
        data.decode()
    except UnicodeDecodeError:
        yield Fault(message="not UTF-8")


def parse_size(text: str) -> int | None:
    """Return the bytes that a size such as ``388K`` or ``8.0 KiB`` stands for, ``None`` for no size."""
    found = _SIZE.match(text.strip())
    return int(float(found[1].replace(",", ".")) * _UNITS[found[2].lower()]) if found else None


@check(
    "info-size",
    "warning",
    "Size is that of the .tcz. One that is a tenth and more off was left over from another build.",
    repair=_repair_info,
)
def info_size(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    if subject.info is None or subject.image is None or not subject.info.size:
        return
    said = parse_size(subject.info.size)
    actual = subject.image.size
    if said is None:
        yield Fault(message=f"{subject.info.size!r} is no size")
    elif abs(said - actual) > max(actual // 10, 8192):
        yield Fault(message=f"{subject.info.size}, but the image has {metadata.human_size(actual)}")


@check(
    "info-current",
    "note",
    "Current begins with the date of the last change as YYYY/MM/DD, and says what it was.",
)
def info_current(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    if subject.info is not None and subject.info.current and not _DATE.match(subject.info.current):
        yield Fault(
            message=f"{subject.info.current.splitlines()[0]!r} does not begin with a date as YYYY/MM/DD"
        )


@check(
    "info-version",
    "warning",
    "Version is one word: the upstream version of what is packaged.",
)
def info_version(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    if subject.info is not None and (version := subject.info.version) and len(version.split()) != 1:
        yield Fault(message=f"{version!r} is not one word")


@check(
    "name",
    "error",
    """A package's name holds letters, digits and + . _ - only, and begins with a letter or a digit: the
    loader gives it to a shell unquoted. The version is no part of it, or every update would be another
    package that no .dep names; generations that are to live side by side (icu74, php-8.2) are.""",
)
def name(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    if not is_package_name(subject.name):
        yield Fault(message=f"{subject.name!r} is no name of a package")
    elif (
        _VERSION_IN_NAME.match(subject.name)
        and not _KERNEL_RELEASE.search(subject.name)
        and not subject.releases
    ):
        yield Fault(message=f"{subject.name}: the version is part of the name", level="note")


CHECKS = (
    name,
    info_missing,
    info_keys,
    info_empty,
    info_title,
    info_column,
    info_encoding,
    info_size,
    info_current,
    info_version,
)
