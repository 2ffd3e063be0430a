"""Shared by all tests: golden files, written anew with ``pytest --regenerate``."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    Golden = Callable[[str, str], None]
    Counted = Callable[[str, int], None]

# How long an example takes is the machine's business.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

CASES = Path(__file__).parent / "cases"
#: Why a test is skipped that no package would mend: it takes long, it needs what only some machines have, or
#: something that would have to be built first.
MAY_SKIP = re.compile(
    r"takes (minutes|an hour)|TCZ_CORE_SCRIPTS|only root |of root's|asks for a password|extended attributes"
    r"|an xz before|no wheel can|no recipe is built|needs go$"
)
#: The files that take longest, the longest first: what is begun last shall be short, for workers end together
#: then. All other boots follow, and then the rest.
LONGEST = (
    "boot/test_bases.py",
    "boot/test_podman.py",
    "boot/test_docker.py",
    "boot/test_formats.py",
    "boot/test_recipes.py",
    "boot/test_machines.py",
    "boot/test_floe.py",
    "cases/test_interrupted.py",
    "cases/test_bad_input.py",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regenerate", action="store_true", help="write the golden files of tests/cases anew")
    parser.addoption(
        "--every-tool", action="store_true", help="fail where a test is skipped for want of a program"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a test that lacks a program fail where all are said to be there: else nobody would see it."""
    report = yield
    if report.skipped and item.config.getoption("--every-tool") and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
        if not hasattr(report, "wasxfail") and not MAY_SKIP.search(reason):
            report.outcome = "failed"
            report.longrepr = f"{reason}\ntools/setup.sh test is to install what every test needs"
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long files first; within a file the order stays."""
    tests = Path(__file__).parent
    for name in LONGEST:
        assert (tests / name).is_file(), f"{name} is no more: mend LONGEST in {__file__}"
    ranks = {tests / name: rank for rank, name in enumerate(LONGEST)}
    rest = len(ranks)
    items.sort(key=lambda item: ranks.get(item.path, rest if item.path.parent.name == "boot" else rest + 1))


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
