"""Checks of a package beside others: links that lead nowhere, files that somebody else has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcz.lint.finding import Fault, check
from tcz.lint.links import escapes, resolve
from tcz.tree import Tree, regular

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcz.lint.context import Context
    from tcz.lint.subject import Subject

#: Filled while a machine runs; a link into them leads somewhere then.
_LIVE_FOLDERS = (
    "proc",
    "sys",
    "dev",
    "run",
    "var/run",
    "tmp",
    "var/tmp",
    "mnt",
    "media",
    "home",
    "etc/sysconfig",
)
_LIVE = tuple(f"/{folder}/" for folder in _LIVE_FOLDERS)
#: Where the loader mounts packages: a link there works for as long as nothing changes.
_LOADED = "/tmp/tcloop/"  # noqa: S108 - no use of it
#: Folders in which programs are looked up by name.
_PATH = ("usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin")


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """All that is there when a package is loaded: itself, what it needs, the base.

    ``complete``: all that it needs is known, down to the last.
    """

    trees: tuple[Tree, ...]
    packages: tuple[str, ...]
    complete: bool

    def has(self, path: str) -> bool:
        """Tell whether a path leads to something."""
        return resolve(path, *self.trees) is not None

    def has_program(self, name: str) -> bool:
        """Tell whether a program is found along the usual PATH."""
        return any(self.has(f"{folder}/{name}") for folder in _PATH)


def neighbours(subject: Subject, context: Context) -> Neighbours:
    """Return what is there when a package is loaded."""
    names, complete = _closure(subject, context)
    needed = Tree(
        (path, regular(b""))
        for name in names
        if (known := context.others.get(name)) is not None
        for path in known.files
    )
    return Neighbours(trees=(subject.tree, needed, context.base.tree), packages=names, complete=complete)


def _closure(subject: Subject, context: Context) -> tuple[tuple[str, ...], bool]:
    # Where a package's own modules tell its kernel, that is the one its needs are for.
    kernel = context.kernel or (subject.releases[0] if len(subject.releases) == 1 else None)
    found = context.others.closure(subject.needs, kernel)
    names = (*found.order, *(missing.name for missing in found.missing if context.others.get(missing.name)))
    return tuple(name for name in names if name != subject.name), not found.missing


@check(
    "dangling-link",
    "error",
    """A symbolic link leads to something in the package, in a package that it needs or in the base. Where not
    all that the package needs is known here it is only a warning. Links into /proc, /run and the like are
    left alone: what they lead to is made by a running system.""",
)
def dangling_link(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    around = neighbours(subject, context)
    for path, node in subject.tree.items():
        if not node.is_link:
            continue
        target = node.read().decode(errors="replace")
        if target.startswith(_LIVE) and not target.startswith(_LOADED):
            continue
        if not around.has(path):
            hint = None if around.complete else "it may be in a package that is not known here (--against)"
            yield Fault(
                message=f"leads to {target}, which is not there",
                paths=(path,),
                hint=hint,
                level="error" if around.complete else "warning",
            )


@check(
    "link-escapes",
    "error",
    """A link with more .. in it than there are folders above it leads out of the package's tree. It works on
    a machine, where / is its own parent, and leads astray wherever the tree is unpacked into a folder.""",
)
def link_escapes(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    for path, node in subject.tree.items():
        if node.is_link and escapes(path, node.read().decode(errors="replace")):
            yield Fault(message=f"leads above / to {node.read().decode(errors='replace')}", paths=(path,))


@check(
    "base-owns-file",
    "warning",
    """The base has a file of this path already. The loader never replaces a file that is there, so the
    package's is not used (but with tce-load -f, which replaces the base's for good). To replace one, put
    it below /usr/local, whose programs are found first, or let the start-up script do it.""",
)
def base_owns_file(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    paths = tuple(path for path in subject.paths if _is_file(context.base.tree, path))
    if paths:
        doubt = "" if context.base.own_listing else " (as far as the files of 16.1 tell)"
        yield Fault(message=f"the base {context.base.name} has it already{doubt}", paths=paths)


def _is_file(tree: Tree, path: str) -> bool:
    node = tree.get(path)
    return node is not None and not node.is_dir


@check(
    "other-owns-file",
    "warning",
    """Another package holds a file of the same path. Which of the two is used depends on which is loaded
    first. A file that two packages need belongs into a third one that both name in their .dep.""",
)
def other_owns_file(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    shared: dict[str, list[str]] = {}
    for path in subject.paths:
        for name in context.others.owners(path):
            if name != subject.name:
                shared.setdefault(name, []).append(path)
    for name, paths in sorted(shared.items()):
        yield Fault(message=f"{name} holds it too", paths=tuple(paths))


@check(
    "case-clash",
    "warning",
    """Two packages whose names differ in upper and lower case only cannot both lie on a FAT stick, on which
    many a Tiny Core is kept.""",
)
def case_clash(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    for name in context.others.names():
        if name != subject.name and name.casefold() == subject.name.casefold():
            yield Fault(message=f"there is a package {name} too")


CHECKS = (dangling_link, link_escapes, base_owns_file, other_owns_file, case_clash)
