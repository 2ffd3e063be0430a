"""Why a recipe is to be built: what differs from the inputs of its last finished build, in words.

Both sides are the lines that ``tcz.buildid`` hashes, and what was in the build root.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tcz.model import ResolvedSource

Kind = Literal["new", "gone", "source", "file", "recipe", "root", "need", "packing", "toolkit"]

#: Fields of a source that also stand, resolved, in a line of their own.
_RESOLVED = frozenset({"sha256", "sum", "version", "url", "commit", "checksum"})
_FILES = ("file", "exec", "link")


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What is remembered of a finished build: its id, the lines behind it, what was in its root."""

    build_id: str
    lines: tuple[str, ...]
    root: tuple[ResolvedSource, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One difference: ``old`` or ``new`` is ``None`` for what came or went."""

    kind: Kind
    what: str
    old: str | None = None
    new: str | None = None

    @property
    def text(self) -> str:
        """Return it as a line."""
        if self.old is None and self.new is None:
            return self.what
        if self.old is None:
            return f"{self.what}: {self.new} is new"
        if self.new is None:
            return f"{self.what}: {self.old} is gone"
        return f"{self.what}: {self.old} -> {self.new}"


def reasons(past: Past | None, present: Past) -> tuple[Reason, ...]:
    """Return all that makes a build necessary, the weightiest kinds first."""
    if past is None:
        return (Reason(kind="new", what="it has not been built here before"),)
    if past.build_id == present.build_id:
        return (Reason(kind="gone", what="nothing has changed, but what was built is gone or damaged"),)
    old, new = _Lines(past.lines), _Lines(present.lines)
    found = [
        *_plain(old, new, "schema", "toolkit", "this version of tcz makes other bytes: schema"),
        *_sources(old, new),
        *_files(old, new),
        *_recipe(old, new),
        *_needs(old, new),
        *_root(past, present, old, new),
        *_plain(old, new, "pack", "root", "the root of the tools that pack"),
        *_plain(old, new, "epoch", "packing", "the time that is written into packages"),
        *_plain(old, new, "packing", "toolkit", "this version of tcz makes other packages: packing"),
        *_plain(old, new, "writer", "toolkit", "this version of tcz packs otherwise: squashfs writer"),
        *_fields("squashfs", old.json("squashfs"), new.json("squashfs"), "packing"),
    ]
    return tuple(found) or (Reason(kind="toolkit", what="it was built by another version of tcz"),)


class _Lines:
    """The lines of an id by their first word."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._by: dict[str, list[str]] = {}
        for line in lines:
            key, _, rest = line.partition(" ")
            self._by.setdefault(key, []).append(rest)

    def one(self, key: str) -> str | None:
        return next(iter(self._by.get(key, ())), None)

    def all(self, key: str) -> Sequence[str]:
        return self._by.get(key, ())

    def json(self, key: str) -> object:
        try:
            return json.loads(self.one(key) or "{}")
        except ValueError:
            return {}


def _plain(old: _Lines, new: _Lines, key: str, kind: Kind, what: str) -> Iterator[Reason]:
    if old.one(key) != new.one(key):
        yield Reason(kind=kind, what=what, old=_short(old.one(key)), new=_short(new.one(key)))


def _short(text: str | None) -> str | None:
    """Cut a hash to what can be read; an ``h1:`` or a word stays as it is."""
    if text is None:
        return None
    return text[:12] if len(text) >= 32 and text.isalnum() else text  # noqa: PLR2004 - a hash is longer


def _split(lines: Sequence[str]) -> Mapping[str, str]:
    """Return what stands before and after the last blank but one: a source's name, its version and hash."""
    found: dict[str, str] = {}
    for line in lines:
        name, version, digest = line.rsplit(" ", 2)
        key, count = name, 1
        while key in found:
            count += 1
            key = f"{name} ({count})"
        found[key] = f"{version} {digest}"
    return found


def _sources(old: _Lines, new: _Lines) -> Iterator[Reason]:
    before, after = _split(old.all("source")), _split(new.all("source"))
    for name in (*before, *(name for name in after if name not in before)):
        if before.get(name) != after.get(name):
            yield _change("source", f"source {name}", before.get(name), after.get(name))


def _change(kind: Kind, what: str, old: str | None, new: str | None) -> Reason:
    """Tell two versions with their hashes; the hashes only where the versions are the same."""
    if old is not None and new is not None:
        old_version, new_version = old.split(" ")[0], new.split(" ")[0]
        if old_version != new_version:
            return Reason(kind=kind, what=what, old=old_version, new=new_version)
        return Reason(kind=kind, what=f"{what} {old_version}, other bytes", old=_hash(old), new=_hash(new))
    return Reason(kind=kind, what=what, old=old and old.split(" ")[0], new=new and new.split(" ")[0])


def _hash(text: str) -> str:
    return text.rsplit(" ", 1)[-1].rpartition(":")[2][:12]


def _files(old: _Lines, new: _Lines) -> Iterator[Reason]:
    sides = []
    for lines in (old, new):
        found: dict[str, tuple[str, str]] = {}
        for kind in _FILES:
            for line in lines.all(kind):
                path, _, rest = line.rpartition(" ")
                found[path] = (kind, rest)
        sides.append(found)
    before, after = sides
    for path in sorted({*before, *after}):
        if path not in after:
            yield Reason(kind="file", what="the recipe's folder", old=path)
        elif path not in before:
            yield Reason(kind="file", what="the recipe's folder", new=path)
        elif before[path] != after[path]:
            (old_kind, old_hash), (new_kind, new_hash) = before[path], after[path]
            what = f"{path} has changed"
            if old_kind != new_kind:
                yield Reason(kind="file", what=f"{path}", old=old_kind, new=new_kind)
            else:
                yield Reason(kind="file", what=what, old=_short(old_hash), new=_short(new_hash))


def _recipe(old: _Lines, new: _Lines) -> Iterator[Reason]:
    sources = old.all("source") != new.all("source")
    for reason in _fields("recipe", old.json("recipe"), new.json("recipe"), "recipe"):
        path = reason.what.removeprefix("recipe: ")
        resolved = path.startswith("sources") and path.rpartition(".")[2] in _RESOLVED
        if not (sources and resolved):
            yield reason
    if old.json("recipe") == new.json("recipe"):
        yield from _plain(old, new, "version", "source", "version")


def _fields(name: str, old: object, new: object, kind: Kind) -> Iterator[Reason]:
    before, after = dict(_flat("", old)), dict(_flat("", new))
    for path in (*before, *(path for path in after if path not in before)):
        if before.get(path) != after.get(path):
            old_text, new_text = before.get(path, "the default"), after.get(path, "the default")
            yield Reason(kind=kind, what=f"{name}: {path}", old=old_text, new=new_text)


def _flat(path: str, value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - JSON
    """Yield each leaf of JSON data with its path; lists of words are leaves."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key:
                yield from _flat(f"{path}.{key}".lstrip("."), item)
    elif isinstance(value, list) and not all(isinstance(item, str) for item in value):
        for n, item in enumerate(value):
            label = item.get("name") or item.get("kind") if isinstance(item, dict) else None
            yield from _flat(f"{path}[{label or n}]", item)
    else:
        yield path, " ".join(value) if isinstance(value, list) else str(value)


def _needs(old: _Lines, new: _Lines) -> Iterator[Reason]:
    before, after = (dict(line.split(" ", 1) for line in lines.all("needs")) for lines in (old, new))
    for name in sorted({*before, *after}):
        if name not in after:
            yield Reason(kind="need", what="builds upon", old=name)
        elif name not in before:
            yield Reason(kind="need", what="builds upon", new=name)
        elif before[name] != after[name]:
            old_id, new_id = _short(before[name]), _short(after[name])
            yield Reason(
                kind="need", what=f"{name}, which it builds upon, has changed", old=old_id, new=new_id
            )


def _root(past: Past, present: Past, old: _Lines, new: _Lines) -> Iterator[Reason]:
    if old.one("root") == new.one("root"):
        return
    before, after = ({one.name: f"{one.version} {one.hash}" for one in side.root} for side in (past, present))
    changed = [
        _change("root", f"build root: {name}", before.get(name), after.get(name))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
    yield from changed or _plain(old, new, "root", "root", "the build root is laid out in another way")
