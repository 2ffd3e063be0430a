"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import importlib
import json
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.harness import WANTED, Case, Outcome, Skipped, lines, measure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NAMES: Final = (
    "image",
    "initrd",
    "compress",
    "iso",
    "startup",
    "unchanged",
    "nothing",
    "squash",
    "listing",
    "closure",
    "importing",
    "serving",
    "indexing",
    "trees",
    "verifying",
    "syncing",
    "memory",
    "booting",
)


def _cases(name: str, place: Path) -> Iterable[Case]:
    place.mkdir()
    found: Iterable[Case] = importlib.import_module(f"bench.{name}").cases(place)
    return found


def outcomes(names: list[str], rounds: int) -> Iterator[Outcome]:
    """Measure the cases of the modules named; what cannot be measured is told on standard error."""
    for name in names:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            try:
                for case in _cases(name, Path(folder) / name):
                    yield measure(case, rounds)
            except Skipped as reason:
                print(f"{name}: skipped: {reason}", file=sys.stderr)


def _counts(text: str) -> tuple[int, ...]:
    found = tuple(map(int, text.split(",")))
    if min(found) < 1:
        raise ValueError(text)
    return found


def main() -> None:
    """Measure and print."""
    # As at Ctrl-C, machines are ended and temporary folders go.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(NAMES)}; none: all")
    parser.add_argument("--rounds", type=int, default=5, help="rounds to take medians of (default: 5)")
    parser.add_argument(
        "--packages",
        type=_counts,
        default=WANTED.packages,
        metavar="N,...",
        help="sizes of the mirrors that are made up (default: 3000,30000)",
    )
    parser.add_argument(
        "--size", type=float, default=1.0, metavar="GB", help="what is verified, in GB (default: 1)"
    )
    parser.add_argument("--json", action="store_true", help="write the result as JSON")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(NAMES))
    if unknown or options.rounds < 1:
        parser.error(f"no benchmark is named {', '.join(unknown)}" if unknown else "at least one round")
    WANTED.packages, WANTED.size = options.packages, int(options.size * 1e9)
    found = []
    for outcome in outcomes(options.names or list(NAMES), options.rounds):
        found.append(asdict(outcome))
        if not options.json:
            print("\n".join(lines(outcome)), flush=True)
    if options.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
