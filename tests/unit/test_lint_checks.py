"""Every check of lint on packages that fail it and packages that pass, and its repair."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tcz.lint import registry
from tcz.lint.fix import repair
from tcz.lint.report import reference
from tests.unit.lint_made import CASES, context, package

if TYPE_CHECKING:
    from tcz.lint.finding import Check
    from tests.conftest import Golden

#: Faults that a repair leaves on purpose: what is missing in an .info cannot be made up.
UNREPAIRED = {"info-keys", "dep-syntax", "info-size"}


def test_every_check_has_a_case() -> None:
    assert set(CASES) == {check.name for check in registry.CHECKS}
    assert len(registry.CHECKS) == len(set(registry.CHECKS))


@pytest.mark.parametrize("name", CASES)
def test_check(name: str) -> None:
    check = registry.get(name)
    for subject, against in CASES[name].bad:
        found = registry.inspect(subject, against, [check])
        assert found, subject
        assert {finding.check for finding in found} == {name}
    for subject, against in CASES[name].good:
        assert registry.inspect(subject, against, [check]) == ()


@pytest.mark.parametrize("name", [check.name for check in registry.CHECKS if check.repair is not None])
def test_repair(name: str) -> None:
    check = registry.get(name)
    for subject, against in CASES[name].bad:
        before = registry.inspect(subject, against, [check])
        repaired = repair(subject, against, [check])
        left = registry.inspect(repaired.subject, against, [check])
        if name == "image-padding":
            continue  # only writing the image anew puts that right
        assert {*left, *repaired.done} >= set(before)
        assert not left or name in UNREPAIRED, left


def test_a_good_package_has_no_faults() -> None:
    assert registry.inspect(package(), context(submission=True)) == ()


def test_a_damaged_image_is_told_once() -> None:
    subject = package(damage="it is truncated", list=b"usr/other\n")
    assert [(f.check, f.level) for f in registry.inspect(subject, context())] == [("image-damaged", "error")]
    assert repair(subject, context()).done == ()


def test_the_reference_is_current(golden: Golden) -> None:
    golden("../../docs/reference/lint.md", reference())


@pytest.mark.parametrize("check", registry.CHECKS, ids=lambda check: check.name)
def test_explanations(check: Check) -> None:
    assert check.name == check.name.lower()
    assert check.explanation.endswith(".")
    assert 60 <= len(check.explanation) < 700
