"""The manifest of an image that this toolkit made, read back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from remaster.hooks import MANIFEST
from remaster.survey.model import OwnManifest, PackageLine
from remaster.survey.rootfacts import text_at

if TYPE_CHECKING:
    from tcz.tree import Tree


def manifest(files: Tree, root: Tree, unread: list[str]) -> OwnManifest | None:
    """Return the medium's manifest, else the root's, else ``None``; add to ``unread`` one that is broken."""
    for tree, path in ((files, "manifest.json"), (root, MANIFEST)):
        text = text_at(tree, path)
        if text is None:
            continue
        try:
            return _parsed(text, path)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            unread.append(f"{path} is no manifest of this toolkit: {error}")
    return None


def _parsed(text: str, where: str) -> OwnManifest:
    data = json.loads(text)
    return OwnManifest(
        where=where,
        variant=str(data["variant"]),
        version=str(data["version"]),
        base=str(data["base"]),
        kernel=str(data["kernel"]),
        boot_codes=tuple(map(str, data["boot-codes"])),
        services=tuple(map(str, data["services"])),
        packages=tuple(
            PackageLine(
                name=str(one["name"]),
                version=str(one["version"]),
                role=str(one["role"]),
                size=int(one["size"]),
            )
            for one in data["packages"]
        ),
        edits=tuple(str(one["name"]) for one in data.get("edits", ())),
        text=text,
    )
