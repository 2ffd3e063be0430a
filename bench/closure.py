"""Everything a package needs, out of a mirror of 3,000 packages (goal G9), as a whole process.

Peers: a shell function that calls itself for every line of every .dep file without noting where it has been,
as ``tce-load`` does; and ``python -c pass``.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

from bench.harness import Case, Side, shell
from bench.needed import resolve
from bench.startup import nothing, python

_PACKAGES: Final = 3000
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


def write_mirror(folder: Path) -> str:
    """Write the .dep files of a mirror without cycles; return the package that costs the shell most.

    Each package needs up to four others, mostly ones that many need, as in Tiny Core's own mirror.
    """
    folder.mkdir()
    rng = random.Random(8)  # noqa: S311 - not for secrets
    visits: list[int] = []
    for number in range(_PACKAGES):
        count = rng.choice((0, 1, 1, 2, 2, 3, 4)) if number else 0
        needs = sorted({int(number * rng.random() ** 3) for _ in range(count)})
        visits.append(1 + sum(visits[need] for need in needs))
        if needs:
            (folder / f"p{number}.tcz.dep").write_text("".join(f"p{need}.tcz\n" for need in needs))
    return f"p{max(range(_PACKAGES), key=lambda n: visits[n] if visits[n] <= _VISITS else 0)}"


def cases(place: Path) -> tuple[Case, ...]:
    folder = place / "mirror"
    name = write_mirror(folder)
    sh = "busybox sh" if Path("/bin/busybox").exists() else "sh"
    recursion = Side(
        name=f"recursion as in tce-load, {sh}",
        run=lambda: shell(f'{sh} -c "$1" sh "$2" "$3"', _RECURSION, folder, name),
        needs=("awk",),
        goal="<= 1/12",
    )
    ours = Side(
        name=f"tcz.resolve, {resolve(str(folder), name)} packages",
        run=python("-m", "bench.needed", str(folder), name),
    )
    return (Case(name="closure", ours=ours, peers=(recursion, nothing("<= 3.0"))),)
