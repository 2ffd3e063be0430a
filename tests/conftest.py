"""Shared by all tests: golden files, written anew with ``pytest --regenerate``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Golden = Callable[[str, str], None]
    Counted = Callable[[str, int], None]

CASES = Path(__file__).parent / "cases"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regenerate", action="store_true", help="write the golden files of tests/cases anew")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare a text with a file of tests/cases."""

    def compare(name: str, text: str) -> None:
        path = CASES / name
        if request.config.getoption("--regenerate"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        assert path.is_file(), f"{path} is missing: run pytest --regenerate and look at it"
        assert text == path.read_bytes().decode()

    return compare


@pytest.fixture
def counted(record_property: Callable[[str, object], None]) -> Counted:
    """Let the end of the run tell how often something was done."""

    def tell(what: str, number: int) -> None:
        record_property("counted", [what, number])

    return tell


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for found in terminalreporter.stats.values() for report in found]
    told: Counter[str] = Counter()
    for report in reports:
        for key, value in getattr(report, "user_properties", ()):
            if key == "counted" and getattr(report, "when", "") == "call":
                told[value[0]] += value[1]
    if told:
        terminalreporter.section("counts")
        for what, number in sorted(told.items()):
            terminalreporter.write_line(f"{number:6}  {what}")
