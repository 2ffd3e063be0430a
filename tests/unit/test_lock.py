from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcz import lock
from tcz.errors import ConfigError
from tcz.lock import Lock, LockedDebian, LockedPackage, Tool
from tcz.model import Built, BuiltPackage, ResolvedSource

word = st.text('abc é"\\\n', min_size=1, max_size=5)
sha256 = st.text("0123456789abcdef", min_size=64, max_size=64)
locks = st.builds(
    Lock,
    recipes=st.lists(word, max_size=3, unique=True).map(tuple),
    epoch=st.integers(0, 2**40),
    variant=st.none() | word,
    packages=st.lists(
        st.builds(
            LockedPackage,
            name=word,
            version=word,
            sha256=sha256,
            size=st.integers(0, 2**50),
            recipe=word,
            build_id=word,
        ),
        max_size=2,
    ).map(tuple),
    sources=st.lists(
        st.builds(ResolvedSource, kind=word, name=word, version=word, hash=word, origin=word), max_size=2
    ).map(tuple),
    debian=st.lists(st.builds(LockedDebian, name=word, version=word, sha256=sha256), max_size=2).map(tuple),
    tools=st.lists(st.builds(Tool, name=word, version=word), max_size=2).map(tuple),
)


@given(value=locks)
@settings(max_examples=50)
def test_round_trip(value: Lock) -> None:
    text = lock.dumps(value)
    assert lock.loads(text, "x") == value
    assert text.endswith("}\n")
    assert text == json.dumps(json.loads(text), sort_keys=True, indent=2) + "\n"


@given(value=locks, data=st.data())
@settings(max_examples=50)
def test_mutations_give_nothing_but_config_errors(value: Lock, data: st.DataObject) -> None:
    text = lock.dumps(value)
    at = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(at, min(len(text), at + 9)))
    with suppress(ConfigError):
        lock.loads(text[:at] + data.draw(st.text('"[]{}:,01null', max_size=5)) + text[end:], "x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x is not a lock: Expecting value"),
        ("[]", "x is not a lock: it holds no object"),
        ('{"a": 1, "a": 2}', "the key 'a' is there twice"),
        ('{"epoch": NaN}', "NaN is not allowed"),
        ("[" * 100_000, "x is not a lock: nested too deeply"),
    ],
)
def test_what_is_no_lock(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        lock.loads(text, "x")
    assert message in caught.value.what


def test_mistakes_are_told_with_their_places() -> None:
    text = json.dumps(
        {
            "schema": 1,
            "recipes": ["a", 3],
            "epoch": None,
            "variant": None,
            "packages": [{"name": "a"}],
            "debain": [],
        }
    )
    with pytest.raises(ConfigError) as caught:
        lock.loads(text, "x")
    told = [f"{p.where}: {p.message}" for p in caught.value.problems]
    assert "x: recipes[1]: recipes[1]: expected a string, found 3" in told
    assert "x: epoch: epoch: expected a value, found nothing" in told
    assert "x: packages[0]: [[packages]]: the key 'sha256' is missing" in told
    assert "x: debain: debain: unknown key" in told


def test_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        lock.read(tmp_path / "absent")
    value = Lock(recipes=("runc",), epoch=1)
    (tmp_path / "lock").write_text(lock.dumps(value))
    assert lock.read(tmp_path / "lock") == value


def test_lock_of_builds() -> None:
    def source(kind: str, name: str, hash_: str) -> ResolvedSource:
        return ResolvedSource(kind=kind, name=name, version="1", hash=hash_, origin="o")

    gcc = source("debian-binary", "gcc", "sha256:" + "1" * 64)
    module = source("go-module", "example.org/x", "h1:abc")
    package = BuiltPackage(
        name="runc", form="extension", path=Path("x"), sha256="2" * 64, size=3, installed=4, needs=()
    )
    builds = [
        Built(
            recipe=name,
            version="1",
            build_id="i",
            content_id="c",
            folder=Path("f"),
            packages=(package,),
            sources=(module,),
            root=(gcc,),
        )
        for name in ("b", "a")
    ]
    made = lock.of_builds(builds, recipes=["b"], epoch=7)
    assert made.debian == (LockedDebian(name="gcc", version="1", sha256="1" * 64),)
    assert made.sources == (module,)
    assert [p.recipe for p in made.packages] == ["a", "b"]
    assert lock.of_builds(builds[::-1], recipes=["b"], epoch=7) == made
