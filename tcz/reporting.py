"""The protocol by which work tells of its progress, and a reporter that says nothing.

Work modules take a ``Reporter``; ``tcz.report`` holds those that print.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

#: How ``tcz.report`` may show what is reported.
Mode = Literal["auto", "bar", "plain", "json", "none"]
MODES: Final[tuple[Mode, ...]] = ("auto", "bar", "plain", "json", "none")


class Step(Protocol):
    """A running step: tell how far it is, or what it does at this moment."""

    def progress(self, done: int, total: int | None = None, unit: str = "") -> None:
        """``done`` of ``total`` (``None``: unknown) in ``unit`` (``"B"`` for bytes)."""

    def detail(self, text: str) -> None:
        """Say in a few words what happens right now (the current file, the current test)."""


class Reporter(Protocol):
    """Receives what a user may want to see while long work runs."""

    def step(
        self, title: str, *, total: int | None = None, recipe: str | None = None
    ) -> AbstractContextManager[Step]:
        """Open a step; leaving the context ends it, with an exception as a failure.

        ``recipe`` says whose work it is, its inner steps' as well: several may be built at a time.
        """

    def pausing(self) -> AbstractContextManager[None]:
        """Leave the terminal alone while the context lasts."""

    def note(self, text: str) -> None:
        """Tell a fact worth a line."""

    def warn(self, text: str) -> None:
        """Tell something that the user should look at, though work goes on."""


class _SilentStep:
    def progress(self, done: int, total: int | None = None, unit: str = "") -> None:
        """Say nothing."""

    def detail(self, text: str) -> None:
        """Say nothing."""


class SilentReporter:
    """Says nothing: for tests and for use as a library."""

    @contextmanager
    def step(
        self,
        title: str,  # noqa: ARG002
        *,
        total: int | None = None,  # noqa: ARG002
        recipe: str | None = None,  # noqa: ARG002
    ) -> Iterator[Step]:
        """Open a step that nobody sees."""
        yield _SilentStep()

    @contextmanager
    def pausing(self) -> Iterator[None]:
        """Do nothing: nothing is shown anyway."""
        yield

    def note(self, text: str) -> None:
        """Say nothing."""

    def warn(self, text: str) -> None:
        """Say nothing."""
