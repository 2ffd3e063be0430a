"""The writer and the reader of squashfs images, against each other and against damage."""

from __future__ import annotations

import hashlib
import os
import random
import stat
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tcz.errors import ConfigError, VerifyError
from tcz.squashfs import known, writer
from tcz.squashfs.image import Image, Row, read
from tcz.squashfs.options import COMPRESSORS, Compressor, SquashOptions, block_for
from tcz.squashfs.writer import write
from tcz.tree import FileRef, Node, Tree, directory, regular, symlink
from tests.squashfs_trees import told, trees

EPOCH = 1735689600
#: More by hand: TCZ_EXAMPLES=5000 pytest tests/unit/test_squashfs.py
EXAMPLES = int(os.environ.get("TCZ_EXAMPLES", "150"))
BOUNDED = settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def image_of(tree: Tree, options: SquashOptions | None = None, *, threads: int = 1) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.tcz")
        write(tree, path, options or SquashOptions(block=4096), epoch=None, threads=threads)
        return path.read_bytes()


def rows(tree: Tree) -> dict[str, Row]:
    """Return what a listing of the tree ought to tell."""
    found = {}
    for path, node in tree.items():
        holder = tree[node.link] if node.link else node
        target = os.fsdecode(holder.read()) if node.is_link else ""
        owner = (node.uid, node.gid)
        found[path] = Row(path, node.mode, *owner, holder.size, node.mtime, target, holder.rdev)
    return found


@BOUNDED
@given(trees(), st.sampled_from(COMPRESSORS), st.sampled_from([4096, 131072, 1 << 20]))
def test_what_is_written_is_read(tree: Tree, compressor: Compressor, block: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.tcz")
        write(tree, path, SquashOptions(compressor=compressor, block=block), epoch=None, threads=2)
        assert told(read(path)) == told(tree)
        assert {row.path: row for row in Image(path).rows()} == rows(tree)
        assert path.stat().st_size % 4096 == 0


def sample(folder: Path) -> Tree:
    folder.mkdir(parents=True, exist_ok=True)
    big = folder / "big"
    big.write_bytes(random.Random(1).randbytes(300_000) + b"hello" * 100_000 + bytes(600_000))
    nodes = {f"many/{n:05}": regular(b"%d" % (n % 700), uid=n % 300) for n in range(3000)}
    return Tree(
        {
            **nodes,
            "bin/su": regular(FileRef(big, 0, 1_400_000), 0o4755),
            "bin/zu": replace(regular(b"", 0o4755), link="bin/su"),
            "bin/copy": regular(big.read_bytes()),
            "part": regular(FileRef(big, 5, 150_001)),
            "dev/console": Node(mode=stat.S_IFCHR | 0o600, rdev=(5, 1)),
            "link": symlink("to where"),
        }
    )


def test_threads_places_and_the_hour_decide_nothing(tmp_path: Path) -> None:
    for options in (SquashOptions(), SquashOptions(block=4096), SquashOptions(compressor="zstd")):
        made = []
        for number, threads in enumerate((1, 2, 7)):
            output = tmp_path / f"{number}.tcz"
            write(sample(tmp_path / str(number) / "x"), output, options, epoch=EPOCH, threads=threads)
            made.append(output.read_bytes())
        assert made[0] == made[1] == made[2]


def test_the_same_content_is_stored_once(tmp_path: Path) -> None:
    data = random.Random(2).randbytes(500_000)
    one = Tree({"a": regular(data)})
    image = tmp_path / "twice"
    image.write_bytes(data + data)
    many = Tree(
        {
            "a": regular(data),
            "b": regular(data),
            "c": regular(FileRef(image, 500_000, 500_000)),
            "d": regular(b""),
        }
    )
    assert len(image_of(many)) == len(image_of(one))
    zeros = Tree({"z": regular(bytes(50_000_000))})
    assert len(image_of(zeros, SquashOptions())) == 4096


def test_repacking_an_image_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    write(sample(tmp_path), first, SquashOptions(), epoch=None)
    write(read(first), second, SquashOptions(), epoch=None)
    assert first.read_bytes() == second.read_bytes()


def test_pieces_are_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write(sample(tmp_path), path, SquashOptions(block=4096), epoch=None)
    node = read(path)["bin/su"]
    pieces = list(node.pieces())
    assert max(map(len, pieces)) <= 1 << 20
    assert b"".join(pieces) == (tmp_path / "big").read_bytes() == node.read()


# -- what cannot be packed ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        (Tree({"n" * 257: regular(b"")}), "cannot hold the name"),
        (Tree({"l": symlink("t" * 5000)}), "points to"),
        (Tree({"l": symlink("")}), "points to"),
        (Tree({"d": Node(mode=stat.S_IFCHR, rdev=(4096, 0))}), "no such device"),
        (Tree({"f": regular(b"", uid=-1)}), "owner"),
        (Tree({"f": regular(b"", mtime=-1)}), "1970"),
        (Tree({"f": Node(mode=0)}), "kind"),
        (Tree({"f": replace(regular(b""), link="gone")}), "hard link"),
        (Tree({"f": regular(b""), "f/g": regular(b"")}), "no folder"),
    ],
)
def test_what_the_format_cannot_hold(tmp_path: Path, tree: Tree, words: str) -> None:
    output = tmp_path / "x"
    with pytest.raises(VerifyError, match=words):
        write(tree, output, SquashOptions(), epoch=None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [10, 5000, 3_000_000])
def test_a_file_that_became_shorter(tmp_path: Path, size: int) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(size))
    tree = Tree({"f": regular(FileRef(file, 0, size + 1))})
    with pytest.raises(VerifyError, match="truncated"):
        write(tree, tmp_path / "x", SquashOptions(block=4096), epoch=0)


@pytest.mark.parametrize(
    "options",
    [
        {"block": 5000},
        {"block": 2048},
        {"block": 1 << 21},
        {"level": 13},
        {"compressor": "xz", "level": 1},
        {"compressor": "lzo"},
        {"x86": True},
    ],
)
def test_options_are_checked(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        SquashOptions(**options)  # type: ignore[arg-type]


def test_blocks_by_target() -> None:
    assert [block_for(release) for release in (5, 10, 11, 17, None)] == [4096, 4096, 131072, 131072, 131072]
    assert block_for(17, submission=True) == 4096


# -- damage ---------------------------------------------------------------------------------------


def consume(path: Path) -> None:
    """Read all of an image, contents too, unless they are said to be enormous."""
    Image(path).rows()
    for node in read(path).items():
        if node[1].size < 1 << 24:
            node[1].read()


@pytest.fixture(scope="module")
def images() -> list[bytes]:
    rng = random.Random(3)
    tree = Tree(
        {
            "usr/bin/a": regular(rng.randbytes(9000), 0o755),
            "usr/bin/b": regular(b"text " * 3000),
            "usr/bin/c": replace(regular(b""), link="usr/bin/b"),
            "usr/z": regular(bytes(20000)),
            **{f"usr/share/{n}": regular(b"%d" % n) for n in range(600)},
            "dev/null": Node(mode=stat.S_IFCHR, rdev=(1, 3)),
            "l": symlink("usr"),
        }
    )
    return [image_of(tree, SquashOptions(compressor=name, block=4096)) for name in COMPRESSORS]


@settings(max_examples=4 * EXAMPLES)
@given(st.data())
def test_damaged_images_end_in_one_kind_of_error(images: list[bytes], data: st.DataObject) -> None:
    image = bytearray(data.draw(st.sampled_from(images)))
    at_end = st.integers(0, 3000).map(lambda back: max(len(image) - 1 - back, 0))
    places = st.one_of(st.integers(0, 95), at_end, st.integers(0, len(image) - 1))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(places)
        if data.draw(st.integers(0, 19)) == 0:
            del image[place:]
        else:
            some = data.draw(
                st.sampled_from([b"\xff", b"\0", b"\x80", b"\xff" * 4, b"\xff" * 8, b"\0" * 8, b"/", b"\1"])
            )
            image[place : place + len(some)] = some
        if not image:
            break
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x")
        path.write_bytes(image)
        try:
            consume(path)
        except VerifyError as error:
            assert error.where  # noqa: PT017


@pytest.mark.parametrize(
    ("begin", "words"),
    [
        (b"", "too short"),
        (b"<html>" + bytes(100), "not a squashfs image"),
        (b"sqsh" + bytes(100), "big-endian"),
        (b"hsqs" + bytes(24) + b"\3\0\1\0" + bytes(100), "version 3.1"),
        (b"hsqs" + bytes(24) + b"\4\0\0\0" + bytes(100), "blocks of 0"),
    ],
)
def test_what_is_no_image(tmp_path: Path, begin: bytes, words: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(begin)
    with pytest.raises(VerifyError, match=words):
        read(path)


def test_an_image_that_is_cut_off_or_changes(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write(sample(tmp_path / "a"), path, SquashOptions(), epoch=0)
    whole = path.read_bytes()
    tree = read(path)
    path.write_bytes(whole[:-5000])
    with pytest.raises(VerifyError, match="changed"):
        tree["bin/su"].read()
    with pytest.raises(VerifyError, match="cut off"):
        read(path)
    path.unlink()
    with pytest.raises(VerifyError, match="gone"):
        tree["bin/su"].read()


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write images in which nothing is compressed, so that their tables can be changed."""
    monkeypatch.setattr(writer, "packer", lambda _options: bytes)


@pytest.mark.parametrize("name", [b"..", b".", b"a/b", b"a\0b"])
def test_names_that_leave_the_tree(tmp_path: Path, name: bytes, plain: None) -> None:
    del plain
    stand_in = "q" * len(name)
    image = bytearray(image_of(Tree({stand_in: regular(b"x")})))
    at = image.rindex(stand_in.encode())
    image[at : at + len(name)] = name
    path = tmp_path / "x"
    path.write_bytes(image)
    with pytest.raises(VerifyError, match="name that no file can have"):
        read(path)


def test_a_folder_that_holds_itself(tmp_path: Path, plain: None) -> None:
    del plain
    image = bytearray(image_of(Tree({"a/b": directory(), "a": directory()})))
    path = tmp_path / "x"
    path.write_bytes(image)
    tables = Image(path)
    start = tables.superblock.directory_table + 2
    root = tables.superblock.root & 0xFFFF
    # Every listing here is one header of 12 bytes and one entry: let all of them name the root's inode.
    found = 0
    for at in range(start, len(image) - 20):
        if image[at : at + 4] == bytes(4) and image[at + 16 : at + 18] == b"\1\0":
            image[at + 12 : at + 14] = root.to_bytes(2, "little")
            found += 1
    assert found >= 2
    path.write_bytes(image)
    with pytest.raises(VerifyError, match=r"in two places|lists what another"):
        read(path)


def test_large_folders_have_an_index(tmp_path: Path) -> None:
    tree = Tree({f"d/{n:05}-{'x' * 90}": regular(b"") for n in range(5000)})
    path = tmp_path / "x"
    write(tree, path, SquashOptions(), epoch=0)
    assert list(read(path)) == list(tree)
    assert isinstance(Image(path).items(), list)


# -- the same bytes everywhere --------------------------------------------------------------------


def test_compressors_make_the_bytes_that_are_known() -> None:
    # The machine's liblzma may be another one; that it is, is for tcz doctor to tell.
    assert [name for name in known.different() if not name.startswith("xz")] == []
    assert hashlib.sha256(known.block()).hexdigest()[:16] == "603499ec7d94cdd6"


def test_another_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = tuple((name, options, "0" * 32) for name, options, _ in known.ANSWERS[:2])
    monkeypatch.setattr(known, "ANSWERS", (*wrong, *known.ANSWERS[2:]))
    assert [name for name in known.different() if not name.startswith("xz")] == ["gzip", "gzip, best"]
