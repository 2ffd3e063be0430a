"""What the command lines of ``tcz`` and ``remaster`` share: errors, exit codes, help, options.

Whatever ``--help`` and ``--version`` do without is imported where it is used.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from tcz.errors import MissingToolError, NoSpaceError, ToolkitError
from tcz.reporting import MODES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import FrameType

    from tcz.reporting import Mode, Reporter

EXIT_CODES = (
    (0, "done"),
    (1, "failed for a reason that has no code of its own"),
    (2, "a file or an argument is wrong"),
    (4, "a source could not be fetched"),
    (5, "bytes are not what was promised"),
    (MissingToolError.exit_code, "a program of the host is missing"),
    (NoSpaceError.exit_code, "not enough free space"),
    (8, "a build failed"),
    (9, "a check of something finished failed"),
    (130, "interrupted"),
)

_INTERRUPTED = "interrupted; nothing half-written was kept; run again to resume"
#: Where a click context keeps the reporter of the command that runs.
_REPORTER = "tcz.reporter"
#: Seconds after a signal in which another one is not a new wish.
_PATIENCE = 5.0
#: Errors that name a path and are no mistake of this program.
_OF_THE_MACHINE = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
)
_F = TypeVar("_F", bound="Callable[..., Any]")


class _Ended(KeyboardInterrupt):
    """A signal asked us to end; all are treated as Ctrl-C is, so that child processes end too."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class Command(click.Command):
    """A command whose help ends with examples and exit codes, printed as they are."""

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - click's own arguments are passed on
        examples: Sequence[str] = (),
        codes: Sequence[int] = (),
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """``codes`` are the exit codes worth naming, beside 0, 1, 2 and 130."""
        super().__init__(*args, **kwargs)
        self._examples = tuple(examples)
        self._codes = {0, 1, 2, 130, *codes}

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write both lists."""
        super().format_epilog(ctx, formatter)
        if self._examples:
            with formatter.section("Examples"):
                for example in self._examples:
                    formatter.write(f"{' ' * formatter.current_indent}{example}\n")
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), text) for code, text in EXIT_CODES if code in self._codes])


class Group(click.Group):
    """A group of commands; errors of the toolkit become lines on standard error and an exit code."""

    command_class = Command
    group_class = type

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - as click has it
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except ToolkitError as error:
            _fail(ctx, error, error.exit_code)
        except KeyboardInterrupt as error:
            number = error.number if isinstance(error, _Ended) else signal.SIGINT
            _fail(ctx, ToolkitError(_INTERRUPTED), 128 + number)
        except OSError as error:
            told = _told(error)
            if told is None:
                raise
            _fail(ctx, told, told.exit_code)


def _fail(ctx: click.Context, error: ToolkitError, code: int) -> NoReturn:
    """Tell an error in the way progress was told, and end with its code."""
    from tcz.report import PrintingReporter  # noqa: PLC0415 - only errors need it

    reporter = ctx.meta.get(_REPORTER)
    if not (isinstance(reporter, PrintingReporter) and reporter.fail(error, code)):
        if code > 128 and sys.stderr.isatty():  # noqa: PLR2004 - ended by a signal
            click.echo(err=True)  # the terminal has written ^C
        for line in error.lines():
            click.echo(line, err=True)
    ctx.exit(code)


def _told(error: OSError) -> ToolkitError | None:
    """Return what to say of a fault of the machine; ``None`` for one that tells of a mistake of ours."""
    where = None if error.filename is None else os.fsdecode(error.filename)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        # Of two files the second one is written.
        where = where if error.filename2 is None else os.fsdecode(error.filename2)
        return NoSpaceError("the disk is full", where=where, hint="free some space, then run again")
    if where is not None and error.errno in _OF_THE_MACHINE:
        return ToolkitError(
            f"cannot be used: {error.strerror}", where=where, hint="check the path and who may write there"
        )
    return None


def run(group: click.Group, name: str) -> NoReturn:
    """Run a command line as the program ``name`` and exit."""
    last, ended_by = -_PATIENCE, int(signal.SIGINT)

    def end(number: int, _frame: FrameType | None) -> None:
        nonlocal last, ended_by
        ended_by = number
        before, last = last, time.monotonic()
        # An impatient second Ctrl-C must not stop the tidying up that the first began.
        if last - before >= _PATIENCE:
            raise _Ended(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    try:
        status = group.main(prog_name=name, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo(_INTERRUPTED, err=True)
        sys.exit(128 + ended_by)
    sys.exit(status if isinstance(status, int) else 0)


def recipes_option(function: _F) -> _F:
    """Add ``--recipes DIR``, repeatable, as ``recipe_folders``."""
    return click.option(
        "--recipes",
        "recipe_folders",
        metavar="DIR",
        multiple=True,
        type=click.Path(path_type=Path),
        help="Look for recipes in DIR first (repeatable); then in those that ship with the toolkit.",
    )(function)


def source_mirror_option(function: _F) -> _F:
    """Add ``--source-mirror URL``, repeatable, as ``source_mirrors``."""
    return click.option(
        "--source-mirror",
        "source_mirrors",
        metavar="URL",
        multiple=True,
        help="Ask URL first for release files, by their sha256 and by their name (repeatable); "
        "also TCZ_SOURCE_MIRRORS, separated by spaces.",
    )(function)


def progress_option(function: _F) -> _F:
    """Add ``--progress MODE`` as ``progress``, already made into a ``Reporter``."""
    return click.option(
        "--progress",
        type=click.Choice(MODES),
        default="auto",
        show_default=True,
        callback=_reporter,
        help="How to show progress on standard error.",
    )(function)


def _reporter(ctx: click.Context, _param: click.Parameter, value: Mode) -> Reporter:
    from tcz.report import reporter_for  # noqa: PLC0415 - not for --help and --version

    reporter = reporter_for(value, sys.stderr)
    ctx.meta[_REPORTER] = reporter
    return reporter


def refuse_without_terminal(option: str) -> None:
    """Raise ``ConfigError`` unless somebody can type: standard input and error are a terminal."""
    from tcz.errors import ConfigError  # noqa: PLC0415 - few commands ask

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigError(f"{option} needs a terminal", hint="leave the option out, or run it on a terminal")


def json_option(function: _F) -> _F:
    """Add ``--json`` as ``as_json``."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Write the result to standard output as JSON."
    )(function)


def echo_json(value: object) -> None:
    """Write a value made of dataclasses, tuples and plain types as JSON."""
    import json  # noqa: PLC0415 - not for --help and --version

    click.echo(json.dumps(value, default=_plain, indent=2, sort_keys=True))


def _plain(value: object) -> object:
    from dataclasses import asdict, is_dataclass  # noqa: PLC0415

    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    raise TypeError(f"{type(value).__name__} has no JSON form")


def run_doctor(*, as_json: bool) -> None:
    """Show what ``tcz.doctor`` finds, and exit with 6 when something that is needed is missing."""
    from tcz.doctor import examine, healthy, lines  # noqa: PLC0415 - only one command needs it
    from tcz.paths import Dirs  # noqa: PLC0415
    from tcz.run import HostRunner  # noqa: PLC0415

    checks = examine(Dirs.from_env(), HostRunner())
    if as_json:
        echo_json(checks)
    else:
        for line in lines(checks):
            click.echo(line)
    if not healthy(checks):
        click.get_current_context().exit(MissingToolError.exit_code)


def echo_completion(group: click.Command, name: str, shell: str) -> None:
    """Write the completion script of a program for a shell."""
    from click.shell_completion import get_completion_class  # noqa: PLC0415 - only here

    found = get_completion_class(shell)
    if found is None:  # click's own names: bash, zsh, fish
        raise click.UsageError(f"no completion for {shell}")
    variable = f"_{name.replace('-', '_').upper()}_COMPLETE"
    click.echo(found(group, {}, name, variable).source())


def echo_lines(lines: Iterable[str]) -> None:
    """Write lines to standard output."""
    for line in lines:
        click.echo(line)


def columns(rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return rows as aligned lines; the last column is as wide as it likes."""
    if not rows:
        return ()
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return tuple(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def size_text(size: int) -> str:
    """Return ``512 B``, ``3.4 kB``, ``12.3 MB`` or ``1.2 GB``."""
    if size < 1000:  # noqa: PLR2004 - decimal units, as disks and ISO sizes are given
        return f"{size} B"
    for exponent, unit in ((1, "kB"), (2, "MB")):
        if size < 1000 ** (exponent + 1):
            return f"{size / 1000**exponent:.1f} {unit}"
    return f"{size / 1000**3:.1f} GB"
