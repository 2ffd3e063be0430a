"""What ``tcz import`` does, without the command line: values in, values and lines out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcz import clikit, names
from tcz.apt import Apt
from tcz.errors import ConfigError
from tcz.importing import finish, job
from tcz.paths import Dirs, check_writable
from tcz.recipe import Recipes, standard_folders
from tcz.run import HostRunner
from tcz.squashfs.options import COMPRESSORS, SquashOptions
from tcz.squashfs.writer import write
from tcz.store import Store
from tcz.toml import guess

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tcz.importing.draft import Note
    from tcz.importing.mapping import Provided
    from tcz.reporting import Reporter
    from tcz.tree import Tree

_TITLES = {
    "by-hand": "not translated, look at it",
    "left-out": "left out",
    "changed": "changed",
    "done": "translated",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One extension of ``tcz import --json``; ``path`` and ``sha256`` are empty in a dry run."""

    name: str
    version: str
    needs: tuple[str, ...]
    license: str
    files: int
    installed: int
    notes: tuple[Note, ...]
    path: str = ""
    sha256: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldAll:
    """What ``tcz import --json`` writes."""

    extensions: tuple[Told, ...]
    provided: tuple[Provided, ...]


def squash_options(compressor: str, block: int) -> SquashOptions:
    """Return how images are packed. Raises ``ConfigError`` for what the format does not have."""
    for known in COMPRESSORS:
        if compressor == known:
            return SquashOptions(compressor=known, block=block)
    hint = guess(compressor, COMPRESSORS) or f"use one of {', '.join(COMPRESSORS)}"
    raise ConfigError(f"there is no compressor {compressor!r}", hint=hint)


def run(
    request: job.Request,
    options: SquashOptions | None,
    output: Path,
    reporter: Reporter,
    recipe_folders: Sequence[Path] | None,
) -> job.Result:
    """Import for the user; without ``options`` nothing is written.

    With ``recipe_folders`` packages of recipes stand in for Debian's of the same name.
    """
    dirs, runner = Dirs.from_env(), HostRunner()
    if options is not None:
        check_writable(output / "x.tcz")
    mirror = os.environ.get("TCZ_DEBIAN_MIRROR") or None

    def apt() -> Apt:
        return Apt(dirs, Store(dirs.cache / "store"), runner, reporter, mirror=mirror)

    parts = job.Parts(
        apt=apt,
        recipe_of=_recipe_of(recipe_folders),
        reporter=reporter,
        scratch=dirs.cache_folder("work"),
    )
    pack = None if options is None else _packer(options)
    return job.run(request, parts, pack, output)


def _packer(options: SquashOptions) -> finish.Packer:
    def pack(tree: Tree, output: Path, epoch: int) -> None:
        write(tree, output, options, epoch=epoch)

    return pack


def _recipe_of(folders: Sequence[Path] | None) -> Callable[[str], str | None]:
    if folders is None:
        return lambda _: None
    recipes = Recipes(standard_folders(folders))

    def find(package: str) -> str | None:
        return package if names.is_package_name(package) and recipes.find_package(package) else None

    return find


def told(result: job.Result) -> ToldAll:
    """Return what a program may want to know of an import."""
    made = {package.name: package for package in result.packages}
    return ToldAll(
        extensions=tuple(
            Told(
                name=draft.name,
                version=draft.version,
                needs=draft.needs,
                license=draft.license,
                files=sum(not node.is_dir for _, node in draft.tree.items()),
                installed=draft.tree.content_size(),
                notes=draft.notes,
                path=str(made[draft.name].path) if draft.name in made else "",
                sha256=made[draft.name].sha256 if draft.name in made else "",
                size=made[draft.name].size if draft.name in made else 0,
            )
            for draft in result.drafts
        ),
        provided=result.provided,
    )


def lines(result: job.Result) -> tuple[str, ...]:
    """Return the paths of what was written; in a dry run a table of what would be, and of what would not."""
    if result.packages:
        return tuple(str(package.path) for package in result.packages)
    made = [
        (d.name, d.version, clikit.size_text(d.tree.content_size()), ", ".join(d.needs))
        for d in result.drafts
    ]
    spared = [(one.package, "", one.by, one.why) for one in result.provided]
    return clikit.columns([*made, *spared])


def note_lines(result: job.Result) -> tuple[str, ...]:
    """Return all notes, by package and by what they ask of the reader, the urgent ones first."""
    out = []
    for draft in result.drafts:
        for verdict, title in _TITLES.items():
            mine = [note for note in draft.notes if note.verdict == verdict]
            if mine:
                out.append(f"{draft.name}: {title}:")
                out += [f"  {note.where}: {note.text}" for note in mine]
    return tuple(out)
