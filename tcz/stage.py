"""From what a build installed to trees: which file is whose, with the owners and modes it shall have.

A build runs as one plain user, so the disk says nothing of owners; they follow from rules:
everything is root's, folders are 755, files keep only whether they are executable, and a recipe's
owner rules say the rest (set-uid bits come from nowhere else). Every staged file and link belongs
to exactly one package.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from tcz.errors import BuildError, ConfigError, Problem
from tcz.modules import in_extension
from tcz.tree import FileRef, Node, Tree, directory, regular, symlink

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from tcz.model import Form, OwnerRule, PackageSpec

STAFF = 50
_STARTUP = "usr/local/tce.installed"

#: Loading an extension copies the owner and mode of its folders onto the live system, so folders
#: that a Tiny Core base has must look in an extension as they look there.
_BASE_FOLDERS: Mapping[str, tuple[int, int]] = {
    **dict.fromkeys(
        (
            *("usr/local", "usr/local/bin", "usr/local/lib", "usr/local/lib/modules", _STARTUP),
            *("home", "mnt", "var", "run", "dev", "proc", "sys", "root", "etc/skel"),
        ),
        (0o775, STAFF),
    ),
    "etc/init.d": (0o755, STAFF),
    "etc/sysconfig": (0o755, STAFF),
    "opt": (0o2775, STAFF),
}


def base_folder(path: str) -> tuple[int, int] | None:
    """Return mode and group of a folder that every base has, as a package must hold it; else ``None``."""
    return _BASE_FOLDERS.get(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A staged path and what the disk says of it."""

    path: str
    status: os.stat_result


def scan(dest: Path) -> tuple[Entry, ...]:
    """List a staged folder, sorted; raises ``BuildError`` for sockets, pipes and device nodes."""
    found: list[Entry] = []

    def walk(folder: str) -> None:
        with os.scandir(dest / folder) as entries:
            for item in sorted(entries, key=lambda entry: entry.name):
                path = f"{folder}/{item.name}" if folder else item.name
                status = item.stat(follow_symlinks=False)
                if not (
                    stat.S_ISDIR(status.st_mode)
                    or stat.S_ISREG(status.st_mode)
                    or stat.S_ISLNK(status.st_mode)
                ):
                    raise BuildError(
                        f"the build staged something that is no file, folder or link: {path}",
                        hint="device nodes go into the recipe's package.devices",
                    )
                found.append(Entry(path=path, status=status))
                if stat.S_ISDIR(status.st_mode):
                    walk(path)

    walk("")
    return tuple(found)


@cache
def glob_pattern(glob: str) -> re.Pattern[str]:
    """Compile a glob on whole paths: ``*`` and ``?`` stop at ``/``, ``**`` does not.

    A match of a folder stands for all below it; ``dir/**`` includes nothing but what is below.
    """
    out = []
    for part in re.split(r"(\*\*/|\*\*|\*|\?|\[!?[^/\]]+\])", glob.strip("/")):
        if part == "**/":
            out.append("(?:.*/)?")
        elif part == "**":
            out.append(".*")
        elif part == "*":
            out.append("[^/]*")
        elif part == "?":
            out.append("[^/]")
        elif len(part) > 2 and part[0] == "[" and part[-1] == "]":  # noqa: PLR2004 - more than the brackets
            inner = part[1:-1].replace("\\", "\\\\")
            out.append(f"[^/{inner[1:]}]" if inner[0] == "!" else f"[{inner}]")
        else:
            out.append(re.escape(part))
    return re.compile("".join(out) + r"(?:/.*)?\Z", re.DOTALL)


def claim(entries: Sequence[Entry], specs: Sequence[PackageSpec]) -> Mapping[str, tuple[Entry, ...]]:
    """Divide staged entries among packages, by package name.

    A glob that begins with ``!`` takes back what the globs before it claimed. Empty folders go
    along where a glob names them and are left out otherwise. What none claims goes to the package of
    the rest. Raises ``ConfigError`` with every file that two packages claim, every file that belongs
    to none and every glob that matches nothing.
    """
    rest = next((spec.name for spec in specs if spec.rest), None)
    owners: dict[str, list[str]] = {entry.path: [] for entry in entries}
    problems: list[Problem] = []
    for spec in specs:
        mine, idle = _matches(spec, entries)
        problems += [
            Problem(where=f"package {spec.name}", message=f"{glob!r} matches no staged file") for glob in idle
        ]
        for path in mine:
            owners[path].append(spec.name)
    for entry in entries:
        names = owners[entry.path]
        if stat.S_ISDIR(entry.status.st_mode):
            continue
        if len(names) > 1:
            problems.append(Problem(where=entry.path, message=f"belongs to {' and '.join(names)}"))
        elif not names and rest is not None:
            names.append(rest)
        elif not names:
            problems.append(
                Problem(
                    where=entry.path,
                    message="belongs to no package",
                    hint="add it to a package's files, or remove it in build.sh",
                )
            )
    if problems:
        raise ConfigError("the staged files and the recipe's packages do not fit together", problems)
    return {spec.name: tuple(entry for entry in entries if spec.name in owners[entry.path]) for spec in specs}


def _matches(spec: PackageSpec, entries: Sequence[Entry]) -> tuple[set[str], list[str]]:
    """Return the paths of a package, and its globs that match nothing."""
    mine: set[str] = set()
    idle = []
    for glob in spec.files:
        pattern = glob_pattern(glob.removeprefix("!"))
        hits = {entry.path for entry in entries if pattern.match(entry.path)}
        if not hits:
            idle.append(glob)
        mine = mine - hits if glob.startswith("!") else mine | hits
    return mine, idle


def tree_of(dest: Path, entries: Iterable[Entry], spec: PackageSpec, epoch: int) -> Tree:
    """Make the tree of one package from its share of a staged folder.

    Files are references into ``dest``. Hard links within the package stay hard links. Raises
    ``ConfigError`` for an owner rule that matches nothing. In an extension, kernel modules are put
    where extensions have them (see ``tcz.modules``).
    """
    nodes: dict[str, Node] = {}
    first: dict[tuple[int, int], str] = {}
    for entry in entries:
        nodes[entry.path] = _node(dest, entry, first, epoch)
    if spec.form == "extension":
        nodes = in_extension(nodes)
    for device in spec.devices:
        kind = stat.S_IFCHR if device.kind == "c" else stat.S_IFBLK
        nodes[device.path.strip("/")] = Node(
            mode=kind | device.mode,
            uid=device.uid,
            gid=device.gid,
            mtime=epoch,
            rdev=(device.major, device.minor),
        )
    nodes.setdefault("", directory(mtime=epoch))
    tree = Tree(nodes).with_mtime(epoch)
    conventional = Tree((path, _conventional(path, node, spec.form)) for path, node in tree.items())
    return _apply(conventional, spec)


def with_startup(tree: Tree, name: str, script: bytes, epoch: int) -> Tree:
    """Return the tree with the script that runs when the extension ``name`` is loaded.

    Raises ``ConfigError`` where the build staged one of its own.
    """
    path = f"{_STARTUP}/{name}"
    if path in tree:
        problem = Problem(where=path, message="the build installed one, and the recipe gives startup as well")
        raise ConfigError(f"two startup scripts for the package {name}", [problem])
    with_script = Tree(
        {**dict(tree.items()), path: regular(script, mode=0o775, gid=STAFF, mtime=epoch)}
    ).with_mtime(epoch)
    return Tree(
        (at, node if at in tree else _conventional(at, node, "extension")) for at, node in with_script.items()
    )


def lost_bits(entries: Iterable[Entry], tree: Tree, spec: PackageSpec) -> tuple[str, ...]:
    """Return the files that a build made set-uid or set-gid and that are neither in the package.

    Where an owner rule gives a mode, somebody has thought of it.
    """
    return tuple(
        entry.path
        for entry in entries
        if stat.S_ISREG(entry.status.st_mode)
        and entry.status.st_mode & (stat.S_ISUID | stat.S_ISGID)
        and (node := tree.get(entry.path)) is not None
        and not node.mode & (stat.S_ISUID | stat.S_ISGID)
        and not any(rule.mode is not None and fits(rule, entry.path) for rule in spec.owners)
    )


def _node(dest: Path, entry: Entry, first: dict[tuple[int, int], str], epoch: int) -> Node:
    status = entry.status
    if stat.S_ISDIR(status.st_mode):
        return directory(mtime=epoch)
    if stat.S_ISLNK(status.st_mode):
        node = symlink("", mtime=epoch)
        return replace(node, data=os.fsencode((dest / entry.path).readlink()))
    mode = 0o755 if status.st_mode & 0o111 else 0o644
    original = first.setdefault((status.st_dev, status.st_ino), entry.path)
    if original != entry.path:
        return replace(regular(b"", mode=mode, mtime=epoch), link=original)
    return regular(FileRef(dest / entry.path, 0, status.st_size), mode=mode, mtime=epoch)


def _conventional(path: str, node: Node, form: Form) -> Node:
    """Apply Tiny Core's conventions: start-up scripts, and folders that every base has."""
    if node.is_file and path.startswith(_STARTUP + "/"):
        return replace(node, mode=stat.S_IFREG | 0o775, gid=STAFF)
    if not node.is_dir:
        return node
    if path == _STARTUP or (form == "extension" and path in _BASE_FOLDERS):
        mode, gid = _BASE_FOLDERS[path]
        return replace(node, mode=stat.S_IFDIR | mode, gid=gid)
    return node


def _apply(tree: Tree, spec: PackageSpec) -> Tree:
    """Apply a package's owner rules; the last that matches a path wins, field by field."""
    nodes = dict(tree.items())
    problems = []
    for rule in spec.owners:
        paths = [path for path in nodes if fits(rule, path)]
        if not paths:
            problems.append(
                Problem(where=f"package {spec.name}", message=f"owner rule {rule.path!r} matches nothing")
            )
        for path in paths:
            nodes[path] = _ruled(nodes[path], rule)
    if problems:
        raise ConfigError("owner rules that match nothing", problems)
    for path, node in nodes.items():
        if node.link is not None:
            # One inode has one owner and one mode: those of the path that holds the content.
            target = nodes[node.link]
            nodes[path] = replace(node, mode=target.mode, uid=target.uid, gid=target.gid)
    return Tree(nodes)


def fits(rule: OwnerRule, path: str) -> bool:
    """Tell whether a rule's glob matches this very path (a folder does not stand for what is below)."""
    glob = rule.path.strip("/")
    return glob == path or (bool(path) and _exact(glob).match(path) is not None)


@cache
def _exact(glob: str) -> re.Pattern[str]:
    return re.compile(glob_pattern(glob).pattern.removesuffix(r"(?:/.*)?\Z") + r"\Z", re.DOTALL)


def _ruled(node: Node, rule: OwnerRule) -> Node:
    mode = node.mode
    if rule.mode is not None and not node.is_link:
        mode = stat.S_IFMT(node.mode) | rule.mode
    return replace(
        node,
        mode=mode,
        uid=node.uid if rule.uid is None else rule.uid,
        gid=node.gid if rule.gid is None else rule.gid,
    )
