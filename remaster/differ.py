"""What two images have in common and what not, down to files: mode, owner, content, boot codes.

Times are not compared: two images are the same when machines that boot them are.
"""

from __future__ import annotations

import stat
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from remaster import packages
from remaster.survey.look import examine
from remaster.survey.text import printable
from tcz.errors import VerifyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from remaster.survey.look import Examined
    from remaster.survey.model import BootEntry, Survey
    from tcz.tree import Node, Tree

#: Facts that are not in files, and the kinds of images that have them.
_OUTSIDE: Final = {
    "volume id": {"iso"},
    "boot loaders": {"iso", "disk", "qcow2"},
    "starts from USB": {"iso"},
}
How = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference: ``section`` is a part of the image, ``details`` are sentences on a change."""

    section: str
    how: How
    what: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """All differences of two images; none of them means that the images are the same.

    ``left_out`` are facts that only one of them can have, for the other is no medium that starts.
    """

    first: str
    second: str
    changes: tuple[Change, ...]
    left_out: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Tell whether there is no difference."""
        return not self.changes


def compare(first: Path, second: Path) -> Differences:
    """Compare two images. Raises ``VerifyError`` for what is no image, or damaged."""
    one, two = examine(first), examine(second)
    changes = (
        *_facts(one.survey, two.survey),
        *_entries(one.survey, two.survey),
        *_trees("medium", _without_packages(one), _without_packages(two)),
        *_trees("root", dict(one.root.items()), dict(two.root.items())),
        *_packages(one, two),
    )
    left_out = tuple(_left_out(one.survey, two.survey))
    return Differences(first=str(first), second=str(second), changes=tuple(changes), left_out=left_out)


# -- facts and boot entries -----------------------------------------------------------------------


def _facts(one: Survey, two: Survey) -> Iterator[Change]:
    pairs = zip(_told(one).items(), _told(two).items(), strict=True)
    left_out = set(_left_out(one, two))
    for (what, before), (_, after) in pairs:
        if before != after and what not in left_out:
            yield Change(section="facts", how="changed", what=what, details=(_arrow(before, after),))


def _left_out(one: Survey, two: Survey) -> Iterator[str]:
    """Give what is outside of all files, and can be of ISO images, or of media that start, only."""
    if one.kind != two.kind:
        yield from (name for name, kinds in _OUTSIDE.items() if not {one.kind, two.kind} <= kinds)


def _arrow(before: object, after: object) -> str:
    return f"{before or 'none'} -> {after or 'none'}"


def _told(found: Survey) -> dict[str, str]:
    loaders = (f"{one.firmware}: {one.program} {one.version}".strip() for one in found.loaders)
    facts = {
        "volume id": found.volume_id,
        "distribution": found.distribution,
        "release": found.release,
        "architecture": found.architecture,
        "libc": found.libc,
        "kernel": found.kernel,
        "seconds of the menu": found.timeout,
    }
    return {
        **{name: "" if fact is None else fact.value for name, fact in facts.items()},
        "modules": " ".join(fact.value for fact in found.modules),
        "boot loaders": ", ".join(loaders),
        "starts from USB": "yes" if found.hybrid else "",
    }


def _entries(one: Survey, two: Survey) -> Iterator[Change]:
    before, after = _by_name(one.entries), _by_name(two.entries)
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            yield Change(section="boot entries", how="added" if old is None else "removed", what=name)
            continue
        codes = set(old.words), set(new.words)
        details = [f"code {word} removed" for word in old.words if word not in codes[1]]
        details += [f"code {word} added" for word in new.words if word not in codes[0]]
        if not details and old.words != new.words:
            details.append(f"order of codes {_arrow(' '.join(old.words), ' '.join(new.words))}")
        details += [
            f"{what} {_arrow(a, b)}"
            for what, a, b in (
                ("kernel", old.kernel, new.kernel),
                ("initrds", " ".join(old.initrds), " ".join(new.initrds)),
                ("title", old.title, new.title),
                ("default", old.default, new.default),
            )
            if a != b
        ]
        if details:
            yield Change(section="boot entries", how="changed", what=name, details=tuple(details))


def _by_name(entries: Iterable[BootEntry]) -> dict[str, BootEntry]:
    return {f"{entry.program} {entry.label or entry.title}": entry for entry in entries}


# -- files ----------------------------------------------------------------------------------------


def _without_packages(examined: Examined) -> dict[str, Node]:
    inside = {f"{one.where}/{one.name}.tcz" for one in examined.survey.extensions}
    if examined.survey.kind == "initrd":
        return {}  # its name is not part of it
    return {path: node for path, node in examined.medium.files.items() if path not in inside}


def _trees(section: str, one: Mapping[str, Node], two: Mapping[str, Node]) -> Iterator[Change]:
    for path in sorted({*one, *two}, key=lambda text: text.encode(errors="surrogateescape")):
        before, after = one.get(path), two.get(path)
        shown = path or "."
        if before is None or after is None:
            yield Change(section=section, how="added" if before is None else "removed", what=shown)
            continue
        details = tuple(_details(_held(one, before), _held(two, after)))
        if details:
            yield Change(section=section, how="changed", what=shown, details=details)


def _held(nodes: Mapping[str, Node], node: Node) -> Node:
    return nodes.get(node.link, node) if node.link is not None else node


def _details(before: Node, after: Node) -> Iterator[str]:
    if stat.S_IFMT(before.mode) != stat.S_IFMT(after.mode):
        yield f"type {_arrow(stat.filemode(before.mode)[0], stat.filemode(after.mode)[0])}"
        return
    if before.mode != after.mode:
        yield f"mode {before.mode & 0o7777:o} -> {after.mode & 0o7777:o}"
    if (before.uid, before.gid) != (after.uid, after.gid):
        yield f"owner {before.uid}:{before.gid} -> {after.uid}:{after.gid}"
    if before.rdev != after.rdev:
        yield f"device {before.rdev} -> {after.rdev}"
    if before.is_link and before.read() != after.read():
        yield f"target {_arrow(_shown(before), _shown(after))}"
    elif before.is_file and before.size != after.size:
        yield f"content, {before.size} -> {after.size} bytes"
    elif before.is_file and before.data is not after.data and before.sha256() != after.sha256():
        yield f"content, {before.size} bytes both"


def _shown(node: Node) -> str:
    return node.read().decode(errors="replace")


# -- packages -------------------------------------------------------------------------------------


def _packages(one: Examined, two: Examined) -> Iterator[Change]:
    before, after = packages.nodes(one), packages.nodes(two)
    versions = [{ext.name: ext.version for ext in side.survey.extensions} for side in (one, two)]
    for name in sorted({*before, *after}):
        if name not in before or name not in after:
            how: How = "removed" if name in before else "added"
            version = versions[how == "added"].get(name)
            told = (f"version {version}",) if version else ()
            yield Change(section="packages", how=how, what=name, details=told)
            continue
        old, new = (side.get(name, "") for side in versions)
        details: tuple[str, ...] = (f"version {_arrow(old, new)}",) if old != new else ()
        inside: tuple[Change, ...] = ()
        if before[name].sha256() != after[name].sha256():
            details += tuple(_details(before[name], after[name]))
            inside = _inside(name, before[name], after[name])
        if details:
            yield Change(section="packages", how="changed", what=name, details=details)
        yield from inside


def _inside(name: str, before: Node, after: Node) -> tuple[Change, ...]:
    section = f"package {name}"
    try:
        with ExitStack() as stack:
            one: Tree = stack.enter_context(packages.opened(before, name))
            two: Tree = stack.enter_context(packages.opened(after, name))
            return tuple(_trees(section, dict(one.items()), dict(two.items())))
    except VerifyError as error:
        return (Change(section=section, how="changed", what="all", details=(error.what,)),)


_MARKS = {"added": "+", "removed": "-", "changed": "~"}


def lines(found: Differences) -> tuple[str, ...]:
    """Return the differences as text, a section at a time; one line when there are none."""
    out: list[str] = []
    if found.same:
        out.append(f"{found.first} and {found.second} are the same")
    section = ""
    for change in found.changes:
        if change.section != section:
            section = change.section
            out.append(section)
        details = f": {'; '.join(change.details)}" if change.details else ""
        out.append(printable(f"  {_MARKS[change.how]} {change.what}{details}"))
    if found.left_out:
        out.append(f"not compared, for one of them cannot have it: {', '.join(found.left_out)}")
    return tuple(out)
