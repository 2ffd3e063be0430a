"""Work done by threads and taken in the order it was given, with a bounded number of pieces under way."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from types import TracebackType

Made = TypeVar("Made")

#: Pieces waiting or being worked on, for each thread.
_AHEAD = 4


class Pipeline(Generic[Made]):
    """Runs calls on threads; ``take`` of each gets its result, in the order of the calls."""

    def __init__(self, threads: int | None) -> None:
        """``threads``: how many; ``None`` for one on each processor that this process may use."""
        from tcz.threads import Threads  # noqa: PLC0415 - loads a lot

        count = threads or len(os.sched_getaffinity(0))
        self._pool = Threads(count)
        self._most = _AHEAD * count
        self._waiting: deque[tuple[Future[Made], Callable[[Made], None]]] = deque()

    def __enter__(self) -> Pipeline[Made]:
        """Nothing is running yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop what has not begun and wait for the rest."""
        self._pool.shutdown()

    def put(self, make: Callable[[], Made], take: Callable[[Made], None]) -> None:
        """Have ``make`` called by a thread; waits where enough is under way."""
        self._waiting.append((self._pool.submit(make), take))
        while len(self._waiting) > self._most or (self._waiting and self._waiting[0][0].done()):
            self._next()

    def finish(self) -> None:
        """Wait until everything is taken; what went wrong in a thread is raised here or by ``put``."""
        while self._waiting:
            self._next()

    def _next(self) -> None:
        future, take = self._waiting.popleft()
        take(future.result())
