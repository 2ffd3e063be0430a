"""Which packages of a Debian closure need no importing, and what the others are to depend on."""

from __future__ import annotations

import itertools
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tcz.bases import Base
    from tcz.importing.control import Control, Dependency
    from tcz.importing.programs import Programs
    from tcz.tree import Tree

_TABLE = Path(__file__).parents[1] / "data" / "debian-provided.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A line of the table of packages that a base stands in for; see its file."""

    name: str
    why: str
    libraries: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()

    def holds(self, package: str, base: Base) -> bool:
        """Tell whether the rule is about this package and holds for this base."""
        return (
            fnmatchcase(package, self.name)
            and base.sonames.issuperset(self.libraries)
            and base.programs.issuperset(self.programs)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Provided:
    """A Debian package that is not imported: who stands in for it (``needs`` names a package), and why."""

    package: str
    by: Literal["base", "recipe", "nothing"]
    why: str
    needs: str | None = None


@cache
def rules() -> tuple[Rule, ...]:
    """Return the table that ships."""
    entries = tomllib.loads(_TABLE.read_text())["package"]
    return tuple(
        Rule(
            name=entry["name"],
            why=entry["why"],
            libraries=tuple(entry.get("libraries", ())),
            programs=tuple(entry.get("programs", ())),
        )
        for entry in entries
    )


def by_rule(package: str, base: Base) -> Provided | None:
    """Return what the table says of a package."""
    for rule in rules():
        if rule.holds(package, base):
            return Provided(package=package, by="base", why=rule.why)
    return None


def by_libraries(package: str, tree: Tree, found: Programs, base: Base) -> Provided | None:
    """Tell a package of libraries all of which the base has, and that brings no program of its own."""
    public = {
        name
        for name, path in found.offered.items()
        if path.rpartition("/")[0] in ("usr/lib", "usr/lib/x86_64-linux-gnu", "usr/local/lib")
        and ".so." in name
    }
    # Debian names files in full (libz.so.1.3.1): what counts is what programs ask for.
    asked = {
        name for name in public if any(other != name and name.startswith(f"{other}.") for other in public)
    }
    public -= asked
    programs = {
        path.rpartition("/")[2] for path, node in tree.items() if not node.is_dir and "bin/" in f"/{path}"
    }
    if public and public <= base.sonames and programs <= base.programs:
        listed = ", ".join(sorted(public))
        return Provided(package=package, by="base", why=f"the base has {listed}")
    return None


def chosen(dependency: Dependency, known: Mapping[str, Control]) -> str | None:
    """Return the package of ``known`` that meets a dependency: by name, else what provides it."""
    for choice in dependency:
        if choice.name in known:
            return choice.name
    for choice in dependency:
        for name, control in sorted(known.items()):
            if choice.name in control.provides:
                return name
    return None


def without_cycles(
    needs: Mapping[str, tuple[str, ...]], required: Callable[[str, str], bool]
) -> tuple[dict[str, tuple[str, ...]], tuple[tuple[str, str], ...]]:
    """Return the needs without circles, which loaders of extensions follow for ever, and what was dropped.

    Of a circle, the last need that no program asks for (``required``) goes, so that the first packages of
    ``needs``, which are those that were wished for, keep theirs. Whoever needs one of
    the packages that are left without it gets it as a need of its own, so that nothing fewer is loaded.
    """
    left = dict(needs)
    dropped: list[tuple[str, str]] = []
    while (circle := _circle(left)) is not None:
        edges = list(itertools.pairwise((*circle, circle[0])))
        loser, lost = next((edge for edge in reversed(edges) if not required(*edge)), edges[-1])
        left[loser] = tuple(need for need in left[loser] if need != lost)
        dropped.append((loser, lost))
        below = _reached(left, lost)
        # On the circle, those that led to it through the need that is gone.
        affected = {name for name in below if loser in _reached(left, name)} | {loser}
        for name, wanted in left.items():
            if name not in below and name != loser and lost not in wanted and not affected.isdisjoint(wanted):
                left[name] = (*wanted, lost)
    return left, tuple(dropped)


def _circle(needs: Mapping[str, tuple[str, ...]]) -> list[str] | None:
    """Return one circle, its members in order, or ``None``."""
    done: set[str] = set()
    for start in needs:
        chain = [start]
        waiting = [iter(needs[start])]
        while waiting:
            name = next(waiting[-1], None)
            if name is None:
                waiting.pop()
                done.add(chain.pop())
            elif name in chain:
                return chain[chain.index(name) :]
            elif name not in done:
                chain.append(name)
                waiting.append(iter(needs.get(name, ())))
    return None


def _reached(needs: Mapping[str, tuple[str, ...]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += needs.get(name, ())
    return found


def conflicts(trees: Iterable[tuple[str, Tree]]) -> dict[str, tuple[str, str]]:
    """Return files that two of the trees hold differently: path to the first and the other package."""
    first: dict[str, str] = {}
    seen: dict[str, Tree] = {}
    found: dict[str, tuple[str, str]] = {}
    for name, tree in trees:
        for path, node in tree.items():
            if node.is_dir:
                continue
            other = first.setdefault(path, name)
            if other != name and seen[other][path] != node:
                found.setdefault(path, (other, name))
        seen[name] = tree
    return found
