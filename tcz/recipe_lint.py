"""What a recipe's folder is checked for beyond its recipe.toml: files that nothing uses, scripts, a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcz.errors import Problem
from tcz.model import Local

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tcz.model import Recipe
    from tcz.run import Runner

_SCRIPTS = ("build.sh", "test.sh", "boot-test.sh")
_KNOWN = ("recipe.toml", *_SCRIPTS)
_TEXTS = (".md", ".txt")


def complaints(recipe: Recipe, runner: Runner) -> tuple[Problem, ...]:
    """Return what is wrong in the folder of a recipe that is right by itself.

    Scripts are read by ``sh -n``, and by shellcheck where it is installed.
    """
    folder = recipe.folder
    return (
        *_files(recipe),
        *_patches(folder),
        *(problem for name in _SCRIPTS for problem in _script(folder / name, runner)),
        *_unfinished(recipe),
    )


def advice(recipe: Recipe) -> Iterator[Problem]:
    """Yield what would make a recipe better and is no mistake."""
    if not any((recipe.folder / name).is_file() for name in ("test.sh", "boot-test.sh")):
        yield Problem(
            where=str(recipe.folder),
            message="there is no test",
            hint="test.sh is run after the build, boot-test.sh on a booted machine",
        )


def _unfinished(recipe: Recipe) -> Iterator[Problem]:
    where = str(recipe.folder / "recipe.toml")
    if "LicenseRef-unknown" in recipe.license:
        yield Problem(where=where, message="the licence is not known yet")
    if recipe.homepage.rstrip("/").endswith(".invalid"):
        yield Problem(where=where, message="the homepage is not known yet")


def _files(recipe: Recipe) -> Iterator[Problem]:
    """Find files that neither the toolkit nor a script nor a source looks at."""
    folder = recipe.folder
    local = {source.path for source in recipe.sources if isinstance(source, Local)}
    scripts = "".join(
        (folder / name).read_text(errors="replace") for name in _SCRIPTS if (folder / name).is_file()
    )
    for path in sorted(folder.iterdir()):
        name = path.name
        if name in _KNOWN or name.endswith(_TEXTS) or name.startswith(".") or name == "patches":
            continue
        used = name in scripts or any(one == name or one.startswith(f"{name}/") for one in local)
        if not used:
            yield Problem(where=str(path), message="neither a script nor a source uses it")


def _patches(folder: Path) -> Iterator[Problem]:
    patches = folder / "patches"
    if not patches.exists():
        return
    if not patches.is_dir():
        yield Problem(where=str(patches), message="is not a folder")
        return
    found = sorted(patches.iterdir())
    for path in found:
        if not path.name.endswith(".patch"):
            yield Problem(where=str(path), message="is not applied: only *.patch is")
        elif not path.is_file() or b"\n+++ " not in b"\n" + path.read_bytes():
            yield Problem(where=str(path), message="is not a patch in the unified form")
    if not found:
        yield Problem(where=str(patches), message="is empty")


def _script(path: Path, runner: Runner) -> Iterator[Problem]:
    if not path.is_file():
        return
    syntax = runner.run(["sh", "-n", str(path)], check=False)
    if syntax.returncode != 0:
        said = syntax.stderr.decode(errors="replace").strip().removeprefix(f"{path}: ")
        yield Problem(where=str(path), message=f"is not a shell script: {said}")
    elif runner.which("shellcheck") is not None:
        # 2154 speaks of the variables that a build sets, 2164 of cd without ||: scripts run with -e.
        argv = ["shellcheck", "-s", "sh", "-e", "SC2154,SC2164", "-f", "gcc", str(path)]
        for line in runner.run(argv, check=False).stdout.decode(errors="replace").splitlines():
            place, _, message = line.removeprefix(f"{path}:").partition(": ")
            yield Problem(where=f"{path}:{place.partition(':')[0]}", message=message)
