"""All closures of a repository, and all its .tree files, within one process (G10).

Peer: reading every .dep file once. Trees are made for every package, hashed, and not written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import repository
from bench.harness import WANTED, Case, Side
from tcz.mirror.entries import Entries
from tcz.mirror.model import Blob, Entry
from tcz.mirror.trees import with_trees
from tcz.mirror.verify import Measuring
from tcz.resolve import Orders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def _cases(place: Path, count: int) -> Iterator[Case]:
    graph = repository.needs(count)
    deps = place / f"deps-{count}"
    deps.mkdir()
    for name, needs in graph.items():
        if needs:
            (deps / f"{name}.tcz.dep").write_text("".join(f"{need}.tcz\n" for need in needs))
    blob = Blob(sha256="0" * 64, size=1)
    entries = Entries.of(
        {name: Entry(name=name, md5="0" * 32, files={"": blob}, needs=some) for name, some in graph.items()}
    )

    def reading() -> None:
        for path in deps.glob("*.dep"):
            path.read_text().split()

    def closures() -> None:
        orders = Orders(graph.get)
        for name in graph:
            orders.order(name)

    peers = (Side(name="reading every .dep", run=reading, goal="<= 2"),)
    yield Case(name=f"all-closures-{count}", ours=Side(name="all closures", run=closures), peers=peers)

    def trees() -> None:
        with_trees(entries, {}, Measuring(place))

    yield Case(name=f"trees-{count}", ours=Side(name="all .tree", run=trees), peers=peers)


def cases(place: Path) -> Iterator[Case]:
    for count in WANTED.packages:
        yield from _cases(place, count)
