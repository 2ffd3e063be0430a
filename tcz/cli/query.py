"""Commands that ask recipes and mirrors: deps, rdeps, search, info, provides, list, changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tcz import clikit
from tcz.cli import arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tcz.mirror.shelf import Item, Shelf
    from tcz.query_commands import Missed, Size
    from tcz.resolve import Resolution

_F = TypeVar("_F", bound="Callable[..., Any]")

_branch = click.option(
    "--branch",
    metavar="RELEASE/ARCH",
    default="",
    help="Which branch, where a mirror has several: 17.x/x86_64.",
)
_kernel = click.option(
    "--kernel", metavar="RELEASE", help="What -KERNEL in a name stands for, as uname -r has it."
)
_keys = click.option(
    "--mirror-key",
    "keys",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Refuse every MIRROR that this public key has not signed (repeatable: any of them).",
)


def _mirrors(function: _F) -> _F:
    option = click.option(
        "-m",
        "--mirror",
        "mirrors",
        metavar="MIRROR",
        multiple=True,
        help="Ask MIRROR: a folder, an address or a name in config.toml (repeatable; the first that has a "
        "package counts).",
    )
    return option(_keys(_branch(function)))


def _shelf(mirrors: Sequence[str], keys: Sequence[Path], branch: str) -> Shelf:
    """Open the mirrors named, else the one that the environment names, else those of the configuration."""
    from tcz.mirror import known
    from tcz.mirror.opening import open_shelf
    from tcz.paths import Dirs

    dirs = Dirs.from_env()
    return open_shelf(known.chosen(mirrors, keys, dirs, os.environ.get("TCZ_MIRROR", "")), branch, dirs)


def _refuse(names: Sequence[str], mirrors: Sequence[str], keys: Sequence[Path]) -> None:
    if not names:
        raise click.UsageError("name at least one package")
    if keys and not mirrors:
        raise click.UsageError("--mirror-key goes with --mirror")


@click.command(
    cls=clikit.Command,
    examples=[
        "tcz deps docker                             the load order, by the recipes",
        "tcz deps docker --tree                      as a tree",
        "tcz deps docker --why runc                  how docker comes to need runc",
        "tcz deps nano vim --mirror ./mirror --size  what a mirror has, with sizes",
        "tcz deps alsa --mirror ./mirror --kernel 6.18.2-tinycore64",
        "tcz deps nano --mirror https://tc.example.org --mirror-key release.pub    signed, or refused",
        "tcz deps docker --svg > docker.svg          drawn; --dot for Graphviz",
        "tcz deps --all --mirror ./mirror            a line for each package: NAME: what it needs",
    ],
    codes=[4, 5],
)
@arguments.names
@_mirrors
@_kernel
@click.option("--tree", "form", flag_value="tree", help="Draw a tree instead of listing the load order.")
@click.option("--size", "form", flag_value="size", help="Add the bytes to download and those installed.")
@click.option("--dot", "form", flag_value="dot", help="Write a graph for Graphviz.")
@click.option("--svg", "form", flag_value="svg", help="Write a drawing.")
@click.option("--why", metavar="PACKAGE", help="Show the shortest chain that leads to PACKAGE.")
@click.option("--all", "every", is_flag=True, help="Show the load order of every package, a line each.")
@clikit.recipes_option
@clikit.json_option
def deps(
    names: tuple[str, ...],
    mirrors: tuple[str, ...],
    keys: tuple[Path, ...],
    branch: str,
    kernel: str | None,
    form: str | None,
    why: str | None,
    every: bool,
    recipe_folders: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Show what packages need, in the order Tiny Core loads it: by recipes (or all packages of a recipe),
    or with --mirror by what mirrors have.
    """  # noqa: D205 - one sentence
    from tcz import query_commands as commands
    from tcz.errors import ConfigError

    if every:
        if names or form or why:
            raise click.UsageError("--all goes with none of the others but --mirror, --kernel and --json")
        _refuse(["--all"], mirrors, keys)
        shelf = _shelf(mirrors, keys, branch) if mirrors else None
        _show_all(shelf, recipe_folders, kernel, as_json=as_json)
        return
    _refuse(names, mirrors, keys)
    sizes: tuple[Size, ...] = ()
    if mirrors:
        found, gone, shelf = _by_mirrors(names, mirrors, keys, branch, kernel)
        if form == "size":
            sizes = commands.sizes(shelf, found)
    elif form == "size":
        raise ConfigError("sizes are told by a mirror", hint="name one with --mirror")
    else:
        found, gone = _by_recipes(names, recipe_folders, kernel)
    if as_json:
        clikit.echo_json(commands.told(found, why, gone, sizes))
    else:
        _show(found, form, why, sizes)
    for cycle in found.cycles:
        click.echo(f"warning: goes round: {' -> '.join(cycle)}", err=True)
    commands.refuse_missing(gone, "mirror has" if mirrors else "recipe makes")


def _show_all(shelf: Shelf | None, folders: Sequence[Path], kernel: str | None, *, as_json: bool) -> None:
    from tcz import query_commands as commands
    from tcz.commands import open_recipes

    graph = commands.recipes_graph(open_recipes(folders)) if shelf is None else dict(shelf.graph())
    found = commands.Everything(graph, kernel)
    if as_json:
        clikit.echo_json(list(found))
    else:
        clikit.echo_lines(f"{one.name}: {' '.join(one.order[:-1])}".rstrip() for one in found)
    for line in found.warnings():
        click.echo(f"warning: {line}", err=True)


def _by_mirrors(
    names: Sequence[str], mirrors: Sequence[str], keys: Sequence[Path], branch: str, kernel: str | None
) -> tuple[Resolution, tuple[Missed, ...], Shelf]:
    from tcz import query_commands as commands
    from tcz import quick
    from tcz.mirror import known
    from tcz.paths import Dirs

    meant = known.chosen(mirrors, keys, Dirs.from_env())
    # Under the name of a configured mirror there may be a folder as well.
    before = quick.signature(mirrors[0], branch) if meant[0].address == mirrors[0] else None
    shelf = _shelf(mirrors, keys, branch)
    found = shelf.closure(names, kernel)
    commands.remember(mirrors, branch, shelf, before)
    return found, commands.missed(found, shelf.names() if found.missing else ()), shelf


def _by_recipes(
    names: Sequence[str], folders: Sequence[Path], kernel: str | None
) -> tuple[Resolution, tuple[Missed, ...]]:
    from tcz import query_commands, recipe_graph
    from tcz.commands import open_recipes, wanted_packages

    recipes = open_recipes(folders)
    found = recipe_graph.package_closure(recipes, wanted_packages(recipes, names), kernel)
    known = query_commands.recipes_graph(recipes) if found.missing else ()
    return found, query_commands.missed(found, known)


def _show(found: Resolution, form: str | None, why: str | None, sizes: Sequence[Size]) -> None:
    from tcz import drawing
    from tcz import query_commands as commands

    if why is not None:
        clikit.echo_lines([commands.chain_text(found, why)])
    elif form == "tree":
        clikit.echo_lines(commands.tree(found))
    elif form == "size":
        clikit.echo_lines(commands.size_lines(sizes))
    elif form == "dot":
        click.echo(drawing.dot(found), nl=False)
    elif form == "svg":
        click.echo(drawing.svg(found), nl=False)
    else:
        clikit.echo_lines(found.order)


@click.command(
    cls=clikit.Command,
    examples=["tcz rdeps libseccomp", "tcz rdeps openssl --all --mirror ./mirror"],
    codes=[4, 5],
)
@arguments.names
@click.option("--all", "deep", is_flag=True, help="Also what needs them through other packages.")
@_mirrors
@_kernel
@clikit.recipes_option
@clikit.json_option
def rdeps(
    names: tuple[str, ...],
    deep: bool,
    mirrors: tuple[str, ...],
    keys: tuple[Path, ...],
    branch: str,
    kernel: str | None,
    recipe_folders: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Show which packages need NAME: by recipes, or with --mirror by what mirrors have."""
    from tcz import query_commands as commands
    from tcz.commands import open_recipes

    _refuse(names, mirrors, keys)
    graph = (
        dict(_shelf(mirrors, keys, branch).graph())
        if mirrors
        else commands.recipes_graph(open_recipes(recipe_folders))
    )
    # what is needed and missing may be asked for as well: who still needs it?
    known = {*graph, *(need for needs in graph.values() for need in needs)}
    commands.refuse_unknown(names, known | {name for name in names if kernel and "-" in name}, kernel)
    found = commands.dependants(graph, names, kernel, deep=deep)
    if as_json:
        clikit.echo_json(found)
    else:
        clikit.echo_lines(found)


@click.command(
    cls=clikit.Command,
    examples=["tcz search nano --mirror ./mirror", "tcz search -t editor ncurses    every word, in the tags"],
    codes=[4, 5],
)
@click.argument("words", nargs=-1, required=True, metavar="WORDS...")
@click.option("-t", "--tags", is_flag=True, help="Look in names and tags.")
@_mirrors
@clikit.json_option
def search(
    words: tuple[str, ...],
    tags: bool,
    mirrors: tuple[str, ...],
    keys: tuple[Path, ...],
    branch: str,
    as_json: bool,
) -> None:
    """List the packages whose name matches every word (regular expressions, in any case)."""
    from tcz import query_commands as commands

    _show_items(commands.search(_shelf(mirrors, keys, branch), words, tags=tags), as_json=as_json, long=False)


@click.command(cls=clikit.Command, examples=["tcz info nano --mirror ./mirror"], codes=[4, 5])
@click.argument("name")
@_mirrors
@clikit.json_option
def info(name: str, mirrors: tuple[str, ...], keys: tuple[Path, ...], branch: str, as_json: bool) -> None:
    """Show what a mirror says of a package."""
    from tcz import query_commands as commands

    shelf = _shelf(mirrors, keys, branch)
    item = commands.item_named(shelf, name)
    if as_json:
        clikit.echo_json(item)
    else:
        clikit.echo_lines(commands.item_lines(item))


@click.command(
    cls=clikit.Command,
    examples=[
        "tcz provides libcrypto.so --mirror ./mirror",
        "tcz provides 'bin/grep$' --paths      a path that ends so",
        "tcz provides /usr/local/bin/nano      a path that begins so",
    ],
    codes=[4, 5],
)
@click.argument("path")
@click.option("-f", "--paths", "full", is_flag=True, help="Write the paths that match as well.")
@_mirrors
@clikit.json_option
def provides(
    path: str, full: bool, mirrors: tuple[str, ...], keys: tuple[Path, ...], branch: str, as_json: bool
) -> None:
    """List the packages that have a file whose path holds PATH."""
    from tcz import query_commands as commands

    found = commands.providing(_shelf(mirrors, keys, branch), path)
    if as_json:
        clikit.echo_json(found)
    elif full:
        clikit.echo_lines(f"{name}\t{one}" for name, paths in found.items() for one in paths)
    else:
        clikit.echo_lines(found)


@click.command(
    "list", cls=clikit.Command, examples=["tcz list --mirror ./mirror", "tcz list --long"], codes=[4, 5]
)
@click.option("-l", "--long", is_flag=True, help="With version, size and where each comes from.")
@_mirrors
@clikit.json_option
def list_(long: bool, mirrors: tuple[str, ...], keys: tuple[Path, ...], branch: str, as_json: bool) -> None:
    """List all packages of a mirror, or of several."""
    _show_items(_shelf(mirrors, keys, branch).found(lambda _item: True), as_json=as_json, long=long)


def _show_items(items: Iterable[Item], *, as_json: bool, long: bool) -> None:
    from tcz import query_commands as commands

    if as_json:
        clikit.echo_json(list(items))
    elif long:
        clikit.echo_lines(commands.long_lines(items))
    else:
        clikit.echo_lines(item.name for item in items)


@click.command(
    cls=clikit.Command,
    examples=[
        "tcz changed 2026-01 public --mirror ./mirror   from a snapshot to what is shown now",
        "tcz changed ./mirror http://mirror.example.net/17.x/x86_64/tcz",
    ],
    codes=[4, 5],
)
@click.argument("old", metavar="A")
@click.argument("new", metavar="B")
@click.option(
    "-m", "--mirror", metavar="DIR", help="A and B are snapshots or serials of the mirror in DIR, or public."
)
@_keys
@_branch
@clikit.json_option
def changed(
    old: str, new: str, mirror: str | None, keys: tuple[Path, ...], branch: str, as_json: bool
) -> None:
    """Show which packages B has that A has not, has no more, or has in other bytes or with other needs."""
    from tcz import query_commands as commands
    from tcz.mirror.opening import open_state
    from tcz.paths import Dirs

    dirs = Dirs.from_env()
    found = commands.changes(*(open_state(state, mirror, branch, dirs, keys) for state in (old, new)))
    if as_json:
        clikit.echo_json(found)
    else:
        clikit.echo_lines(commands.change_lines(found))
