"""What the commands of ``tcz mirror`` do that takes lint or recipes: packages found, looked at, published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tcz import bases, commands
from tcz.errors import CheckError, ConfigError, Problem
from tcz.mirror import changes
from tcz.mirror import config as configs
from tcz.mirror.publish import unsigned
from tcz.mirror.repository import Mirror
from tcz.names import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tcz.mirror.changes import Outcome
    from tcz.mirror.model import Branch
    from tcz.mirror.publish import Sign
    from tcz.model import Built
    from tcz.reporting import Reporter


#: What cannot be told of packages for the Raspberry Pi, whose C library may be another.
_UNSURE: Final = dict.fromkeys(
    ("armv6", "armv7", "aarch64"), ("elf-interpreter", "elf-libc-version", "elf-library")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddWish:
    """The options of ``add``; ``base`` is what lint holds packages against, else what the branch is for."""

    branch: str | None = None
    replacing: bool = False
    needs: bool = False
    strict: bool = False
    lint: bool = True
    base: str | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Packages to publish, and folders of others that these need."""

    files: tuple[Path, ...]
    around: tuple[Path, ...] = ()


def add(
    root: Path,
    what: Sequence[str],
    wish: AddWish,
    recipes: Sequence[Path],
    reporter: Reporter,
    *,
    sign: Sign = unsigned,
) -> Outcome:
    """Publish files, folders of packages, and what recipes have made.

    Raises ``ConfigError`` for arguments that are none of these, ``CheckError`` for what lint refuses, and
    what ``tcz.mirror.changes.add`` raises.
    """
    mirror = Mirror.open(root)
    branch = configs.read(root).branch(wish.branch)
    found = _meant(what, wish, recipes, reporter)
    if wish.lint:
        _lint(mirror, branch, found, wish, recipes, reporter)
    return _publish(mirror, branch, found, wish, reporter, sign)


def publish_builds(
    root: Path,
    builds: Sequence[Built],
    wish: AddWish,
    recipes: Sequence[Path],
    reporter: Reporter,
    *,
    sign: Sign = unsigned,
) -> Outcome:
    """Publish the extensions of finished builds, as ``add`` does."""
    mirror = Mirror.open(root)
    branch = configs.read(root).branch(wish.branch)
    files = [package.path for built in builds for package in built.packages if package.form == "extension"]
    found = _Found(files=tuple(dict.fromkeys(files)))
    if wish.lint:
        _lint(mirror, branch, found, wish, recipes, reporter)
    return _publish(mirror, branch, found, wish, reporter, sign)


def _publish(
    mirror: Mirror, branch: Branch, found: _Found, wish: AddWish, reporter: Reporter, sign: Sign
) -> Outcome:
    return changes.add(
        mirror,
        found.files,
        branch,
        reporter,
        replacing=wish.replacing,
        strict=wish.strict,
        dry_run=wish.dry_run,
        sign=sign,
    )


def _meant(what: Sequence[str], wish: AddWish, recipes: Sequence[Path], reporter: Reporter) -> _Found:
    files: dict[Path, None] = {}
    around: dict[Path, None] = {}
    problems: list[Problem] = []
    for word in what:
        path = Path(word)
        if path.is_dir():
            inside = sorted(one for one in path.glob(f"*{SUFFIX}"))
            if not inside:
                problems.append(Problem(where=word, message=f"holds no {SUFFIX} files"))
            files |= dict.fromkeys(inside)
        elif path.is_file() or "/" in word or word.endswith(SUFFIX):
            files[path] = None
            if not path.is_file():
                problems.append(Problem(where=word, message="is not a file"))
        else:
            try:
                mine, needed = _built(word, recipes, reporter)
            except ConfigError as error:
                problems.append(Problem(where=word, message=error.what, hint=error.hint))
                continue
            files |= dict.fromkeys(needed if wish.needs else mine)
            around |= dict.fromkeys(one.parent for one in needed)
    if problems:
        raise ConfigError("some of what was named cannot be added; nothing was", problems)
    return _Found(files=tuple(files), around=tuple(around))


def _built(
    name: str, recipes: Sequence[Path], reporter: Reporter
) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Return the extensions of a recipe, or a package of one; and those with all that they need."""
    from tcz.paths import Dirs  # noqa: PLC0415 - slow to import
    from tcz.run import HostRunner  # noqa: PLC0415

    dirs = Dirs.from_env()
    workshop = commands.open_workshop(dirs, HostRunner(), reporter, recipes)
    mine, needed = commands.built_packages(workshop, dirs, name)
    return (
        tuple(package.path for package in mine),
        tuple(package.path for package in needed if package.form == "extension"),
    )


def _lint(
    mirror: Mirror, branch: Branch, found: _Found, wish: AddWish, recipes: Sequence[Path], reporter: Reporter
) -> None:
    """Raise ``CheckError`` for packages with errors that no recipe allows."""
    from tcz.lint.work import Wish  # noqa: PLC0415 - slow to import

    base = wish.base or _base(branch)
    if base is None:
        reporter.warn(f"lint knows no base for {branch}: packages are added as they are (--base names one)")
        return
    if branch.arch in _UNSURE:
        left = ", ".join(_UNSURE[branch.arch])
        reporter.note(f"lint holds packages of {branch} against {base}, and leaves out {left}")
    shown = mirror.public / branch.folder
    report = commands.lint_packages(
        [str(path) for path in found.files],
        # What nobody provides is told by ``changes.add``, which knows what is added at the same time.
        Wish(
            base=base,
            arch=branch.arch,
            against=(*([shown] if shown.is_dir() else []), *found.around),
            skip=("dep-unknown", *_UNSURE.get(branch.arch, ())),
            level="error",
        ),
        recipes,
        reporter,
    )
    if report.failed:
        faults = [
            f"{package.name}.tcz: {finding.check}: {finding.message}{_paths(finding.paths)}"
            for package in report.packages
            for finding in package.findings
            if finding.allowed is None and finding.level == "error"
        ]
        raise CheckError(
            "lint finds errors in packages; nothing was added",
            why="\n".join(faults),
            hint="tcz lint tells more, --fix repairs some; --no-lint publishes them as they are",
        )


def _paths(paths: Iterable[str]) -> str:
    shown = list(paths)[:3]
    return f" ({', '.join(shown)})" if shown else ""


def _base(branch: Branch) -> str | None:
    """Return the base of a branch's release, if lint knows it: the one of 64 bit is like all others."""
    name = f"corepure64-{branch.release}"
    return name if name in bases.names() else None
