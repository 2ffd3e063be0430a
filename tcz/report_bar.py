"""The progress display for a terminal. The only module that imports rich."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from tcz.report import amount_text, seconds_text

if TYPE_CHECKING:
    from tcz.report import Running


class Bar:
    """Live lines for what runs, permanent ones for what is done; rich honours NO_COLOR itself."""

    heartbeat: float | None = None

    def __init__(self, stream: TextIO) -> None:
        """Nothing is drawn before the first step."""
        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._progress: Progress | None = None
        self._tasks: dict[int, TaskID] = {}
        self._paused = False

    def _live(self) -> Progress:
        if self._progress is None:
            self._progress = Progress(
                SpinnerColumn("line"),
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[amount]}", markup=False),
                TimeElapsedColumn(),
                TextColumn("{task.fields[text]}", markup=False, style="dim"),
                console=self._console,
                transient=True,
                refresh_per_second=8,
            )
            self._progress.start()
        elif self._paused:
            self._progress.start()
            self._paused = False
        return self._progress

    def start(self, step: Running, now: float) -> None:  # noqa: ARG002 - rich keeps its own time
        """Draw a line with a bar; a build has one line for all its steps."""
        outer = step.parent
        if step.recipe and outer and outer.recipe == step.recipe and outer.id in self._tasks:
            self._tasks[step.id] = self._tasks[outer.id]
            self._live().update(self._tasks[step.id], text=_short(step))
            return
        title = "  " * step.depth + step.title
        self._tasks[step.id] = self._live().add_task(title, total=step.total, amount="", text="")

    def update(self, step: Running, now: float, *, detail: bool) -> None:  # noqa: ARG002
        """Redraw the line's figures."""
        shared = step.parent is not None and self._tasks.get(step.parent.id) == self._tasks[step.id]
        text = f"{_short(step)} {step.text}" if shared else step.text
        self._live().update(
            self._tasks[step.id],
            completed=step.done,
            total=step.total,
            amount=amount_text(step),
            text=text[:60],
        )

    def end(self, step: Running, now: float, outcome: str, *, last: bool) -> None:
        """Replace the line by a permanent one, for outer steps and for all that went wrong."""
        live = self._live()
        task = self._tasks.pop(step.id)
        if task in self._tasks.values():
            live.update(task, completed=0, total=None, amount="", text="")
        else:
            live.remove_task(task)
        if step.depth <= 1 or outcome != "done":
            style = "green" if outcome == "done" else "bold red"
            line = Text("  " * step.depth).append(outcome, style=style)
            self._console.print(line.append(f" {step.title} ({seconds_text(now - step.started)})"))
        if last:
            live.stop()
            self._progress = None

    def pause(self) -> None:
        """Take the moving lines away; the next event draws them again."""
        if self._progress is not None:
            self._progress.stop()
            self._paused = True

    def say(self, text: str, now: float, *, warning: bool) -> None:  # noqa: ARG002
        """Print above the bars."""
        self._console.print(Text("warning: ", style="bold yellow").append(text) if warning else Text(text))

    def tick(self, running: tuple[Running, ...], now: float) -> None:
        """Never called."""


def _short(step: Running) -> str:
    """Return a step's title without the recipe, which stands before it on the same line."""
    return step.title.removeprefix(f"{step.recipe}: ")
