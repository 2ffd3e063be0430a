from __future__ import annotations

import sys
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tcz.resolve import Orders, closure, plain_name, tree_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Graph = dict[str, tuple[str, ...]]
NAMES = "abcdefghij"


def loaded_by_tce_load(graph: Mapping[str, Sequence[str]], targets: Sequence[str]) -> list[str]:
    """Model what the shell does: every name met is put in front of a list, the list is loaded once each."""
    loaded: list[str] = []
    for target in targets:
        found: list[str] = []

        def scan(name: str, found: list[str] = found) -> None:
            found.insert(0, name)
            for need in graph[name]:
                scan(need)

        scan(target)
        loaded += [name for name in dict.fromkeys(found) if name not in loaded]
    return loaded


@st.composite
def acyclic(draw: st.DrawFn) -> Graph:
    order = draw(st.permutations(NAMES))
    return {
        name: tuple(draw(st.lists(st.sampled_from(order[:n]), max_size=3, unique=True))) if n else ()
        for n, name in enumerate(order)
    }


any_graph = st.dictionaries(
    st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=4).map(tuple), max_size=10
)
targets = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3)


@given(graph=acyclic(), wanted=targets)
def test_order_is_that_of_tce_load(graph: Graph, wanted: list[str]) -> None:
    found = closure(wanted, graph.get)
    assert list(found.order) == loaded_by_tce_load(graph, wanted)
    assert found.missing == found.cycles == ()


@given(graph=any_graph, wanted=st.permutations(NAMES))
def test_many_orders_are_those_of_each(graph: Graph, wanted: list[str]) -> None:
    orders = Orders(graph.get)
    found = {name: closure([name], graph.get) for name in wanted}
    assert {name: orders.order(name) for name in wanted} == {name: one.order for name, one in found.items()}
    missing = {one.name for each in found.values() for one in each.missing}
    assert orders.missing.keys() == missing
    assert all(name in graph[by] for name, by in orders.missing.items() if by != name)
    assert bool(orders.cycles) == any(one.cycles for one in found.values())


def test_many_orders_of_long_chains_and_kernels() -> None:
    graph: Graph = {f"p{n}": (f"p{n + 1}.tcz", "m-KERNEL") for n in range(3000)}
    graph |= {"p3000": (), "m-6.1-tinycore": ("p3000",)}
    orders = Orders(graph.get, "6.1-tinycore")
    assert orders.order("p0.tcz") == closure(["p0"], graph.get, "6.1-tinycore").order
    assert orders.order("m-KERNEL") == ("p3000", "m-6.1-tinycore")


@given(graph=any_graph, wanted=targets)
def test_any_graph(graph: Graph, wanted: list[str]) -> None:
    found = closure(wanted, graph.get)
    reachable, waiting = set(), list(wanted)
    while waiting:
        name = waiting.pop()
        if name not in reachable:
            reachable.add(name)
            waiting += graph.get(name, ())
    missing = {one.name for one in found.missing}
    assert missing == {name for name in reachable if name not in graph}
    assert sorted(found.order) == sorted(reachable - missing)
    for one in found.missing:
        assert one.chain[0] in wanted
        assert one.chain[-1] == one.name
        assert all(b in graph[a] for a, b in pairwise(one.chain))
    for cycle in found.cycles:
        assert cycle[0] == cycle[-1]
        assert all(b in graph[a] for a, b in pairwise(cycle))
    position = {name: n for n, name in enumerate(found.order)}
    late = [(a, b) for a in found.order for b in graph[a] if b in position and position[b] >= position[a]]
    assert bool(late) == bool(found.cycles)


@given(graph=any_graph, wanted=targets, package=st.sampled_from(NAMES))
def test_why_is_a_shortest_chain(graph: Graph, wanted: list[str], package: str) -> None:
    found = closure(wanted, graph.get)
    chain = found.why(package)
    level, distance, seen = set(wanted), 0, set(wanted)
    while level and package not in level:
        level = {need for name in level for need in graph.get(name, ())} - seen
        seen |= level
        distance += 1
    assert len(chain) == (distance + 1 if level else 0)
    if chain:
        assert chain[0] in wanted
        assert chain[-1] == package
        assert all(b in graph[a] for a, b in pairwise(chain))


def test_kernel_names_follow() -> None:
    graph = {"hello": ("libhello.tcz", "mod-KERNEL.tcz"), "libhello": (), "mod-6.12.1": ()}
    found = closure(["hello.tcz"], graph.get, "6.12.1")
    assert found.order == ("mod-6.12.1", "libhello", "hello")
    assert found.why("libhello", "hello") == ("hello", "libhello")
    assert closure(["hello"], graph.get).missing[0].chain == ("hello", "mod-KERNEL")
    assert plain_name("KERNEL-KERNEL.tcz", "6.1") == "KERNEL-6.1"


def test_long_chains_and_wide_graphs() -> None:
    depth = sys.getrecursionlimit() * 5
    chain = {str(n): (str(n + 1),) for n in range(depth)} | {str(depth): ("0",)}
    found = closure(["0"], chain.get)
    assert len(found.order) == depth + 1
    assert len(found.cycles) == 1
    assert len(found.why(str(depth))) == depth + 1
    # a ladder of diamonds: tce-load's walk would take 2**200 steps
    ladder = {str(n): (f"{n}l", f"{n}r") for n in range(200)} | {"200": ()}
    ladder |= {f"{n}{side}": (str(n + 1),) for n in range(200) for side in "lr"}
    assert len(closure(["0"], ladder.get).order) == 601


def test_tree() -> None:
    graph = {"a": ("b", "c"), "b": ("d", "gone"), "c": ("b",), "d": ()}
    assert "\n".join(tree_lines(closure(["a"], graph.get), "a")) == (
        "a\n|-- b\n|   |-- d\n|   `-- gone (missing)\n`-- c\n    `-- b (above)"
    )
