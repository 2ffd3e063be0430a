"""Images written by mksquashfs in a build root, read by the machine's own unsquashfs."""

from __future__ import annotations

import os
import stat
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tcz.build import SQUASH_TOOLS
from tcz.errors import ConfigError, VerifyError
from tcz.squash import Squasher, SquashOptions, pseudo_file
from tcz.tree import FileRef, Node, Tree, directory, regular, symlink

if TYPE_CHECKING:
    from collections.abc import Callable

EPOCH = 1735689600


@pytest.fixture
def squasher(bench: Any, tmp_path: Path) -> Squasher:
    builder = bench("squash").workshop.builder
    return Squasher(builder.sandbox, builder.roots.get(SQUASH_TOOLS).path, tmp_path)


def sample(folder: Path) -> Tree:
    folder.mkdir(parents=True)
    big = folder / "big"
    big.write_bytes(b"hello" * 100_000)
    su = regular(FileRef(big, 0, 500_000), mode=0o4755, gid=50)
    return Tree(
        {
            "": directory(0o755),
            "bin/su": su,
            "bin/zu": replace(su, data=b"", link="bin/su"),
            "part": regular(FileRef(big, 5, 5)),
            "dev/console": Node(mode=stat.S_IFCHR | 0o600, rdev=(5, 1)),
            "dev/sda": Node(mode=stat.S_IFBLK | 0o660, gid=6, rdev=(8, 17)),
            "dev/pipe": Node(mode=stat.S_IFIFO | 0o622),
            'odd/a "q" \\b': regular(b"x", 0o600, 1001, 50),
            "odd/\udcff\udcfe": regular(b"y"),
            "odd/# x": regular(b""),
            "odd/ lead ": regular(b"1"),
            "odd/-x": regular(b"2"),
            "odd/*?[a]": regular(b"3"),
            "odd/link": symlink("to where", 5, 6),
            "srv": directory(0o2775, 1001, 50),
        }
    )


def rows(image: Path) -> dict[str, list[str]]:
    argv = ["unsquashfs", "-lln", image]
    out = subprocess.run(argv, check=True, capture_output=True, env={"TZ": "UTC", "LC_ALL": "C.UTF-8"}).stdout
    found = {}
    for line in out.decode(errors="surrogateescape").splitlines():
        facts, mark, path = line.partition(" squashfs-root")
        if mark:
            found[path] = facts.replace(",  ", ",").replace(", ", ",").split()[:3]
    return found


@pytest.mark.build
@pytest.mark.parametrize(
    "options",
    [
        SquashOptions(),
        SquashOptions(block=4096, level=9),
        SquashOptions(compressor="zstd", block=1 << 20, level=19),
        SquashOptions(compressor="xz"),
    ],
)
def test_owners_devices_and_names(squasher: Squasher, tmp_path: Path, options: SquashOptions) -> None:
    image = tmp_path / "x.tcz"
    squasher.pack(sample(tmp_path / "a"), image, options, epoch=EPOCH)
    assert rows(image) == {
        "": ["drwxr-xr-x", "0/0", image_size(image, "")],
        "/bin": ["drwxr-xr-x", "0/0", image_size(image, "/bin")],
        "/bin/su": ["-rwsr-xr-x", "0/50", "500000"],
        "/bin/zu": ["-rwsr-xr-x", "0/50", "500000"],
        "/dev": ["drwxr-xr-x", "0/0", image_size(image, "/dev")],
        "/dev/console": ["crw-------", "0/0", "5,1"],
        "/dev/pipe": ["prw--w--w-", "0/0", "0"],
        "/dev/sda": ["brw-rw----", "0/6", "8,17"],
        "/odd": ["drwxr-xr-x", "0/0", image_size(image, "/odd")],
        "/odd/ lead ": ["-rw-r--r--", "0/0", "1"],
        "/odd/# x": ["-rw-r--r--", "0/0", "0"],
        "/odd/*?[a]": ["-rw-r--r--", "0/0", "1"],
        "/odd/-x": ["-rw-r--r--", "0/0", "1"],
        '/odd/a "q" \\b': ["-rw-------", "1001/50", "1"],
        "/odd/link -> to where": ["lrwxrwxrwx", "5/6", "8"],
        "/odd/\udcff\udcfe": ["-rw-r--r--", "0/0", "1"],
        "/part": ["-rw-r--r--", "0/0", "5"],
        "/srv": ["drwxrwsr-x", "1001/50", image_size(image, "/srv")],
    }
    facts = subprocess.run(["unsquashfs", "-s", image], check=True, capture_output=True, text=True).stdout
    assert f"Compression {options.compressor}\n" in facts
    assert f"Block size {options.block}\n" in facts
    assert "Xattrs are not stored" in facts


def image_size(image: Path, path: str) -> str:
    return rows(image)[path][2]


@pytest.mark.build
def test_same_bytes_from_anywhere(
    squasher: Squasher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "one.tcz", tmp_path / "two.tcz"
    squasher.pack(sample(tmp_path / "a"), first, SquashOptions(), epoch=EPOCH)
    before = os.umask(0o077)
    try:
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
        monkeypatch.setenv("TZ", "Asia/Tokyo")
        tree = sample(tmp_path / "b/elsewhere")
        other = tmp_path / "b/elsewhere/big"
        os.link(other, tmp_path / "b/elsewhere/linked")
        os.utime(other, (1, 1))
        other.chmod(0o700)
        squasher.pack(tree, second, SquashOptions(), epoch=EPOCH)
    finally:
        os.umask(before)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.build
def test_unpack(squasher: Squasher, tmp_path: Path) -> None:
    image = tmp_path / "x.tcz"
    squasher.pack(sample(tmp_path / "a"), image, SquashOptions(), epoch=EPOCH)
    folder = tmp_path / "out"
    squasher.unpack(image, folder)
    assert (folder / "bin/su").read_bytes() == b"hello" * 100_000
    assert (folder / "odd/link").readlink() == Path("to where")


@pytest.mark.parametrize(
    "make",
    [
        lambda: SquashOptions(block=5000),
        lambda: SquashOptions(block=2048),
        lambda: SquashOptions(level=10),
        lambda: SquashOptions(compressor="xz", level=1),
    ],
)
def test_options_are_checked(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigError):
        make()


def test_line_breaks_are_refused() -> None:
    with pytest.raises(VerifyError, match="line break"):
        pseudo_file(Tree({"a\nb": regular(b"")}))
