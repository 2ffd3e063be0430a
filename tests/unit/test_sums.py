"""Sums that are remembered: asked again of what lies still, never told of what has changed."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tcz
from tcz import sums
from tcz.sums import Sums

#: A file that has not been changed for a while: no program can set the time of an inode's last change.
STILL = Path(str(tcz.__file__)).with_name("errors.py")


@pytest.fixture
def known(tmp_path: Path) -> Sums:
    (tmp_path / "sums").mkdir()
    return Sums(tmp_path / "sums")


def entries(known: Sums) -> list[Path]:
    return list(known.folder.iterdir())


def test_what_lies_still_is_read_once(known: Sums) -> None:
    sha256 = hashlib.sha256(STILL.read_bytes()).hexdigest()
    assert known.of(STILL) == sha256
    (entry,) = entries(known)
    seen, told = entry.read_text().split()
    assert told == sha256
    entry.write_text(f"{seen} {'0' * 64}\n")
    assert known.of(STILL) == "0" * 64, "it was read again"


def test_what_was_just_written_is_not_remembered(known: Sums, tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"new")
    assert known.of(file) == hashlib.sha256(b"new").hexdigest()
    assert entries(known) == []


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.binary(min_size=1, max_size=64), data=st.data())
def test_a_change_that_keeps_size_and_time(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    first: bytes,
    data: st.DataObject,
) -> None:
    """Whichever way the content changes, the sum is that of what is there."""
    monkeypatch.setattr(sums, "_STILL", 0)
    place = tmp_path_factory.mktemp("place")
    (place / "sums").mkdir()
    known, file = Sums(place / "sums"), place / "x"
    file.write_bytes(first)
    status = file.stat()
    time.sleep(0.02)  # longer than a tick of the kernel's clock
    assert known.of(file) == hashlib.sha256(first).hexdigest()
    assert len(entries(known)) == 1
    second = data.draw(st.binary(min_size=len(first), max_size=len(first)))
    if data.draw(st.booleans()):
        file.with_name("y").write_bytes(second)
        file.with_name("y").replace(file)
    else:
        file.write_bytes(second)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert known.of(file) == hashlib.sha256(second).hexdigest()


@pytest.mark.parametrize("text", ["", "x", "a b c", "\xff", "0" * 5000])
def test_an_entry_that_is_damaged(known: Sums, text: str) -> None:
    sha256 = known.of(STILL)
    (entry,) = entries(known)
    entry.write_text(text, "latin-1")
    assert known.of(STILL) == sha256


def test_another_start_of_the_machine(known: Sums, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Power may have gone with what was written; and where starts cannot be told apart, nothing is kept."""
    sha256 = known.of(STILL)
    (entry,) = entries(known)
    entry.write_text(f"{entry.read_text().split()[0]} {'0' * 64}\n")
    (tmp_path / "boot_id").write_text("another\n")
    monkeypatch.setattr(sums, "_BOOT", tmp_path / "boot_id")
    assert known.of(STILL) == sha256
    entry.unlink()
    monkeypatch.setattr(sums, "_BOOT", tmp_path / "absent")
    assert known.of(STILL) == sha256
    assert entries(known) == []


def test_what_cannot_be_read_is_told(known: Sums, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        known.of(tmp_path / "absent")
    with pytest.raises(IsADirectoryError):
        known.of(tmp_path)
