"""Reporters that print: a bar for a person, plain lines for a log, JSON lines for a program.

All of them write to the stream they are given (standard error in the commands), never to standard
output. Work may report from several threads; a step opened in a thread is nested in the step that
thread opened last.

JSON lines, one event each, with ``event`` and ``time`` (seconds since the reporter was made):

* ``start``: ``id``, ``parent`` (an id or null), ``title``, ``total``, and ``recipe`` where a recipe is built
* ``progress``: ``id``, ``done``, ``total``, ``unit`` (at most four a second for a step)
* ``detail``: ``id``, ``text`` (likewise)
* ``end``: ``id``, ``title``, ``outcome`` (``done``, ``failed``, ``interrupted``), ``seconds``, ``recipe``
* ``note`` and ``warning``: ``text``
* ``error``, the last one where a command fails: ``code`` (its exit status), ``what``, and ``where``,
  ``why`` and ``hint``, which may be null
"""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TextIO

from tcz.reporting import Mode, Reporter, SilentReporter, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcz.errors import ToolkitError

#: Seconds after which a plain log is told that a long step is still alive.
HEARTBEAT = 15.0
_EVENT_GAP = 0.25


def reporter_for(mode: Mode, stream: TextIO) -> Reporter:
    """Return the reporter of a mode; ``auto`` is ``bar`` on a terminal that can do it, else ``plain``."""
    if mode == "auto":
        capable = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        mode = "bar" if capable else "plain"
    match mode:
        case "bar":
            from tcz.report_bar import Bar  # noqa: PLC0415 - rich takes long to import

            return PrintingReporter(Bar(stream))
        case "plain":
            return PrintingReporter(Plain(stream))
        case "json":
            return PrintingReporter(JsonLines(stream))
        case _:
            return SilentReporter()


@dataclass(slots=True, eq=False)
class Running:
    """A step that runs: what has been told of it."""

    id: int
    title: str
    parent: Running | None
    started: float
    total: int | None
    recipe: str | None = None
    done: int = 0
    unit: str = ""
    text: str = ""
    last_told: float = 0.0
    depth: int = field(init=False)

    def __post_init__(self) -> None:
        """Count the steps around it; inner steps belong to the recipe of the outer one."""
        self.depth = self.parent.depth + 1 if self.parent else 0
        self.recipe = self.recipe or (self.parent.recipe if self.parent else None)


class Display(Protocol):
    """Shows events; called with the reporter's lock held."""

    def start(self, step: Running, now: float) -> None:
        """Show that a step begins."""

    def update(self, step: Running, now: float, *, detail: bool) -> None:
        """Show a step's new figures or (``detail``) text."""

    def end(self, step: Running, now: float, outcome: str, *, last: bool) -> None:
        """Show that a step is over; ``last``: no other one runs."""

    def say(self, text: str, now: float, *, warning: bool) -> None:
        """Show a line of its own."""

    def tick(self, running: tuple[Running, ...], now: float) -> None:
        """Show that the steps are still alive."""

    def pause(self) -> None:
        """Leave the terminal as it is; the next call of any kind takes it again."""

    #: Seconds between ticks, or ``None`` for a display that needs none.
    heartbeat: float | None


class _ReportedStep:
    def __init__(self, reporter: PrintingReporter, step: Running) -> None:
        self._reporter = reporter
        self._step = step

    def progress(self, done: int, total: int | None = None, unit: str = "") -> None:
        """Tell how far the step is."""
        self._step.done = done
        self._step.total = total if total is not None else self._step.total
        self._step.unit = unit or self._step.unit
        self._reporter.updated(self._step, detail=False)

    def detail(self, text: str) -> None:
        """Tell what happens right now."""
        self._step.text = text
        self._reporter.updated(self._step, detail=True)


class PrintingReporter:
    """Keeps the running steps and hands events to a ``Display``, one at a time."""

    def __init__(self, display: Display) -> None:
        """Nothing is shown yet."""
        self._display = display
        self._lock = threading.RLock()
        self._born = time.monotonic()
        self._ids = itertools.count(1)
        self._running: dict[int, Running] = {}
        self._of_thread = threading.local()
        self._stop = threading.Event()
        self._paused = False

    @contextmanager
    def step(self, title: str, *, total: int | None = None, recipe: str | None = None) -> Iterator[Step]:
        """Open a step; see ``tcz.reporting.Reporter``."""
        outer: Running | None = getattr(self._of_thread, "step", None)
        with self._lock:
            now = self._now()
            step = Running(
                id=next(self._ids), title=title, parent=outer, started=now, total=total, recipe=recipe
            )
            self._display.start(step, now)
            self._running[step.id] = step
            if len(self._running) == 1 and self._display.heartbeat is not None:
                self._stop = threading.Event()
                threading.Thread(target=self._beat, args=(self._stop,), daemon=True).start()
        self._of_thread.step = step
        outcome = "failed"
        try:
            yield _ReportedStep(self, step)
            outcome = "done"
        except KeyboardInterrupt:
            outcome = "interrupted"
            raise
        finally:
            self._of_thread.step = outer
            with self._lock:
                del self._running[step.id]
                if not self._running:
                    self._stop.set()
                self._display.end(step, self._now(), outcome, last=not self._running)

    @contextmanager
    def pausing(self) -> Iterator[None]:
        """Leave the terminal alone; see ``tcz.reporting.Reporter``."""
        with self._lock:
            self._display.pause()
            self._paused = True
        try:
            yield
        finally:
            self._paused = False

    def note(self, text: str) -> None:
        """Tell a fact."""
        with self._lock:
            self._display.say(text, self._now(), warning=False)

    def warn(self, text: str) -> None:
        """Tell something to look at."""
        with self._lock:
            self._display.say(text, self._now(), warning=True)

    def fail(self, error: ToolkitError, code: int) -> bool:
        """Tell the error that ends the program; false when that is left to the caller, as text."""
        if not isinstance(self._display, JsonLines):
            return False
        with self._lock:
            self._display.fail(error, code, self._now())
        return True

    def updated(self, step: Running, *, detail: bool) -> None:
        """Show what a step has just told."""
        with self._lock:
            if step.id in self._running and not self._paused:
                self._display.update(step, self._now(), detail=detail)

    def _now(self) -> float:
        return time.monotonic() - self._born

    def _beat(self, stop: threading.Event) -> None:
        while not stop.wait(self._display.heartbeat):
            with self._lock:
                if not (stop.is_set() or self._paused):
                    self._display.tick(tuple(self._running.values()), self._now())


def seconds_text(seconds: float) -> str:
    """Return ``3.2 s``, ``45 s`` or ``2 min 05 s``."""
    if seconds < 10:  # noqa: PLR2004 - below it, tenths tell something
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"  # noqa: PLR2004


def amount_text(step: Running) -> str:
    """Return ``45% (12.3 of 27.0 MB)``, ``3 of 7 tests``, ``12.3 MB`` or nothing."""
    if step.unit == "B":
        done = f"{step.done / 1e6:.1f}"
        if not step.total:
            return f"{done} MB" if step.done else ""
        return f"{100 * step.done // step.total}% ({done} of {step.total / 1e6:.1f} MB)"
    if not step.total:
        return f"{step.done} {step.unit}".strip() if step.done else ""
    return f"{100 * step.done // step.total}% ({step.done} of {step.total}{' ' * bool(step.unit)}{step.unit})"


def full_title(step: Running) -> str:
    """Return the title with the recipe before it, where it does not name that itself."""
    named = step.recipe is None or step.recipe in step.title
    return step.title if named else f"{step.recipe}: {step.title}"


def _whose(step: Running) -> dict[str, str]:
    return {} if step.recipe is None else {"recipe": step.recipe}


class Plain:
    """Lines without colour or cursor movement, each with the time since the start."""

    def __init__(self, stream: TextIO, heartbeat: float = HEARTBEAT) -> None:
        """``heartbeat`` is the seconds between signs of life of a long step."""
        self._stream = stream
        self.heartbeat: float | None = heartbeat

    def _line(self, now: float, depth: int, text: str) -> None:
        safe = "".join(char if char.isprintable() else "?" for char in text)
        stamp = f"{int(now) // 60:3d}:{int(now) % 60:02d}"
        _write(self._stream, f"{stamp}  {'  ' * depth}{safe}")

    def start(self, step: Running, now: float) -> None:
        """Print the title."""
        step.last_told = now
        self._line(now, step.depth, f"{full_title(step)} ...")

    def update(self, step: Running, now: float, *, detail: bool) -> None:
        """Print nothing: the heartbeat tells of it."""

    def end(self, step: Running, now: float, outcome: str, *, last: bool) -> None:  # noqa: ARG002
        """Print the outcome and how long it took."""
        self._line(now, step.depth, f"{full_title(step)}: {outcome} ({seconds_text(now - step.started)})")

    def pause(self) -> None:
        """Do nothing: lines stay where they are."""

    def say(self, text: str, now: float, *, warning: bool) -> None:
        """Print the text."""
        for line in text.splitlines():
            self._line(now, 0, f"warning: {line}" if warning else line)

    def tick(self, running: tuple[Running, ...], now: float) -> None:
        """Print a line for each innermost step that has been silent since the last tick."""
        outer = {id(step.parent) for step in running}
        for step in running:
            if id(step) in outer or now - step.last_told < (self.heartbeat or 0) * 0.9:
                continue
            step.last_told = now
            parts = [amount_text(step), step.text, f"{seconds_text(now - step.started)} so far"]
            self._line(now, step.depth, f"{full_title(step)}: " + ", ".join(part for part in parts if part))


class JsonLines:
    """One JSON object a line; the fields are listed at the top of this module."""

    heartbeat: float | None = None

    def __init__(self, stream: TextIO) -> None:
        """Write to ``stream``."""
        self._stream = stream

    def pause(self) -> None:
        """Do nothing: lines stay where they are."""

    def _event(self, event: str, now: float, **fields: str | float | None) -> None:
        record = {"event": event, "time": round(now, 3), **fields}
        _write(self._stream, json.dumps(record, ensure_ascii=True))

    def start(self, step: Running, now: float) -> None:
        """Write ``start``."""
        parent = step.parent.id if step.parent else None
        self._event(
            "start", now, id=step.id, parent=parent, title=step.title, total=step.total, **_whose(step)
        )

    def update(self, step: Running, now: float, *, detail: bool) -> None:
        """Write ``progress`` or ``detail``, unless the last one was a moment ago."""
        complete = not detail and step.done == step.total
        if now - step.last_told < _EVENT_GAP and step.last_told and not complete:
            return
        step.last_told = now
        if detail:
            self._event("detail", now, id=step.id, text=step.text)
        else:
            self._event("progress", now, id=step.id, done=step.done, total=step.total, unit=step.unit)

    def end(self, step: Running, now: float, outcome: str, *, last: bool) -> None:  # noqa: ARG002
        """Write ``end``."""
        seconds = round(now - step.started, 3)
        self._event(
            "end", now, id=step.id, title=step.title, outcome=outcome, seconds=seconds, **_whose(step)
        )

    def say(self, text: str, now: float, *, warning: bool) -> None:
        """Write ``note`` or ``warning``."""
        self._event("warning" if warning else "note", now, text=text)

    def fail(self, error: ToolkitError, code: int, now: float) -> None:
        """Write ``error``."""
        parts = {"what": error.what, "where": error.where, "why": error.why, "hint": error.hint}
        self._event("error", now, code=code, **parts)

    def tick(self, running: tuple[Running, ...], now: float) -> None:
        """Never called."""


def _write(stream: TextIO, line: str) -> None:
    """Write a whole line; a reader that went away must not stop the work."""
    try:
        stream.write(line + "\n")
        stream.flush()
    except (BrokenPipeError, ValueError):
        return
    except UnicodeEncodeError:
        stream.write(line.encode("ascii", "replace").decode() + "\n")
        stream.flush()
