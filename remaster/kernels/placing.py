"""Where modules of a kernel go: into the root what finds the medium the rest lies on, the rest beside it.

What the root has is said by the list of the recipe kernel (files/base.list), so that a kernel that a user
brings is laid out as ours is: names of modules, ``folder/glob`` and ``folder/`` below ``kernel/``, and with
``!`` what is not meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import tcz
from tcz.kmod import depmod, modinfo
from tcz.paths import shipped
from tcz.tree import Tree, regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tcz.kmod.depmod import IndexFile, Linked
    from tcz.kmod.modinfo import Module
    from tcz.kmod.reads import Modprobe

#: In a base this is a link to where extensions have their modules.
LINK: Final = "kernel.tclocal"
_LIST: Final = "kernel/files/base.list"
_PLACES: Final = ("kernel/", "updates/", "extra/", f"{LINK}/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Modules divided in two, with paths below the release's folder, and the indexes of both together.

    Paths of ``extension`` are below ``kernel.tclocal``; ``unpacked`` tells that the base's modprobe could not
    read them as they were.
    """

    root: Tree
    extension: Tree
    indexes: tuple[IndexFile, ...]
    unpacked: bool


def root_list() -> str:
    """Return the text of the list that says which modules the root has."""
    return (shipped(Path(tcz.__file__).parent, "recipes") / _LIST).read_text()


def wanted(text: str, linked: Sequence[Linked]) -> frozenset[str]:
    """Return the paths of the modules that a list stands for, with all that they need.

    Names that a kernel has not got are passed over: it may have them built in.
    """
    chosen: dict[str, Linked] = {}
    for raw in text.splitlines():
        line = raw.partition("#")[0].strip()
        pattern = line.removeprefix("!")
        if not pattern:
            continue
        for one in linked:
            if _means(pattern, one.module):
                if line.startswith("!"):
                    chosen.pop(one.module.path, None)
                else:
                    chosen[one.module.path] = one
    needed = {need.path for one in chosen.values() for need in one.needs}
    return frozenset(needed | set(chosen))


def _means(pattern: str, module: Module) -> bool:
    if "/" not in pattern:
        return module.name == pattern.replace("-", "_")
    path = _below(module.path)
    if pattern.endswith("/"):
        return path.startswith(pattern)
    glob = "[^/]*".join(map(re.escape, pattern.split("*")))
    return re.fullmatch(glob, modinfo.SUFFIX.sub("", path)) is not None


def _below(path: str) -> str:
    place = next((place for place in _PLACES if path.startswith(place)), "")
    return path.removeprefix(place)


def place(modules: Tree, modprobe: Modprobe, chosen: str, *, binary: bool) -> Placed:
    """Divide the files of a release's folder; ``chosen`` is a list of what the root has.

    Modules that ``modprobe`` cannot read are unpacked. Raises ``VerifyError`` for damaged ones.
    """
    files = {path: node for path, node in modules.items() if modinfo.SUFFIX.search(path)}
    unpacked = False
    for path in list(files):
        match = modinfo.SUFFIX.search(path)
        if match and not modprobe.reads(match[1] or ""):
            data = modinfo.unpacked(files.pop(path).read(), path)
            files[modinfo.plain_path(path)] = regular(data)
            unpacked = True
    read = [modinfo.read(path, node.read()) for path, node in files.items()]
    order = _text(modules, "modules.order")
    inside = wanted(chosen, depmod.link(read, order))
    names = {path: path if path in inside else f"{LINK}/{_below(path)}" for path in files}
    placed = [modinfo.moved(one, names[one.path]) for one in read]
    linked = depmod.link(placed, _renamed(order, names))
    info = modules.get("modules.builtin.modinfo")
    indexes = depmod.indexes(
        linked,
        builtin=_text(modules, "modules.builtin"),
        builtin_info=info.read() if info is not None else b"",
        binary=binary,
    )
    kept = ("modules.builtin", "modules.builtin.modinfo")
    beside = (depmod.IndexFile(name=name, data=modules[name].read()) for name in kept if name in modules)
    return Placed(
        root=Tree((path, files[path]) for path in sorted(inside)),
        extension=Tree((names[path], node) for path, node in files.items() if path not in inside),
        indexes=(*indexes, *beside),
        unpacked=unpacked,
    )


def _text(modules: Tree, name: str) -> str:
    node = modules.get(name)
    return "" if node is None else node.read().decode(errors="replace")


def _renamed(order: str, names: dict[str, str]) -> str:
    plain = {modinfo.plain_path(old): modinfo.plain_path(new) for old, new in names.items()}
    return "".join(f"{plain.get(line.strip(), line.strip())}\n" for line in order.splitlines())


def suffixes(paths: Iterable[str]) -> frozenset[str]:
    """Return the suffixes of packed modules among paths."""
    found = (modinfo.SUFFIX.search(path) for path in paths)
    return frozenset(match[1] for match in found if match is not None and match[1])
