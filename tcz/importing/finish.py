"""The last steps of every import: checks against the base, the start-up script, the finished files."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from tcz import companions
from tcz.importing import placing, programs
from tcz.importing.draft import Note
from tcz.metadata import Info, human_size
from tcz.model import BuiltPackage
from tcz.names import file_name
from tcz.store import sha256_file
from tcz.tree import Tree, symlink

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tcz.bases import Base
    from tcz.importing.draft import Draft
    from tcz.names import PackageName


class Packer(Protocol):
    """Writes a tree as a squashfs image."""

    def __call__(self, tree: Tree, output: Path, epoch: int) -> None:
        """``output`` appears when it is whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A draft, and what its programs ask for."""

    draft: Draft
    programs: programs.Programs


def check(draft: Draft, base: Base) -> Checked:
    """Return the draft with what the base makes necessary, and with notes on what cannot work.

    Raises ``VerifyError`` where programs need a newer libc than the base has.
    """
    found = programs.examine(draft.tree)
    programs.check_glibc(found, base, draft.name)
    startup = list(draft.startup)
    notes = [*draft.notes, *programs.notes_of(found)]
    for loader, path in found.loaders.items():
        place = loader.lstrip("/")
        if not base.has(place) and place not in draft.tree:
            name = posixpath.basename(place)
            if loader.startswith("/lib64/") and base.has(f"lib/{name}"):
                startup.append("[ -e /lib64 ] || ln -s lib /lib64")
                notes.append(
                    Note(verdict="done", where=path, text="the start-up script makes the link /lib64")
                )
            else:
                notes.append(Note(verdict="by-hand", where=path, text=f"the base has no loader {loader}"))
    return Checked(draft=replace(draft, startup=tuple(startup), notes=tuple(notes)), programs=found)


def check_together(checked: Sequence[Checked], base: Base) -> tuple[Draft, ...]:
    """Return the drafts of packages that will be loaded together, with notes on what none of them brings.

    A script's interpreter that is looked for in /bin while a package has it in /usr/bin gets a link.
    """
    drafts = {one.draft.name: one.draft for one in checked}
    lacking = programs.missing((one.programs for one in checked), base)
    for one in checked:
        notes = [
            Note(
                verdict="by-hand",
                where=path,
                text=f"needs {soname}, which neither the base nor these packages have",
            )
            for soname, path in lacking.items()
            if one.programs.needed.get(soname) == path and path in one.draft.tree
        ]
        for interpreter, script in one.programs.scripts.items():
            if not _has_program(interpreter, base, drafts.values()) and not _linked(interpreter, drafts):
                notes.append(
                    Note(
                        verdict="by-hand",
                        where=script,
                        text=f"is run by {interpreter}, which is not there: load it too",
                    )
                )
        draft = drafts[one.draft.name]
        drafts[draft.name] = replace(draft, notes=(*draft.notes, *notes))
    return tuple(drafts.values())


def _has_program(interpreter: str, base: Base, drafts: Iterable[Draft]) -> bool:
    trees = [draft.tree for draft in drafts]
    if not interpreter.startswith("/"):
        folders = ("bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin")
        return interpreter in base.programs or any(
            f"{f}/{interpreter}" in tree for tree in trees for f in folders
        )
    path = interpreter.lstrip("/")
    return base.has(path) or any(path in tree for tree in trees)


def _linked(interpreter: str, drafts: dict[PackageName, Draft]) -> bool:
    path = interpreter.lstrip("/")
    merged = placing.usr_merged(path)
    if merged == path or not interpreter.startswith("/"):
        return False
    for name, draft in drafts.items():
        if merged in draft.tree:
            link = symlink(f"../{merged}", mtime=draft.epoch)
            drafts[name] = replace(draft, tree=Tree({**dict(draft.tree.items()), path: link}))
            return True
    return False


def final_tree(draft: Draft, base: Base) -> Tree:
    """Return what goes into the .tcz: the draft's tree with its start-up script, all times its epoch."""
    startup = placing.Startup(
        name=draft.name,
        about=f"{draft.name} {draft.version}, imported from {draft.origins[0].name}",
        lines=draft.startup,
    )
    nodes = {**dict(draft.tree.items()), **startup.nodes(draft.epoch)}
    return placing.on_base(Tree(nodes), base).with_mtime(draft.epoch)


def write(draft: Draft, base: Base, output: Path, pack: Packer) -> BuiltPackage:
    """Write NAME.tcz and its companion files below ``output``."""
    tree = final_tree(draft, base)
    path = output / file_name(draft.name)
    pack(tree, path, draft.epoch)
    companions.write(path, tree, needs=draft.needs, info=_info(draft, path))
    return BuiltPackage(
        name=draft.name,
        form="extension",
        path=path,
        sha256=sha256_file(path),
        size=path.stat().st_size,
        installed=tree.content_size(),
        needs=draft.needs,
    )


def _info(draft: Draft, path: Path) -> Info:
    sources = "\n".join(f"{one.name}\nsha256 {one.sha256}" for one in draft.origins)
    kind = draft.origins[0].kind
    by_hand = [f"{note.where}: {note.text}" for note in draft.notes if note.verdict == "by-hand"]
    told = "\n".join(["Not translated:", *by_hand]) if by_hand else ""
    entry = f"{companions.day(draft.epoch)} {draft.version}, imported"
    return Info(
        title=path.name,
        description=draft.summary or f"{draft.name} {draft.version}",
        version=draft.version,
        author=draft.author or "see Original-site",
        original_site=draft.homepage,
        copying_policy=draft.license or f"see usr/local/share/doc/{draft.name}",
        size=human_size(path.stat().st_size),
        extension_by="tcz",
        tags=" ".join(draft.tags),
        comments=f"Imported by tcz from this {kind}:\n{sources}\n{told}",
        change_log=entry,
        current=entry,
    )
