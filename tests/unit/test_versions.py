from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcz import versions

ORDER = [
    "0.9",
    "1.0-alpha1",
    "1.0-beta",
    "1.0-rc1",
    "1.0-rc2",
    "1.0",
    "1.0a",
    "1.0.1",
    "1.2",
    "1.10",
    "2.0",
    "10.0",
]
NUMBERS = st.lists(st.integers(0, 99), min_size=1, max_size=4)


def test_order() -> None:
    assert [*map(versions.key, ORDER)] == sorted(map(versions.key, ORDER))


@given(NUMBERS, NUMBERS)
def test_numbers_are_compared_by_value(one: list[int], other: list[int]) -> None:
    keys = [versions.key(".".join(map(str, numbers))) for numbers in (one, other)]
    assert (keys[0] < keys[1]) == (one < other)


@given(st.text(max_size=20))
def test_any_text_has_a_place(text: str) -> None:
    assert versions.key(text) == versions.key(text)
    assert versions.newest([text, "1.0"]) in {text, "1.0"}


@pytest.mark.parametrize(
    "text", ["1.0-rc1", "v2.0.0-beta.1", "1.0~pre2", "2.0a1", "1.0-dev", "nightly", "main"]
)
def test_what_is_no_release(text: str) -> None:
    assert not versions.is_release(text)


@pytest.mark.parametrize("text", ["1.0", "v2.0.0", "1.0p1", "20250101", "9.9p2", "1.37.0", "3.5.4-debian"])
def test_releases(text: str) -> None:
    assert versions.is_release(text)


def test_newest() -> None:
    assert versions.newest(["1.9", "1.10", "2.0-rc1"]) == "1.10"
    assert versions.newest(["main", "2.0-rc1"]) is None


def test_templates() -> None:
    names = ["x-1.2.tar.gz", "x-1.10.tar.gz", "x-1.2.tar.gz.asc", "y-3.tar.gz", "x-latest.tar.gz"]
    assert versions.matching("x-{version}.tar.gz", names) == ("1.2", "1.10")
    assert versions.matching("v{version}", ["v1.2", "1.3", "v"]) == ("1.2",)
    assert versions.matching("a{version}/b{version}", ["a1/b1", "a1/b2"]) == ("1",)
    assert versions.matching("nothing", names) == ()
