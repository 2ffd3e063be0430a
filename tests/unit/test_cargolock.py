"""Cargo.lock: what pins crates, and that nothing unpinned gets through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcz.errors import ConfigError
from tcz.sources.cargo import build_config
from tcz.sources.cargolock import LockedCrate, parse

INDEX = "https://index.example/crates.io-index"
SHA = "ab" * 32
CRATES = st.lists(
    st.builds(
        LockedCrate,
        name=st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True),
        version=st.from_regex(r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(-rc\.[0-9])?(\+b)?", fullmatch=True),
        sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
        registry=st.sampled_from([INDEX, "https://other.example/index", "sparse+https://s.example/"]),
    ),
    max_size=5,
)


def render(crates: list[LockedCrate], *, old: bool) -> str:
    text, metadata = "", "[metadata]\n"
    for crate in crates:
        prefix = "" if crate.registry.startswith("sparse+") else "registry+"
        source = prefix + crate.registry
        text += f'[[package]]\nname = "{crate.name}"\nversion = "{crate.version}"\nsource = "{source}"\n'
        if old:
            metadata += f'"checksum {crate.name} {crate.version} ({source})" = "{crate.sha256}"\n'
        else:
            text += f'checksum = "{crate.sha256}"\ndependencies = ["x"]\n'
    return text + '[[package]]\nname = "own"\nversion = "0.1.0"\n' + (metadata if old else "")


@given(CRATES, st.booleans())
def test_read_back(crates: list[LockedCrate], old: bool) -> None:  # noqa: FBT001
    unique = list({(c.name, c.version, c.registry): c for c in crates}.values())
    assert set(parse(render(unique, old=old), "w")) == set(unique)


@given(st.text(max_size=200))
def test_any_text_is_a_lock_or_an_error(text: str) -> None:
    for candidate in (
        text,
        f"[[package]]\n{text}",
        f'[[package]]\nname = "a"\nversion = "1.0.0"\nsource = {text!r}',
    ):
        try:
            found = parse(candidate, "w")
        except ConfigError:
            continue
        assert all(len(crate.sha256) == 64 for crate in found)


@pytest.mark.parametrize(
    ("package", "message"),
    [
        (
            'name = "a"\nversion = "1.0.0"\nsource = "git+https://h.example/a#0123"',
            "only crates of a registry",
        ),
        (f'name = "a"\nversion = "1.0.0"\nsource = "registry+{INDEX}"', "has no sha256"),
        (f'name = "a"\nversion = "1.0.0"\nsource = "registry+{INDEX}"\nchecksum = "0"', "has no sha256"),
        (f'name = "../a"\nversion = "1.0.0"\nchecksum = "{SHA}"', "not a crate's name"),
        ('name = "a"\nversion = "../1"', "is not a version"),
    ],
)
def test_what_is_refused(package: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"[[package]]\n{package}\n", "prog: Cargo.lock")
    assert message in caught.value.problems[0].message
    assert caught.value.problems[0].where == "prog: Cargo.lock: package[0]"


def test_not_a_lock() -> None:
    for text in ("[[package", "package = 1", "metadata = 1"):
        with pytest.raises(ConfigError, match=r"is not a Cargo\.lock"):
            parse(text, "w")


def test_every_registry_leads_to_what_was_fetched() -> None:
    crates = [
        LockedCrate(name="a", version="1.0.0", sha256=SHA, registry=registry)
        for registry in (INDEX, "https://other.example/index")
    ]
    text = build_config(crates)
    assert text.count("replace-with") == 2
    assert '[source."https://other.example/index"]' in text
    assert INDEX not in text
