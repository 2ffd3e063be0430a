"""Edits to a base that is not ours: small, named, anchored, and the same when they are made twice.

An edit is a file of ``edits/`` (schema 1)::

    name = "services"
    summary = "..."
    when = "services"              # always, services, serial, containers, kernel
    first = 10                     # releases that it is known to fit
    last = 17
    [[line]]                       # a change of a file of the base
    file = "etc/init.d/tc-config"
    anchor = "/opt/bootsync.sh"    # a whole line, which must be there exactly once
    place = "after"                # before, after, instead
    text = "..."                   # {tty} and {speed} are the serial line's
    unless = "..."                 # nothing is done where a line begins with this
    [[file]]                       # a file that the base lacks
    path = "etc/init.d/image-services"
    mode = "755"
    source = "image-services"      # in edits/files

What is put into a file stands between two remarks with the edit's name; where they are already, what is
between them is replaced. Nothing is guessed: an anchor that is not there, or there twice, is an error that
names release and file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from tcz import toml
from tcz.errors import ConfigError, Problem
from tcz.rootlinks import resolved
from tcz.tree import Node, Tree, regular

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHIPPED: Final = Path(__file__).parent / "edits"
When = Literal["always", "services", "serial", "containers", "kernel"]
Place = Literal["before", "after", "instead"]
_WHEN: Final = ("always", "services", "serial", "containers", "kernel")
_PLACES: Final = ("before", "after", "instead")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A change of one file."""

    file: str
    anchor: str
    place: Place
    text: str
    unless: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """A file that is put into the base."""

    path: str
    mode: int
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """An edit with all its changes."""

    name: str
    summary: str
    when: When
    first: int
    last: int
    lines: tuple[Line, ...]
    files: tuple[Added, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """An edit that was made: the files that it changed or added."""

    name: str
    summary: str
    files: tuple[str, ...]


@cache
def shipped() -> tuple[Edit, ...]:
    """Return all edits, by name."""
    return tuple(load(path) for path in sorted(SHIPPED.glob("*.toml")))


def load(path: Path) -> Edit:
    """Read an edit's file. Raises ``ConfigError`` with all that is wrong in it."""
    document = toml.read(path)
    table = document.root
    table.integer("schema", low=1, high=1)
    edit = Edit(
        name=table.string("name"),
        summary=table.string("summary"),
        when=table.choice("when", _WHEN),
        first=table.integer("first"),
        last=table.integer("last"),
        lines=tuple(
            Line(
                file=line.string("file"),
                anchor=line.string("anchor"),
                place=line.choice("place", _PLACES),
                text=line.string("text").strip("\n"),
                unless=line.string("unless", ""),
            )
            for line in table.tables("line")
        ),
        files=tuple(
            Added(
                path=file.string("path"),
                mode=int(file.string("mode"), 8),
                content=(path.parent / "files" / file.string("source")).read_bytes(),
            )
            for file in table.tables("file")
        ),
    )
    document.finish(f"edit {path.stem}")
    return edit


def apply(
    root: Tree, edits: Sequence[Edit], *, release: str, values: Mapping[str, str], epoch: int
) -> tuple[Tree, tuple[Done, ...]]:
    """Return the root with ``edits`` made, and what was done.

    ``release`` is the base's (``16.1``; empty where it is not known: then the anchors alone decide).
    Raises ``ConfigError`` with every anchor that does not fit, and for a release no edit is known to fit.
    """
    nodes = dict(root.items())
    problems: list[Problem] = []
    done = []
    named = f"release {release}" if release else "a base of unknown release"
    for edit in edits:
        major = release.partition(".")[0]
        if major.isdecimal() and not edit.first <= int(major) <= edit.last:
            problems.append(
                Problem(
                    where=f"edit {edit.name}",
                    message=f"is known for releases {edit.first} to {edit.last}, and this is {named}",
                )
            )
            continue
        files = [_changed(nodes, edit, line, values, named, problems) for line in edit.lines]
        for added in edit.files:
            path = _place(nodes, added.path)
            nodes[path] = regular(added.content, mode=added.mode, mtime=epoch)
            files.append(path)
        paths = tuple(dict.fromkeys(path for path in files if path))
        done.append(Done(name=edit.name, summary=edit.summary, files=paths))
    if problems:
        raise ConfigError(
            "the base's files are not as its edits expect",
            problems,
            hint="is it a Tiny Core base, with its own scripts? `remaster inspect` tells what it is",
        )
    return Tree(nodes), tuple(done)


def _place(nodes: Mapping[str, Node], path: str) -> str:
    """Return where a new file really goes: a folder on the way may be a link."""
    folder, _, name = path.rpartition("/")
    real = resolved(Tree(nodes), folder)
    return path if real is None else f"{real}/{name}".lstrip("/")


def _changed(
    nodes: dict[str, Node],
    edit: Edit,
    line: Line,
    values: Mapping[str, str],
    named: str,
    problems: list[Problem],
) -> str | None:
    path = resolved(Tree(nodes), line.file)
    node = nodes.get(path) if path is not None else None
    if node is not None and node.link is not None:
        path, node = node.link, nodes[node.link]
    if path is None or node is None or not node.is_file:
        problems.append(Problem(where=f"/{line.file} of {named}", message=f"is missing (edit {edit.name})"))
        return None
    text = node.read().decode(errors="surrogateescape")
    try:
        new = edited(text, edit.name, _filled(line, values))
    except ValueError as error:
        problems.append(Problem(where=f"/{line.file} of {named}", message=f"{error} (edit {edit.name})"))
        return None
    if new == text:
        return None
    nodes[path] = replace(node, data=new.encode(errors="surrogateescape"))
    return path


def _filled(line: Line, values: Mapping[str, str]) -> Line:
    text, unless = line.text, line.unless
    for name, value in values.items():
        text, unless = text.replace(f"{{{name}}}", value), unless.replace(f"{{{name}}}", value)
    return replace(line, text=text, unless=unless)


def edited(text: str, name: str, line: Line) -> str:
    """Return a file's text with one change made. Raises ``ValueError`` unless its anchor is there once."""
    rows = text.split("\n")
    begin, end = f"# {name}: {line.anchor.strip()}", f"# {name}: end"
    block = [begin, *line.text.split("\n"), end]
    if begin in rows:
        start = rows.index(begin)
        if end not in rows[start:]:
            raise ValueError(f"has a line {begin!r} and no line {end!r} after it")
        stop = rows.index(end, start)
        return "\n".join([*rows[:start], *block, *rows[stop + 1 :]])
    if line.unless and any(row.startswith(line.unless) for row in rows):
        return text
    count = rows.count(line.anchor)
    if count != 1:
        raise ValueError(f"has the line {line.anchor.strip()!r} {count} times, not once")
    at = rows.index(line.anchor)
    if line.place == "instead":
        return "\n".join([*rows[:at], *block, *rows[at + 1 :]])
    at += line.place == "after"
    return "\n".join([*rows[:at], *block, *rows[at:]])
