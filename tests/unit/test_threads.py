"""Threads: whenever a signal ends the block they work for, none of them works on."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from tcz.squashfs.pipeline import Pipeline
from tcz.threads import Threads
from tests.unit.interrupted import interrupted, waiting

if TYPE_CHECKING:
    from collections.abc import Callable

#: Longer than it takes to leave a block, and to see that work goes on behind it.
SHORT = 0.004
PIECES = 2


class Work:
    """Counts how often it was begun and ended."""

    def __init__(self) -> None:
        self.begun = self.ended = 0

    def __call__(self) -> None:
        self.begun += 1
        time.sleep(SHORT)
        self.ended += 1


def never_behind(block: Callable[[Work], object]) -> None:
    """Interrupt a block wherever it waits, and look whether its work is at rest then."""
    number, done = 0, list[int]()
    while len(done) == number:
        work = Work()
        number += 1
        if interrupted(partial(block, work), number, waiting):
            done.append(work.begun)
        before = (work.begun, work.ended)
        assert work.begun == work.ended, f"at wait {number}"
        time.sleep(2 * SHORT)
        assert (work.begun, work.ended) == before, f"at wait {number}"
    assert {0, 1} <= set(done), "no interruption came before the work, or none while there was some left"
    assert work.ended == PIECES


def test_no_thread_works_on_behind_its_block() -> None:
    def block(work: Work) -> None:
        with Threads(1) as threads:
            for future in [threads.submit(work) for _ in range(PIECES)]:
                future.result()

    never_behind(block)


def test_no_thread_of_a_pipeline_works_on_behind_its_block() -> None:
    def block(work: Work) -> None:
        with Pipeline[None](1) as pipeline:
            for _ in range(PIECES):
                pipeline.put(work, lambda _: None)
            pipeline.finish()

    never_behind(block)
