"""Where extensions have kernel modules: below usr/local/lib/modules, and nothing but the modules.

A base holds ``lib/modules/RELEASE/kernel.tclocal``, a link to ``usr/local/lib/modules/RELEASE/kernel``, and
``tce-load`` looks for that folder in an extension to know that module indexes must be made anew.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tcz.tree import Node

FOLDER = "usr/local/lib/modules"
_ELSEWHERE = re.compile(r"(?:usr/)?lib/modules/([^/]+(?:/.*)?)\Z", re.DOTALL)
#: What an installation writes beside the modules: indexes, and links into the build's own folders.
_BESIDE = re.compile(r"[^/]+/(?:modules\.[^/]+|build|source)\Z")
_PARENTS = ("usr/lib/modules", "usr/lib", "lib/modules", "lib")


def in_extension(nodes: Mapping[str, Node]) -> dict[str, Node]:
    """Return the nodes of an extension with modules moved to ``usr/local/lib/modules``.

    Where modules are moved, indexes (``modules.*``) and the links ``build`` and ``source`` are left
    out: they are made on the machine, or lead nowhere there. Folders left empty by the move go.
    """
    moved: dict[str, Node] = {}
    names: dict[str, str] = {}
    for path, node in nodes.items():
        found = _ELSEWHERE.match(path)
        if found is None:
            names[path] = path
        elif not _BESIDE.match(found[1]):
            names[path] = f"{FOLDER}/{found[1]}"
        if path in names:
            moved[names[path]] = node
    if len(moved) == len(nodes) and all(old == new for old, new in names.items()):
        return moved
    for parent in _PARENTS:
        if parent in moved and not any(path.startswith(parent + "/") for path in moved):
            del moved[parent]
    return {
        path: node if node.link is None else replace(node, link=names[node.link])
        for path, node in moved.items()
    }
