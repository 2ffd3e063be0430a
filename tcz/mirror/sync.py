"""``tcz mirror sync``: a chosen set of an upstream's packages with all they need, or all, in one new state.

What the upstream's index files say is compared with the catalogue; only packages that differ are brought,
several at a time, into ``incoming/`` of the mirror, where an interrupted download waits for the next run.
Each is checked by its md5 (and sha256, where the upstream has a catalogue) and examined like any other
package. At the end the index files are asked for again: had they changed for what was chosen, it starts
over. Nothing is published unless all of it is right.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tcz import resolve
from tcz.errors import CheckError, ConfigError, FetchError, Problem, ToolkitError, VerifyError
from tcz.mirror import config as configs
from tcz.mirror.bring import ORIGIN, Bringer, Want, wanted
from tcz.mirror.entries import Entries
from tcz.mirror.model import listed, listing_key
from tcz.mirror.publish import publish, unsigned
from tcz.mirror.several import whose
from tcz.mirror.shelf import Indexed
from tcz.mirror.spool import sorted_lines, without
from tcz.names import KERNEL, file_name, follows_kernel, package_name, with_kernel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tcz.mirror.model import Branch, Catalogue, Entry
    from tcz.mirror.objects import Objects
    from tcz.mirror.publish import Sign
    from tcz.mirror.repository import Mirror
    from tcz.mirror.table import Table
    from tcz.mirror.upstream import Upstream
    from tcz.reporting import Reporter

    #: What differs, how many packages do not, and warnings.
    _Plan = tuple[list[Want], int, list[str]]

_ROUNDS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What to copy: ``names`` with all they need, or ``everything``.

    ``kernel`` is what -KERNEL stands for; without it a package for every kernel comes along.
    ``lenient`` goes on where the upstream lacks what a package needs; ``replacing`` takes the upstream's
    packages in the place of those that were added to the mirror by other means.
    """

    names: tuple[str, ...] = ()
    everything: bool = False
    kernel: str | None = None
    lenient: bool = False
    replacing: bool = False
    jobs: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What a sync did. ``fetched`` are the packages that were brought, ``same`` counts the others."""

    branch: str
    serial: int
    published: bool
    fetched: tuple[str, ...]
    same: int
    warnings: tuple[str, ...] = field(default=())


def brought_before(mirror: Mirror, branch: Branch) -> tuple[str, ...]:
    """Return the packages that came from an upstream; raises ``ConfigError`` where there are none."""
    found = [
        name for name, entry in mirror.catalogue().entries(branch).items() if entry.origin.startswith(ORIGIN)
    ]
    if not found:
        raise ConfigError("nothing came from an upstream yet", hint="name packages, or give --all")
    return tuple(listed(found))


def sync(
    mirror: Mirror,
    upstream: Upstream,
    branch: Branch,
    wish: Wish,
    reporter: Reporter,
    *,
    dry_run: bool = False,
    sign: Sign = unsigned,
) -> Synced:
    """Copy from an upstream and publish the result as one new state.

    Raises ``ConfigError`` for names that it does not have, ``CheckError`` where it lacks what a package
    needs, ``FetchError`` and ``VerifyError`` for what could not be had; the mirror is as it was then.
    """
    config = configs.read(mirror.root)
    with mirror.writing(reporter) as writer:
        old = mirror.catalogue()
        work = _Work(upstream, Entries.of(old.entries(branch)), mirror.objects, wish, reporter)
        changed, same, warnings = work.plan()
        if dry_run:
            return _synced(branch, old, old, changed, same, warnings)
        changed, same, warnings = _settled(work, (changed, same, warnings), upstream.where)
        entries = Entries.of(old.entries(branch)).changed(work.bringer.brought_of(changed).values())
        new = old.with_branch(branch, entries)
        made = publish(writer, config, new, old=old, sign=sign) if changed else old
        work.bringer.forget()
    return _synced(branch, old, made, changed, same, warnings)


def _settled(work: _Work, plan: _Plan, where: str) -> _Plan:
    """Bring what is to be brought until the upstream's index files say the same before and after."""
    for _ in range(_ROUNDS):
        if not plan[0]:
            return plan
        failure = None
        try:
            work.bringer.bring(plan[0])
        except ToolkitError as error:
            failure = error
        again = work.plan()
        if again[0] == plan[0]:
            if failure is not None:
                raise failure
            return again
        plan = again
    raise FetchError(
        "the upstream changed while it was copied, again and again",
        where=where,
        hint="run again later: what was brought is kept",
    )


def _synced(
    branch: Branch,
    old: Catalogue,
    made: Catalogue,
    changed: Sequence[Want],
    same: int,
    warnings: Sequence[str],
) -> Synced:
    return Synced(
        branch=str(branch),
        serial=made.serial,
        published=made.serial != old.serial,
        fetched=tuple(one.name for one in changed),
        same=same,
        warnings=tuple(warnings),
    )


class _Work:
    """One sync while it lasts."""

    def __init__(
        self,
        upstream: Upstream,
        before: Entries,
        objects: Objects,
        wish: Wish,
        reporter: Reporter,
    ) -> None:
        self._upstream = upstream
        self._before = before
        self._wish = wish
        self._reporter = reporter
        self.bringer = Bringer(upstream, before, objects, reporter, jobs=wish.jobs)

    # -- what to do

    def plan(self) -> _Plan:
        """Ask the upstream what it has, and compare; once more where it publishes meanwhile."""
        for _ in range(_ROUNDS - 1):
            try:
                return self._plan()
            except VerifyError:
                if not self._upstream.moved():
                    raise
        return self._plan()

    def _plan(self) -> _Plan:
        with self._reporter.step(f"asking {self._upstream.where}"):
            source = Indexed(self._upstream.refresh())
            if not source.names():
                raise FetchError("there are no packages", where=source.title, hint="check address and branch")
            promised = self._upstream.promised()
            chosen, warnings = self._chosen(source)
        changed, same = [], 0
        for name in chosen:
            if _stands(self._before, source, name, promised):
                same += 1
                continue
            want = wanted(source, name, promised, strict=whose(self._upstream, name).signed)
            was = self._before.get(name)
            if was is not None and _is(was, want):
                same += 1
            elif was is not None and not was.origin.startswith(ORIGIN) and not self._wish.replacing:
                same += 1
                if was.md5 != want.md5:
                    warnings.append(f"{file_name(name)} was added here and stays (--replace takes theirs)")
            else:
                changed.append(want)
        return sorted(changed, key=lambda want: listing_key(want.name)), same, warnings

    def _chosen(self, source: Indexed) -> tuple[Iterable[str], list[str]]:
        """Return the packages to compare, sorted by name, and warnings of what they lack."""
        if self._wish.everything:
            lost = _lost(source, self._wish.kernel)
            return source.names(), [f"not to be had: {chain}" for chain in lost]
        kernel, known = self._wish.kernel, source.names()
        plain = [resolve.plain_name(package_name(name), kernel) for name in self._wish.names]
        problems = [
            Problem(where=name, message="no such package", hint=", ".join(resolve.near(name, known)) or None)
            for name in plain
            if name not in known
        ]
        if problems:
            raise ConfigError(f"{source.title} does not have what was asked for", problems)

        def needs(name: str) -> Sequence[str] | None:
            found = source.needs(name)
            return None if found is None else [one for need in found for one in _meant(need, known, kernel)]

        found = resolve.closure(listed(plain), needs)
        lost = [
            " -> ".join(one.chain) + _nearby(one.name, known)
            for one in sorted(found.missing, key=lambda one: one.chain)
        ]
        if lost and not self._wish.lenient:
            raise CheckError(
                "the upstream lacks what some packages need; nothing was changed",
                where=source.title,
                why="\n".join(lost),
                hint="--allow-missing copies the rest",
            )
        return sorted(found.order), [f"not to be had: {chain}" for chain in lost]


def _lost(source: Indexed, kernel: str | None) -> list[str]:
    """Return what packages need that nobody has, each with one that needs it."""
    known = source.names()

    def needed() -> Iterator[tuple[str, str]]:
        direct = ((need, name) for name, needs in source.graph() for need in needs)
        return ((one, name) for need, name in direct for one in _meant(need, known, kernel))

    asked = sorted_lines(f"{one}\n".encode() for one, _ in needed())
    gone = {line.decode()[:-1] for line in without(asked, (f"{name}\n".encode() for name in known))}
    if not gone:
        return []
    first: dict[str, str] = {}
    for one, name in needed():
        if one in gone:
            first[one] = min(name, first.get(one, name), key=listing_key)
    chains = sorted((name, one) for one, name in first.items())
    return [f"{name} -> {one}{_nearby(one, known)}" for name, one in chains]


def _meant(need: str, known: Table[str], kernel: str | None) -> tuple[str, ...]:
    if not follows_kernel(need):
        return (need,)
    if kernel is not None:
        return (with_kernel(need, kernel),)
    stem = need.removesuffix(KERNEL) + "-"
    every = (name for name in known.starting(stem) if name[len(stem) : len(stem) + 1].isdigit())
    return tuple(every) or (need,)


def _nearby(name: str, known: Iterable[str]) -> str:
    near = resolve.near(name, known)
    return f" (near: {', '.join(near)})" if near else ""


def _stands(before: Entries, source: Indexed, name: str, promised: Mapping[str, Entry] | None) -> bool:
    """Tell, in little time, that a package is what the upstream has; where it is not clear, it is not."""
    ours = before.facts(name)
    if ours is None or ours.md5 != source.md5s.get(name):
        return False
    if promised is not None:
        theirs = promised.facts(name) if isinstance(promised, Entries) else None
        if theirs is None or theirs[:2] != ours[:2]:
            return False
    tags = source.tags.get(name) if source.tags else None
    needs = tuple(need for need in source.needs(name) or () if need != name)
    return needs == ours.needs and (tags is None or tags.split() == ours.tags.split())


def _is(entry: Entry, want: Want) -> bool:
    """Tell whether a package is what the upstream has."""
    if entry.md5 != want.md5 or entry.needs != want.needs:
        return False
    if want.sha256 and entry.sha256 != want.sha256:
        return False
    return want.tags is None or entry.tags.split() == want.tags.split()
