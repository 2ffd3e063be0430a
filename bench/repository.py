"""A repository made up to measure with, as large as is asked for, in the shape of Tiny Core's own.

Names and needs are those of ``tests/data``, again with a number behind the name until there are enough.
How many files a package has and how large they are follows a distribution with a long tail; the images are
written by ``tcz.squashfs``. Some hundred of them differ in what they hold, the others in the moment that
their superblock tells: enough for every package to have bytes of its own. Up to some thousand packages are
half a MB large on average, as Tiny Core's are; of more than that each has some ten KB. The same in every run.
"""

from __future__ import annotations

import atexit
import functools
import gzip
import hashlib
import math
import os
import random
import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.data import EPOCH, program
from tcz import zsync
from tcz.metadata import Info, Md5, dep_text, info_text, md5_text
from tcz.mirror import changes
from tcz.mirror.config import Config
from tcz.mirror.model import Branch
from tcz.names import file_name
from tcz.reporting import SilentReporter
from tcz.squashfs.options import SquashOptions
from tcz.squashfs.writer import write
from tcz.tree import Tree, regular, symlink

if TYPE_CHECKING:
    from tcz.mirror.repository import Mirror

BRANCH: Final = Branch.parse("17.x/x86_64")
QUIET: Final = SilentReporter()
_NEEDS: Final = Path(__file__).parents[1] / "tests/data/tc13-x86_64-needs.txt.gz"
_KINDS: Final = 600
#: Median, spread and most of the files of a package, and of its program's bytes.
_FILES: Final = (20, 1.4, 4000)
_LARGE: Final = (80_000, 2.0, 20_000_000)
_SMALL: Final = (4000, 1.5, 400_000)
#: Repositories of more packages have small ones.
FEW: Final = 5000
#: Where an image tells when it was made: four bytes.
_TIME: Final = 8


@functools.cache
def needs(count: int) -> dict[str, tuple[str, ...]]:
    """Return what each of ``count`` packages needs."""
    lines = gzip.decompress(_NEEDS.read_bytes()).decode().splitlines()
    real = {words[0]: words[1:] for words in map(str.split, lines)}
    found: dict[str, tuple[str, ...]] = {}
    again = 1
    while len(found) < count:
        end = "" if again == 1 else f"-{again}"
        names = list(real)[: count - len(found)]
        known = set(names)
        found |= {name + end: tuple(need + end for need in real[name] if need in known) for name in names}
        again += 1
    return found


@functools.cache
def _place() -> Path:
    """Return a folder that goes when the program ends."""
    folder = tempfile.mkdtemp(prefix="bench-repository-")
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return Path(folder)


def _tail(rng: random.Random, shape: tuple[int, float, int]) -> int:
    median, spread, most = shape
    return max(1, min(most, int(rng.lognormvariate(math.log(median), spread))))


@functools.cache
def _pool(seed: int) -> bytes:
    return program(500_000, seed)


def _image(job: tuple[Path, int, tuple[int, float, int]]) -> None:
    """Write one of the images that the others are made from, and its .zsync."""
    path, kind, size = job
    rng = random.Random(kind)  # noqa: S311 - not for secrets
    pool = _pool(kind % 7)
    nodes = {f"usr/local/bin/program-{kind}": regular(rng.randbytes(_tail(rng, size)), 0o755)}
    for number in range(_tail(rng, _FILES)):
        folder = f"usr/local/{('share/doc', 'lib', 'include')[number % 3]}/package-{kind}/{number % 5}"
        if number % 10 == 9:  # noqa: PLR2004
            nodes[f"{folder}/link-{number}"] = symlink(f"file-{number - 5}")
        else:
            at = rng.randrange(400_000)
            nodes[f"{folder}/file-{number}"] = regular(pool[at : at + rng.randrange(600)])
    options = SquashOptions(level=1)
    write(Tree(nodes), path, options, epoch=EPOCH, threads=1)
    Path(f"{path}.zsync").write_bytes(zsync.control(path, epoch=EPOCH))


@functools.cache
def _images(size: tuple[int, float, int]) -> tuple[Path, ...]:
    folder = _place() / f"images-{size[0]}"
    folder.mkdir()
    paths = [folder / str(kind) for kind in range(_KINDS)]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(_image, ((path, kind, size) for kind, path in enumerate(paths)), chunksize=10))
    return tuple(paths)


def put(folder: Path, name: str, number: int, count: int) -> Path:
    """Write a package of a repository of ``count``, with its companions; ``number`` decides its content."""
    kind = _images(_LARGE if count <= FEW else _SMALL)[number % _KINDS]
    image = bytearray(kind.read_bytes())
    epoch = EPOCH + number // _KINDS
    image[_TIME : _TIME + 4] = epoch.to_bytes(4, "little")
    path = folder / file_name(name)
    path.write_bytes(image)
    before = zsync.Before(path=kind, control=Path(f"{kind}.zsync").read_bytes())
    Path(f"{path}.zsync").write_bytes(zsync.control(path, epoch=epoch, before=before))
    digest = hashlib.md5(image, usedforsecurity=False).hexdigest()
    Path(f"{path}.md5.txt").write_text(md5_text(Md5(md5=digest, name=path.name)))
    info = Info(
        title=path.name,
        description=f"What {name} does",
        version=f"{number % 7}.{number % 10}",
        author="Somebody",
        original_site=f"https://{name}.example".replace("+", "-"),
        copying_policy="MIT",
        size=f"{len(image) >> 10}K",
        extension_by="us",
        tags=" ".join(name.replace("-", " ").split()),
        comments="none",
        change_log="2025/01/01 first version",
        current="2025/01/01 first version",
    )
    Path(f"{path}.info").write_text(info_text(info))
    text = dep_text(needs(count)[name])
    if text is not None:
        Path(f"{path}.dep").write_text(text)
    return path


@functools.cache
def folder(count: int) -> Path:
    """Return a folder of packages with .md5.txt, .info, .dep and .zsync; nothing may be changed in it."""
    made = _place() / f"packages-{count}"
    made.mkdir()
    for number, name in enumerate(needs(count)):
        put(made, name, number, count)
    return made


def fresh(root: Path) -> Mirror:
    """Begin a mirror with nothing in it."""
    return changes.init(root, Config(title="Bench", branches=(BRANCH,), keep=3, latest={}), QUIET)


def filled(root: Path, count: int) -> Mirror:
    """Make a mirror of all packages."""
    mirror = fresh(root)
    changes.add(mirror, sorted(folder(count).glob("*.tcz")), BRANCH, QUIET)
    return mirror


@functools.cache
def mirror(count: int) -> Mirror:
    """Return a mirror of ``count`` packages, shared by all cases; they leave it as large as it is."""
    return filled(_place() / f"mirror-{count}", count)
