"""Changes to the text of a recipe: what was to change did, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from tcz import recipe_edit
from tcz.errors import ConfigError
from tcz.model import Archive
from tcz.recipe import loads
from tcz.recipe_text import render
from tests.unit.recipes_made import FOLDER, FULL, recipes

if TYPE_CHECKING:
    from pathlib import Path

    from tcz.model import Recipe, Source

TEXT = """\
# at the top
schema = 1
name = "x"   # a name
version = "1.0" # the branch that lasts
release = 4
[[source]]
kind = "archive"
url = "https://x.example/x-{version}.tar.gz" # why here
sha256 = "" # of the signed file

# between
[[source]]
kind = "local"
path = "files"
"""


def other(source: Source) -> Source:
    """Return the source with another pin."""
    for key, (name, value) in recipe_edit.PINS.items():
        del key
        if hasattr(source, name):
            return replace(source, **{name: value})  # type: ignore[type-var]
    return source


@given(recipes())
@settings(max_examples=40)
def test_pins_and_nothing_else(recipe: Recipe) -> None:
    text = render(recipe)
    assert recipe_edit.with_pins(text, "w", recipe.sources) == text
    assert recipe_edit.with_placeholders(text, "w") == text
    changed = tuple(other(source) for source in recipe.sources)
    assert recipe_edit.with_pins(text, "w", changed) == render(replace(recipe, sources=changed))


def test_comments_stay() -> None:
    text = recipe_edit.with_placeholders(TEXT, "w")
    pinned = Archive(url="u", sha256="a" * 64)
    text = recipe_edit.with_pins(text, "w", (pinned, pinned))
    text = recipe_edit.with_version(text, "w", "2.0")
    assert text == TEXT.replace('""', f'"{"a" * 64}"').replace('"1.0"', '"2.0"').replace("release = 4\n", "")


def test_a_missing_pin_is_added() -> None:
    text = TEXT.replace('sha256 = "" # of the signed file\n', "")
    assert f'sha256 = "{"0" * 64}"\n' in recipe_edit.with_placeholders(text, "w")


def test_the_same_version_keeps_the_release() -> None:
    assert recipe_edit.with_version(TEXT, "w", "1.0") == TEXT


def test_templates_are_told_as_written() -> None:
    assert recipe_edit.templates(TEXT, "w")[0]["url"] == "https://x.example/x-{version}.tar.gz"


@pytest.mark.parametrize("text", ["[", 'a = "', "a = 1\na = 2\n"])
def test_no_toml(text: str) -> None:
    with pytest.raises(ConfigError, match="is not TOML"):
        recipe_edit.with_version(text, "w", "1")


@pytest.mark.parametrize("text", ["source = 1", "source = [1]", "source = {}", ""])
def test_sources_of_another_shape_are_left(text: str) -> None:
    assert recipe_edit.with_placeholders(text, "w") == text


def test_loads_is_load(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    (folder / "files").mkdir(parents=True)
    (folder / "build.sh").write_text("true\n")
    (folder / "files/start.sh").write_text("#!/bin/sh\n")
    full = replace(FULL, folder=folder)
    assert loads(render(full), folder) == full
