import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcz import divide, split
from tcz.errors import ConfigError
from tcz.model import BuildSpec, OwnerRule, PackageSpec, Recipe
from tcz.stage import scan

MAIN = PackageSpec(name="zlib", files=(), rest=True, tags=("lib",))


def recipe(*packages: PackageSpec, folder: Path = Path("zlib"), **build: bool) -> Recipe:
    return Recipe(
        name="zlib",
        version="1",
        summary="Compresses",
        license="Zlib",
        homepage="https://zlib.example/",
        folder=folder,
        build=BuildSpec(**build),  # type: ignore[arg-type]
        packages=packages,
    )


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("usr/local/include/z.h", "dev"),
        ("usr/local/lib/libz.a", "dev"),
        ("usr/local/lib/pkgconfig/z.pc", "dev"),
        ("usr/local/share/pkgconfig/z.pc", "dev"),
        ("usr/local/lib/cmake/z/z.cmake", "dev"),
        ("usr/local/share/aclocal/z.m4", "dev"),
        ("usr/local/share/gir-1.0/Z.gir", "dev"),
        ("usr/lib/x86_64-linux-gnu/libz.a", "dev"),
        ("include/z.h", "dev"),
        ("usr/local/share/man/man1/z.1", "doc"),
        ("usr/local/man/man1/z.1", "doc"),
        ("usr/local/share/info/z.info", "doc"),
        ("usr/local/share/doc/zlib/README", "doc"),
        ("usr/local/share/gtk-doc/html/z/LICENSE", "doc"),
        ("usr/local/share/doc/zlib/COPYING", "main"),
        ("usr/local/share/doc/zlib/LICENSE.md", "main"),
        ("usr/local/share/doc/zlib/LICENSES/MIT.txt", "main"),
        ("usr/local/share/doc/zlib/licensed-users", "doc"),
        ("usr/local/share/locale/de/LC_MESSAGES/z.mo", "locale"),
        ("usr/local/share/i18n/charmaps/x", "locale"),
        ("usr/local/lib/libz.so.1", "main"),
        ("usr/local/lib/libz.so", "main"),
        ("usr/local/bin/manual", "main"),
        ("usr/local/share/include/x", "main"),
        ("usr/local/lib/girepository-1.0/Z.typelib", "main"),
        ("usr/local/lib/python3/site-packages/locale/x", "main"),
    ],
)
def test_parts(path: str, part: str) -> None:
    assert split.part_of(path) == part


def test_what_a_recipe_may_make() -> None:
    found = {spec.name: spec for spec in split.products(recipe(MAIN))}
    assert list(found) == ["zlib", "zlib-dev", "zlib-doc", "zlib-locale"]
    assert found["zlib-dev"].needs == ("zlib",)
    assert found["zlib-dev"].summary == "Compresses (development files)"
    assert found["zlib-dev"].tags == ("lib", "development")
    assert found["zlib-doc"].needs == found["zlib-locale"].needs == ()


def test_what_is_not_split() -> None:
    for packages in (
        recipe(MAIN, split=False),
        recipe(PackageSpec(name="zlib", files=("usr",))),
        recipe(PackageSpec(name="zlib", files=(), rest=True, form="layer")),
        recipe(PackageSpec(name="zlib-KERNEL", files=(), rest=True)),
    ):
        assert split.products(packages) == packages.packages


def _stage(dest: Path, *paths: str) -> None:
    for path in paths:
        (dest / path).parent.mkdir(parents=True, exist_ok=True)
        (dest / path).write_text(path)


def _shares(made: Recipe, dest: Path) -> dict[str, list[str]]:
    return {
        share.spec.name: [entry.path for entry in share.entries if not (dest / entry.path).is_dir()]
        for share in divide.shares(made, dest, scan(dest))
    }


def test_explicit_files_win(tmp_path: Path) -> None:
    _stage(tmp_path, "usr/local/include/z.h", "usr/local/include/own.h", "usr/local/bin/z", "usr/local/man/a")
    own = PackageSpec(name="own", files=("usr/local/include/own.h",))
    assert _shares(recipe(own, MAIN), tmp_path) == {
        "own": ["usr/local/include/own.h"],
        "zlib": ["usr/local/bin/z"],
        "zlib-dev": ["usr/local/include/z.h"],
        "zlib-doc": ["usr/local/man/a"],
    }
    # A package of the recipe that has a part's name takes the part in.
    named = PackageSpec(name="zlib-dev", files=("usr/local/bin/z",), needs=("other",))
    [_, dev, _, _] = divide.shares(recipe(MAIN, named, own), tmp_path, scan(tmp_path))
    assert dev.spec == named
    assert [entry.path for entry in dev.entries] == ["usr/local/bin/z", "usr/local/include/z.h"]


def test_links_for_linking(tmp_path: Path) -> None:
    _stage(tmp_path, "usr/local/lib/libc.so")
    (tmp_path / "usr/local/lib/plugins").mkdir()
    for name, target in {
        "libz.so": "libz.so.1",
        "plugins/libz.so": "../libz.so.1",
        "libz.so.1": "libz.so.1.2",
        "libabs.so": "/usr/local/lib/libelsewhere.so.1",
        "libround.so": "libround.so",
        "libup.so": "../../../../../../../../etc/passwd",
    }.items():
        (tmp_path / "usr/local/lib" / name).symlink_to(target)
    shares = _shares(recipe(MAIN), tmp_path)
    assert shares["zlib"] == ["usr/local/lib/libz.so.1", "usr/local/lib/plugins/libz.so"]
    assert len(shares["zlib-dev"]) == 5


def test_links_are_followed_inside_only(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x").write_text("secret")
    dest = tmp_path / "dest"
    _stage(dest, "usr/x")
    (dest / "up").symlink_to("../outside/x")
    (dest / "way").symlink_to("../outside")
    (dest / "through").symlink_to("way/x")
    (dest / "far").symlink_to(str(outside / "x"))
    (dest / "good").symlink_to("/usr/x")
    assert [divide.followed(dest, name) for name in ("up", "through", "far", "good")] == [
        *(None, None, None, "usr/x"),
    ]


def test_owner_rules_follow_their_files(tmp_path: Path) -> None:
    _stage(tmp_path, "usr/local/bin/z", "usr/local/share/man/man1/z.1")
    program, manual, nothing = (
        OwnerRule(path=path, mode=0o700) for path in ("usr/local/bin/z", "usr/local/share/man/**", "etc/none")
    )
    made = recipe(PackageSpec(name="zlib", files=(), rest=True, owners=(program, manual, nothing)))
    rules = {share.spec.name: share.spec.owners for share in divide.shares(made, tmp_path, scan(tmp_path))}
    assert rules == {"zlib": (program, nothing), "zlib-doc": (manual,)}


def test_without_a_rest_every_file_must_be_named(tmp_path: Path) -> None:
    _stage(tmp_path, "usr/local/bin/z", "usr/local/include/z.h")
    with pytest.raises(ConfigError, match="do not fit together") as caught:
        divide.shares(recipe(PackageSpec(name="zlib", files=("usr/local/bin",))), tmp_path, scan(tmp_path))
    assert [problem.where for problem in caught.value.problems] == ["usr/local/include/z.h"]


_words = st.sampled_from(
    ["usr", "local", "lib", "include", "share", "man", "doc", "locale", "COPYING", "x.a", "y.so"]
)


@settings(max_examples=40)
@given(paths=st.lists(st.lists(_words, min_size=1, max_size=5).map("/".join), min_size=1, max_size=8))
def test_every_file_is_in_exactly_one_package(
    tmp_path_factory: pytest.TempPathFactory, paths: list[str]
) -> None:
    dest = tmp_path_factory.mktemp("dest")
    for path in paths:
        try:
            (dest / path).parent.mkdir(parents=True, exist_ok=True)
            if path.endswith(".so"):
                (dest / path).symlink_to("COPYING")
            else:
                (dest / path).touch()
        except (FileExistsError, NotADirectoryError, IsADirectoryError, OSError):
            continue
    staged = [entry.path for entry in scan(dest) if not os.path.isdir(dest / entry.path)]  # noqa: PTH112
    shared = [path for share in _shares(recipe(MAIN), dest).values() for path in share]
    assert sorted(staged) == sorted(shared)
