"""Packages unpacked in the root of an image, as loading them would have put them there. Pure.

What Tiny Core's tce-load does without a word is refused or told: it leaves a file out where another one is
already (``cp -i`` answered with no), and gives folders of the system the owner and mode of the package's.
Here two files at one path are refused with the names of both packages, and folders stay as the base has
them. Of a folder that the base lacks the first package decides, unless every base has it (``tcz.stage``).

Start-up scripts run at boot, when everything is loaded, in the order of loading: Tiny Core's tce-setup runs
what /tmp/setup.lst names, and packages that are loaded at boot are added to that list. A package without a
script gets its mark. tce-setup makes modules known where /etc/sysconfig/newmodules is; our own base has
packages whose modules it knows already (``modules.covered``).
"""

from __future__ import annotations

import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tcz.errors import ConfigError, Problem
from tcz.rootlinks import resolved
from tcz.stage import base_folder
from tcz.tree import Node, Tree, directory, regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SETUP: Final = "tmp/setup.lst"
_MARKS: Final = "usr/local/tce.installed"
_MODULES: Final = "usr/local/lib/modules"
_COVERED: Final = "/modules.covered"
_NEW_MODULES: Final = "etc/sysconfig/newmodules"
#: The boot user and its group: tce-load, which adds to the list, is not root's.
_USER, _STAFF = 1001, 50
#: Mounted over, or shared by everybody: a package must not bring any of it.
_VOLATILE: Final = ("tmp", "dev", "proc", "sys", "run")
_PLAIN: Final = (0o755, 0, 0)
_BASE: Final = "the base"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """What is laid over the base, whose each path is, and what the user should know."""

    nodes: Tree
    owners: Mapping[str, str]
    notes: tuple[str, ...]


def _facts(node: Node) -> tuple[int, int, int]:
    return stat.S_IMODE(node.mode), node.uid, node.gid


def _told(facts: tuple[int, int, int]) -> str:
    return f"{facts[0]:04o} {facts[1]}:{facts[2]}"


def _same(first: Node, second: Node) -> bool:
    """Tell whether two files may stand for each other: of one kind, with the same bytes."""
    if stat.S_IFMT(first.mode) != stat.S_IFMT(second.mode) or first.is_dir or first.rdev != second.rdev:
        return False
    return first.size == second.size and first.read() == second.read()


class _Laying:
    """The root while packages are laid over it."""

    def __init__(self, base: Tree) -> None:
        self.base = base
        self.nodes: dict[str, Node] = {}
        self.owners: dict[str, str] = {}
        self.problems: list[Problem] = []
        self.kept: dict[str, list[str]] = {}
        self.with_modules: list[str] = []

    def get(self, path: str) -> Node | None:
        return self.nodes.get(path) or self.base.get(path)

    def lay(self, name: str, package: Tree) -> None:
        if _MODULES in package:
            self.with_modules.append(name)
        places = {"": ""}
        moved: dict[str, str] = {}
        for path, node in package.items():
            parent, _, leaf = path.rpartition("/")
            if not path:
                self._folder("", node, name)
            elif path.partition("/")[0] in _VOLATILE:
                self._volatile(path, name)
            elif parent in places:
                target = f"{places[parent]}/{leaf}".lstrip("/")
                moved[path] = target
                if node.is_dir:
                    self._into(path, target, node, name, places)
                else:
                    self._file(target, replace(node, link=moved.get(node.link or "")), name)

    def _volatile(self, path: str, name: str) -> None:
        if "/" not in path:
            where = f"package {name}"
            message = f"it holds /{path}, which is the running system's"
            self.problems.append(Problem(where=where, message=message, hint="leave it in cde, or repair it"))

    def _into(self, path: str, target: str, node: Node, name: str, places: dict[str, str]) -> None:
        """Lay a folder; where a link of the root leads to one, what is in it goes there."""
        here = self.get(target)
        if here is not None and here.is_link:
            real = resolved(self._whole(), target)
            found = None if real is None else self.get(real)
            if real is not None and found is not None and found.is_dir:
                places[path] = real
                return
        if here is not None and not here.is_dir:
            self._conflict(target, name)
            return
        self._folder(target, node, name)
        places[path] = target

    def _whole(self) -> Tree:
        return self.base.overlay(Tree(self.nodes)) if self.nodes else self.base

    def _folder(self, target: str, node: Node, name: str) -> None:
        here, usual = self.get(target), base_folder(target)
        wanted = _facts(node)
        if here is None:
            facts = wanted if usual is None else (usual[0], 0, usual[1])
            self.nodes[target] = replace(node, mode=stat.S_IFDIR | facts[0], uid=facts[1], gid=facts[2])
            self.owners[target] = name
        else:
            facts = _facts(here)
        below_local = target == "usr/local" or target.startswith("usr/local/")
        if wanted != facts and not (wanted == _PLAIN and below_local):
            told = f"/{target} ({_told(facts)}, not {_told(wanted)})"
            self.kept.setdefault(name, []).append(told)

    def _file(self, target: str, node: Node, name: str) -> None:
        here = self.get(target)
        if here is None:
            self.nodes[target] = node
            self.owners[target] = name
        elif not _same(self._content(here), self._content(node)):
            self._conflict(target, name)

    def _content(self, node: Node) -> Node:
        held = None if node.link is None else self.get(node.link)
        return node if held is None else held

    def _conflict(self, target: str, name: str) -> None:
        owner = self.owners.get(target, _BASE)
        self.problems.append(Problem(where=f"/{target}", message=f"{owner} has it, and so has {name}"))

    def notes(self) -> tuple[str, ...]:
        """Return which folders stay as they are, a line for each package."""
        return tuple(
            f"folders of {name} are not as the system's, which stay: {', '.join(folders)}"
            for name, folders in self.kept.items()
        )


def unpack(base: Tree, packages: Iterable[tuple[str, Tree]], epoch: int) -> Unpacked:
    """Lay packages, in the order of loading, over a base.

    Raises ``ConfigError`` with every path that two have, and for packages that bring /tmp, /dev or the like.
    """
    laying = _Laying(base)
    names = []
    for name, tree in packages:
        names.append(name)
        laying.lay(name, tree)
    if laying.problems:
        raise ConfigError(
            "packages cannot be unpacked into the root",
            laying.problems,
            hint="what is mounted from cde or builtin instead leaves the file that is there alone",
        )
    nodes = laying.nodes
    if names:
        nodes |= _marks(nodes, names, base, epoch)
    known = _covered(base)
    if any(name not in known for name in laying.with_modules):
        nodes[_NEW_MODULES] = regular(b"", mtime=epoch)
    return Unpacked(nodes=Tree(nodes), owners=laying.owners, notes=laying.notes())


def _covered(base: Tree) -> set[str]:
    texts = (node.read().decode() for path, node in base.items() if path.endswith(_COVERED))
    return {name for text in texts for name in text.split()}


def _marks(nodes: dict[str, Node], names: Sequence[str], base: Tree, epoch: int) -> dict[str, Node]:
    found: dict[str, Node] = {}
    scripts = []
    for name in names:
        mark = nodes.get(f"{_MARKS}/{name}")
        if mark is None:
            found[f"{_MARKS}/{name}"] = regular(b"", mtime=epoch)
        elif stat.S_IMODE(mark.mode) & 0o111:
            scripts.append(f"/{_MARKS}/{name}\n")
    if _MARKS not in nodes and _MARKS not in base:
        found[_MARKS] = directory(0o775, gid=_STAFF, mtime=epoch)
    if "tmp" not in base:
        found["tmp"] = directory(0o1777, gid=_STAFF, mtime=epoch)
    if scripts:
        text = "".join(scripts).encode()
        found[SETUP] = regular(text, mode=0o664, uid=_USER, gid=_STAFF, mtime=epoch)
    return found
