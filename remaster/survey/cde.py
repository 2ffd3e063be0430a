"""Packages of an image: /cde of the medium, /tmp/builtin of the root, with lists and versions."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from remaster.folders import names_in
from remaster.survey.model import Cde, Extension
from remaster.survey.rootfacts import text_at
from tcz.errors import VerifyError
from tcz.metadata import parse_info

if TYPE_CHECKING:
    from remaster.survey.model import OwnManifest
    from tcz.tree import Node, Tree

_FLAGS: Final = ("copy2fs.flg", "copy2fs.lst", "xwbar.lst", "firstrun", "tcz-black.lst")
_BUILTIN: Final = "tmp/builtin"
_TCE = re.compile(r"(?:\A|.*/)(?:cde|tce)\Z")


def found(files: Tree, root: Tree, notes: list[str]) -> tuple[tuple[Cde, ...], tuple[Extension, ...]]:
    """Return the folders of packages and the packages; add to ``notes`` what a list names in vain."""
    folders: list[Cde] = []
    extensions: list[Extension] = []
    for tree, wanted in ((files, _TCE), (root, re.compile(re.escape(_BUILTIN)))):
        for path, names in _inside(tree, wanted).items():
            folder, packages = _folder(tree, path, names, notes)
            if folder.packages or folder.lists:
                folders.append(folder)
                extensions += packages
    return tuple(folders), tuple(extensions)


def _inside(tree: Tree, wanted: re.Pattern[str]) -> dict[str, dict[str, Node]]:
    """Return the folders of packages with what lies in them and in their ``optional``."""
    inside: dict[str, dict[str, Node]] = {}
    for path, node in tree.items():
        if node.is_dir and wanted.fullmatch(path):
            inside[path] = {}
            continue
        folder, _, name = path.rpartition("/")
        if folder.endswith("/optional") and folder not in inside:
            folder, name = folder.removesuffix("/optional"), f"optional/{name}"
        if folder in inside:
            inside[folder][name] = node
    return inside


def _folder(tree: Tree, path: str, files: dict[str, Node], notes: list[str]) -> tuple[Cde, list[Extension]]:
    lists, flags = {}, []
    for name in files:
        if "/" in name:
            continue
        if name in _FLAGS or name.endswith((".flg", ".sh")):
            flags.append(name)
        elif name.endswith(".lst"):
            lists[name] = names_in(text_at(tree, f"{path}/{name}") or "")
    there = {
        name.removeprefix("optional/").removesuffix(".tcz"): node
        for name, node in files.items()
        if name.startswith("optional/") and name.endswith(".tcz")
    }
    for listed, wanted in lists.items():
        absent = [name for name in wanted if name not in there and not name.endswith("KERNEL")]
        if absent and listed == "onboot.lst":
            notes.append(f"{path}/{listed} names {', '.join(absent)}, not to be found in {path}/optional")
    onboot = set(lists.get("onboot.lst", ()))
    extensions = [
        Extension(
            name=name,
            version=_version(tree, f"{path}/optional/{name}.tcz.info"),
            size=node.size,
            where=f"{path}/optional",
            onboot=name in onboot,
        )
        for name, node in there.items()
    ]
    folder = Cde(
        where=path,
        lists=tuple(sorted(lists.items())),
        packages=len(there),
        size=sum(node.size for node in there.values()),
        flags=tuple(sorted(flags)),
    )
    return folder, extensions


def _version(tree: Tree, path: str) -> str:
    text = text_at(tree, path)
    if text is None:
        return ""
    try:
        return parse_info(text).version
    except VerifyError:
        return ""


def versions(extensions: tuple[Extension, ...], manifest: OwnManifest | None) -> tuple[Extension, ...]:
    """Return the packages with the versions that the manifest tells, where no .info does."""
    told = {} if manifest is None else {line.name: line.version for line in manifest.packages}
    return tuple(replace(one, version=one.version or told.get(one.name, "")) for one in extensions)
