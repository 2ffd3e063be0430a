"""What packages had beside them that are shown no more: ``past.jsonl``, written when they go.

A lock names the .tcz alone. Where it keeps one that no state has any longer, this tells which other files
belong to it; ``gc`` forgets the packages whose bytes it removes.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

from tcz.mirror.entries import Entries
from tcz.store import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tcz.mirror.model import Catalogue

FILE: Final = "past.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """A package that was shown: ``files`` are the sha256 of all that belongs to it, by suffix."""

    branch: str
    name: str
    sha256: str
    files: tuple[tuple[str, str], ...]


def gone(old: Catalogue, new: Catalogue) -> Iterator[Gone]:
    """Return the packages of ``old`` whose bytes ``new`` does not show under their names."""
    for branch, entries in old.branches.items():
        before, now = Entries.of(entries), Entries.of(new.entries(branch))
        for name, was, _ in before.differences(now):
            entry, other = None if was is None else before[name], now.get(name)
            if entry is None or (other is not None and other.sha256 == entry.sha256):
                continue
            files = tuple((suffix, blob.sha256) for suffix, blob in sorted(entry.files.items()))
            yield Gone(branch=str(branch), name=name, sha256=entry.sha256, files=files)


def note(root: Path, packages: Iterable[Gone]) -> None:
    """Add packages to what the mirror in ``root`` remembers."""
    lines = map(_line, packages)
    first = next(lines, None)
    if first is None:
        return
    with (root / FILE).open("ab") as file:
        if file.tell():
            # A line that was cut short by a power cut ends here.
            file.write(b"\n")
        for line in chain([first], lines):
            file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())


def read(root: Path) -> tuple[Gone, ...]:
    """Return what is remembered; lines that were cut short are passed over."""
    try:
        lines = (root / FILE).read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        return ()
    found = (_parsed(line) for line in lines if line)
    return tuple(dict.fromkeys(one for one in found if one is not None))


def forget(root: Path, stay: Iterable[Gone]) -> None:
    """Remember these packages only."""
    with replacing(root / FILE, lasting=True) as new:
        new.write_text("".join(map(_line, stay)), encoding="utf-8")


def _line(one: Gone) -> str:
    value = {"branch": one.branch, "name": one.name, "sha256": one.sha256, "files": dict(one.files)}
    return json.dumps(value, separators=(",", ":")) + "\n"


def _parsed(line: str) -> Gone | None:
    try:
        value = json.loads(line)
        files = tuple((str(suffix), str(sha256)) for suffix, sha256 in value["files"].items())
        return Gone(
            branch=str(value["branch"]), name=str(value["name"]), sha256=str(value["sha256"]), files=files
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
