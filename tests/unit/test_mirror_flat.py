"""Memory stays flat as a repository grows: commands on a small mirror and on one six times as large."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tcz.metadata import Md5, md5_text
from tcz.mirror.compose import compose, state_files
from tcz.mirror.entries import Entries
from tcz.mirror.model import Catalogue, Entry
from tests.unit.mirror_made import BRANCH, QUIET, begun, package, quick_folder

if TYPE_CHECKING:
    from tcz.mirror.objects import Objects
    from tcz.mirror.repository import Mirror

SMALL, LARGE = 1000, 6000
#: Bytes that a package more may cost. Half of them are buffers that the small mirror does not fill.
MOST = 1200
#: One process does it all; then it tells the most memory that it had. Its parent's does not count in that.
PROGRAM = """
import sys
from pathlib import Path
from tcz.cli import cli
from tcz.mirror import changes
from tcz.mirror.model import Branch
from tcz.mirror.repository import Mirror
from tcz.mirror.sync import Wish, sync
from tcz.mirror.upstream import FolderUpstream
from tcz.mirror.verify import verify
from tcz.reporting import SilentReporter
mirror, branch, quiet = Mirror.open(Path(sys.argv[1])), Branch.parse("17.x/x86_64"), SilentReporter()
cli(["deps", "p900", "--mirror", sys.argv[1]], standalone_mode=False)
done = sync(mirror, FolderUpstream(mirror.root, branch), branch, Wish(everything=True), quiet)
assert not done.published and not done.fetched
assert changes.add(mirror, [Path(sys.argv[2])], branch, quiet, replacing=True).published
assert not changes.index(mirror, quiet).published
assert not verify(mirror, quiet).damage
lines = open("/proc/self/status").read().splitlines()
print(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
"""


def _entries(objects: Objects, count: int) -> Entries:
    """Return packages of which every tenth needs three others; all have the same bytes."""
    tcz, paths = objects.add_bytes(b"tcz"), objects.add_bytes(b"usr/local/bin/x\n")
    md5 = hashlib.md5(b"tcz", usedforsecurity=False).hexdigest()
    found = []
    for number in range(count):
        name = f"p{number}"
        needs = tuple(f"p{number // part + 1}" for part in (3, 5, 7)) if not number % 10 else ()
        line = md5_text(Md5(md5=md5, name=f"{name}.tcz"))
        dep = "".join(f"{need}.tcz\n" for need in needs)
        beside = {".md5.txt": objects.add_bytes(line.encode())}
        beside |= {".dep": objects.add_bytes(dep.encode())} if dep else {}
        found.append(
            Entry(name=name, md5=md5, files={"": tcz, ".list": paths, **beside}, needs=needs, tags="x" * 80)
        )
    return Entries.of({entry.name: entry for entry in found})


def _mirror(root: Path, count: int) -> Mirror:
    mirror = begun(root)
    with mirror.writing(QUIET) as writer:
        new = Catalogue(serial=2, branches={BRANCH: _entries(writer.objects, count)})
        made = compose(new, mirror.catalogue(), writer.objects)
        writer.publish(state_files(made, writer.objects), 2)
    return mirror


def _peak(folder: Path, count: int) -> int:
    """Return the bytes of memory that commands on a mirror of so many packages take."""
    mirror = _mirror(folder / str(count), count)
    path = package(folder / f"new-{count}", "p100", "p7")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, mirror.root, path],
        cwd=Path(__file__).parents[2],
        env={"XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": str(Path(__file__).parents[2])},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return int(done.stdout.split()[-1]) << 10


def test_memory_stays_flat() -> None:
    with quick_folder() as folder:
        small, large = (_peak(folder, count) for count in (SMALL, LARGE))
    assert (large - small) / (LARGE - SMALL) < MOST
