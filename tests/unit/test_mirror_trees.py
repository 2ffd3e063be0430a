from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from tcz.metadata import parse_tree, tree_text
from tcz.mirror import trees
from tcz.mirror.model import Blob, Entry
from tcz.mirror.verify import Measuring

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

BLOB = Blob(sha256="0" * 64, size=1)


class Remembering(Measuring):
    """Keeps texts by their hash, and counts how many were made."""

    made: list[bytes]

    def add_bytes(self, data: bytes) -> Blob:
        self.made.append(data)
        return super().add_bytes(data)


def remembering(root: Path) -> Remembering:
    objects = Remembering(root)
    object.__setattr__(objects, "made", [])
    return objects


def entries(graph: dict[str, list[str]]) -> dict[str, Entry]:
    return {
        name: Entry(name=name, md5="0" * 32, files={"": BLOB}, needs=tuple(needs))
        for name, needs in graph.items()
    }


def texts(graph: dict[str, list[str]], root: Path) -> dict[str, str]:
    objects = remembering(root)
    found = trees.with_trees(entries(graph), {}, objects)
    by_hash = {Measuring(root).add_bytes(data): data.decode() for data in objects.made}
    return {name: by_hash[e.files[".tree"]] for name, e in found.items() if ".tree" in e.files}


graphs = st.integers(1, 9).flatmap(
    lambda count: st.fixed_dictionaries(
        {
            f"p{n}": st.lists(st.integers(n + 1, count + 1).map(lambda m: f"p{m}"), unique=True, max_size=4)
            for n in range(count)
        }
    )
)


@given(graph=graphs)
@settings(max_examples=60)
def test_a_tree_is_what_the_plain_walk_gives(
    graph: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    found = texts(graph, tmp_path_factory.getbasetemp())
    assert found == {name: tree_text(name, graph.get) for name, needs in graph.items() if needs}


@given(old=graphs, new=graphs)
@settings(max_examples=60)
def test_trees_made_from_the_last_are_those_made_anew(
    old: dict[str, list[str]], new: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    objects = Measuring(tmp_path_factory.getbasetemp())
    before = trees.with_trees(entries(old), {}, objects)
    assert trees.with_trees(entries(new), before, objects) == trees.with_trees(entries(new), {}, objects)


def test_only_what_is_above_a_change_is_made_anew(tmp_path: Path) -> None:
    graph = {"a": ["b"], "b": ["c"], "c": [], "d": ["c"], "e": ["f"]}
    before = trees.with_trees(entries(graph), {}, Measuring(tmp_path))
    objects = remembering(tmp_path)
    trees.with_trees(entries({**graph, "b": ["f"]}), before, objects)
    assert sorted(data.split(b"\n")[0] for data in objects.made) == [b"a.tcz", b"b.tcz"]


def test_a_circle_ends(tmp_path: Path) -> None:
    found = texts({"a": ["b"], "b": ["c", "a"], "c": ["b"], "d": ["a", "e"]}, tmp_path)
    for name in "abcd":
        listed = {row[1] for row in parse_tree(found[name])}
        assert listed == {"a", "b", "c", "d", "e"} - ({"d", "e"} if name != "d" else set())


def test_a_tree_without_bounds_is_short_and_names_all(tmp_path: Path) -> None:
    # Each of 60 levels doubles the full tree.
    graph = {f"p{n}": [f"p{n + 1}", f"q{n + 1}"] for n in range(60)} | {
        f"q{n}": [f"p{n + 1}"] for n in range(1, 60)
    }
    found = texts(graph, tmp_path)["p0"]
    assert len(found) < 100_000
    assert {name for _, name in parse_tree(found)} == {*graph, "p60", "q60"}


def test_the_deepest_chain(tmp_path: Path) -> None:
    found = texts({f"p{n}": [f"p{n + 1}"] for n in range(120)}, tmp_path)["p0"]
    assert len(parse_tree(found)) == 121


def test_kernels(tmp_path: Path) -> None:
    graph: dict[str, list[str]] = {
        "alsa": ["alsa-modules-KERNEL", "gone-KERNEL"],
        "alsa-modules-6.18.2-tinycore": ["input-KERNEL"],
        "alsa-modules-6.18.2-tinycore64": ["input-KERNEL"],
        "input-6.18.2-tinycore": [],
        "input-6.18.2-tinycore64": [],
    }
    found = texts(graph, tmp_path)
    assert found["alsa"] == (
        "alsa.tcz\n   alsa-modules-6.18.2-tinycore.tcz\n      input-6.18.2-tinycore.tcz\n"
        "   gone-6.18.2-tinycore.tcz\n\n"
    )
    assert found["alsa-modules-6.18.2-tinycore64"] == (
        "alsa-modules-6.18.2-tinycore64.tcz\n   input-6.18.2-tinycore64.tcz\n\n"
    )
