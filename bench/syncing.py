"""A sync when nothing has changed upstream: over HTTP from nginx, and from a folder.

Peers: ``wget -N`` of every package (one conditional question each), ``rsync -a`` of the folder of packages.
Ours asks for the index files alone: they tell of every package.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bench import repository
from bench.harness import WANTED, Case, Side, shell
from bench.serving import start_nginx
from tcz.mirror.sync import Wish, sync
from tcz.mirror.upstream import FolderUpstream, Upstream, WebUpstream
from tcz.run import HostRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def _run(count: int, upstream: Upstream) -> Callable[[], None]:
    mirror = repository.mirror(count)

    def run() -> None:
        done = sync(mirror, upstream, repository.BRANCH, Wish(everything=True), repository.QUIET)
        if done.published or done.same != count:
            raise AssertionError("something was copied")

    return run


def _web(place: Path, count: int) -> Case:
    mirror = repository.mirror(count)
    base = start_nginx(place / "nginx", mirror)
    folder = f"{base}/{repository.BRANCH.folder}"
    copy = place / "wget"
    copy.mkdir()
    names = sorted(repository.needs(count))
    (place / "urls").write_text("".join(f"{folder}/{name}.tcz\n" for name in names))
    wget = Side(
        name=f"wget -N of {count} packages",
        run=lambda: shell('cd "$1"; wget -q -N -i "$2"', copy, place / "urls"),
        needs=("wget",),
    )
    ours = Side(
        name=f"tcz mirror sync --all, HTTP, {count} packages",
        run=_run(count, WebUpstream(base, repository.BRANCH, place / "cache")),
    )
    return Case(name=f"sync-http-{count}", ours=ours, peers=(wget,))


def _folder(place: Path, count: int) -> Case:
    mirror = repository.mirror(count)
    source = mirror.public / repository.BRANCH.folder
    rsync = Side(
        name="rsync -a of the folder",
        run=lambda: shell('rsync -a "$1/" "$2/"', os.path.realpath(source), place / "rsync"),
        needs=("rsync",),
    )
    ours = Side(
        name=f"tcz mirror sync --all, folder, {count} packages",
        run=_run(count, FolderUpstream(mirror.root, repository.BRANCH)),
    )
    return Case(name=f"sync-folder-{count}", ours=ours, peers=(rsync,))


def cases(place: Path) -> Iterator[Case]:
    for count in WANTED.packages:
        here = place / str(count)
        here.mkdir()
        if HostRunner().which("nginx") is not None:
            yield _web(here, count)
        yield _folder(here, count)
