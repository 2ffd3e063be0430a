"""The harness of the benchmarks: what it runs, in which order, and what comes out; never how long."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import bench
from bench.__main__ import NAMES
from bench.data import program, root_tree
from bench.harness import Case, Sample, Side, Skipped, Told, compare, lines, measure


def test_sides_take_turns_after_a_round_to_warm_up() -> None:
    seen: list[str] = []

    def side(name: str, size: int | None) -> Side:
        def run() -> int | None:
            seen.append(name)
            return size

        return Side(name=name, run=run, before=lambda: seen.append(f"before {name}"))

    absent = Side(name="absent", run=lambda: None, needs=("no-such-program",))
    case = Case(name="case", ours=side("ours", 5), peers=(absent, side("peer", None)))
    outcome = measure(case, 2)
    assert seen == ["before ours", "ours", "before peer", "peer"] * 3
    assert [one.peer for one in outcome.compared] == ["peer"]
    assert outcome.skipped == ("absent: no-such-program not installed",)
    assert outcome.size == 5
    text = list(lines(outcome))
    assert text[0].startswith("case: ours: ")
    assert "x peer" in text[1]
    assert text[2] == "    skipped: absent: no-such-program not installed"


def test_a_side_may_have_a_clock_of_its_own() -> None:
    runs: list[int] = []

    def run() -> Told:
        runs.append(1)
        return Told(seconds=2 * len(runs), size=len(runs))

    outcome = measure(
        Case(name="case", ours=Side(name="ours", run=run), peers=(Side(name="peer", run=run),), warm=False), 1
    )
    assert len(runs) == 2
    assert (outcome.seconds, outcome.size) == (2, 1)
    assert (outcome.compared[0].wall, outcome.compared[0].size) == (0.5, 2)


def test_ratios_are_taken_within_rounds() -> None:
    ours = [Sample(wall=2, cpu=1, size=3), Sample(wall=10, cpu=5, size=3), Sample(wall=4, cpu=2, size=3)]
    peer = [Sample(wall=1, cpu=2, size=7), Sample(wall=10, cpu=5, size=7), Sample(wall=1, cpu=1, size=7)]
    found = compare(Side(name="peer", run=lambda: None), ours, peer)
    assert (found.wall, found.low, found.high) == (2, 1, 4)
    assert found.cpu == 1
    assert found.size == 7
    assert compare(Side(name="peer", run=lambda: None), ours, peer, counted=False).cpu is None


def test_our_own_side_must_be_there() -> None:
    ours = Side(name="ours", run=lambda: None, needs=("no-such-program",))
    with pytest.raises(Skipped, match="no-such-program"):
        measure(Case(name="case", ours=ours, peers=()), 1)


def test_data_is_the_same_every_time() -> None:
    assert program(5000, 1) == program(5000, 1) != program(5000, 2)
    assert len(program(5000, 1)) == 5000
    assert root_tree(50_000, 1) == root_tree(50_000, 1)


def test_the_command() -> None:
    argv = [sys.executable, "-m", "bench", "startup", "--rounds", "1", "--json"]
    told = json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)
    assert {case["compared"][0]["peer"] for case in told} == {"python -c pass"}
    wrong = subprocess.run([sys.executable, "-m", "bench", "nonsense"], check=False, capture_output=True)
    assert wrong.returncode == 2
    assert b"nonsense" in wrong.stderr
    modules = Path(bench.__file__).parent.glob("*.py")
    assert set(NAMES) == {file.stem for file in modules if "\ndef cases(" in file.read_text()}
