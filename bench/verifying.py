"""Verifying a mirror of ``--size`` GB: each byte by md5 and sha256, links and index files compared.

Peers: ``md5sum -c`` and ``sha256sum -c`` on the same files, one hash each.
"""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING, Final

from bench import repository
from bench.harness import WANTED, Case, Side, shell
from tcz.metadata import Md5, md5_text
from tcz.mirror.compose import compose, state_files
from tcz.mirror.model import Catalogue, Entry
from tcz.mirror.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

    from tcz.mirror.objects import Objects
    from tcz.mirror.repository import Mirror

_LARGEST: Final = 50_000_000


def _entry(objects: Objects, name: str, size: int) -> Entry:
    rng = random.Random(name)  # noqa: S311 - not for secrets
    md5 = hashlib.md5(usedforsecurity=False)
    with objects.adding() as file:
        left = size
        while left:
            data = rng.randbytes(min(left, 1 << 20))
            md5.update(data)
            file.write(data)
            left -= len(data)
    digest = md5.hexdigest()
    files = {
        "": file.blob,
        ".md5.txt": objects.add_bytes(md5_text(Md5(md5=digest, name=f"{name}.tcz")).encode()),
        ".list": objects.add_bytes(f"usr/local/{name}\n".encode()),
    }
    return Entry(name=name, md5=digest, files=files)


def _mirror(root: Path, size: int) -> Mirror:
    mirror = repository.fresh(root)
    with mirror.writing(repository.QUIET) as writer:
        count = max(8, -(-size // _LARGEST))
        names = [f"p{number}" for number in range(count)]
        entries = {name: _entry(writer.objects, name, size // count) for name in names}
        new = Catalogue(serial=2, branches={repository.BRANCH: entries})
        made = compose(new, mirror.catalogue(), writer.objects)
        writer.publish(state_files(made, writer.objects), 2)
    return mirror


def cases(place: Path) -> tuple[Case, ...]:
    mirror = _mirror(place / "mirror", WANTED.size)
    folder = mirror.public / repository.BRANCH.folder
    for program in ("md5sum", "sha256sum"):
        shell(f'cd "$1"; {program} *.tcz >"$2"', folder, place / program)

    def ours() -> None:
        if verify(mirror, repository.QUIET).damage:
            raise AssertionError("the mirror is damaged")

    def peer(program: str, goal: str) -> Side:
        script = f'cd "$1"; {program} -c --quiet "$2"'
        return Side(
            name=f"{program} -c",
            run=lambda: shell(script, folder, place / program),
            needs=(program,),
            goal=goal,
        )

    peers = (peer("md5sum", "<= 1"), peer("sha256sum", ""))
    name = f"tcz mirror verify, {WANTED.size / 1e9:g} GB, both hashes"
    return (Case(name="verify", ours=Side(name=name, run=ours), peers=peers),)
