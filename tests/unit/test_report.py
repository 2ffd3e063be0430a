from __future__ import annotations

import io
import json
import re
import threading

import pytest

from tcz.report import JsonLines, Plain, PrintingReporter, Running, amount_text, reporter_for, seconds_text
from tcz.reporting import SilentReporter


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def plain_lines(stream: io.StringIO) -> list[str]:
    """Return the lines without what depends on the clock."""
    text = re.sub(r"^ *\d+:\d\d  ", "", stream.getvalue(), flags=re.MULTILINE)
    return re.sub(r"\d+(\.\d)? s", "N s", text).splitlines()


def test_plain_lines_nest() -> None:
    stream = io.StringIO()
    reporter = reporter_for("plain", stream)
    with reporter.step("outer"):
        reporter.note("a note\nof two lines")
        with reporter.step("inner", total=3) as step:
            step.progress(1)
            step.detail("x")
        reporter.warn("careful\x1b[31m")
    assert plain_lines(stream) == [
        "outer ...",
        "a note",
        "of two lines",
        "  inner ...",
        "  inner: done (N s)",
        "warning: careful?[31m",
        "outer: done (N s)",
    ]


@pytest.mark.parametrize(("error", "outcome"), [(ValueError, "failed"), (KeyboardInterrupt, "interrupted")])
def test_outcomes(error: type[BaseException], outcome: str) -> None:
    stream = io.StringIO()
    with pytest.raises(error), reporter_for("plain", stream).step("work"):
        raise error
    assert plain_lines(stream) == ["work ...", f"work: {outcome} (N s)"]


def test_long_steps_show_life() -> None:
    alive = threading.Event()

    class Listener(io.StringIO):
        def write(self, text: str) -> int:
            if "so far" in text:
                alive.set()
            return super().write(text)

    stream = Listener()
    reporter = PrintingReporter(Plain(stream, heartbeat=0.02))
    with reporter.step("outer"), reporter.step("fetch") as step:
        step.progress(27_000_000, 54_000_000, "B")
        step.detail("linux.tar.xz")
        assert alive.wait(30)
    beats = [line for line in plain_lines(stream) if "so far" in line]
    assert beats[0] == "  fetch: 50% (27.0 of 54.0 MB), linux.tar.xz, N s so far"
    assert all(line.startswith("  fetch") for line in beats)


def test_json_lines() -> None:
    stream = io.StringIO()
    reporter = reporter_for("json", stream)
    with pytest.raises(ValueError, match="x"), reporter.step("outer", total=2) as outer:  # noqa: PT012
        with reporter.step("inner") as step:
            step.progress(5, 10, "B")
            step.progress(10, 10, "B")
        outer.progress(1)
        reporter.note("é")
        reporter.warn("w")
        raise ValueError("x")
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert all(isinstance(event.pop("time"), float) for event in events)
    for event in events:
        event.pop("seconds", None)
    assert events == [
        {"event": "start", "id": 1, "parent": None, "title": "outer", "total": 2},
        {"event": "start", "id": 2, "parent": 1, "title": "inner", "total": None},
        {"event": "progress", "id": 2, "done": 5, "total": 10, "unit": "B"},
        {"event": "progress", "id": 2, "done": 10, "total": 10, "unit": "B"},
        {"event": "end", "id": 2, "title": "inner", "outcome": "done"},
        {"event": "progress", "id": 1, "done": 1, "total": 2, "unit": ""},
        {"event": "note", "text": "é"},
        {"event": "warning", "text": "w"},
        {"event": "end", "id": 1, "title": "outer", "outcome": "failed"},
    ]


def test_threads_do_not_mix_lines() -> None:
    stream = io.StringIO()
    reporter = PrintingReporter(JsonLines(stream))

    def work(n: int) -> None:
        for _ in range(50):
            with reporter.step(f"thread {n}") as step:
                step.progress(1, 1)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert sum(event["event"] == "start" for event in events) == 200
    assert all(event["parent"] is None for event in events if event["event"] == "start")


def test_auto_takes_plain_where_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = io.StringIO()
    with reporter_for("auto", stream).step("work"):
        pass
    assert plain_lines(stream)[0] == "work ..."
    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal()
    with reporter_for("auto", terminal).step("work"):
        pass
    assert plain_lines(terminal)[0] == "work ..."


def test_none_is_silent() -> None:
    assert isinstance(reporter_for("none", io.StringIO()), SilentReporter)


@pytest.mark.parametrize("no_color", [False, True])
def test_bar(monkeypatch: pytest.MonkeyPatch, *, no_color: bool) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    reporter = reporter_for("auto", stream)
    with pytest.raises(ValueError, match="x"), reporter.step("outer [not markup]"):  # noqa: PT012
        with reporter.step("inner", total=10) as step:
            step.progress(5, unit="B")
            step.detail("file [x]")
            with reporter.step("innermost"):
                pass
        reporter.warn("look [here]")
        raise ValueError("x")
    text = stream.getvalue()
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert "done inner (" in plain
    assert "failed outer [not markup] (" in plain
    assert "warning: look [here]" in plain
    assert bool(re.search(r"\x1b\[(1;)?3[0-9]m", text)) != no_color


def test_a_reader_that_went_away_stops_nothing() -> None:
    stream = io.StringIO()
    reporter = reporter_for("plain", stream)
    with reporter.step("work"):
        stream.close()


def test_texts() -> None:
    assert [seconds_text(s) for s in (0.04, 9.94, 10, 59.4, 60, 125)] == [
        "0.0 s", "9.9 s", "10 s", "59 s", "1 min 00 s", "2 min 05 s",
    ]  # fmt: skip

    def amount(done: int, total: int | None, unit: str) -> str:
        step = Running(id=1, title="", parent=None, started=0, total=total)
        step.done, step.unit = done, unit
        return amount_text(step)

    assert amount(0, None, "") == ""
    assert amount(3, 7, "tests") == "42% (3 of 7 tests)"
    assert amount(3, 7, "") == "42% (3 of 7)"
    assert amount(12_300_000, None, "B") == "12.3 MB"
    assert amount(4, None, "files") == "4 files"
