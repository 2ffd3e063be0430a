"""What a machine needs that starts over the network: kernel, initrd, command line, an iPXE script.

There is no medium, so the extensions come along: behind the initrd is a second archive, not compressed
since extensions are, with the folder /tmp/builtin, which the base looks into before anything else,
as Tiny Core's does. The kernel unpacks one archive after the other where each begins at a multiple of
four bytes (Documentation/driver-api/early-userspace/buffer-format.rst).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remaster.folders import BUILTIN, builtin_tree, merged_list
from remaster.formats.model import bytes_of, pieces_of
from remaster.menu import ipxe_script
from tcz import cpio
from tcz.store import sha256_file
from tcz.tree import FileRef, Tree

if TYPE_CHECKING:
    from remaster.formats.content import ImageContent
    from remaster.formats.model import Source
    from remaster.menu import Entry, Menu
    from remaster.plan import Source as PlanSource

FILES: Final = ("vmlinuz", "initrd", "cmdline", "boot.ipxe", "SHA256SUMS")
_CDE: Final = "cde/"
#: Words that tell to look for a medium; here is none, and looking takes ten seconds.
_MEDIUM_WORDS: Final = ("cde", "waitusb")


def menu(content: ImageContent) -> Menu:
    """Return the menu without the words that belong to a medium; entries that are then the same go."""
    found: dict[tuple[str, ...], Entry] = {}
    default = content.menu.chosen
    for entry in (default, *content.menu.entries):
        words = tuple(word for word in entry.words if word.partition("=")[0] not in _MEDIUM_WORDS)
        found.setdefault(words, replace(entry, words=words))
    kept = {entry.label: entry for entry in found.values()}
    order = [kept[entry.label] for entry in content.menu.entries if entry.label in kept]
    return replace(content.menu, entries=tuple(order), default=default.label)


def extensions(content: ImageContent) -> Tree:
    """Return what is put over the root: the medium's /cde as /tmp/builtin, parents as they are there.

    A list that the root has there already is gone on with, for there is one of each name.
    """
    root = content.root()
    files: dict[str, PlanSource] = {}
    for path, source in content.iso.files:
        if path.startswith(_CDE):
            name = path.removeprefix(_CDE)
            here = root.get(f"{BUILTIN}/{name}")
            if here is not None and name.endswith(".lst"):
                files[name] = merged_list(here.read(), bytes_of(source))
            else:
                files[name] = source if isinstance(source, Path | bytes | FileRef) else bytes_of(source)
    nodes = builtin_tree(files, root, content.epoch)
    if nodes:
        nodes["tmp"] = nodes.get("tmp") or root["tmp"]
        nodes[""] = root[""]
    return Tree(nodes)


def write(content: ImageContent, targets: tuple[Path, ...]) -> None:
    """Write the five files of ``FILES``, in this order."""
    kernel, initrd, command_line, ipxe, sums = targets
    _copy(content.file(content.menu.kernel), kernel)
    _copy(content.file(content.menu.initrd), initrd)
    with initrd.open("ab") as file:
        over = extensions(content)
        if len(over) > 1:
            # A lz4 member has no end of its own: a block of no bytes tells that there is no more of it.
            file.write(bytes(-file.tell() % 4 + 4))
            cpio.write(over, file=file)
    choices = menu(content)
    command_line.write_text(" ".join(choices.chosen.words) + "\n")
    ipxe.write_text(ipxe_script(choices))
    sums.write_text(
        "".join(f"{sha256_file(made)}  {name}\n" for made, name in zip(targets[:-1], FILES[:-1], strict=True))
    )


def _copy(source: Source, target: Path) -> None:
    with target.open("wb") as file:
        for _, piece in pieces_of(source):
            file.write(piece)
