"""Packages and index files that were made to harm: one clear error each, little memory, nothing published."""

from __future__ import annotations

import gzip
import os
import resource
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tcz.errors import ToolkitError
from tcz.mirror.repository import Mirror
from tcz.mirror.sync import Wish, sync
from tcz.mirror.upstream import FolderUpstream
from tcz.mirror.verify import verify
from tests.unit.mirror_made import BRANCH, QUIET, added, begun, package, quick_folder
from tests.unit.repository_made import TCZ, index, put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOM = 1 << 29


@pytest.fixture
def top() -> Iterator[Path]:
    with quick_folder() as folder:
        put(folder / "theirs" / TCZ, "a", ["b"])
        put(folder / "theirs" / TCZ, "b")
        index(folder / "theirs" / TCZ)
        added(begun(folder / "m"), package(folder / "in", "mine"))
        yield folder


def bounded(work: Callable[[], object]) -> str:
    """Do something in a process with little memory; return the error that it told, empty for none."""
    reader, writer = os.pipe()
    process = os.fork()
    if not process:
        said = "it ended otherwise"
        try:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))
            work()
            said = ""
        except ToolkitError as error:
            said = "\n".join(error.lines())
        except BaseException as error:  # noqa: BLE001 - told to the test
            said = f"not an error of ours: {type(error).__name__} {error}"
        finally:
            os.write(writer, said.encode()[:60_000])
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as told:
        said = told.read().decode()
    os.waitpid(process, 0)
    return said


def unchanged(mirror: Mirror) -> bool:
    names = [path.name for path in (mirror.public / TCZ).glob("*.tcz")]
    return names == ["mine.tcz"] and verify(mirror, QUIET).damage == ()


def synced(top: Path) -> str:
    mirror = Mirror(top / "m")
    upstream = FolderUpstream(top / "theirs", BRANCH)
    return bounded(lambda: sync(mirror, upstream, BRANCH, Wish(everything=True), QUIET))


INDEXES = {
    "a bomb": ("md5.db.gz", gzip.compress(bytes(64 << 20)), "unpacks to more than"),
    "bombs in a row": ("md5.db.gz", gzip.compress(b"\n" * (8 << 20)) * 75, "unpacks to more than"),
    "not gzip": ("md5.db.gz", b"\x1f\x8b" + bytes(100), "damaged"),
    "cut off": ("dep.db.gz", gzip.compress(os.urandom(5000))[:3000], "cut off"),
    "binary": ("md5.db.gz", gzip.compress(os.urandom(5000)), "not an md5 and a name"),
    "not UTF-8": ("info.lst.gz", gzip.compress(b"a\xff\xfe.tcz\n"), "not a package name"),
    "NUL": ("info.lst.gz", gzip.compress(b"a.tcz\0b.tcz\n"), "not a package name"),
    "traversal": ("md5.db.gz", gzip.compress(b"0" * 32 + b"  ../../a.tcz\n"), "not a package name"),
    "a command": ("dep.db.gz", gzip.compress(b"a.tcz\n$(reboot).tcz\n\n"), "not a package name"),
    "a backquote": ("tags.db.gz", gzip.compress(b"`reboot`.tcz\tx\n"), "not a package name"),
    "a newline of another kind": (
        "info.lst.gz",
        gzip.compress("a\u2028b.tcz\n".encode()),
        "not a package name",
    ),
    "a name without end": ("info.lst.gz", gzip.compress(b"a" * (10 << 20)), "not a package name"),
    "a size without end": (
        "sizelist.gz",
        gzip.compress(b"a.tcz " + b"9" * 5000 + b"\n"),
        "not a name and a size",
    ),
    "a size below nothing": ("sizelist.gz", gzip.compress(b"a.tcz -5\n"), "not a name and a size"),
    "an option": ("info.lst.gz", gzip.compress(b"-rf.tcz\n"), "not a package name"),
    "a page": ("dep.db.gz", b"<!doctype html>\n<html></html>", "web page"),
    "too large": ("md5.db", None, "larger than any index file"),
}


def spoiled(folder: Path, case: str) -> str:
    """Put a hostile index file into a repository; return the words of the error that it deserves."""
    name, data, words = INDEXES[case]
    (folder / f"{name.removesuffix('.gz')}.gz").unlink()
    if data is None:
        with (folder / name).open("wb") as file:
            file.truncate((1 << 28) + 1)
    else:
        (folder / name).write_bytes(data)
    return words


@pytest.mark.parametrize("case", INDEXES)
def test_hostile_index_files(case: str, top: Path) -> None:
    words = spoiled(top / "theirs" / TCZ, case)
    assert words in synced(top)
    assert unchanged(Mirror(top / "m"))


def test_many_names(top: Path) -> None:
    """Many packages that are not there, and one that needs them all."""
    folder = top / "theirs" / TCZ
    names = [f"p{number}.tcz\n" for number in range(50_000)]
    (folder / "info.lst.gz").write_bytes(gzip.compress("".join(names[:2]).encode()))
    (folder / "dep.db.gz").write_bytes(gzip.compress("".join(names).encode()))
    for one in ("md5.db", "sizelist", "tags.db"):
        (folder / f"{one}.gz").unlink()
    said = synced(top)
    assert said
    assert "not an error of ours" not in said
    assert unchanged(Mirror(top / "m"))


def layered(folder: Path, layers: int) -> None:
    """Write packages each of which needs both of the next layer: a tree of 2 ** layers lines."""
    for layer in range(layers):
        needs = [f"l{layer + 1}x", f"l{layer + 1}y"] if layer + 1 < layers else []
        for side in "xy":
            package(folder, f"l{layer}{side}", *needs)


def test_a_tree_without_end(top: Path) -> None:
    layered(top / "deep", 40)
    mirror = Mirror(top / "m")
    said = bounded(lambda: added(mirror, *(top / "deep").glob("*.tcz")))
    assert "not an error of ours" not in said
    assert verify(mirror, QUIET).damage == ()


@pytest.mark.skipif(shutil.which("mksquashfs") is None, reason="no mksquashfs")
def test_an_image_of_very_much_nothing(top: Path) -> None:
    """A package of some KiB that holds 1 GiB of zeros is published without unpacking them."""
    (top / "tree/usr/local").mkdir(parents=True)
    with (top / "tree/usr/local/zeros").open("wb") as file:
        file.truncate(1 << 30)
    (top / "bomb").mkdir()
    image = top / "bomb/bomb.tcz"
    subprocess.run(
        [
            "mksquashfs",
            top / "tree",
            image,
            "-b",
            "1M",
            "-comp",
            "zstd",
            "-quiet",
            "-no-progress",
            "-all-root",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    assert image.stat().st_size < 1 << 20
    mirror = Mirror(top / "m")
    assert bounded(lambda: added(mirror, image)) == ""
    assert (mirror.public / TCZ / "bomb.tcz.list").read_text() == "usr/local/zeros\n"
    assert mirror.catalogue().entries(BRANCH)["bomb"].installed == 1 << 30


@pytest.mark.parametrize(
    ("suffix", "data", "words"),
    [
        (".dep", b"$(touch /tmp/x).tcz\n", "not a package name"),
        (".dep", b"b.tcz;reboot\n", "not a package name"),
        (".dep", b"../../etc/passwd.tcz\n", "not a package name"),
        (".dep", bytes(100), "not a package name"),
        (".dep", b"a" * (70 << 20), "larger than that of any package"),
        (".md5.txt", b"<html>\n", "md5"),
        (".md5.txt", b"0" * 32 + b"  a.tcz\n", "md5"),
    ],
)
def test_hostile_companions(suffix: str, data: bytes, words: str, top: Path) -> None:
    image = package(top / "bad", "a")
    image.with_name(f"a.tcz{suffix}").write_bytes(data)
    mirror = Mirror(top / "m")
    assert words in bounded(lambda: added(mirror, image))
    assert unchanged(mirror)
