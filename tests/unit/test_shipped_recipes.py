"""The recipes that ship with the toolkit: each right by itself, and right together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tcz.model import Archive, GoModule, GoToolchain, Recipe
from tcz.paths import shipped
from tcz.recipe import Recipes
from tcz.recipe_graph import misfits, package_closure

FOLDER = shipped(Path(__file__).parents[2] / "tcz", "recipes")
RECIPES = Recipes([FOLDER])


def test_no_recipe_has_a_mistake_and_all_fit_together() -> None:
    everything = RECIPES.all()
    assert everything
    assert misfits(RECIPES, everything) == ()


def test_docker_brings_all_that_it_calls() -> None:
    found = package_closure(RECIPES, ["docker"])
    assert not found.missing
    assert {
        *("docker", "docker-engine", "docker-cli", "docker-init", "containerd", "runc"),
        *("iptables", "ca-certificates", "container-host", "modules-KERNEL"),
    } <= set(found.order)


def test_every_go_recipe_is_built_with_the_same_toolchain() -> None:
    toolchains = {
        (source.version, source.sum)
        for recipe in RECIPES.all()
        for source in recipe.sources
        if isinstance(source, GoToolchain)
    }
    assert len(toolchains) == 1


def test_the_client_for_ipv6_of_other_bases_is_that_of_ours() -> None:
    ours, others = RECIPES.get("busybox"), RECIPES.get("udhcpc6")
    assert (ours.version, ours.sources) == (others.version, others.sources)


@pytest.mark.parametrize("recipe", RECIPES.all(), ids=lambda recipe: recipe.name)
def test_go_modules_say_what_is_built_of_them(recipe: Recipe) -> None:
    script = (recipe.folder / "build.sh").read_text()
    for source in recipe.sources:
        if isinstance(source, GoModule):
            assert source.packages
            for package in source.packages:
                # A loop over commands names them without ./cmd/, and a pattern by its folder.
                place = package.removesuffix("/...").removeprefix("./")
                assert package in script or place.removeprefix("cmd/") in script
            for tag in source.tags:
                assert tag in script


@pytest.mark.parametrize("recipe", RECIPES.all(), ids=lambda recipe: recipe.name)
def test_sources_are_named_by_upstream_alone(recipe: Recipe) -> None:
    for source in recipe.sources:
        if isinstance(source, Archive):
            # socat's site has no certificate; what comes from there is known by its hash, as everything is.
            assert source.url.startswith(("https://", "http://www.dest-unreach.org/"))
            assert not re.search(r"debian\.org|pypi|proxy\.golang", source.url)


@pytest.mark.parametrize("recipe", RECIPES.all(), ids=lambda recipe: recipe.name)
def test_files_that_a_script_installs_from_its_folder_are_there(recipe: Recipe) -> None:
    script = (recipe.folder / "build.sh").read_text()
    for name in re.findall(r"\$RECIPE/([\w./-]+)", script):
        assert (recipe.folder / name).exists()
