from __future__ import annotations

import base64
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remaster import sshkey
from tcz.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def blob(kind: str, size: int = 36) -> str:
    return base64.b64encode(len(kind).to_bytes(4, "big") + kind.encode() + bytes(range(size))).decode()


GOOD = f"ssh-ed25519 {blob('ssh-ed25519')} me@here"


def test_a_key() -> None:
    key = sshkey.parse_line(GOOD)
    assert key.type == "ssh-ed25519"
    assert key.comment == "me@here"
    assert sshkey.parse_line(f'from="10.0.0.0/8" {GOOD}').line.startswith("from=")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("hello world", "no known key type"),
        ("ssh-ed25519", "nothing follows"),
        ("ssh-ed25519 ****", "base64"),
        (f"ssh-ed25519 {blob('ssh-rsa')}", "does not belong"),
        (f"ssh-ed25519 {blob('ssh-ed25519', 8)}", "cut short"),
        (f"ssh-dss {blob('ssh-dss')}", "DSA"),
    ],
)
def test_bad_lines(line: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        sshkey.parse_line(line)


def test_files_are_read_whole(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.pub", tmp_path / "bad.pub"
    good.write_text(f"# mine\n\n{GOOD}\n{GOOD}\n")
    bad.write_text("nonsense\nssh-ed25519\n")
    assert len(sshkey.load((good,))) == 1
    with pytest.raises(ConfigError) as caught:
        sshkey.load((good, bad, tmp_path / "absent"))
    assert [p.where for p in caught.value.problems] == [f"{bad}:1", f"{bad}:2", str(tmp_path / "absent")]


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen here")
@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_real_keys(tmp_path: Path, kind: str) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", tmp_path / "key"], check=True)
    (key,) = sshkey.load((tmp_path / "key.pub",))
    assert key.line == (tmp_path / "key.pub").read_text().strip()
    with pytest.raises(ConfigError, match="cannot be used") as caught:
        sshkey.load((tmp_path / "key",))
    assert "PRIVATE KEY" in caught.value.why


@given(st.text())
def test_any_text_is_keys_or_problems(text: str) -> None:
    keys, problems = sshkey.parse(text, "x")
    assert keys or problems
