"""Scripts of iPXE read as far as menus go, such as boot.ipxe of a netboot folder.

Commands: iPXE's own documentation of ``item``, ``choose``, ``kernel``, ``initrd`` and ``goto``.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from remaster.survey.menutext import BootConfig, Draft

if TYPE_CHECKING:
    from remaster.survey.menutext import Around


def ipxe(text: str, where: str, around: Around | None = None) -> BootConfig:  # noqa: ARG001 - it includes nothing
    """Read a script: what stands behind a label is an entry where it starts a kernel."""
    drafts = [Draft(label="", where=where)]
    titles: dict[str, str] = {}
    default, timeout, waits = "", "", False
    for line in text.splitlines():
        words = line.split()
        first, rest = (words[0], words[1:]) if words else ("", [])
        if first.startswith(":"):
            drafts.append(Draft(label=first[1:], where=where))
        elif first == "item" and rest:
            titles[rest[0]] = " ".join(rest[1:])
        elif first == "choose":
            options = dict(pairwise(rest))
            default, timeout = options.get("--default", default), options.get("--timeout", timeout)
            waits = True
        elif first == "kernel" and rest and not drafts[-1].kernel:
            drafts[-1].kernel = rest[0]
            drafts[-1].words = tuple(word for word in rest[1:] if not word.startswith("initrd="))
        elif first == "initrd" and rest:
            drafts[-1].initrds += (rest[0],)
    begun = [draft for draft in drafts if draft.kernel]
    for draft in begun:
        draft.title = titles.get(draft.label, "")
        draft.elsewhere = any("${" in path or "://" in path for path in (draft.kernel, *draft.initrds))
    chosen = next((draft for draft in begun if draft.label == default), begun[0] if begun else None)
    entries = tuple(draft.entry("ipxe", default=draft is chosen) for draft in begun)
    seconds = int(timeout) / 1000 if waits and timeout.isascii() and timeout.isdecimal() else None
    return BootConfig(entries=entries, timeout=seconds, timeout_where=where)


def command_line(text: str, where: str, around: Around) -> BootConfig:
    """Read a file named cmdline that lies beside vmlinuz and initrd, where no script starts them."""
    folder = where.rpartition("/")[0]
    beside = [around.find(f"{folder}/{name}") for name in ("vmlinuz", "initrd")]
    if None in beside or around.find(f"{folder}/boot.ipxe"):
        return BootConfig(entries=(), timeout=None)
    draft = Draft(label="cmdline", where=where, kernel="vmlinuz", initrds=("initrd",))
    draft.words = tuple(text.split())
    return BootConfig(entries=(draft.entry("ipxe", default=True),), timeout=None)
