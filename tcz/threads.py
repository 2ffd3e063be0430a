"""Threads for the length of a block, none of which is at work behind it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

Made = TypeVar("Made")


class Threads(ThreadPoolExecutor):
    """A pool of threads; a block that ends drops what has not begun, and waits for the rest.

    The standard library's waits for the threads that it has noted, but a signal may come between a thread's
    start and the note. Such a thread would work on while temporary files are removed or locks given back.
    """

    def __init__(self, count: int) -> None:
        """``count``: how many at most."""
        super().__init__(count)
        self._changed = threading.Condition()
        self._working, self._over = 0, False

    def submit(self, work: Callable[..., Made], /, *args: Any, **named: Any) -> Future[Made]:  # noqa: ANN401
        """Have ``work`` called by a thread."""
        return super().submit(self._counted, work, *args, **named)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = True) -> None:  # noqa: FBT001, FBT002
        """End, as a block does."""
        try:
            self._end()
        except KeyboardInterrupt:
            self._end()
            raise
        super().shutdown(wait, cancel_futures=cancel_futures)

    def _counted(self, work: Callable[..., Made], /, *args: Any, **named: Any) -> Made:  # noqa: ANN401
        with self._changed:
            if self._over:
                raise KeyboardInterrupt
            self._working += 1
        try:
            return work(*args, **named)
        finally:
            with self._changed:
                self._working -= 1
                self._changed.notify_all()

    def _end(self) -> None:
        with self._changed:
            self._over = True
            self._changed.wait_for(lambda: not self._working)
