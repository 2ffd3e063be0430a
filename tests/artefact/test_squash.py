"""Images of ours read by unsquashfs, and images of mksquashfs and gensquashfs read by us."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import stat
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tcz.layout import lay_out
from tcz.squashfs.image import Image, read
from tcz.squashfs.options import COMPRESSORS, Compressor, SquashOptions
from tcz.squashfs.writer import write
from tcz.tree import FileRef, Node, Tree, directory, regular, symlink
from tests.squashfs_trees import told, trees

EPOCH = 1735689600
EXAMPLES = int(os.environ.get("TCZ_EXAMPLES", "40"))
KINDS = (stat.S_IFREG, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)
UTC = {"TZ": "UTC", "LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]}


def run(*argv: object) -> bytes:
    return subprocess.run([str(word) for word in argv], check=True, capture_output=True, env=UTC).stdout


def sample(folder: Path) -> Tree:
    """Return a tree with something of everything; its files are below ``folder``."""
    folder.mkdir(parents=True)
    big = folder / "big"
    big.write_bytes(b"hello" * 100_000)
    mixed = folder / "mixed"
    mixed.write_bytes(random.Random(4).randbytes(200_000) + bytes(1_500_000) + Path("/bin/sh").read_bytes())
    su = regular(FileRef(big, 0, 500_000), mode=0o4755, gid=50)
    return Tree(
        {
            "": directory(0o755),
            "bin/su": su,
            "bin/zu": replace(su, data=b"", link="bin/su"),
            "mixed": regular(FileRef(mixed, 0, mixed.stat().st_size)),
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
            **{f"many/{n:05}-{'x' * 60}": regular(b"%d" % (n % 2500)) for n in range(3000)},
        }
    )


def rows(image: Path) -> dict[str, tuple[str, str, str]]:
    """Return what unsquashfs lists: mode, owner, and size or device, by path and target."""
    found = {}
    for line in run("unsquashfs", "-lln", image).decode(errors="surrogateescape").splitlines():
        facts, mark, path = line.partition(" squashfs-root")
        if mark:
            mode, owner, size = facts.replace(",  ", ",").replace(", ", ",").split()[:3]
            found[path] = (mode, owner, "" if mode[0] == "d" else size)
    return found


def expected(tree: Tree) -> dict[str, tuple[str, str, str]]:
    """Return what unsquashfs ought to list."""
    found = {}
    for path, node in tree.items():
        holder = tree[node.link] if node.link else node
        size = "" if node.is_dir else str(holder.size)
        if stat.S_ISCHR(node.mode) or stat.S_ISBLK(node.mode):
            size = f"{node.rdev[0]},{node.rdev[1]}"
        target = f" -> {os.fsdecode(holder.read())}" if node.is_link else ""
        found[f"/{path}{target}" if path else ""] = (stat.filemode(node.mode), f"{node.uid}/{node.gid}", size)
    return found


def files(folder: Path) -> dict[str, str]:
    """Return the contents of a folder on disk by path: hashes of files, targets of links."""
    found = {}
    for place, names, plain in os.walk(folder):
        for path in (Path(place, name) for name in (*names, *plain)):
            name = str(path.relative_to(folder))
            if path.is_symlink():
                found[name] = str(path.readlink())
            elif path.is_file():
                found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def contents(tree: Tree) -> dict[str, str]:
    """Return what ``files`` returns of a folder that a tree is unpacked to."""
    found = {}
    for path, node in tree.items():
        data = (tree[node.link] if node.link else node).read()
        if node.is_link:
            found[path] = os.fsdecode(data)
        elif node.is_file:
            found[path] = hashlib.sha256(data).hexdigest()
    return found


def unpacked(image: Path, place: Path) -> dict[str, str]:
    run("unsquashfs", "-no-progress", "-quiet", "-no-xattrs", "-no-exit-code", "-d", place, image)
    for folder, names, _ in os.walk(place):
        for name in names:
            if not Path(folder, name).is_symlink():
                Path(folder, name).chmod(0o755)
    return files(place)


# -- ours, read by unsquashfs ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        SquashOptions(),
        SquashOptions(block=4096, level=12),
        SquashOptions(block=1 << 20, level=1),
        SquashOptions(compressor="zstd", block=1 << 20, level=19),
        SquashOptions(compressor="xz", block=4096),
        SquashOptions(compressor="xz", block=262144, x86=True),
        SquashOptions(compressor="lz4"),
        SquashOptions(compressor="lz4", level=1, block=8192),
    ],
)
def test_owners_devices_names_and_contents(tmp_path: Path, options: SquashOptions) -> None:
    tree, image = sample(tmp_path / "a"), tmp_path / "x.tcz"
    write(tree, image, options, epoch=EPOCH)
    assert rows(image) == expected(tree)
    assert unpacked(image, tmp_path / "out") == contents(tree)
    facts = run("unsquashfs", "-s", image).decode()
    assert f"Compression {options.compressor}\n" in facts
    assert f"Block size {options.block}\n" in facts
    assert "Xattrs are not stored" in facts
    assert "Wed Jan  1 00:00:00 2025" in facts
    linked = (tmp_path / "out/bin/su").stat()
    assert linked.st_nlink == 2
    assert linked.st_mtime == EPOCH


@settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(trees(), st.sampled_from(COMPRESSORS), st.sampled_from([4096, 1 << 20]))
def test_any_tree_is_listed_alike(tree: Tree, compressor: Compressor, block: int) -> None:
    # A line break ends a line of a listing; unsquashfs before 4.6 does not understand large device numbers.
    tree = Tree(
        {
            path: replace(node, rdev=(node.rdev[0] & 0xFF, node.rdev[1] & 0xFF))
            for path, node in tree.items()
            if path.isprintable() or "\udcff" in path
        }
    )
    if any(node.link and node.link not in tree for _, node in tree.items()):
        return
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "x")
        write(tree, image, SquashOptions(compressor=compressor, block=block), epoch=None)
        assert rows(image) == expected(tree)


@settings(max_examples=EXAMPLES)
@given(trees(KINDS), st.sampled_from(COMPRESSORS))
def test_any_tree_is_unpacked_alike(tree: Tree, compressor: Compressor) -> None:
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "x")
        write(tree, image, SquashOptions(compressor=compressor, block=4096), epoch=0)
        assert unpacked(image, Path(folder, "out")) == contents(tree)


# -- others', read by us ---------------------------------------------------------------------------

MKSQUASHFS = [
    ("-comp", "gzip"),
    ("-comp", "gzip", "-b", "4096", "-Xwindow-size", "9", "-Xstrategy", "filtered"),
    ("-comp", "xz", "-b", "1048576", "-Xbcj", "x86,arm,powerpc"),
    ("-comp", "xz", "-b", "4096"),
    ("-comp", "zstd", "-b", "65536"),
    ("-comp", "lz4", "-Xhc"),
    ("-comp", "lz4"),
    ("-noI", "-noId"),
    ("-noD", "-noF"),
    ("-no-fragments",),
    ("-always-use-fragments", "-b", "16384"),
    ("-no-duplicates", "-no-exports", "-nopad"),
]


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tree]:
    """A folder that holds what a user can make, and the same as a tree."""
    place = tmp_path_factory.mktemp("disk")
    made = sample(place / "from")
    tree = Tree(
        {
            path: replace(
                node, mtime=EPOCH, uid=0, gid=0, mode=node.mode & ~0o7000 | (0o200 if node.is_file else 0)
            )
            for path, node in made.items()
            if node.is_file or node.is_dir or node.is_link
        }
    )
    lay_out(tree, place / "root")
    for path, node in tree.items():
        if node.is_dir:
            (place / "root" / path).chmod(stat.S_IMODE(node.mode))
    return place / "root", tree


@pytest.mark.parametrize("words", MKSQUASHFS, ids=" ".join)
def test_images_of_mksquashfs(on_disk: tuple[Path, Tree], tmp_path: Path, words: tuple[str, ...]) -> None:
    folder, tree = on_disk
    image = tmp_path / "x"
    times = ("-all-time", EPOCH, "-mkfs-time", EPOCH)
    run("mksquashfs", folder, image, *words, "-all-root", *times, "-noappend", "-quiet", "-no-progress")
    if "-nopad" in words:
        assert image.stat().st_size % 4096
    found = read(image)
    assert told(found) == told(tree)
    assert rows(image) == expected(found)


def test_devices_and_pipes_of_mksquashfs(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    pseudo = tmp_path / "pseudo"
    pseudo.write_text("c c 600 0 5 5 1\nb b 660 6 0 259 70000\np i 622 1 2 f\ns i 600 0 0 s\nd d 2775 7 8\n")
    image = tmp_path / "x"
    run("mksquashfs", tmp_path / "root", image, "-pf", pseudo, "-quiet", "-no-progress")
    found = read(image)
    assert {path: (stat.filemode(n.mode), n.uid, n.gid, n.rdev) for path, n in found.items() if path} == {
        "c": ("crw-------", 0, 5, (5, 1)),
        "b": ("brw-rw----", 6, 0, (259, 70000)),
        "p": ("prw--w--w-", 1, 2, (0, 0)),
        "s": ("srw-------", 0, 0, (0, 0)),
        "d": ("drwxrwsr-x", 7, 8, (0, 0)),
    }


def test_extended_attributes_are_left_aside(tmp_path: Path) -> None:
    (tmp_path / "root/d").mkdir(parents=True)
    (tmp_path / "root/f").write_bytes(b"data")
    (tmp_path / "root/l").symlink_to("f")
    image = tmp_path / "x"
    words = ("-xattrs", "-xattrs-add", "user.a=b") if b"-xattrs-add" in _help() else ()
    for path in (tmp_path / "root/f", tmp_path / "root/d"):
        if not words:
            try:
                os.setxattr(path, "user.a", b"b")
            except OSError:
                pytest.skip("no extended attributes on this file system")
    run("mksquashfs", tmp_path / "root", image, *words, "-quiet", "-no-progress")
    assert Image(image).superblock.xattr_table != 0xFFFFFFFFFFFFFFFF
    found = read(image)
    assert found["f"].read() == b"data"
    assert found["l"].read() == b"f"
    assert found["d"].is_dir


def _help() -> bytes:
    return subprocess.run(["mksquashfs", "-help"], capture_output=True, check=False).stdout


@pytest.mark.skipif(shutil.which("gensquashfs") is None, reason="gensquashfs is not installed")
@pytest.mark.parametrize("compressor", ["gzip", "xz", "zstd", "lz4"])
def test_images_of_gensquashfs(on_disk: tuple[Path, Tree], tmp_path: Path, compressor: str) -> None:
    folder, tree = on_disk
    image = tmp_path / "x"
    run("gensquashfs", "-q", "-c", compressor, "-D", folder, "-d", f"mtime={EPOCH}", image)
    found = read(image)
    assert contents(found) == contents(tree)
    if compressor != "lz4":  # Debian's unsquashfs cannot read those of Debian's gensquashfs
        assert rows(image) == expected(found)
