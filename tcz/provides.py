"""Which package has which shared library, and so which packages another needs.

The dynamic loader looks for a name (``DT_NEEDED``, a soname) in its own folders and in those that
``/etc/ld.so.conf`` names; Tiny Core's has one line, ``/usr/local/lib``. A library elsewhere is its
package's own business, found by a run path: it serves the files of the same build only.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcz import elf
from tcz.errors import ConfigError, Problem, VerifyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tcz.elf import Elf
    from tcz.tree import Node, Tree

_MACHINE = "x86_64"
_FOLDERS = frozenset(
    f"{prefix}lib{kind}"
    for prefix in ("", "usr/", "usr/local/")
    for kind in ("", "64", "/x86_64-linux-gnu")
    if not (prefix == "usr/local/" and kind)
)
_MAX_LINKS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A shared library that a file asks for by name."""

    path: str
    soname: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Libraries:
    """A tree's shared libraries: ``shared`` are for everybody, ``own`` are all; and what its files want."""

    shared: frozenset[str]
    own: frozenset[str]
    wanted: tuple[Wanted, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A package and the libraries that others find in it."""

    package: str
    sonames: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A package whose needs are looked for; ``needs`` are those that are known already."""

    name: str
    needs: tuple[str, ...]
    libraries: Libraries


def libraries(tree: Tree) -> Libraries:
    """Read every program and library of a tree; what is damaged or for other machines is passed over."""
    shared: set[str] = set()
    own: set[str] = set()
    wanted: list[Wanted] = []
    found = {path: facts for path, node in tree.items() if (facts := _facts(tree, node)) is not None}
    for path, facts in found.items():
        wanted += [Wanted(path=path, soname=soname) for soname in facts.needed]
        if facts.kind == "shared":
            own.add(facts.soname or posixpath.basename(path))
            if posixpath.dirname(path) in _FOLDERS:
                shared.add(facts.soname or posixpath.basename(path))
    for path, node in tree.items():
        # A link is another name that the loader finds a library under.
        if node.is_link and ".so" in posixpath.basename(path):
            facts = found.get(_followed(tree, path))
            if facts is not None and facts.kind == "shared":
                own.add(posixpath.basename(path))
                if posixpath.dirname(path) in _FOLDERS:
                    shared.add(posixpath.basename(path))
    return Libraries(shared=frozenset(shared), own=frozenset(own), wanted=tuple(wanted))


def _facts(tree: Tree, node: Node) -> Elf | None:
    if not node.is_file or not node.size:
        return None
    content = tree[node.link] if node.link is not None else node
    try:
        facts = elf.inspect(content.data)
    except VerifyError:
        return None
    return facts if facts is not None and facts.machine == _MACHINE and facts.kind != "object" else None


def _followed(tree: Tree, path: str) -> str:
    for _ in range(_MAX_LINKS):
        node = tree.get(path)
        if node is None or not node.is_link:
            break
        target = node.read().decode(errors="surrogateescape")
        path = posixpath.normpath(posixpath.join("/", posixpath.dirname(path), target)).lstrip("/")
    return path


def listed(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the libraries that a package's list of files lets one expect, by their names."""
    names = {posixpath.basename(path) for path in paths if posixpath.dirname(path) in _FOLDERS}
    return tuple(sorted(name for name in names if ".so." in name or name.endswith(".so")))


def needs(
    asked: Sequence[Asked],
    builds_upon: Sequence[Provider],
    base: frozenset[str],
    known: Callable[[str], Sequence[str]],
) -> Mapping[str, tuple[str, ...]]:
    """Return, for each package of one build, the packages its files' libraries are in, sorted by name.

    A library is looked for in the package itself, in the others of the build, in the base, and in the
    packages that the build builds upon, those that the package needs anyway first. Raises
    ``ConfigError`` with every library that is in none of them; ``known`` tells for it which other
    packages have it. Raises ``ConfigError`` too where packages of the build would need one another.
    """
    problems: list[Problem] = []
    found: dict[str, tuple[str, ...]] = {}
    siblings = [Provider(package=one.name, sonames=one.libraries.own) for one in asked]
    for one in asked:
        mine: set[str] = set()
        missing: dict[str, list[str]] = {}
        for wanted in one.libraries.wanted:
            if wanted.soname in one.libraries.own:
                continue
            provider = _provider(wanted.soname, siblings, one.needs)
            if provider is None and wanted.soname not in base:
                provider = _provider(wanted.soname, builds_upon, one.needs)
                if provider is None:
                    missing.setdefault(wanted.soname, []).append(wanted.path)
            if provider is not None:
                mine.add(provider)
        found[one.name] = tuple(sorted(mine - set(one.needs)))
        problems += [_problem(one.name, name, paths, known(name)) for name, paths in missing.items()]
    if problems:
        raise ConfigError(
            "programs ask for shared libraries that nothing brings",
            problems,
            hint="name the recipe of the library in needs.recipes, link it in statically, or put it into "
            "the package; auto-needs = false in [[package]] leaves the question to you",
        )
    return found


def _provider(soname: str, among: Sequence[Provider], preferred: Sequence[str]) -> str | None:
    having = [provider.package for provider in among if soname in provider.sonames]
    return next((name for name in having if name in preferred), having[0] if having else None)


def _problem(package: str, soname: str, paths: Sequence[str], known: Sequence[str]) -> Problem:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    hint = f"it is in {', '.join(known)}" if known else "no package built so far has it"
    return Problem(where=f"package {package}", message=f"{paths[0]}{more} asks for {soname}", hint=hint)
