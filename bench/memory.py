"""The most memory that a command has at a time, in the larger mirror beside the smaller.

Each side is a process of its own; what it comes to is the peak of its resident memory, as Linux counts it.
"""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING, Final

from bench import repository
from bench.harness import WANTED, Case, Side
from tcz.run import HostRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_START: Final = """
import sys
from pathlib import Path
from tcz.reporting import SilentReporter
from tcz.mirror.repository import Mirror
from tcz.mirror.model import Branch
mirror, branch, quiet = Mirror.open(Path(sys.argv[1])), Branch.parse(sys.argv[2]), SilentReporter()
"""
_END: Final = """
lines = open("/proc/self/status").read().splitlines()
print(next(line.split()[1] for line in lines if line.startswith("VmHWM")), file=sys.stderr)
"""
_JOBS: Final = {
    "starting": "",
    "index, one changed": """
from tcz.mirror import changes
changes.add(mirror, [Path(sys.argv[3])], branch, quiet, replacing=True)
""",
    "index, anew": """
from tcz.mirror import changes
changes.index(mirror, quiet)
""",
    "sync, no change": """
from tcz.mirror.sync import Wish, sync
from tcz.mirror.upstream import FolderUpstream
sync(mirror, FolderUpstream(mirror.root, branch), branch, Wish(everything=True), quiet)
""",
    "verify": """
from tcz.mirror.verify import verify
verify(mirror, quiet)
""",
    "deps, asked first": """
from tcz.cli import cli
cli(["deps", sys.argv[4], "--mirror", sys.argv[1]], standalone_mode=False)
""",
}


def _peak(job: str, place: Path, count: int) -> Callable[[], int]:
    root = repository.mirror(count).root
    name = max(repository.needs(count), key=lambda one: len(repository.needs(count)[one]))
    turns = itertools.count(count)

    def run() -> int:
        path = repository.put(place, name, next(turns), count)
        code = _START + _JOBS[job] + _END
        argv = [sys.executable, "-c", code, str(root), str(repository.BRANCH), str(path), name]
        return int(HostRunner().run(argv).stderr.split()[-1]) << 10

    return run


def cases(place: Path) -> Iterator[Case]:
    small, *_, large = (*WANTED.packages, *WANTED.packages)[:: max(1, 2 * len(WANTED.packages) - 1)]
    for job in _JOBS:
        ours = Side(name=f"{job}, {large} packages", run=_peak(job, place, large))
        peer = Side(name=f"{small} packages", run=_peak(job, place, small))
        yield Case(name=f"memory-{job.replace(', ', '-').replace(' ', '-')}", ours=ours, peers=(peer,))
