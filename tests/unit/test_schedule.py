"""What starts when: over made-up graphs, and with real threads and processes."""

from __future__ import annotations

import threading
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcz.run import HostRunner
from tcz.schedule import Queue, Task, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@st.composite
def graphs(draw: st.DrawFn) -> list[Task]:
    count = draw(st.integers(0, 8))
    tasks = []
    for n in range(count):
        after = draw(st.lists(st.integers(0, n - 1), unique=True, max_size=3)) if n else []
        tasks.append(Task(name=f"t{n}", after=(*(f"t{need}" for need in after), "done long ago")))
    return tasks


@given(graphs(), st.integers(1, 5), st.none() | st.integers(1, 3), st.randoms())
def test_all_run_after_what_they_need_and_within_the_slots(
    tasks: list[Task], slots: int, at_once: int | None, chance: object
) -> None:
    queue = Queue(tasks, slots=slots, at_once=at_once)
    after = {task.name: {need for need in task.after if need.startswith("t")} for task in tasks}
    running: dict[str, int] = {}
    done: list[str] = []
    while starts := queue.take() or running:
        if isinstance(starts, tuple):
            for start in starts:
                assert after[start.name] <= set(done)
                running[start.name] = start.jobs
        assert sum(running.values()) <= slots
        assert min(running.values()) >= 1
        assert len(running) <= (at_once or slots)
        name = chance.choice(sorted(running))  # type: ignore[attr-defined]
        del running[name]
        queue.finish(name)
        done.append(name)
    assert sorted(done) == sorted(after)
    assert queue.left == ()


@given(graphs(), st.integers(1, 3), st.data())
def test_a_failure_holds_back_the_rest(tasks: list[Task], slots: int, data: st.DataObject) -> None:
    broken = {task.name for task in tasks if data.draw(st.booleans())}
    keep_going = data.draw(st.booleans())
    seen: list[str] = []

    def work(name: str, _jobs: int) -> None:
        seen.append(name)
        if name in broken:
            raise ValueError(name)

    outcome = run(Queue(tasks, slots=slots, keep_going=keep_going), work, nullcontext)
    assert set(outcome.failed) == broken & set(seen)
    assert sorted([*seen, *outcome.left]) == sorted(task.name for task in tasks)
    held: set[str] = set()
    for task in tasks:
        if {*task.after} & (broken | held):
            held.add(task.name)
    assert not held & set(seen)
    if keep_going:
        assert set(outcome.left) == held
    elif not broken:
        assert outcome.left == ()


def test_processors_are_shared() -> None:
    queue = Queue([Task(name=name) for name in "abc"], slots=8)
    assert [(start.name, start.jobs) for start in queue.take()] == [("a", 3), ("b", 3), ("c", 2)]
    queue = Queue([Task(name="a"), Task(name="b", after=("a",))], slots=8)
    assert [(start.name, start.jobs) for start in queue.take()] == [("a", 8)]
    assert queue.take() == ()
    queue.finish("a")
    assert [(start.name, start.jobs) for start in queue.take()] == [("b", 8)]


def test_what_many_wait_for_goes_first() -> None:
    tasks = [Task(name="a"), Task(name="b"), Task(name="c", after=("b",)), Task(name="d", after=("c",))]
    assert [start.name for start in Queue(tasks, slots=1).take()] == ["b"]


def test_tasks_run_beside_each_other() -> None:
    both = threading.Barrier(2, timeout=30)
    outcome = run(Queue([Task(name="a"), Task(name="b")], slots=2), lambda _n, _j: both.wait(), nullcontext)
    assert outcome.failed == {}


def test_an_interrupt_ends_the_processes_of_all_threads(tmp_path: Path) -> None:
    runner = HostRunner()
    started = threading.Barrier(2, timeout=30)
    ended: list[str] = []
    halted: list[bool] = []

    def work(name: str, _jobs: int) -> None:
        if name == "fails":
            started.wait()
            raise KeyboardInterrupt
        try:
            threading.Timer(0.1, started.wait).start()
            runner.run(["sleep", "1000"], log=tmp_path / name)
        finally:
            ended.append(name)

    @contextmanager
    def halting() -> Iterator[None]:
        with runner.halting():
            halted.append(True)
            with pytest.raises(KeyboardInterrupt):
                runner.run(["true"])
            yield

    with pytest.raises(KeyboardInterrupt):
        run(Queue([Task(name="sleeps"), Task(name="fails")], slots=2), work, halting)
    assert (ended, halted) == (["sleeps"], [True])
    assert runner.run(["true"]).returncode == 0
