"""Licence texts go along with what they are about: usr/local/share/doc/NAME, as Tiny Core has it.

A build script that installs one has the last word. Otherwise the texts at the top of each source are
taken, for the recipe whose main package holds the rest of its build. Those of modules and crates that are
compiled in are put together in one file (see ``tcz.thirdparty``).
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tcz import split, thirdparty
from tcz.model import CargoLock, GoToolchain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tcz.model import Recipe, Source
    from tcz.sandbox import Bind

_LARGEST = 1 << 20
_DEBIAN_TEXTS = "usr/share/doc/*/copyright"


def ship(recipe: Recipe, src: Path, dest: Path, binds: Iterable[Bind] = ()) -> tuple[str, ...]:
    """Put the licence texts of a recipe's sources below ``dest``; return what somebody should look at.

    ``binds`` are the folders of fetched modules and crates, as a build sees them. Nothing is done for a
    recipe whose packages name all their files, where the build installed a text itself, and for what is
    no extension.
    """
    main = split.main_package(recipe)
    if main is None or main.form != "extension":
        return ()
    thirdparty.write(dest, main.name, src, binds)
    folder = dest / split.LICENCE_FOLDER / main.name
    if folder.is_dir() and any(
        split.is_licence(path.relative_to(folder).as_posix()) for path in folder.rglob("*") if path.is_file()
    ):
        return ()
    found = dict(_texts(recipe, src))
    if not found:
        place = f"$DEST/{split.LICENCE_FOLDER}/{main.name}"
        return (
            f"{recipe.name}: no licence text at the top of its sources; let build.sh install one in {place}",
        )
    for name, path in found.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copyfile(path, target)
            target.chmod(0o644)
    return ()


def _texts(recipe: Recipe, src: Path) -> Iterator[tuple[str, Path]]:
    """Name the texts of all sources: those of the first as they are, others in a folder of their own."""
    seen: dict[str, bytes] = {}
    folders = dict.fromkeys(dest for source in recipe.sources if (dest := _dest(source)) is not None)
    for folder in folders:
        for path in _in_source(src / folder):
            name = path.relative_to(src / folder).as_posix()
            if path.match(_DEBIAN_TEXTS):
                name = f"{path.parent.name}/copyright"
            content = path.read_bytes()
            if name in seen and seen[name] != content:
                name = f"{folder.replace('/', '-')}/{name}"
            if seen.setdefault(name, content) == content:
                yield name, path


def _dest(source: Source) -> str | None:
    return None if isinstance(source, GoToolchain | CargoLock) else source.dest


def _in_source(folder: Path) -> Iterator[Path]:
    """Find texts at the top of a source, in its LICENSES folder, and where Debian's packages have theirs."""
    candidates = [
        *folder.glob("*"),
        *folder.glob("LICENSES/*"),
        *folder.glob(_DEBIAN_TEXTS),
    ]
    for path in sorted(candidates):
        inside = path.relative_to(folder).as_posix()
        if (
            not path.is_symlink()
            and path.is_file()
            and (split.is_licence(inside) or path.name == "copyright")
            and 0 < path.stat().st_size <= _LARGEST
        ):
            yield path
