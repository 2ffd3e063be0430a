"""Checks of folders, owners and modes: what loading a package would do to the live system."""

from __future__ import annotations

import stat
from dataclasses import replace
from typing import TYPE_CHECKING

from tcz.lint.finding import Fault, check
from tcz.lint.subject import STARTUP
from tcz.stage import base_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tcz.lint.context import Context
    from tcz.lint.subject import Subject
    from tcz.tree import Node

_PLAIN = (0o755, 0, 0)
_USUAL_MODES = (0o755, 0o775, 0o2755, 0o2775)


def facts(node: Node) -> tuple[int, int, int]:
    """Return mode, owner and group."""
    return stat.S_IMODE(node.mode), node.uid, node.gid


def told(mode: int, uid: int, gid: int) -> str:
    """Return ``0755 0:0``."""
    return f"{mode:04o} {uid}:{gid}"


def _set(node: Node, wanted: tuple[int, int, int]) -> Node:
    return replace(node, mode=stat.S_IFMT(node.mode) | wanted[0], uid=wanted[1], gid=wanted[2])


def _changed(subject: Subject, change: Callable[[str, Node], Node]) -> Subject:
    return subject.with_tree((path, change(path, node)) for path, node in subject.tree.items())


def _repair_root(subject: Subject, _context: Context) -> Subject:
    return _changed(subject, lambda path, node: node if path else _set(node, _PLAIN))


@check(
    "root-folder",
    "error",
    """The image's root folder must be 0755 and root's. Where a package is copied into the system (copy2fs,
    or tce-load -c) the owner and mode of its root become those of / itself: a root folder of 0711 or of
    another user locks users out of the whole machine.""",
    repair=_repair_root,
)
def root_folder(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    found = facts(subject.tree[""])
    if found != _PLAIN:
        yield Fault(message=f"the root folder is {told(*found)}, not {told(*_PLAIN)}", paths=("",))


def _right_looks(path: str, context: Context) -> tuple[tuple[int, int, int], ...]:
    """Return what a folder may look like: as in the base, as convention has it, as submitqc has it."""
    node = context.base.tree.get(path)
    looks = [] if node is None or not node.is_dir else [facts(node)]
    convention = base_folder(path)
    if convention is not None:
        looks.append((convention[0], 0, convention[1]))
    if path in ("usr", "usr/local") or (path.startswith("usr/local/") and path != STARTUP):
        looks.append(_PLAIN)
    return tuple(looks)


def _misfits(subject: Subject, context: Context) -> Iterator[tuple[str, tuple[int, int, int]]]:
    for path, node in subject.tree.items():
        here = context.base.tree.get(path)
        if not path or not node.is_dir or path in (STARTUP, "tmp") or path.startswith("tmp/"):
            continue
        if here is None and base_folder(path) is None:
            continue
        looks = _right_looks(path, context)
        if looks and facts(node) not in looks:
            yield path, looks[0]


def _repair_base_folders(subject: Subject, context: Context) -> Subject:
    wanted = dict(_misfits(subject, context))
    return _changed(subject, lambda path, node: _set(node, wanted[path]) if path in wanted else node)


@check(
    "base-folder",
    "error",
    """A folder that the base has too must look in the package as it looks there. Tiny Core links a package
    into the system with cp -ai, which gives folders that exist already the owner, mode and time of the
    package's: a package with /opt as 0755 takes the staff group's right to write away for good. Below
    /usr/local, 0755 and root's is right as well.""",
    repair=_repair_base_folders,
)
def base_folders(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    for path, wanted in _misfits(subject, context):
        found = facts(subject.tree[path])
        yield Fault(
            message=f"{told(*found)}; loading it would change the base's, which is {told(*wanted)}",
            paths=(path,),
        )


@check(
    "ships-tmp",
    "error",
    """A package must not hold /tmp, nor /dev, /proc, /sys or /run. Loading one turned /tmp of a live system
    from 1777 into what the package had, after which no program could make a temporary file.""",
    repair=lambda subject, _context: subject.without(_volatile(subject)),
)
def ships_tmp(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    for path in _volatile(subject):
        yield Fault(message=f"the package holds /{path}", paths=(path,))


def _volatile(subject: Subject) -> tuple[str, ...]:
    return tuple(
        path for path in ("tmp", "dev", "proc", "sys", "run", "var/run", "var/tmp") if path in subject.tree
    )


def _odd_folders(subject: Subject, context: Context) -> tuple[str, ...]:
    return tuple(
        path
        for path, node in subject.tree.items()
        if path
        and node.is_dir
        and stat.S_IMODE(node.mode) not in _USUAL_MODES
        and facts(node) not in _right_looks(path, context)
    )


def _repair_folder_modes(subject: Subject, context: Context) -> Subject:
    odd = _odd_folders(subject, context)
    return _changed(
        subject, lambda path, node: _set(node, (0o755, node.uid, node.gid)) if path in odd else node
    )


@check(
    "folder-mode",
    "warning",
    """Folders are 0755, as Tiny Core's submitqc asks: a folder that not everybody may read and enter hides
    what is in it from the user tc, and one that the group may write is seldom meant. Folders that are
    private for a reason (spool, keys) are made by the package's start-up script.""",
    repair=_repair_folder_modes,
    submission="error",
)
def folder_mode(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    for path in _odd_folders(subject, context):
        yield Fault(message=f"a folder of mode {stat.S_IMODE(subject.tree[path].mode):04o}", paths=(path,))


def _foreign(subject: Subject, context: Context) -> dict[str, tuple[int, int]]:
    found = {}
    for path, node in subject.tree.items():
        ours = path == STARTUP or path.startswith(STARTUP + "/")
        if ours or (node.uid, node.gid) == (0, 0) or not path:
            continue
        if node.is_dir and facts(node) in _right_looks(path, context):
            continue
        found[path] = (node.uid, node.gid)
    return found


def _repair_owner(subject: Subject, context: Context) -> Subject:
    foreign = _foreign(subject, context)
    return _changed(subject, lambda path, node: replace(node, uid=0, gid=0) if path in foreign else node)


@check(
    "owner",
    "warning",
    """Everything in a package is root's, apart from usr/local/tce.installed and folders that the base gives
    to another owner. Files of user 1001 can be changed by the user tc, programs that root runs among
    them, once the package is copied into the system.""",
    repair=_repair_owner,
    submission="error",
)
def owner(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    by_owner: dict[tuple[int, int], list[str]] = {}
    for path, who in _foreign(subject, context).items():
        by_owner.setdefault(who, []).append(path)
    for (uid, gid), paths in sorted(by_owner.items()):
        yield Fault(message=f"owned by {uid}:{gid}, not by 0:0", paths=tuple(paths))


def _writable(subject: Subject) -> tuple[str, ...]:
    return tuple(
        path
        for path, node in subject.tree.items()
        if path and not node.is_link and node.mode & 0o002 and not (node.is_dir and node.mode & stat.S_ISVTX)
    )


def _repair_writable(subject: Subject, _context: Context) -> Subject:
    paths = _writable(subject)
    return _changed(
        subject, lambda path, node: replace(node, mode=node.mode & ~0o002) if path in paths else node
    )


@check(
    "world-writable",
    "error",
    """Files and folders that everybody may write let any user, and any program that was broken into, change
    what others run. A folder needs at least the sticky bit, as /tmp has it.""",
    repair=_repair_writable,
)
def world_writable(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    paths = _writable(subject)
    if paths:
        yield Fault(message="everybody may write it", paths=paths)


@check(
    "set-id",
    "warning",
    """Programs with the set-uid or set-gid bit run with the rights of their owner, whoever starts them. Few
    need it; a recipe says so in package.owners and allows this check with the reason.""",
)
def set_id(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    for path, node in subject.tree.items():
        if node.is_file and node.mode & (stat.S_ISUID | stat.S_ISGID):
            bits = "set-uid" if node.mode & stat.S_ISUID else "set-gid"
            yield Fault(message=f"{bits}, {told(*facts(node))}", paths=(path,))


def _unreadable(subject: Subject) -> tuple[str, ...]:
    return tuple(
        path for path, node in subject.files if not node.mode & 0o004 and not path.startswith(STARTUP)
    )


@check(
    "unreadable-file",
    "note",
    """A file that not everybody may read is of no use to the user tc, who starts most programs, and cannot be
    secret: the image it comes from can be read by all.""",
)
def unreadable(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    paths = _unreadable(subject)
    if paths:
        yield Fault(message="only its owner or group may read it", paths=paths)


def _special(subject: Subject) -> tuple[str, ...]:
    return tuple(
        path for path, node in subject.tree.items() if not (node.is_dir or node.is_file or node.is_link)
    )


@check(
    "device-node",
    "error",
    """Device nodes, pipes and sockets do not belong in a package: udev makes devices, programs make the rest.
    A device node that everybody may open is a way around every other right.""",
    repair=lambda subject, _context: subject.without(_special(subject)),
)
def device_node(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    for path in _special(subject):
        yield Fault(
            message=f"a device node, pipe or socket ({stat.filemode(subject.tree[path].mode)})", paths=(path,)
        )


CHECKS = (
    root_folder,
    base_folders,
    ships_tmp,
    folder_mode,
    owner,
    world_writable,
    set_id,
    unreadable,
    device_node,
)
