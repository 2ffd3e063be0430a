"""The command ``tcz lint``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tcz import clikit

if TYPE_CHECKING:
    from tcz.lint.finding import Level
    from tcz.lint.report import Paint
    from tcz.reporting import Reporter

_STYLES = {
    "error": {"fg": "red", "bold": True},
    "warning": {"fg": "yellow"},
    "note": {"fg": "cyan"},
    "allowed": {"fg": "green"},
    "fixed": {"fg": "green"},
    "name": {"bold": True},
}


@click.command(
    cls=clikit.Command,
    examples=[
        "tcz lint runc                              a package that was built, beside all that it needs",
        "tcz lint mine.tcz --base corepure64-16.x   a package from anywhere, against Tiny Core 16",
        "tcz lint old.tcz --base corepure64-17.x --arch x86    a package for 32 bit",
        "tcz lint out/ --submission                 what the official repository would say",
        "tcz lint mine.tcz --fix --dry-run          what could be repaired",
        "tcz lint --explain base-folder             what a check is about",
    ],
    codes=[5, 6, 9],
)
@click.argument("what", nargs=-1, metavar="FILE.tcz|FOLDER|NAME...", type=click.Path())
@click.option(
    "--base",
    default="floe",
    show_default=True,
    help="The base that packages are loaded on: floe, or corepure64-10.x to corepure64-17.x.",
)
@click.option(
    "--arch",
    default="x86_64",
    show_default=True,
    help="What packages are for: x86, x86_64, armv6, armv7 or aarch64.",
)
@click.option("--kernel", metavar="RELEASE", help="The kernel that modules must be for, as uname -r says it.")
@click.option(
    "--against",
    metavar="PATH",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A folder of other packages, a mirror's folder or its provides.db (repeatable).",
)
@click.option("--only", metavar="CHECK", multiple=True, help="Run only this check (repeatable).")
@click.option("--skip", metavar="CHECK", multiple=True, help="Leave this check out (repeatable).")
@click.option(
    "--level",
    type=click.Choice(("error", "warning", "note")),
    default="warning",
    show_default=True,
    help="Show findings of this level and worse.",
)
@click.option("--submission", is_flag=True, help="Be as strict as the official repository's submitqc.")
@click.option("--fix", is_flag=True, help="Repair what can be, keeping the old files as FILE.orig.")
@click.option("--in-place", is_flag=True, help="With --fix: do not keep the old files.")
@click.option("--dry-run", is_flag=True, help="With --fix: say what would be repaired, change nothing.")
@click.option("--explain", metavar="CHECK", help="Explain a check.")
@click.option("--list", "list_checks", is_flag=True, help="List all checks.")
@clikit.recipes_option
@clikit.progress_option
@clikit.json_option
def lint(
    what: tuple[str, ...],
    base: str,
    arch: str,
    kernel: str | None,
    against: tuple[Path, ...],
    only: tuple[str, ...],
    skip: tuple[str, ...],
    level: Level,
    submission: bool,
    fix: bool,
    in_place: bool,
    dry_run: bool,
    explain: str | None,
    list_checks: bool,
    recipe_folders: tuple[Path, ...],
    progress: Reporter,
    as_json: bool,
) -> None:
    """Check packages: built ones by name, or any .tcz with the files beside it.

    Exit code 9 tells of errors that no recipe allows.
    """
    from tcz import commands
    from tcz.lint import registry, report, work

    if explain is not None:
        clikit.echo_lines(report.explain(registry.get(explain)))
        return
    if list_checks:
        clikit.echo_lines(clikit.columns(report.listing()))
        return
    if not what:
        raise click.UsageError("name packages: files, folders, or names of built packages")
    if (in_place or dry_run) and not fix:
        raise click.UsageError("--in-place and --dry-run go with --fix")
    wish = work.Wish(
        base=base,
        arch=arch,
        kernel=kernel,
        against=against,
        only=only,
        skip=skip,
        level=level,
        submission=submission,
        fix=fix,
        in_place=in_place,
        dry_run=dry_run,
    )
    found = commands.lint_packages(what, wish, recipe_folders, progress)
    if as_json:
        clikit.echo_json(found)
    else:
        clikit.echo_lines(report.lines(found, dry_run=dry_run, paint=_painter()))
    if found.failed:
        click.get_current_context().exit(9)


def _painter() -> Paint:
    """Colour on a terminal, unless NO_COLOR is set (https://no-color.org)."""
    import os
    import sys

    from tcz.lint import report

    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return report.plain
    return lambda text, style: click.style(text, **_STYLES[style])  # type: ignore[arg-type]
