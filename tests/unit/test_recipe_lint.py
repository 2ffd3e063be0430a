"""Checks of a recipe's folder, with the shell and shellcheck of this machine."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tcz import recipe_lint
from tcz.model import Local, PackageSpec, Recipe
from tcz.run import HostRunner

if TYPE_CHECKING:
    from pathlib import Path

PATCH = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"


def found(folder: Path, files: dict[str, str], *, local: str = "", **values: str) -> list[str]:
    for name, text in {"recipe.toml": "", "build.sh": "true\n", **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    recipe = Recipe(
        name="r",
        version="1",
        summary="s",
        license=values.get("license", "MIT"),
        homepage=values.get("homepage", "https://r.example/"),
        folder=folder,
        sources=(Local(path=local),) if local else (),
        packages=(PackageSpec(name="r", files=("usr",)),),
    )
    problems = (*recipe_lint.complaints(recipe, HostRunner()), *recipe_lint.advice(recipe))
    return [f"{p.where.removeprefix(str(folder)).lstrip('/')}: {p.message}" for p in problems]


def test_nothing_to_say(tmp_path: Path) -> None:
    files = {
        "test.sh": "true\n", "README.md": "", "files/a": "", "conf": "", "patches/1.patch": PATCH,
        "build.sh": 'cp "$RECIPE/conf" "$DEST/usr/x"\n',
    }  # fmt: skip
    assert found(tmp_path, files, local="files/a") == []


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"left.over": ""}, "left.over: neither a script nor a source uses it"),
        ({"files/a": ""}, "files: neither a script nor a source uses it"),
        ({"patches/1.diff": PATCH}, "patches/1.diff: is not applied: only *.patch is"),
        ({"patches/1.patch": "no patch"}, "patches/1.patch: is not a patch in the unified form"),
        ({"patches": ""}, "patches: is not a folder"),
        ({"build.sh": "if true\n"}, "build.sh: is not a shell script: "),
    ],
)
def test_mistakes(tmp_path: Path, files: dict[str, str], message: str) -> None:
    (problem,) = found(tmp_path, {"test.sh": "true\n", **files})
    assert problem.startswith(message)


def test_unfinished(tmp_path: Path) -> None:
    assert found(tmp_path, {}, license="LicenseRef-unknown", homepage="https://r.invalid/") == [
        "recipe.toml: the licence is not known yet",
        "recipe.toml: the homepage is not known yet",
        ": there is no test",
    ]


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
def test_shellcheck(tmp_path: Path) -> None:
    script = 'cd sub\nmake DESTDIR="$DEST" NAME="$NAME"\nif [ $x == 1 ]; then :; fi\n'
    problems = found(tmp_path, {"test.sh": "true\n", "build.sh": script})
    assert problems
    assert all(problem.startswith("build.sh:3: ") for problem in problems)
