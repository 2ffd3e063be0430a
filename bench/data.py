"""Data to measure with, the same in every run: content like that of programs, and trees made of it."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Final

from tcz.tree import Node, Tree, regular, symlink

if TYPE_CHECKING:
    from collections.abc import Iterator

EPOCH: Final = 1735689600
_TOKENS: Final = 4000
_RUN: Final = 12


def program(size: int, seed: int) -> bytes:
    """Return ``size`` bytes that gzip makes about two times smaller, as it does machine code.

    Byte sequences of Zipf's frequencies, with four random bytes (an address) after every few.
    """
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    tokens = [rng.randbytes(rng.randint(2, 12)) for _ in range(_TOKENS)]
    weights = list(itertools.accumulate((rank + 2) ** -1.2 for rank in range(_TOKENS)))
    made = bytearray(b"\x7fELF\x02\x01\x01" + bytes(9))
    while len(made) < size:
        made += b"".join(rng.choices(tokens, cum_weights=weights, k=_RUN)) + rng.randbytes(4)
    return bytes(made[:size])


def root_tree(size: int, seed: int) -> Tree:
    """Return a root file system of about ``size`` bytes: a third in small files, the rest in programs.

    No device nodes, so that a peer can unpack it without root.
    """
    rng = random.Random(seed)  # noqa: S311
    nodes: dict[str, Node] = {"etc/passwd": regular(b"root:x:0:0:root:/root:/bin/sh\n")}
    nodes["init"] = regular(b"#!/bin/sh\n", 0o755)
    nodes["etc/group"] = regular(b"root:x:0:\nstaff:x:50:\n")
    for number, (low, high, share) in enumerate(((400, 9000, 1 / 3), (100_000, 900_000, 2 / 3))):
        for path, content in _files(rng, low, high, int(size * share), seed * 10 + number):
            nodes[path] = regular(content, 0o755)
    for number in range(300):
        nodes[f"usr/bin/tool{number}"] = symlink("busybox")
    return Tree({path: _timed(node) for path, node in nodes.items()})


def _timed(node: Node) -> Node:
    return Node(mode=node.mode, uid=node.uid, gid=node.gid, mtime=EPOCH, data=node.data)


def _files(rng: random.Random, low: int, high: int, total: int, seed: int) -> Iterator[tuple[str, bytes]]:
    pool = program(total, seed)
    at, number = 0, 0
    while at < total:
        size = rng.randint(low, high)
        yield f"usr/lib/d{low}/{number % 24:02}/f{number}.so", pool[at : min(at + size, total)]
        at, number = at + size, number + 1
