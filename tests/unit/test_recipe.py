from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tcz import recipe_checks as check
from tcz.errors import ConfigError
from tcz.model import Archive, DebianBinary, GoModule, GoToolchain
from tcz.recipe import Recipes, load
from tcz.recipe_text import render
from tests.unit.recipes_made import FOLDER, FULL, recipes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tcz.model import Recipe

SHA = "0123456789abcdef" * 4
H1 = "h1:" + "a" * 43 + "="
HEAD = """\
schema = 1
name = "NAME"
version = "1.2"
summary = "A thing"
license = "MIT"
homepage = "https://example.org/thing"
"""
PACKAGE = """
[[package]]
name = "NAME"
files = ["usr/local/bin/thing"]
"""


def write(top: Path, name: str, text: str) -> Path:
    folder = top / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.toml").write_text(text.replace("NAME", name))
    (folder / "build.sh").write_text("true\n")
    return folder


def mistakes(folder: Path) -> list[str]:
    """Return the problems as ``line: message``."""
    with pytest.raises(ConfigError) as caught:
        load(folder)
    return [f"{p.where.rpartition(':')[2]}: {p.message}" for p in caught.value.problems]


def test_smallest(tmp_path: Path) -> None:
    recipe = load(write(tmp_path, "thing", HEAD + PACKAGE))
    assert (recipe.name, recipe.version, recipe.release) == ("thing", "1.2", 1)
    assert recipe.packages[0].form == "extension"
    assert recipe.build.strip
    assert recipe.build.root == "debian"


def test_templates_are_filled_in(tmp_path: Path) -> None:
    text = f"""{HEAD}
[[source]]
kind = "archive"
url = "https://example.org/{{version}}/thing-{{version}}-{{arch}}.tar.gz"
sha256 = "{SHA}"
[[source]]
kind = "go-module"
module = "example.org/thing"
version = "v{{version}}.0"
sum = "{H1}"
packages = ["./cmd/thing"]
tags = ["netgo"]
[[source]]
kind = "go-toolchain"
version = "1.25.3"
sum = "{H1}"
{PACKAGE}"""
    sources = load(write(tmp_path, "thing", text)).sources
    assert sources == (
        Archive(url="https://example.org/1.2/thing-1.2-x86_64.tar.gz", sha256=SHA),
        GoModule(
            module="example.org/thing", version="v1.2.0", sum=H1, packages=("./cmd/thing",), tags=("netgo",)
        ),
        GoToolchain(version="1.25.3", sum=H1),
    )


def test_debian_version(tmp_path: Path) -> None:
    text = HEAD.replace('"1.2"', '"debian"')
    source = (
        '\n[[source]]\nkind = "debian-binary"\npackage = "linux-image-*-amd64"\nvia = "linux-image-amd64"\n'
    )
    recipe = load(write(tmp_path, "thing", text + source + PACKAGE))
    assert recipe.sources == (DebianBinary(package="linux-image-*-amd64", via="linux-image-amd64"),)
    assert mistakes(write(tmp_path, "other", text + PACKAGE)) == [
        "3: version: 'debian' needs a source of the kind debian-binary or debian-source to take it from"
    ]


def test_five_mistakes_are_told_with_their_places(tmp_path: Path) -> None:
    text = """\
schema = 1
name = "NAME"
version = "1.2"
summary = 3
lisence = "MIT"
homepage = "https://example.org/thing"

[[source]]
kind = "archive"
url = "gopher://example.org/x"

[[package]]
name = "thing.tcz"
files = ["/usr/local/bin/thing"]
"""
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, "thing", text))
    file = tmp_path / "thing" / "recipe.toml"
    assert [(p.where, p.message) for p in caught.value.problems] == [
        (f"{file}:1", "the key 'license' is missing"),
        (f"{file}:4", "summary: expected a string, found 3"),
        (f"{file}:5", "lisence: unknown key"),
        (f"{file}:8", "[[source]]: the key 'sha256' is missing"),
        (f"{file}:10", "url: 'gopher://example.org/x' does not start with https://, http:// or ftp://"),
        (f"{file}:13", "name: 'thing.tcz': write the name without .tcz"),
        (f"{file}:14", "files[0]: '/usr/local/bin/thing' starts with a slash: paths here are relative"),
    ]
    assert caught.value.problems[2].hint == "did you mean 'license'?"
    assert caught.value.exit_code == 2
    assert caught.value.what == "recipe thing has 7 mistakes"


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ('[[source]]\nkind = "archiv"', "8: kind: 'archiv' is not one of archive, go-module,"),
        ('[[source]]\nkind = "local"\npath = "nowhere"', "9: path: 'nowhere' is not in the recipe's folder"),
        ('[[source]]\nkind = "local"\npath = "../x"', "9: path: '../x' has an empty part, '.' or '..'"),
        ('[[source]]\nkind = "debian-binary"\npackage = "a*"', "9: package: 'a*' is not a Debian"),
        (f'[[source]]\nkind = "go-module"\nmodule = "e.org/x"\nversion = "v1.0.0"\nsum = "{H1}"',
         "7: [[source]]: a go-module needs a source of the kind go-toolchain beside it"),
        ('[build]\nneeds.recipes = ["NAME"]', "8: recipes: 'thing' needs itself"),
        ('[build]\nneeds.debian = "gcc"', "8: debian: expected a list of strings, found the string 'gcc'"),
        ('[build]\nneeds.debian = ["gcc", "gcc"]', "8: debian[1]: 'gcc' is there twice"),
        ('[build]\nroot = "debain"', "8: root: 'debain' is not one of 'debian', 'host'"),
        ('[build]\nstrip = "yes"', "8: strip: expected true or false, found the string 'yes'"),
        ("build = 1", "7: build: expected a table, found 1"),
        ("source = {}", "7: source: expected a list of tables, found a table"),
        ("source = [3]", "7: source[0]: expected a table, found 3"),
        ("release = 0", "7: release: 0 is not between 1 and"),
        ("release = true", "7: release: expected an integer, found true"),
    ],
)  # fmt: skip
def test_single_mistakes(tmp_path: Path, extra: str, message: str) -> None:
    found = mistakes(write(tmp_path, "thing", HEAD + extra + "\n" + PACKAGE))
    assert [line for line in found if line.startswith(message)], found


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ('owners = [{ path = "bin/su", mode = 4755 }]', "11: mode: expected a string, found 4755"),
        ('owners = [{ path = "bin/su", mode = "4789" }]', "11: mode: '4789' is not an octal mode"),
        ('owners = [{ path = "bin/su" }]', "11: [[owners]]: gives none of uid, gid and mode"),
        ('devices = [{ path = "dev/x", kind = "p", major = 1, minor = 1 }]', "11: kind: 'p' is not one of"),
        ('needs = ["NAME"]', "11: needs: 'thing' needs itself"),
        ('needs = ["a-KERNEL-b"]', "11: needs[0]: 'a-KERNEL-b': KERNEL stands for"),
        ('form = "files"\ndevices = [{ path = "d", kind = "c", major = 1, minor = 1 }]',
         "12: devices: a package of the form 'files' cannot hold devices"),
        ('[[package]]\nname = "NAME"\nfiles = ["a"]', "12: name: a second package 'thing' in this recipe"),
        ('[[package]]\nname = "b"\nfiles = []', "13: files: the package holds nothing"),
        ('[[package]]\nname = "b"\n[[package]]\nname = "c"',
         "13: [[package]]: a second package without files: 'b' holds all that is left already"),
        ('startup = "files/none"', "11: startup: 'files/none' is no file in the recipe's folder"),
        ('startup = "build.sh"', "11: startup: 'build.sh' is no script"),
        ('startup = "../x"', "11: startup: '../x'"),
        ('form = "layer"\nstartup = "build.sh"', "12: startup: only an extension is loaded"),
        ('auto-needs = "no"', "11: auto-needs: expected true or false"),
        ('[[package]]\nname = "b"\nfiles = ["a/[b"]', "13: files[0]: 'a/[b': unclosed ["),
        ('[[package]]\nname = "b"\nfiles = ["a/b**"]', "13: files[0]: 'a/b**': ** must be a whole part"),
    ],
)  # fmt: skip
def test_single_mistakes_of_packages(tmp_path: Path, extra: str, message: str) -> None:
    found = mistakes(write(tmp_path, "thing", HEAD + PACKAGE + extra + "\n"))
    assert [line for line in found if line.startswith(message)], found


def test_other_mistakes(tmp_path: Path) -> None:
    assert mistakes(write(tmp_path, "thing", HEAD)) == [
        "1: there is no [[package]]: a recipe makes at least one"
    ]
    (write(tmp_path, "thing", HEAD + PACKAGE) / "build.sh").unlink()
    assert mistakes(tmp_path / "thing")[0].endswith("is missing")
    other = write(tmp_path, "other", (HEAD + PACKAGE).replace("NAME", "thing"))
    assert mistakes(other) == ["2: name: 'thing' is not the name of its folder, 'other'"]
    assert mistakes(write(tmp_path, "new", HEAD.replace("= 1\n", "= 2\n", 1) + PACKAGE)) == [
        "1: schema: schema 2 is not known: this version reads schema 1"
    ]


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (check.name, ["a", "grub-efi", "e2fsprogs"], ["A", "-a", "a b", "é", "a/b"]),
        (check.version, ["1.2.3", "28.5.1~rc1"], ["1 2", "-1", "a/b"]),
        (check.sha256, [SHA], [SHA.upper(), SHA[1:], SHA[1:] + "g", SHA + "\n"]),
        (check.h1, [H1], ["h1:", H1[3:], H1 + "\n", H1[:-1]]),
        (check.module, ["github.com/a/b", "go.etcd.io/bbolt"], ["a", "a.com//a", "../a", "a.com/a b"]),
        (check.module_version, ["v1.2.3", "v0.0.0-2025-abc", "v2.0.0+incompatible"], ["1.2.3", "v1.2", "v1"]),
        (check.go_version, ["1.25.3", "1.26rc1", "1.25"], ["go1.25", "1", "1.2.3.4"]),
        (check.go_package, ["./...", "./cmd/x"], ["-ldflags", "/abs", "a b"]),
        (check.debian, ["gcc", "libstdc++-14-dev"], ["GCC", "a", "gcc;rm"]),
        (check.debian_glob, ["linux-image-*-amd64", "gcc", "a[12]b"], ["a b", "a["]),
        (check.mode, ["755", "4755", "0644"], ["75", "888", "0o755", "47550"]),
        (check.path, ["a/b", "a b"], ["/a", "a//b", "a/", "..", "a/../b", "a\\b", "a\nb"]),
        (check.glob, ["**/x", "a/*.so", "[ab]"], ["/x", "[a", "a**"]),
        (check.url, ["https://a.example/x", "ftp://a/b"], ["a", "file:///x", "https://", "https://a/{v}", "http://[/"]),
        (check.license_expression,
         ["MIT", "GPL-2.0-or-later WITH GCC-exception-3.1", "(MIT OR X11) AND ISC", "LicenseRef-a"],
         ["GPL 2", "MIT OR", "(MIT", "MIT)", "OR MIT", "MIT, BSD", "AND", "MIT AND AND ISC", "()", "MIT ()"]),
    ],
)  # fmt: skip
def test_checks(rule: Callable[[str], str | None], good: list[str], bad: list[str]) -> None:
    assert {text: rule(text) for text in good} == dict.fromkeys(good)
    assert [text for text in bad if rule(text) is None] == []


def test_folders_looked_at_in_order(tmp_path: Path) -> None:
    mine = write(tmp_path / "mine", "thing", HEAD + PACKAGE)
    write(tmp_path / "ours", "thing", HEAD + PACKAGE)
    write(tmp_path / "ours", "docker-engine", HEAD + PACKAGE)
    found = Recipes([tmp_path / "mine", tmp_path / "ours"])
    assert found.names() == ("docker-engine", "thing")
    assert found.get("thing").folder == mine
    with pytest.raises(ConfigError) as caught:
        found.get("docker-egnine")
    assert caught.value.hint == "did you mean 'docker-engine'?"
    with pytest.raises(ConfigError):
        Recipes([tmp_path / "absent"])


def test_who_provides_a_package(tmp_path: Path) -> None:
    write(tmp_path, "thing", HEAD + PACKAGE.replace("NAME", "thing-bin"))
    write(tmp_path, "kernel", HEAD + PACKAGE.replace('"NAME"', '"net-KERNEL"'))
    found = Recipes([tmp_path])
    assert found.providing("thing-bin").name == "thing"
    assert found.providing("net-KERNEL").name == "kernel"
    assert found.providing("net-6.12.48-amd64").name == "kernel"
    assert found.find_package("net-tools") is None
    with pytest.raises(ConfigError) as caught:
        found.providing("thing-bim")
    assert caught.value.hint == "did you mean 'thing-bin'?"
    write(tmp_path, "broken", HEAD)
    found = Recipes([tmp_path])
    assert found.providing("thing-bin").name == "thing"
    with pytest.raises(ConfigError) as caught:
        found.providing("unknown")
    assert "[[package]]" in str(caught.value.why)
    with pytest.raises(ConfigError):
        found.all()


def test_packages_that_come_of_splitting_are_found(tmp_path: Path) -> None:
    rest = PACKAGE.replace('files = ["usr/local/bin/thing"]\n', "")
    write(tmp_path, "thing", HEAD + rest)
    write(tmp_path, "other", HEAD + '[[package]]\nname = "thing-doc"\nfiles = ["a"]\n')
    write(tmp_path, "whole", HEAD + PACKAGE)
    found = Recipes([tmp_path])
    assert found.providing("thing-dev").name == "thing"
    assert found.providing("thing-doc").name == "other"
    assert found.find_package("whole-dev") is None
    assert found.find_package("thing-dev-dev") is None


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write(tmp_path_factory.mktemp("recipes"), FOLDER, "")
    (folder / "files").mkdir()
    (folder / "files/start.sh").write_text("#!/bin/sh\n")
    return folder


@given(recipe=recipes())
@example(recipe=FULL)
@settings(max_examples=40)
def test_round_trip(sample: Path, recipe: Recipe) -> None:
    (sample / "recipe.toml").write_text(render(recipe), encoding="utf-8", newline="")
    assert load(sample) == replace(recipe, folder=sample)


def load_or_config_error(folder: Path, data: bytes) -> None:
    (folder / "recipe.toml").write_bytes(data)
    with suppress(ConfigError):
        load(folder)


@given(data=st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "surrogatepass")))
def test_arbitrary_bytes_give_nothing_but_config_errors(sample: Path, data: bytes) -> None:
    load_or_config_error(sample, data)


@given(data=st.data())
@settings(max_examples=200)
def test_mutated_recipes_give_nothing_but_config_errors(sample: Path, data: st.DataObject) -> None:
    text = render(FULL)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(at, min(len(text), at + 12)))
        new = data.draw(
            st.sampled_from(
                ["", '"', "'", "[", "]", "{", "}", "=", "\n", "#", "1", "true", '"""', "1979-05-27", "."]
            )
            | st.text(max_size=4)
        )
        text = text[:at] + new + text[end:]
    load_or_config_error(sample, text.encode("utf-8", "surrogatepass"))


_values = st.recursive(
    st.sampled_from(['""', '"x"', "3", "-1", "1.5", "true", "1979-05-27", "07:32:00", "inf", "'''a\nb'''"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]")
        | st.lists(inner, max_size=3).map(
            lambda items: (
                "{ " + ", ".join(f"{key} = {item}" for key, item in zip("abc", items, strict=False)) + " }"
            )
        )
    ),
    max_leaves=6,
)


@given(data=st.data())
@settings(max_examples=200)
def test_values_of_other_types_give_nothing_but_config_errors(sample: Path, data: st.DataObject) -> None:
    lines = render(FULL).splitlines()
    n = data.draw(
        st.sampled_from([n for n, line in enumerate(lines) if " = " in line and not line.startswith(" ")])
    )
    key = lines[n].partition(" = ")[0]
    if not lines[n].endswith("["):
        lines[n] = f"{key} = {data.draw(_values)}"
    load_or_config_error(sample, "\n".join(lines).encode())


def test_deep_nesting_and_big_numbers(sample: Path) -> None:
    for text in (
        "a = " + "[" * 100_000,
        "a = " + "[" * 400 + "]" * 400,
        "a" + ".a" * 900 + " = 1",
        "a = " + "9" * 5000,
    ):
        load_or_config_error(sample, text.encode())


def test_unreadable(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "x")
    (tmp_path / "x" / "recipe.toml").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "x")
