"""What is taken over of the user's cargo configuration, and what is not."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcz.errors import ConfigError
from tcz.sources.cargohost import CAINFO, _stand_in, host_settings

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """\
[build]
rustc-wrapper = "/usr/bin/wrapper"
[alias]
fetch = "run evil"
[target.x86_64-unknown-linux-gnu]
linker = "/usr/bin/evil"
[http]
proxy = "proxy.example:3128"
cainfo = "ca.pem"
[source.crates-io]
replace-with = "near"
[source.near]
replace-with = "nearer"
registry = "sparse+https://near.example/"
[source.nearer]
registry = "sparse+https://nearer.example/"
"""


def test_only_what_says_how_crates_are_reached(tmp_path: Path) -> None:
    home, into = tmp_path / "home", tmp_path / "into"
    home.mkdir()
    into.mkdir()
    (home / "config.toml").write_text(CONFIG)
    (home / "credentials.toml").write_text('[registries.nearer]\ntoken = "t"\n')
    environ = {
        "CARGO_HOME": str(home),
        "CARGO_NET_RETRY": "5",
        "CARGO_BUILD_RUSTC_WRAPPER": "evil",
        "HTTPS_PROXY": "http://p.example",
        "RUSTFLAGS": "-C linker=evil",
    }
    found = host_settings(into, environ)
    assert found.env == {
        "CARGO_NET_RETRY": "5",
        "HTTPS_PROXY": "http://p.example",
        "CARGO_HTTP_CAINFO": CAINFO,
    }
    assert found.authorities == home / "ca.pem"
    assert found.registry == "nearer"
    written = tomllib.loads((into / "config.toml").read_text())
    assert set(written) == {"http", "source", "registries"}
    assert written["registries"]["nearer"]["index"] == "sparse+https://nearer.example/"
    assert (into / "credentials.toml").stat().st_mode & 0o777 == 0o600


def test_nothing_is_set_up(tmp_path: Path) -> None:
    found = host_settings(tmp_path, {"HOME": str(tmp_path / "nobody")})
    assert (found.env, found.authorities, found.registry) == ({}, None, None)
    assert list(tmp_path.iterdir()) == []


def test_damaged(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[http")
    with pytest.raises(ConfigError, match="cargo's configuration cannot be read"):
        host_settings(tmp_path / "into", {"CARGO_HOME": str(tmp_path)})


NAMES = st.sampled_from(["crates-io", "a", "b", "c"])


@given(st.dictionaries(NAMES, st.fixed_dictionaries({}, optional={"replace-with": NAMES | st.integers()})))
def test_replacements_that_go_round_come_to_an_end(sources: dict[str, object]) -> None:
    found = _stand_in({"source": sources})
    assert found is None or found in {"crates-io", "a", "b", "c"}
