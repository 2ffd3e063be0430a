from pathlib import Path

import pytest

from tcz import licences
from tcz.model import Archive, DebianBinary, Local, PackageSpec, Recipe, Source

FIRST = Archive(url="https://x.example/x.tar.gz", sha256="0" * 64)
SECOND = Archive(url="https://x.example/y.tar.gz", sha256="1" * 64, dest="third/y")


def recipe(*sources: Source, rest: bool = True) -> Recipe:
    return Recipe(
        name="x",
        version="1",
        summary="X",
        license="MIT",
        homepage="https://x.example/",
        folder=Path("x"),
        sources=sources,
        packages=(PackageSpec(name="libx", files=() if rest else ("usr",), rest=rest),),
    )


def _write(place: Path, **texts: str) -> None:
    for path, text in texts.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(text)


def _shipped(dest: Path) -> dict[str, str]:
    folder = dest / "usr/local/share/doc/libx"
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    src, dest = tmp_path / "src", tmp_path / "dest"
    dest.mkdir()
    texts = {
        "COPYING": "mine",
        "LICENSES/MIT.txt": "mit",
        "README": "read",
        "src/COPYING": "deep",
        "third/y/COPYING": "theirs",
        "third/y/NOTICE": "note",
        "third/y/LICENSE-EMPTY": "",
    }
    _write(src, **texts)
    (src / "LICENSE").symlink_to("/etc/hostname")
    return src, dest


def test_texts_of_all_sources(places: tuple[Path, Path]) -> None:
    src, dest = places
    assert licences.ship(recipe(FIRST, SECOND), src, dest) == ()
    assert _shipped(dest) == {
        "COPYING": "mine",
        "LICENSES/MIT.txt": "mit",
        "third-y/COPYING": "theirs",
        "NOTICE": "note",
    }


def test_a_text_that_the_build_installed_is_enough(places: tuple[Path, Path]) -> None:
    src, dest = places
    _write(dest, **{"usr/local/share/doc/libx/LICENSE.txt": "own"})
    assert licences.ship(recipe(FIRST), src, dest) == ()
    assert _shipped(dest) == {"LICENSE.txt": "own"}


def test_nothing_for_packages_that_name_their_files(places: tuple[Path, Path]) -> None:
    src, dest = places
    assert licences.ship(recipe(FIRST, rest=False), src, dest) == ()
    assert _shipped(dest) == {}


def test_none_is_told(tmp_path: Path) -> None:
    for name in ("src", "dest"):
        (tmp_path / name).mkdir()
    [told] = licences.ship(recipe(Local(path="files")), tmp_path / "src", tmp_path / "dest")
    assert "$DEST/usr/local/share/doc/libx" in told


def test_debian_packages_have_theirs_below_doc(tmp_path: Path) -> None:
    (tmp_path / "dest").mkdir()
    texts = {"deb/usr/share/doc/a/copyright": "a", "deb/usr/share/doc/b/copyright": "b"}
    _write(tmp_path / "src", **texts)
    licences.ship(recipe(DebianBinary(package="a", dest="deb")), tmp_path / "src", tmp_path / "dest")
    assert _shipped(tmp_path / "dest") == {"a/copyright": "a", "b/copyright": "b"}
