"""Times sides of a case round-robin and reduces rounds to medians of ratios.

Both sides of a ratio come from the same round, so that a machine that slows down slows down both.
"""

from __future__ import annotations

import resource
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tcz.run import HostRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

#: Below this a ratio of processor times is noise of the clock.
_LEAST_CPU: Final = 0.001


@dataclass(slots=True, kw_only=True)
class Wanted:
    """What the command line asks for: how many packages, and how many bytes."""

    packages: tuple[int, ...] = (3000, 30_000)
    size: int = 1_000_000_000


WANTED: Final = Wanted()


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a side has measured itself, by another clock than this machine's."""

    seconds: float
    size: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One way to do a job. ``run`` returns the size of its result, or ``None`` where that says nothing.

    ``once`` is for one that takes minutes: it runs once and stands beside every round of every case.
    ``needs`` are programs of the host; ``before`` is done ahead of every run and not timed. ``counted`` is
    false where its processes are not all children of this one, so that their processor time is not to be had.
    """

    name: str
    run: Callable[[], int | Told | None]
    needs: tuple[str, ...] = ()
    before: Callable[[], object] | None = None
    goal: str = ""
    counted: bool = True
    once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A job of ours beside its peers; a peer's ``goal`` says what ratio to it is aimed at.

    ``warm`` is false where nothing is gained by a round that is not counted.
    """

    name: str
    ours: Side
    peers: tuple[Side, ...]
    warm: bool = True


class Skipped(Exception):  # noqa: N818 - nothing went wrong
    """A case cannot be measured on this machine; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run."""

    wall: float
    cpu: float
    size: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Ours against one peer: medians of the rounds' ratios, and the least and greatest of the wall's.

    ``cpu`` is ``None`` where a side used too little processor time to tell.
    """

    peer: str
    goal: str
    seconds: float
    wall: float
    low: float
    high: float
    cpu: float | None
    size: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a case came to; ``skipped`` names the peers that were not there."""

    case: str
    ours: str
    seconds: float
    size: int | None
    compared: tuple[Compared, ...]
    skipped: tuple[str, ...]


def shell(script: str, *words: object, cwd: Path | None = None) -> None:
    """Run a script with ``words`` as $1 and on. Raises ``CommandError`` when it fails."""
    HostRunner().run(["sh", "-euc", script, "sh", *map(str, words)], cwd=cwd)


def missing(side: Side) -> str:
    """Return the programs that ``side`` lacks, as text."""
    runner = HostRunner()
    return ", ".join(program for program in side.needs if runner.which(program) is None)


def _processor() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def sample(side: Side) -> Sample:
    """Run a side once."""
    if side.before is not None:
        side.before()
    cpu, wall = _processor(), time.perf_counter()
    told = side.run()
    wall, cpu = time.perf_counter() - wall, _processor() - cpu
    if isinstance(told, Told):
        return Sample(wall=told.seconds, cpu=cpu, size=told.size)
    return Sample(wall=wall, cpu=cpu, size=told)


_SINGLE: Final[dict[str, Sample]] = {}


def _once(side: Side) -> Sample:
    """Run a side the first time that it is asked for, in any case."""
    if side.name not in _SINGLE:
        _SINGLE[side.name] = sample(side)
    return _SINGLE[side.name]


def measure(case: Case, rounds: int) -> Outcome:
    """Run all sides in turn, ``rounds`` times after one unmeasured round; compare ours with each peer.

    Raises ``Skipped`` when our own side lacks a program.
    """
    if missing(case.ours):
        raise Skipped(f"{missing(case.ours)} not installed")
    present = [peer for peer in case.peers if not missing(peer)]
    absent = tuple(f"{peer.name}: {missing(peer)} not installed" for peer in case.peers if missing(peer))
    sides = (case.ours, *present)
    for side in sides:
        if case.warm and not side.once:
            sample(side)
    table = [[_once(side) if side.once else sample(side) for side in sides] for _ in range(rounds)]
    ours = [row[0] for row in table]
    compared = [
        compare(peer, ours, [row[n] for row in table], counted=case.ours.counted and peer.counted)
        for n, peer in enumerate(present, start=1)
    ]
    return Outcome(
        case=case.name,
        ours=case.ours.name,
        seconds=statistics.median(one.wall for one in ours),
        size=ours[0].size,
        compared=tuple(compared),
        skipped=absent,
    )


def compare(
    side: Side, ours: Sequence[Sample], theirs: Sequence[Sample], *, counted: bool = True
) -> Compared:
    """Reduce the rounds of two sides."""
    pairs = list(zip(ours, theirs, strict=True))
    walls = [a.wall / b.wall for a, b in pairs]
    enough = counted and all(min(a.cpu, b.cpu) >= _LEAST_CPU for a, b in pairs)
    return Compared(
        peer=side.name,
        goal=side.goal,
        seconds=statistics.median(b.wall for b in theirs),
        wall=statistics.median(walls),
        low=min(walls),
        high=max(walls),
        cpu=statistics.median(a.cpu / b.cpu for a, b in pairs) if enough else None,
        size=theirs[0].size,
    )


def lines(outcome: Outcome) -> Iterator[str]:
    """Give the lines that show an outcome."""
    yield f"{outcome.case}: {outcome.ours}: {outcome.seconds:.3f} s{_bytes(outcome.size)}"
    for one in outcome.compared:
        cpu = f", processor {one.cpu:.3g}" if one.cpu is not None else ""
        goal = f"  (goal {one.goal})" if one.goal else ""
        yield (
            f"    {one.wall:8.3g} x {one.peer} [{one.low:.3g}-{one.high:.3g}]{cpu};"
            f" {one.seconds:.3f} s{_bytes(one.size)}{_share(outcome.size, one.size)}{goal}"
        )
    for reason in outcome.skipped:
        yield f"    skipped: {reason}"


def _bytes(size: int | None) -> str:
    return "" if size is None else f", {size:,} bytes"


def _share(ours: int | None, theirs: int | None) -> str:
    return f" ({ours / theirs:.3g} x)" if ours is not None and theirs else ""
