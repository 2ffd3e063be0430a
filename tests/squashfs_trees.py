"""Trees that squashfs can hold, made by hypothesis; and plain text of what a tree holds, to compare."""

from __future__ import annotations

import hashlib
import stat
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from tcz.tree import Node, Tree

if TYPE_CHECKING:
    from collections.abc import Sequence

_IDS = st.sampled_from([0, 0, 0, 50, 1001, 65534, 0xFFFFFFFF])
_NAMES = st.one_of(
    st.sampled_from(
        ["a", "b", "a-b", "usr", "local", "bin", "-x", " lead ", '"q"', "\\n", "*?[a]", "\udcff\udcfe", "ü"]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=12).filter(
        lambda name: name not in (".", "..")
    ),
    st.just("n" * 255),
)
_MODES = st.sampled_from([0o755, 0o644, 0, 0o4755, 0o2775, 0o1777, 0o7777])
_TIMES = st.sampled_from([0, 1, 1735689600, 0xFFFFFFFF])


@st.composite
def contents(draw: st.DrawFn, block: int = 4096) -> bytes:
    """Content around the sizes where something changes: repetitive, random, zeros, and mixed."""
    size = draw(st.sampled_from([0, 1, 7, 100, block - 1, block, block + 1, 3 * block, 3 * block + 17]))
    kind = draw(st.sampled_from("rzsm"))
    if kind == "z":
        return bytes(size)
    if kind == "s":
        return (b"same again %d " % draw(st.integers(0, 2)) * (size // 8 + 1))[:size]
    made = draw(st.randoms(use_true_random=False)).randbytes(size)
    return made if kind == "r" else bytes(size // 2) + made[size // 2 :]


@st.composite
def trees(draw: st.DrawFn, kinds: Sequence[int] = (), max_size: int = 12) -> Tree:
    """Trees of every kind of node; hard links too."""
    all_kinds = kinds or (
        *(stat.S_IFREG, stat.S_IFREG, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK),
        *(stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK),
    )
    nodes: dict[str, Node] = {}
    folders = [""]
    for _ in range(draw(st.integers(0, max_size))):
        parent = draw(st.sampled_from(folders))
        name = draw(_NAMES)
        path = f"{parent}/{name}" if parent else name
        if path in nodes or len(path.encode("utf-8", "surrogateescape")) > 2000:
            continue
        others = [held for held, node in nodes.items() if not node.is_dir and node.link is None]
        if others and draw(st.integers(0, 7)) == 0:
            holder = draw(st.sampled_from(sorted(others)))
            # The first name of a hard link holds the content, as the reader gives it.
            if path.encode("utf-8", "surrogateescape") > holder.encode("utf-8", "surrogateescape"):
                same = nodes[holder]
                nodes[path] = Node(
                    mode=same.mode, uid=same.uid, gid=same.gid, mtime=same.mtime, rdev=same.rdev, link=holder
                )
            continue
        nodes[path] = _node(draw, draw(st.sampled_from(all_kinds)))
        if nodes[path].is_dir:
            folders.append(path)
    nodes[""] = Node(mode=stat.S_IFDIR | draw(_MODES), uid=draw(_IDS), gid=draw(_IDS), mtime=draw(_TIMES))
    return Tree(nodes)


def _node(draw: st.DrawFn, kind: int) -> Node:
    data = b""
    rdev = (0, 0)
    mode = draw(_MODES)
    if kind == stat.S_IFREG:
        data = draw(contents())
    elif kind == stat.S_IFLNK:
        data, mode = draw(st.sampled_from([b"x", b"../to where", b"\xff\xfe", b"t" * 200])), 0o777
    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
        rdev = draw(st.sampled_from([(0, 0), (5, 1), (8, 17), (4095, 1048575)]))
    return Node(mode=kind | mode, uid=draw(_IDS), gid=draw(_IDS), mtime=draw(_TIMES), data=data, rdev=rdev)


def told(tree: Tree) -> dict[str, tuple[object, ...]]:
    """Return all that a tree says, by path; contents by their hash."""
    return {
        path: (
            *(oct(node.mode), node.uid, node.gid, node.mtime, node.rdev, node.link, node.size),
            hashlib.sha256(node.read()).hexdigest(),
        )
        for path, node in tree.items()
    }
