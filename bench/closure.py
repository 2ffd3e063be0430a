"""Everything a package needs, out of mirrors of 3,000 and of 30,000 packages (goal G9), as a whole process.

Ours is ``tcz deps NAME --mirror FOLDER`` when it has been asked before and the mirror has not changed. Peers:
a shell function that calls itself for every line of every .dep file without noting where it has been, as
``tce-load`` does; ``tcz --version``; and ``python -c pass``.

And all closures of a mirror, as ``tcz deps --all`` finds them, within one process and beside reading its
.dep files.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.harness import Case, Side, shell
from bench.startup import nothing, python
from tcz.mirror.place import Folder
from tcz.mirror.shelf import Indexed, Shelf
from tcz.query_commands import Everything

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIZES: Final = (3000, 30_000)
#: How many .dep files the shell function opens, at most, for the package that is asked for.
_VISITS: Final = 3000
_RECURSION: Final = """
cd "$1"
scan() {
    for need in $(cat "$1.dep" 2>/dev/null); do
        list="$need $list"
        scan "$need"
    done
}
list=
scan "$2.tcz"
printf '%s\n' $list | awk '!seen[$0]++' >/dev/null
"""


def write_mirror(folder: Path, packages: int) -> str:
    """Write the .dep files and indexes of a mirror without cycles; return what costs the shell most.

    Each package needs up to four others, mostly ones that many need, as in Tiny Core's own mirror.
    """
    folder.mkdir()
    rng = random.Random(8)  # noqa: S311 - not for secrets
    visits: list[int] = []
    records = []
    for number in range(packages):
        count = rng.choice((0, 1, 1, 2, 2, 3, 4)) if number else 0
        needs = sorted({int(number * rng.random() ** 3) for _ in range(count)})
        visits.append(1 + sum(visits[need] for need in needs))
        if needs:
            text = "".join(f"p{need}.tcz\n" for need in needs)
            (folder / f"p{number}.tcz.dep").write_text(text)
            records.append(f"p{number}.tcz\n{text}\n")
    (folder / "dep.db").write_text("".join(records))
    (folder / "info.lst").write_text("".join(f"p{number}.tcz\n" for number in range(packages)))
    return f"p{max(range(packages), key=lambda n: visits[n] if visits[n] <= _VISITS else 0)}"


def _one(folder: Path, packages: int) -> Case:
    name = write_mirror(folder, packages)
    sh = "busybox sh" if Path("/bin/busybox").exists() else "sh"
    recursion = Side(
        name=f"recursion as in tce-load, {sh}",
        run=lambda: shell(f'{sh} -c "$1" sh "$2" "$3"', _RECURSION, folder, name),
        needs=("awk",),
        goal="<= 1/12",
    )
    version = Side(name="tcz --version", run=python("-m", "tcz", "--version"), goal="<= 1.3")
    found = Shelf((Indexed(Folder(folder)),)).closure([name])
    ours = Side(
        name=f"tcz deps, {len(found.order)} of {packages} packages",
        run=python("-m", "tcz", "deps", name, "--mirror", str(folder)),
    )
    return Case(name=f"closure-{packages}", ours=ours, peers=(recursion, version, nothing("<= 3.0")))


def _every(folder: Path, packages: int) -> Case:
    def ours() -> None:
        shelf = Shelf((Indexed(Folder(folder)),))
        for _ in Everything(dict(shelf.graph()), None):
            pass

    def theirs() -> None:
        for path in folder.glob("*.dep"):
            path.read_text().split()

    return Case(
        name=f"closures-{packages}",
        ours=Side(name=f"all {packages} closures", run=ours),
        peers=(Side(name="reading every .dep", run=theirs, goal="<= 2"),),
    )


def _all(place: Path) -> Iterator[Case]:
    for packages in _SIZES:
        yield _one(place / str(packages), packages)
    yield _every(place / str(_SIZES[0]), _SIZES[0])


def cases(place: Path) -> tuple[Case, ...]:
    return tuple(_all(place))
