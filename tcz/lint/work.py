"""The command's work: what is meant by its arguments, looked at, repaired, and reported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tcz import bases, record, zsync
from tcz.errors import ConfigError, Problem
from tcz.lint import files, fix, registry, report
from tcz.lint.catalogue import Catalogue
from tcz.lint.context import Context
from tcz.lint.shell import shell_syntax
from tcz.names import SUFFIX, follows_kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tcz.lint.finding import Check, Finding, Level
    from tcz.lint.report import PackageReport, Report
    from tcz.lint.subject import Subject
    from tcz.model import Allow, BuiltPackage
    from tcz.recipe import Recipes
    from tcz.reporting import Reporter
    from tcz.run import Runner

    #: Returns the built packages that a name stands for, and all that they need, themselves included.
    Built = Callable[[str], tuple[Sequence[BuiltPackage], Sequence[BuiltPackage]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The options of a run. ``checks`` are the names to run only and to leave out."""

    base: str = bases.DEFAULT
    arch: str = "x86_64"
    kernel: str | None = None
    against: tuple[Path, ...] = ()
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    level: Level = "warning"
    submission: bool = False
    fix: bool = False
    in_place: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """A package to look at; ``ours``: it lies in the cache and must not be changed."""

    path: Path
    ours: bool = False


def lint(
    what: Sequence[str], wish: Wish, *, recipes: Recipes, built: Built, runner: Runner, reporter: Reporter
) -> Report:
    """Look at packages and return what is to be told of them; with ``wish.fix`` repair them first.

    Each argument is a .tcz, a folder of them, or the name of a recipe or of a package that one made. Raises
    ``ConfigError`` for arguments that are none of these, all at once.
    """
    checks = registry.chosen(wish.only, wish.skip)
    base = bases.for_architecture(bases.load(wish.base), wish.arch)
    meant, around = _meant(what, built)
    if wish.fix and not wish.dry_run:
        _refuse_ours(meant)
    others = Catalogue()
    for place in wish.against:
        others = _joined(others, files.catalogue_of(place))
    published = others
    for path in around:
        others = _joined(others, Catalogue(packages=(files.known_package(path),)))
    subjects = []
    with reporter.step("read packages", total=len(meant)) as step:
        for count, one in enumerate(meant):
            step.progress(count, len(meant))
            step.detail(one.path.name)
            subjects.append(files.open_package(one.path, _allowed(one.path, recipes)))
    context = Context(
        base=base,
        kernel=wish.kernel,
        others=others.merged(map(files.known_from, subjects)),
        published=published,
        submission=wish.submission,
        shell=shell_syntax(runner),
    )
    packages = []
    with reporter.step("look at packages", total=len(subjects)) as step:
        for count, subject in enumerate(subjects):
            step.progress(count, len(subjects))
            step.detail(subject.name)
            packages.append(_one(subject, context, checks, wish))
    return report.make(
        packages, base=base.name, kernel=wish.kernel, submission=wish.submission, level=wish.level
    )


def _one(subject: Subject, context: Context, checks: Sequence[Check], wish: Wish) -> PackageReport:
    fixed: tuple[Finding, ...] = ()
    if wish.fix:
        repair = fix.repair(subject, context, checks)
        fixed = repair.done
        target = Path(subject.where)
        if repair.changed and not wish.dry_run:
            subject = _written(subject, repair.subject, context, target, keep=not wish.in_place)
        elif repair.changed:
            subject = repair.subject
    findings = registry.inspect(subject, context, checks)
    return report.PackageReport(name=subject.name, path=subject.where, findings=findings, fixed=fixed)


def _written(before: Subject, after: Subject, context: Context, target: Path, *, keep: bool) -> Subject:
    """Write a repaired package, then what speaks of its new image."""
    written = files.write_package(before, after, target, keep=keep)
    followed = fix.follow(written, context)
    files.write_package(written, followed, target, keep=keep)
    if before.companion(zsync.SUFFIX) is not None and followed.companion(zsync.SUFFIX) is None:
        files.write_zsync(target, followed)
    return files.open_package(target, before.allowed)


def _joined(one: Catalogue, other: Catalogue) -> Catalogue:
    return one.merged(other.packages, complete=other.complete)


def _meant(what: Sequence[str], built: Built) -> tuple[tuple[Meant, ...], tuple[Path, ...]]:
    """Return the packages that are meant, and others that they need."""
    found: dict[Path, Meant] = {}
    around: dict[Path, None] = {}
    problems: list[Problem] = []
    for word in what:
        path = Path(word)
        if path.is_dir():
            images = files.images_in(path)
            if not images:
                problems.append(Problem(where=word, message=f"holds no {SUFFIX} files"))
            found |= {image: Meant(path=image) for image in images}
        elif path.is_file() or "/" in word or word.endswith(SUFFIX):
            found[path] = Meant(path=path)
            if not path.is_file():
                problems.append(Problem(where=word, message="is not a file"))
        else:
            try:
                packages, needed = built(word)
            except ConfigError as error:
                problems.append(Problem(where=word, message=error.what, hint=error.hint))
                continue
            found |= {package.path: Meant(path=package.path, ours=True) for package in packages}
            around |= dict.fromkeys(one.path for one in needed if one.form == "extension")
    if problems:
        raise ConfigError("some of what was named cannot be looked at", problems)
    return tuple(found.values()), tuple(path for path in around if path not in found)


def _refuse_ours(meant: Sequence[Meant]) -> None:
    problems = [
        Problem(where=one.path.name, message="is a build in the cache; its recipe says what is in it")
        for one in meant
        if one.ours or (one.path.parent / record.NAME).is_file()
    ]
    if problems:
        raise ConfigError(
            "builds are not repaired", problems, hint="change the recipe, or copy the package somewhere else"
        )


def _allowed(path: Path, recipes: Recipes) -> tuple[Allow, ...]:
    """Return what the recipe of a build allows; nothing for packages from elsewhere."""
    build = record.read(path.parent)
    if build is None or build.recipe not in recipes.names():
        return ()
    name = path.name.removesuffix(SUFFIX)
    for spec in recipes.get(build.recipe).packages:
        stem = spec.name.removesuffix("KERNEL")
        if name == spec.name or (follows_kernel(spec.name) and name.startswith(stem)):
            return spec.allow
    return ()
