"""What a power cut may leave of a command's work, of which ``tests.unit.straced`` made a recording.

``Recording.crash`` makes a folder as a disk may have it when the power fails after some of that: what was
not yet made durable by fsync or syncfs may be there, in part, as zeros, or not at all; changes of folders
that were not, each by itself. A rename is one change: it is there or it is not. That is more than
journalling file systems allow.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from random import Random

#: What is done to data that was written and not made durable.
Loss = Literal["kept", "gone", "cut", "zeros"]
LOSSES: tuple[Loss, ...] = ("kept", "gone", "cut", "zeros")


@dataclass
class Node:
    """A file, folder or link; ``data`` holds a link's target, too, and ``mode`` who may read a file."""

    kind: Literal["file", "folder", "link"]
    data: bytes = b""
    entries: dict[str, Node] = field(default_factory=dict)
    mode: int = 0o644


@dataclass(frozen=True)
class Write:
    """Bytes of a file; with ``data`` none, its new length is ``at``."""

    node: Node
    at: int
    data: bytes | None


@dataclass(frozen=True)
class Change:
    """Entries of folders set or removed, all at once."""

    entries: tuple[tuple[Node, str, Node | None], ...]

    @property
    def turns(self) -> bool:
        """Whether more than a file is concerned: a folder moved, a link made or replaced."""
        kinds = {node.kind for _, _, node in self.entries if node is not None}
        return "link" in kinds or ("folder" in kinds and len(self.entries) > 1)


@dataclass(frozen=True)
class Mode:
    """Who may read a file from now on: never lost, as who could read it meanwhile is what matters."""

    node: Node
    mode: int


@dataclass(frozen=True)
class Sync:
    """What was written to a file or folder is durable from now on; with ``node`` none, all is."""

    node: Node | None


Step = Write | Change | Mode | Sync


def read(folder: Path) -> Node:
    """Return a folder with all below it; hard links are one node."""
    known: dict[int, Node] = {}

    def walk(path: Path) -> Node:
        if path.is_symlink():
            return Node("link", os.fsencode(path.readlink()))
        if path.is_dir():
            return Node("folder", entries={one.name: walk(one) for one in path.iterdir()})
        inode = path.stat().st_ino
        if inode not in known:
            known[inode] = Node("file", path.read_bytes(), mode=path.stat().st_mode & 0o777)
        return known[inode]

    return walk(folder)


def write(node: Node, path: Path) -> None:
    """Make a folder of a node; hard links are made as such."""
    made: dict[int, Path] = {}

    def put(one: Node, at: Path) -> None:
        if one.kind == "folder":
            at.mkdir()
            for name, below in one.entries.items():
                put(below, at / name)
        elif one.kind == "link":
            at.symlink_to(os.fsdecode(one.data))
        elif id(one) in made:
            at.hardlink_to(made[id(one)])
        else:
            at.write_bytes(one.data)
            at.chmod(one.mode)
            made[id(one)] = at

    put(node, path)


@dataclass(frozen=True)
class Recording:
    """A folder as it was, and what was done to it."""

    before: Node
    steps: tuple[Step, ...]

    @property
    def cuts(self) -> int:
        """The number of places to cut: after each step, and before the first."""
        return len(self.steps) + 1

    def crash(self, cut: int, random: Random, loss: Loss, *, ordered: bool) -> Node:
        """Return the folder after a power cut at ``cut``.

        With ``ordered``, changes of folders become durable in the order in which they were made, as a
        journal has them; otherwise any that are not yet durable may be lost.
        """
        steps = self.steps[:cut]
        durable = _durable(steps)
        loose = [n for n, one in enumerate(steps) if isinstance(one, Change) and n not in durable]
        if ordered:
            lost = set(loose[random.randrange(len(loose) + 1) :])
        elif loose and random.random() < 0.5:
            lost = {random.choice(loose)}
        else:
            lost = {n for n in loose if random.random() < 0.5}
        copy = Copy()
        root = copy.of(self.before)
        unsure: dict[int, tuple[Node, bytes]] = {}
        for number, one in enumerate(steps):
            if isinstance(one, Write):
                node = copy.of(one.node)
                if number not in durable:
                    unsure.setdefault(id(node), (node, node.data))
                apply(node, one)
            elif isinstance(one, Mode):
                copy.of(one.node).mode = one.mode
            elif isinstance(one, Change) and number not in lost:
                copy.change(one)
        for node, old in unsure.values():
            node.data = _after(loss, old, node.data, random)
        return root


class Copy:
    """Copies of nodes, each made once."""

    def __init__(self) -> None:
        self._made: dict[int, Node] = {}

    def of(self, node: Node) -> Node:
        if id(node) not in self._made:
            made = self._made[id(node)] = Node(node.kind, node.data, mode=node.mode)
            made.entries = {name: self.of(below) for name, below in node.entries.items()}
        return self._made[id(node)]

    def change(self, one: Change) -> None:
        """Do to the copies what was done to folders."""
        for folder, name, target in one.entries:
            if target is None:
                self.of(folder).entries.pop(name, None)
            else:
                self.of(folder).entries[name] = self.of(target)


def _durable(steps: Sequence[Step]) -> set[int]:
    """Return the numbers of the steps that later ones made durable."""
    found: set[int] = set()
    synced: set[int] = set()
    everything = False
    for number in range(len(steps) - 1, -1, -1):
        one = steps[number]
        if isinstance(one, Sync):
            if one.node is None:
                everything = True
            else:
                synced.add(id(one.node))
        elif everything:
            found.add(number)
        elif isinstance(one, Write):
            if id(one.node) in synced:
                found.add(number)
        elif isinstance(one, Change) and any(id(folder) in synced for folder, _, _ in one.entries):
            found.add(number)
    return found


def apply(node: Node, one: Write) -> None:
    """Do to a node what was written."""
    if one.data is None:
        node.data = node.data[: one.at].ljust(one.at, b"\0")
    else:
        node.data = node.data[: one.at].ljust(one.at, b"\0") + one.data + node.data[one.at + len(one.data) :]


def _after(loss: Loss, old: bytes, new: bytes, random: Random) -> bytes:
    if loss == "gone":
        return old
    if loss == "cut":
        return new[: random.randrange(len(new) + 1)]
    if loss == "zeros":
        return bytes(len(new))
    return new


def pairs(given: Node, made: Node) -> Iterator[tuple[Node, Node]]:
    """Yield the nodes of a folder, each with the one that stands for it in a copy."""
    yield given, made
    for name, below in given.entries.items():
        yield from pairs(below, made.entries[name])
