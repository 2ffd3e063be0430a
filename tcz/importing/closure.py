"""Debian packages by name or as files, with what they need, mapped onto what is there already."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tcz.errors import ConfigError
from tcz.importing import debian, finish, mapping, programs
from tcz.importing.control import depends_text
from tcz.importing.draft import Note
from tcz.names import package_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tcz.apt import Apt
    from tcz.importing.archive import Spool
    from tcz.importing.control import Control
    from tcz.importing.draft import Draft
    from tcz.importing.mapping import Provided
    from tcz.importing.scripts import Link
    from tcz.names import PackageName
    from tcz.reporting import Reporter


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be imported: .deb files and names of Debian packages.

    Without ``closure`` nothing but these is imported. ``recipe_of`` returns the package of a recipe
    that stands in for a Debian package, or ``None``; ``merge`` names one package for all, ``rename`` the
    only package that was wished for.
    """

    files: tuple[Path, ...]
    names: tuple[str, ...]
    closure: bool
    options: debian.DebOptions
    recipe_of: Callable[[str], str | None] = lambda _: None
    merge: str | None = None
    rename: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Drafts in the order of their names, and packages that are not imported, with reasons."""

    drafts: tuple[Draft, ...]
    provided: tuple[Provided, ...]


@dataclass(slots=True, kw_only=True)
class _Walk:
    wish: Wish
    spool: Spool
    files: Mapping[str, Path]
    titles: Mapping[str, str]
    controls: Mapping[str, Control]
    read: dict[str, debian.Imported] = field(default_factory=dict)
    found: dict[str, programs.Programs] = field(default_factory=dict)
    provided: dict[str, Provided] = field(default_factory=dict)


def gather(wish: Wish, apt: Callable[[], Apt], spool: Spool, reporter: Reporter) -> Outcome:
    """Read what is wished for and all it needs, and decide what of it is imported.

    ``apt`` is asked for only when something is to be had from the archive. Raises what ``Apt`` and
    ``debian.read`` do, and ``ConfigError`` for two files of one package.
    """
    own = _own(wish, spool)
    files = dict(own)
    titles = {name: path.name for name, path in own.items()}
    depends = [
        text for path in own.values() if (text := depends_text(debian.read_control(path, spool).depends))
    ]
    if wish.names or (wish.closure and depends):
        archive = apt()
        debs = archive.resolve(wish.names) if wish.names and wish.closure else ()
        if wish.names and not wish.closure:
            debs = tuple(archive.candidate(name) for name in wish.names)
        more = archive.satisfy(", ".join(depends)) if wish.closure and depends else ()
        wanted = {deb.name: deb for deb in (*more, *debs) if deb.name not in own}
        files |= dict(zip(wanted, archive.fetch(wanted.values()), strict=True))
        titles |= {name: deb.file_name for name, deb in wanted.items()}
    controls = {name: debian.read_control(path, spool) for name, path in files.items()}
    walk = _Walk(wish=wish, spool=spool, files=files, titles=titles, controls=controls)
    roots = (*own, *wish.names)
    with reporter.step("reading Debian packages", total=len(files)) as step:
        waiting = list(roots)
        while waiting:
            name = waiting.pop(0)
            if name in walk.read or name in walk.provided:
                continue
            step.detail(name)
            waiting += _visit(walk, name, root=name in roots)
            step.progress(len(walk.read) + len(walk.provided), len(files))
    return _outcome(walk)


def _own(wish: Wish, spool: Spool) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in wish.files:
        name = debian.read_control(path, spool).package
        if name in found:
            raise ConfigError(f"two files of the package {name}: {found[name]} and {path}")
        found[name] = path
    return found


def _visit(walk: _Walk, name: str, *, root: bool) -> list[str]:
    """Decide on one package; return the packages that it leads to."""
    wish, base = walk.wish, walk.wish.options.base
    if not root:
        recipe = wish.recipe_of(name)
        rule = mapping.by_rule(name, base)
        if recipe is not None:
            why = f"the recipe's package {recipe} is taken"
            walk.provided[name] = mapping.Provided(package=name, by="recipe", why=why, needs=recipe)
            return []
        if rule is not None:
            walk.provided[name] = rule
            return []
    imported = debian.read(walk.files[name], walk.spool, wish.options, title=walk.titles[name])
    found = programs.examine(imported.drafts[0].tree)
    same = None if root else mapping.by_libraries(name, imported.drafts[0].tree, found, base)
    if same is not None:
        walk.provided[name] = same
        return []
    walk.read[name] = imported
    walk.found[name] = found
    wanted = (mapping.chosen(dependency, walk.controls) for dependency in imported.control.depends)
    return [need for need in wanted if need is not None]


def _needs(walk: _Walk, imported: debian.Imported) -> tuple[PackageName, ...]:
    """Return the packages that an imported one is to depend on, by the names they have here."""
    needs: dict[PackageName, None] = {}
    for dependency in imported.control.depends:
        name = mapping.chosen(dependency, walk.controls)
        if name is None:
            # Nothing was looked up: the first choice is named, unless it is one the base stands in for.
            if mapping.by_rule(dependency[0].name, walk.wish.options.base) is None:
                needs[package_name(walk.wish.recipe_of(dependency[0].name) or dependency[0].name)] = None
        elif name in walk.read:
            needs[package_name(name)] = None
        elif name in walk.provided and walk.provided[name].needs is not None:
            needs[package_name(walk.provided[name].needs or "")] = None
    needs.pop(package_name(imported.control.package), None)
    return tuple(needs)


def _outcome(walk: _Walk) -> Outcome:
    wish, base = walk.wish, walk.wish.options.base
    mains: dict[str, Draft] = {}
    parts: list[Draft] = []
    links = _best_links(walk)
    for name, imported in walk.read.items():
        main, *rest = imported.drafts
        main = debian.with_links(main, tuple(links.get(name, ())), base, wish.options.prefix)
        mains[name] = replace(main, needs=_needs(walk, imported))
        parts += rest
    mains = _without_circles(walk, mains)
    mains = {name: _licensed(draft, mains) for name, draft in mains.items()}
    for path, (first, other) in mapping.conflicts((d.name, d.tree) for d in mains.values()).items():
        note = Note(
            verdict="by-hand",
            where=path,
            text=f"also in {first}, and different: whichever is loaded first wins",
        )
        mains[other] = replace(mains[other], notes=(*mains[other].notes, note))
    drafts = tuple(mains.values())
    if wish.rename is not None and wish.merge is None:
        own = next(iter(walk.read))
        drafts = tuple(_renamed(draft, own, wish.rename) for draft in drafts)
        parts = [_renamed(draft, own, wish.rename) for draft in parts]
    if wish.merge is not None:
        drafts = (merged(wish.merge, drafts),)
        parts = list(_merged_parts(wish.merge, parts))
    checked = [finish.check(draft, base) for draft in drafts]
    alone = tuple(one.draft for one in checked)
    drafts = finish.check_together(checked, base) if wish.closure else alone
    everything = sorted((*drafts, *parts), key=lambda draft: draft.name)
    return Outcome(
        drafts=tuple(everything), provided=tuple(walk.provided[name] for name in sorted(walk.provided))
    )


def _renamed(draft: Draft, old: str, new: str) -> Draft:
    """Return the draft under its new name if it is, or is part of, the package that is renamed."""
    if draft.name != old and draft.name not in (f"{old}-doc", f"{old}-locale"):
        return draft
    return replace(draft, name=package_name(new + draft.name.removeprefix(old)))


def _without_circles(walk: _Walk, drafts: Mapping[str, Draft]) -> dict[str, Draft]:
    """Return the drafts with needs that go round nowhere."""

    def required(name: str, need: str) -> bool:
        return need in walk.found and not walk.found[name].needed.keys().isdisjoint(walk.found[need].offered)

    needs = {name: tuple(map(str, draft.needs)) for name, draft in drafts.items()}
    left, dropped = mapping.without_cycles(needs, required)
    out = {}
    for name, draft in drafts.items():
        notes = [
            Note(
                verdict="changed",
                where="dependencies",
                text=f"{lost} is left out, for it needs {name} in turn; what needs {name} needs both",
            )
            for loser, lost in dropped
            if loser == name
        ]
        out[name] = replace(draft, needs=tuple(map(package_name, left[name])), notes=(*draft.notes, *notes))
    return out


def _best_links(walk: _Walk) -> dict[str, list[Link]]:
    """Return the alternatives by package: of several for one path, the one with the highest priority."""
    best: dict[str, tuple[int, str, Link]] = {}
    for name, imported in walk.read.items():
        for link in imported.links:
            if (link.priority, name) > best.get(link.path, (-1, ""))[:2]:
                best[link.path] = (link.priority, name, link)
    found: dict[str, list[Link]] = {}
    for _, name, link in best.values():
        found.setdefault(name, []).append(link)
    return found


def _licensed(draft: Draft, drafts: Mapping[str, Draft]) -> Draft:
    """Take the licence over from the package that the documentation folder is a link to."""
    node = draft.tree.get(f"usr/local/share/doc/{draft.name}")
    if draft.license or node is None or not node.is_link:
        return draft
    other = drafts.get(node.read().decode(errors="replace").rpartition("/")[2])
    return draft if other is None else replace(draft, license=other.license)


def merged(name: str, drafts: Sequence[Draft]) -> Draft:
    """Return one draft that holds all of them; where they differ, the first one's files stay."""
    first = drafts[0]
    tree = first.tree
    for draft in drafts[1:]:
        tree = draft.tree.overlay(tree)
    inner = {draft.name for draft in drafts}
    licences = dict.fromkeys(
        f"({d.license})" if " OR " in d.license else d.license for d in drafts if d.license
    )
    return replace(
        first,
        name=package_name(name),
        tree=tree,
        origins=tuple(origin for draft in drafts for origin in draft.origins),
        epoch=max(draft.epoch for draft in drafts),
        license=" AND ".join(licences),
        needs=tuple(dict.fromkeys(need for draft in drafts for need in draft.needs if need not in inner)),
        startup=tuple(line for draft in reversed(drafts) for line in draft.startup),
        notes=tuple(note for draft in drafts for note in draft.notes),
    )


def _merged_parts(name: str, parts: Sequence[Draft]) -> list[Draft]:
    out = []
    for kind in ("doc", "locale"):
        mine = [part for part in parts if part.name.endswith(f"-{kind}")]
        if mine:
            out.append(merged(f"{name}-{kind}", mine))
    return out
