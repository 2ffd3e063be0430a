"""Temporary files and folders: a signal at any time leaves none, and what others made stays."""

from __future__ import annotations

import gc
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tcz import store
from tests.unit.interrupted import FEWEST, interrupted

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_signal_at_any_time_leaves_no_temporary_file(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"

    def work() -> None:
        with ExitStack() as stack:
            for path in (first, second):
                stack.enter_context(store.replacing(path)).write_text("new")

    number = 0
    while interrupted(work, number := number + 1):
        gc.collect(0)
        left = {path.name for path in tmp_path.iterdir()}
        assert left <= {"first", "second"}, f"after call {number}"
        for path in tmp_path.iterdir():
            assert path.read_text() == "new"
            path.unlink()
    assert number > FEWEST
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "second"]


def test_a_signal_at_any_time_leaves_no_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def work() -> None:
        with store.scratch("made-") as folder:
            (folder / "file").write_text("text")

    number = 0
    while interrupted(work, number := number + 1):
        gc.collect(0)
        assert list(tmp_path.iterdir()) == [], f"after call {number}"
    assert number > FEWEST
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    letters = iter("a" * 8 + "b" * 8)
    monkeypatch.setattr("tcz.store.secrets.choice", lambda _: next(letters))
    theirs = tmp_path / ".x.aaaaaaaa"
    theirs.write_text("theirs")
    with store.passing(tmp_path / "x") as temporary:
        assert temporary.name == ".x.bbbbbbbb"
    assert theirs.read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [theirs]


def test_what_is_in_use_is_not_swept(tmp_path: Path) -> None:
    with store.passing(tmp_path / "x") as temporary:
        left = tmp_path / ".x.12345678"
        left.write_text("left")
        store.sweep(tmp_path, "x")
        assert list(tmp_path.iterdir()) == [temporary]
