"""Which of several builds run when, and on how many processors each; and the threads that run them.

A build starts when all that it builds upon is done. Those that could start share the processors that
are free: their ``jobs`` never add up to more than there are, and one that runs alone has them all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING

from tcz.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Something to be done after others, named in ``after``; names that are no tasks count as done."""

    name: str
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A task whose time has come, and the processors it may use."""

    name: str
    jobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How it went: what failed and why, in order of failing, and what was therefore not started."""

    failed: Mapping[str, Exception] = field(default_factory=dict)
    left: tuple[str, ...] = ()


class Queue:
    """Decides what starts next; starts nothing itself."""

    def __init__(
        self, tasks: Iterable[Task], *, slots: int, at_once: int | None = None, keep_going: bool = False
    ) -> None:
        """``slots`` processors are shared by at most ``at_once`` tasks (``None``: as many).

        With ``keep_going`` a failure holds back only what builds upon it. The order of ``tasks`` decides
        between those that as many others wait for.
        """
        self._waiting = {task.name: task for task in tasks}
        self._after = {
            name: {need for need in task.after if need in self._waiting}
            for name, task in self._waiting.items()
        }
        self._awaited = {name: _awaited(name, self._after) for name in self._waiting}
        self._slots = max(1, slots)
        self._at_once = max(1, min(self._slots, at_once or self._slots, len(self._waiting)))
        self._keep_going = keep_going
        self._running: dict[str, int] = {}
        self._done: set[str] = set()
        self._failed = False

    @property
    def at_once(self) -> int:
        """How many tasks may run beside each other."""
        return self._at_once

    @property
    def running(self) -> bool:
        """Tell whether a task runs."""
        return bool(self._running)

    @property
    def left(self) -> tuple[str, ...]:
        """The tasks that have not started."""
        return tuple(self._waiting)

    def take(self) -> tuple[Start, ...]:
        """Return what is to be started now: none while no processor is free or all that is left waits."""
        if self._failed and not self._keep_going:
            return ()
        ready = [name for name in self._waiting if self._after[name] <= self._done]
        ready.sort(key=lambda name: -self._awaited[name])
        free = self._slots - sum(self._running.values())
        count = min(len(ready), free, self._at_once - len(self._running))
        if count <= 0:
            return ()
        each, more = divmod(free, count)
        starts = tuple(Start(name=name, jobs=each + (n < more)) for n, name in enumerate(ready[:count]))
        for start in starts:
            self._running[start.name] = start.jobs
            del self._waiting[start.name]
        return starts

    def finish(self, name: str, *, failed: bool = False) -> None:
        """Take note that a running task is over."""
        del self._running[name]
        if failed:
            self._failed = True
        else:
            self._done.add(name)


def _awaited(name: str, after: Mapping[str, set[str]]) -> int:
    """Count the tasks that wait for ``name``, directly or not."""
    found: set[str] = set()
    new = {name}
    while new:
        new = {task for task, needs in after.items() if needs & new} - found
        found |= new
    return len(found)


def run(
    queue: Queue,
    work: Callable[[str, int], None],
    halting: Callable[[], AbstractContextManager[None]],
) -> Outcome:
    """Do all tasks of a queue with ``work(name, jobs)``, several in threads of their own.

    After a failure those that run go on to their end. An interrupt enters ``halting()``, which must end
    what the threads wait for, and is raised again when all of them are through.
    """
    failed = _in_turn(queue, work) if queue.at_once == 1 else _beside(queue, work, halting)
    return Outcome(failed=failed, left=queue.left)


def _in_turn(queue: Queue, work: Callable[[str, int], None]) -> dict[str, Exception]:
    failed: dict[str, Exception] = {}
    while starts := queue.take():
        (start,) = starts
        try:
            work(start.name, start.jobs)
        except Exception as error:  # noqa: BLE001 - told to the caller
            failed[start.name] = error
        queue.finish(start.name, failed=start.name in failed)
    return failed


def _beside(
    queue: Queue,
    work: Callable[[str, int], None],
    halting: Callable[[], AbstractContextManager[None]],
) -> dict[str, Exception]:
    failed: dict[str, Exception] = {}
    over: SimpleQueue[tuple[str, BaseException | None]] = SimpleQueue()

    def attempt(start: Start) -> None:
        try:
            work(start.name, start.jobs)
        except BaseException as error:  # noqa: BLE001 - told to the caller
            over.put((start.name, error))
        else:
            over.put((start.name, None))

    with Threads(queue.at_once) as pool:
        try:
            while True:
                for start in queue.take():
                    pool.submit(attempt, start)
                if not queue.running:
                    return failed
                name, problem = over.get()
                queue.finish(name, failed=problem is not None)
                if problem is not None:
                    failed[name] = _ordinary(problem)
        except BaseException:
            with halting():
                pool.shutdown()
            raise


def _ordinary(problem: BaseException) -> Exception:
    """Raise what must end everything; return the rest."""
    if isinstance(problem, Exception):
        return problem
    raise problem
