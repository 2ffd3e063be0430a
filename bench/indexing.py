"""The index files of thousands of packages: from nothing, made anew, and after one change (G11, G12).

Peer: a shell loop that runs ``md5sum`` and ``unsquashfs -l`` on each package and puts together what they say:
md5.db, provides.db and sizelist. *From nothing* is ``tcz mirror add`` of packages with a .zsync and without
.list: it copies and hashes them three times (md5, sha1, sha256), lists them, makes .list and .tree, all index
files with their .gz, and publishes. *Anew* is ``tcz mirror index``. *One changed* is ``tcz mirror add`` of a
package that has other bytes than before. All of ours run within this process; starting one is ``startup``.
"""

from __future__ import annotations

import itertools
import shutil
from typing import TYPE_CHECKING, Final

from bench import repository
from bench.harness import WANTED, Case, Side, shell
from tcz.mirror import changes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOOP: Final = """
cd "$1"
for package in *.tcz; do
    md5sum "$package" >>"$2/md5.db"
    { echo "$package"; unsquashfs -l -d '' "$package"; echo; } >>"$2/provides.db"
    stat -c '%n %s' "$package" >>"$2/sizelist"
done
rm "$2"/*
"""


def _loop(place: Path, count: int, goal: str) -> Side:
    folder = repository.folder(count)
    return Side(
        name=f"shell loop, md5sum and unsquashfs -l of {count}",
        run=lambda: shell(_LOOP, folder, place),
        needs=("unsquashfs", "md5sum"),
        goal=goal,
        once=count > repository.FEW,
    )


def _changing(place: Path, count: int) -> Side:
    """Put another package of the same name into the mirror, time and again."""
    mirror = repository.mirror(count)
    names = list(repository.needs(count))
    turns = itertools.count(1)
    paths: list[Path] = []

    def before() -> None:
        turn = next(turns)
        name = names[turn * 977 % count]
        paths.append(repository.put(place, name, count + turn, count))

    def run() -> None:
        changes.add(mirror, [paths.pop()], repository.BRANCH, repository.QUIET, replacing=True)

    for _ in range(3):
        before()
        run()  # from then on there is a state to make the next one of
    return Side(name=f"tcz mirror add of one of {count}", run=run, before=before)


def _cases(place: Path, count: int) -> Iterator[Case]:
    (place / "loop").mkdir(parents=True)
    (place / "one").mkdir()
    root = place / "fresh"

    def nothing() -> None:
        repository.filled(root, count)

    yield Case(
        name=f"index-nothing-{count}",
        ours=Side(
            name=f"tcz mirror add of {count} packages",
            run=nothing,
            before=lambda: shutil.rmtree(root, ignore_errors=True),
            once=count > repository.FEW,
        ),
        peers=(_loop(place / "loop", count, "<= 1/7"),),
    )
    shutil.rmtree(root, ignore_errors=True)
    mirror = repository.mirror(count)

    def anew() -> None:
        changes.index(mirror, repository.QUIET)

    yield Case(
        name=f"index-anew-{count}",
        ours=Side(name="tcz mirror index", run=anew),
        peers=(_loop(place / "loop", count, "<= 1/7"),),
    )
    yield Case(
        name=f"index-one-{count}",
        ours=_changing(place / "one", count),
        peers=(_loop(place / "loop", count, "<= 1/100"),),
    )


def cases(place: Path) -> Iterator[Case]:
    for count in WANTED.packages:
        yield from _cases(place / str(count), count)
