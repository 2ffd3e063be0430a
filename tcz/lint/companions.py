"""Checks of the files beside a .tcz, other than .info and .dep: .list .md5.txt .zsync .tree."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tcz import metadata, zsync
from tcz.errors import ToolkitError, VerifyError
from tcz.lint.finding import Fault, check
from tcz.names import KERNEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcz.lint.context import Context
    from tcz.lint.subject import Subject

_MD5 = re.compile(r"[0-9a-f]{32}  ([^\s/]+)\n?\Z")
_FILE_MODES = (0o644, 0o664)


# -- .list ----------------------------------------------------------------------------------------


def _listed(subject: Subject) -> tuple[str, ...]:
    return metadata.parse_list(metadata.list_text(subject.paths))


def _repair_list(subject: Subject, _context: Context) -> Subject:
    text = metadata.list_text(subject.paths)
    return subject.with_companion(".list", text.encode(errors="surrogateescape"))


@check(
    "list-missing",
    "warning",
    """The .list tells what a package holds; the package browser shows it, and a mirror's provides.db is made
    of it.""",
    repair=_repair_list,
    submission="error",
)
def list_missing(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    if subject.companion(".list") is None:
        yield Fault(message="there is no .list")


@check(
    "list-content",
    "error",
    """The .list names every file and link of the package, without the folders, and nothing else. One that
    does not was made from another build.""",
    repair=_repair_list,
)
def list_content(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    data = subject.companion(".list")
    if data is None or subject.damage is not None:
        return
    listed, there = set(metadata.parse_list(data.decode(errors="surrogateescape"))), set(_listed(subject))
    folders = {
        path for path in listed - there if (node := subject.tree.get(path)) is not None and node.is_dir
    }
    if folders:
        yield Fault(message="names folders", paths=tuple(sorted(folders)), level="warning")
    if listed - there - folders:
        yield Fault(message="names what the package has not", paths=tuple(sorted(listed - there - folders)))
    if there - listed:
        yield Fault(message="does not name what the package has", paths=tuple(sorted(there - listed)))


# -- .md5.txt -------------------------------------------------------------------------------------


def _repair_md5(subject: Subject, _context: Context) -> Subject:
    if subject.image is None or subject.damage is not None:
        return subject
    text = metadata.md5_text(metadata.Md5(md5=subject.image.md5, name=f"{subject.name}.tcz"))
    return subject.with_companion(".md5.txt", text.encode())


@check(
    "md5-missing",
    "error",
    """The loader fetches NAME.tcz.md5.txt with every package and does without the package where there is
    none.""",
    repair=_repair_md5,
)
def md5_missing(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    if subject.companion(".md5.txt") is None:
        yield Fault(message="there is no .md5.txt")


@check(
    "md5-syntax",
    "error",
    """The .md5.txt is one line just as md5sum prints it: 32 lower-case hex digits, two blanks, the bare file
    name. BusyBox's md5sum -c fails on upper case, one blank, a CR, an empty line or a second one.""",
    repair=_repair_md5,
)
def md5_syntax(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    text = subject.text(".md5.txt")
    if text is None:
        return
    found = _MD5.match(text)
    if found is None:
        yield Fault(message=f"not a line as md5sum prints it: it begins {text[:50]!r}")
    elif found[1] != f"{subject.name}.tcz":
        yield Fault(message=f"is for {found[1]}, not for {subject.name}.tcz")


@check(
    "md5-mismatch",
    "error",
    "The hash in the .md5.txt is the image's: otherwise the loader calls every download damaged.",
    repair=_repair_md5,
)
def md5_mismatch(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    text = subject.text(".md5.txt")
    if text is None or subject.image is None:
        return
    try:
        said = metadata.parse_md5(text).md5
    except ToolkitError:
        return  # told of by md5-syntax
    if said != subject.image.md5:
        yield Fault(message=f"says {said}, the image has {subject.image.md5}")


# -- .zsync and .tree -----------------------------------------------------------------------------


@check(
    "zsync-missing",
    "note",
    """With a .zsync, an update fetches only what changed; without one the whole package is fetched. submitqc
    makes it.""",
    submission="warning",
)
def zsync_missing(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    if subject.companion(".zsync") is None:
        yield Fault(message="there is no .zsync")


@check(
    "zsync-stale",
    "error",
    """The .zsync belongs to this very image: its length, its SHA-1, its name, and an URL that is the bare
    file name. An update with a stale one ends with a file that fails its check.""",
    repair=lambda subject, _context: subject.with_companion(zsync.SUFFIX, None),
)
def zsync_stale(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    data = subject.companion(".zsync")
    if data is None or subject.image is None:
        return
    try:
        said = zsync.parse(data)
    except VerifyError as error:
        yield Fault(message=error.what)
        return
    name, image = f"{subject.name}.tcz", subject.image
    for key, found, right in (
        ("Filename", said.name, name),
        ("URL", said.url, name),
        ("Length", str(said.length), str(image.size)),
        ("SHA-1", said.sha1, image.sha1),
    ):
        if found != right:
            yield Fault(message=f"{key} is {found or 'missing'}, not {right}")


@check(
    "tree-stale",
    "warning",
    """A .tree begins with the package and names below it, three blanks further in, what its .dep names. It is
    made by a mirror; tce-size adds up what it names.""",
    repair=lambda subject, _context: subject.with_companion(".tree", None),
)
def tree_stale(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    text = subject.text(".tree")
    if text is None:
        return
    try:
        rows = metadata.parse_tree(text)
    except ToolkitError as error:
        yield Fault(message=error.what)
        return
    if not rows or rows[0] != (0, subject.name):
        yield Fault(message=f"does not begin with {subject.name}.tcz")
        return
    kernel = context.kernel or next(iter(subject.releases), "")
    needs = {_resolved(need, kernel) for need in subject.needs}
    direct = {_resolved(name, kernel) for depth, name in rows if depth == 1}
    if direct != needs and not any(need.endswith(KERNEL) for need in needs):
        named, needed = (", ".join(sorted(names)) or "nothing" for names in (direct, needs))
        yield Fault(message=f"names {named} below the package, the .dep {needed}")


def _resolved(name: str, kernel: str) -> str:
    return f"{name.removesuffix('KERNEL')}{kernel}" if kernel and name.endswith(KERNEL) else name


# -- the files themselves -------------------------------------------------------------------------


@check(
    "companion-mode",
    "note",
    """The files of a package are 0644 or 0664: a server or the user tc that cannot read them cannot offer or
    load them.""",
)
def companion_mode(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    for one in subject.companions:
        if one.mode is not None and one.mode not in _FILE_MODES:
            yield Fault(message=f"{subject.name}.tcz{one.suffix} has the mode {one.mode:04o}")


@check(
    "build-dep-missing",
    "note",
    """Only where a package is to be submitted: a .build-dep names the packages that are needed to build it,
    for whoever maintains it next.""",
)
def build_dep_missing(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    if context.submission and subject.companion(".build-dep") is None:
        yield Fault(message="there is no .build-dep")


CHECKS = (
    list_missing,
    list_content,
    md5_missing,
    md5_syntax,
    md5_mismatch,
    zsync_missing,
    zsync_stale,
    tree_stale,
    companion_mode,
    build_dep_missing,
)
