"""Work that a signal ends, wherever Python tells of signals, or wherever it waits."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

#: So many places at least there are in any work worth to be interrupted.
FEWEST = 50
#: Other threads go on meanwhile, in seconds.
_AWHILE = 0.001


def anywhere(_frame: FrameType, event: str, _argument: object) -> bool:
    """Tell whether a signal could be told of: at a call, or a return from C."""
    return event in ("call", "c_return")


def waiting(frame: FrameType, event: str, argument: object) -> bool:
    """Tell whether this is about to wait for a thread: all of ``threading`` ends up in one of these."""
    waits = frame.f_code.co_name in ("wait", "_wait_for_tstate_lock")
    return waits and event == "c_call" and getattr(argument, "__name__", "") == "acquire"


def interrupted(
    work: Callable[[], object], number: int, where: Callable[[FrameType, str, object], bool] = anywhere
) -> bool:
    """Run ``work`` and raise at the ``number``th of such events; tell whether there were so many."""
    left = number

    def tell(frame: FrameType, event: str, argument: object) -> None:
        nonlocal left
        if where(frame, event, argument):
            left -= 1
            if left == 0:
                sys.setprofile(None)
                time.sleep(_AWHILE)
                raise KeyboardInterrupt

    try:
        sys.setprofile(tell)
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(None)
    return False
