from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcz.errors import ConfigError
from tcz.mirror import config as c
from tcz.mirror.model import ARCHITECTURES, Branch

if TYPE_CHECKING:
    from pathlib import Path

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}", fullmatch=True)
keys = st.from_regex(r"[A-Za-z0-9+/]{20,60}", fullmatch=True)
lines = st.text(max_size=20).filter(str.isprintable)
upstreams = st.builds(
    c.Upstream,
    name=names,
    url=st.sampled_from(
        [
            "https://tc.example/",
            "https://tc.example/may#snapshot=may",
            "/srv/tc",
            "rsync://tc.example/tc",
            "file:///srv/tc",
        ]
    ),
    priority=st.integers(0, 1000),
    key=st.one_of(st.just(""), keys),
    authorities=st.sampled_from(["", "/etc/ssl/ours.pem"]),
)
branches = st.builds(
    Branch, release=st.integers(1, 9999).map(lambda n: f"{n}.x"), arch=st.sampled_from(ARCHITECTURES)
)
configs = st.builds(
    c.Config,
    title=lines,
    branches=st.lists(branches, unique=True, max_size=3).map(tuple),
    keep=st.integers(1, 10_000),
    locks=st.lists(names, unique=True, max_size=2).map(tuple),
    upstreams=st.lists(upstreams, max_size=2, unique_by=lambda one: one.name).map(tuple),
    keys=st.lists(keys, unique=True, max_size=2).map(tuple),
    latest=st.dictionaries(st.sampled_from(ARCHITECTURES), st.just("17.0")),
)


@given(value=configs)
@settings(max_examples=50)
def test_round_trip(value: c.Config) -> None:
    assert c.loads(c.dumps(value), "mirror.toml") == value


@given(text=st.text(max_size=200))
@settings(max_examples=50)
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        c.loads("schema = 2\n" + text, "mirror.toml")


def test_every_mistake_is_told_at_once() -> None:
    text = """\
schema = 1
titel = "x"
branches = ["17/x86", "17.x/x86", "17.x/x86"]
keep = 0
[[upstream]]
name = "a b"
url = "gopher://x"
[[upstream]]
name = "z"
url = "ftp"
[signing]
keys = ["?"]
[latest]
sparc = "1"
x86 = "latest; reboot"
"""
    with pytest.raises(ConfigError) as caught:
        c.loads(text, "mirror.toml")
    told = {problem.where for problem in caught.value.problems}
    assert told >= {f"mirror.toml:{line}" for line in (2, 3, 4, 6, 7, 10, 12, 14, 15)}


def test_the_only_branch_need_not_be_named() -> None:
    one, other = Branch.parse("17.x/x86"), Branch.parse("17.x/x86_64")
    assert c.Config(branches=(one,), latest={}).branch(None) == one
    both = c.Config(branches=(one, other), latest={})
    assert both.branch("17.x/x86_64") == other
    for text in (None, "16.x/x86"):
        with pytest.raises(ConfigError, match="branch"):
            both.branch(text)


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    value = c.Config(title='a "title"', branches=(Branch.parse("17.x/x86"),), latest={"x86": "17.0"})
    c.write(tmp_path, value)
    assert c.read(tmp_path) == value
    assert [path.name for path in tmp_path.iterdir()] == ["mirror.toml"]
