"""kmod's binary indexes: a tree of texts by their first letters (libkmod's libkmod-index.h describes it)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tcz.errors import VerifyError

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAGIC: Final = 0xB007F457
_VERSION: Final = 0x00020001
_PREFIX, _VALUES, _CHILDREN = 0x80000000, 0x40000000, 0x20000000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A key and a value; of one key's values those of the lowest priority come first."""

    key: str
    value: str
    priority: int = 0


@dataclass(slots=True)
class _Node:
    prefix: bytes
    values: list[tuple[int, bytes]]
    children: dict[int, _Node] = field(default_factory=dict)
    size: int = 0
    total: int = 0

    @property
    def mask(self) -> int:
        return (
            (_CHILDREN if self.children else 0)
            | (_PREFIX if self.prefix else 0)
            | (_VALUES if self.values else 0)
        )

    def measure(self) -> int:
        size = 0
        if self.children:
            size += 2 + 4 * (max(self.children) - min(self.children) + 1)
        if self.prefix:
            size += len(self.prefix) + 1
        if self.values:
            size += 4 + sum(4 + len(text) + 1 for _, text in self.values)
        self.size = size
        self.total = size + sum(child.measure() for child in self.children.values())
        return self.total

    def write(self, out: bytearray, offset: int) -> None:
        if self.prefix:
            out += self.prefix + b"\0"
        first = min(self.children, default=0)
        after = offset + self.size
        if self.children:
            last = max(self.children)
            out += bytes((first, last))
            for letter in range(first, last + 1):
                child = self.children.get(letter)
                out += struct.pack(">I", 0 if child is None else after | child.mask)
                after += 0 if child is None else child.total
        if self.values:
            out += struct.pack(">I", len(self.values))
            for priority, text in self.values:
                out += struct.pack(">I", priority) + text + b"\0"
        after = offset + self.size
        for letter in sorted(self.children):
            self.children[letter].write(out, after)
            after += self.children[letter].total


def write(entries: Iterable[Entry]) -> bytes:
    """Return an index. Raises ``VerifyError`` for what is not plain ASCII."""
    held: dict[bytes, list[tuple[int, bytes]]] = {}
    for one in entries:
        if not one.key.isascii() or not one.value.isascii() or "\0" in one.key + one.value:
            raise VerifyError(f"{one.key!r} cannot be in an index of modules: it is not plain ASCII")
        values = held.setdefault(one.key.encode(), [])
        place = next((n for n, (priority, _) in enumerate(values) if priority >= one.priority), len(values))
        values.insert(place, (one.priority, one.value.encode()))
    root = _Node(b"", held.pop(b"", []))
    _grow(root, sorted(held.items()), 0)
    root.measure()
    out = bytearray(struct.pack(">3I", _MAGIC, _VERSION, 12 | root.mask))
    root.write(out, 12)
    return bytes(out)


def _grow(node: _Node, entries: list[tuple[bytes, list[tuple[int, bytes]]]], depth: int) -> None:
    """Hang sorted entries below a node, ``depth`` letters of whose keys are used up."""
    start = 0
    while start < len(entries):
        letter = entries[start][0][depth]
        end = start
        while end < len(entries) and entries[end][0][depth] == letter:
            end += 1
        group = entries[start:end]
        prefix = _common(group[0][0][depth + 1 :], group[-1][0][depth + 1 :])
        below = depth + 1 + len(prefix)
        own = group[0][1] if len(group[0][0]) == below else []
        child = _Node(prefix, own)
        node.children[letter] = child
        _grow(child, group[1:] if own else group, below)
        start = end


def _common(first: bytes, last: bytes) -> bytes:
    count = 0
    while count < min(len(first), len(last)) and first[count] == last[count]:
        count += 1
    return first[:count]
