from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tcz import commands
from tcz.errors import ConfigError
from tcz.recipe import Recipes
from tcz.recipe_graph import misfits, package_closure, packages_named

if TYPE_CHECKING:
    from pathlib import Path


def write(top: Path, name: str, *, packages: dict[str, list[str]], upon: list[str] | None = None) -> None:
    folder = top / name
    folder.mkdir()
    (folder / "build.sh").write_text("true\n")
    lines = [
        "schema = 1",
        f'name = "{name}"',
        'version = "1"',
        'summary = "x"',
        'license = "MIT"',
        'homepage = "https://example.org/"',
        "[build]",
        f"needs.recipes = {upon or []}",
    ]
    for package, needs in packages.items():
        lines += ["[[package]]", f'name = "{package}"', 'files = ["x"]', f"needs = {needs}"]
    (folder / "recipe.toml").write_text("\n".join(lines) + "\n")


def test_orders(tmp_path: Path) -> None:
    write(
        tmp_path,
        "engine",
        packages={"docker": ["runc", "net-KERNEL"], "docker-dev": ["docker"]},
        upon=["libseccomp"],
    )
    write(tmp_path, "runc", packages={"runc": []}, upon=["libseccomp"])
    write(tmp_path, "libseccomp", packages={"seccomp": []})
    write(tmp_path, "kernel", packages={"net-KERNEL": []})
    recipes = Recipes([tmp_path])
    assert package_closure(recipes, ["docker-dev"]).order == ("net-KERNEL", "runc", "docker", "docker-dev")
    assert packages_named(recipes, "docker") == ("docker",)
    assert packages_named(recipes, "engine") == ("docker", "docker-dev")
    assert misfits(recipes, recipes.all()) == ()


def test_misfits(tmp_path: Path) -> None:
    write(tmp_path, "a", packages={"one": ["two", "thre"]}, upon=["b", "cc"])
    write(tmp_path, "b", packages={"two": ["one"], "three": []}, upon=["a"])
    write(tmp_path, "c", packages={"three": []})
    recipes = Recipes([tmp_path])
    told = sorted(f"{p.message} {p.hint or ''}".strip() for p in misfits(recipes, recipes.all()))
    assert told == [
        "goes round: a -> b -> a",
        "goes round: one -> two -> one",
        "needs.recipes: no recipe 'cc' did you mean 'c'?",
        "package one: no recipe makes 'thre', which it needs did you mean 'three'?",
        "package three is also made by the recipe b",
        "package three is also made by the recipe c",
    ]


def test_several_kernels_each_have_their_own(tmp_path: Path) -> None:
    for name in ("kernel", "linux"):
        write(tmp_path, name, packages={name: [], "modules-KERNEL": []})
    write(tmp_path, "app", packages={"app": ["modules-KERNEL"]})
    recipes = Recipes([tmp_path])
    assert misfits(recipes, recipes.all()) == ()
    assert recipes.providing("modules-KERNEL").name == "kernel"
    recipes.prefer("linux")
    assert recipes.providing("modules-KERNEL").name == "linux"
    assert recipes.providing("modules-6.12.0-x").name == "linux"
    assert recipes.providing("kernel").name == "kernel"
    with pytest.raises(ConfigError, match="no recipe 'linus'"):
        recipes.prefer("linus")


def test_what_is_built_on_request_is_left_out_of_all(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path, name, packages={f"p{name}": []})
    file = tmp_path / "b/recipe.toml"
    file.write_text('on-request = "it takes a day"\n' + file.read_text())
    recipes = Recipes([tmp_path])
    assert commands.recipes_named(recipes, (), everything=True) == ("a",)
    assert commands.recipes_named(recipes, ("pb",), everything=True) == ("a", "b")
    assert commands.recipes_named(recipes, ("b",)) == ("b",)
    assert [recipe.on_request for recipe in commands.on_request(recipes)] == ["it takes a day"]
