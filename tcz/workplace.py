"""Where builds are made: a folder that is gone afterwards, and locks between processes."""

from __future__ import annotations

import fcntl
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tcz.buildroot import remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcz.reporting import Reporter


@contextmanager
def work_folder(
    parent: Path, prefix: str, reporter: Reporter, *, keep_failed: bool = False
) -> Iterator[Path]:
    """Give a scratch folder that is gone afterwards; that of a failure stays where it is to be kept.

    What others with this prefix left goes first: the caller holds a lock, so they were killed.
    """
    for leftover in parent.glob(f"{prefix}-*"):
        remove_tree(leftover)
    work = Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=parent))
    try:
        yield work
    except Exception:
        if keep_failed:
            reporter.note(f"the failed build is kept in {work}")
        else:
            remove_tree(work)
        raise
    except BaseException:
        remove_tree(work)
        raise
    else:
        remove_tree(work)


@contextmanager
def locked(file: Path, reporter: Reporter, what: str) -> Iterator[None]:
    """Hold the lock of a file; a second process, or thread, that wants it waits."""
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            reporter.note(f"waiting for another process that builds {what}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
