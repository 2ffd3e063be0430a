from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import stat
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tcz import cpio
from tcz.compress import compress, expand, kind
from tcz.errors import ToolkitError, VerifyError
from tcz.tree import FileRef, Node, Tree, directory, listing, regular, symlink

if TYPE_CHECKING:
    from pathlib import Path

METHODS: tuple[Any, ...] = ("gzip", "xz", "zstd", "lz4", "none")


def entry(name: str, data: bytes = b"", *, magic: bytes = b"070701", **fields: int) -> bytes:
    """Make one raw entry, so that the reader is not only fed by our own writer."""
    raw = name.encode() + b"\0"
    mode = fields.get("mode", stat.S_IFREG | 0o644)
    values = (
        *(fields.get("ino", 0), mode, fields.get("uid", 0), fields.get("gid", 0), fields.get("nlink", 1)),
        *(fields.get("mtime", 0), fields.get("size", len(data)), 0, 0, fields.get("rmajor", 0)),
        *(fields.get("rminor", 0), fields.get("namesize", len(raw)), fields.get("check", 0)),
    )
    head = magic + b"%08x" * 13 % values + raw
    head += bytes(-len(head) % 4)
    return head + data + bytes(-len(data) % 4)


TRAILER = entry("TRAILER!!!", mode=0)
DIR = stat.S_IFDIR | 0o755
LNK = stat.S_IFLNK | 0o777

# -- round trip -----------------------------------------------------------------------------------

NUMBER = st.integers(0, 0xFFFFFFFF)
PART = st.one_of(
    st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=12),
    st.binary(min_size=1, max_size=8)
    .filter(lambda raw: not set(raw) & {0, 0x2F})
    .map(lambda raw: raw.decode(errors="surrogateescape")),
    st.sampled_from(["a", "b", "c", "usr", "...", " ", "-x", "TRAILER!!"]),
).filter(lambda part: part not in (".", ".."))
OWNERS: dict[str, Any] = {"uid": NUMBER, "gid": NUMBER, "mtime": NUMBER}
BITS = st.integers(0, 0o7777)
LEAF = st.one_of(
    st.builds(Node, mode=BITS.map(lambda b: stat.S_IFREG | b), data=st.binary(max_size=40), **OWNERS),
    st.builds(
        Node,
        mode=st.just(LNK),
        data=st.binary(min_size=1, max_size=20).filter(lambda d: 0 not in d),
        **OWNERS,
    ),
    st.builds(
        Node,
        mode=st.tuples(st.sampled_from([stat.S_IFCHR, stat.S_IFBLK]), BITS).map(sum),
        rdev=st.tuples(NUMBER, NUMBER),
        **OWNERS,
    ),
    st.builds(Node, mode=BITS.map(lambda b: stat.S_IFIFO | b), **OWNERS),
)
FOLDER = st.builds(Node, mode=BITS.map(lambda b: stat.S_IFDIR | b), **OWNERS)


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """Trees in the reader's form: of the names of one file, the bytewise first one has the content."""
    folders = [""]
    nodes: dict[str, Node] = {"": directory()}
    for part in draw(st.lists(PART, max_size=4, unique=True)):
        path = f"{draw(st.sampled_from(folders))}/{part}".lstrip("/")
        if path not in nodes:
            nodes[path] = draw(FOLDER)
            folders.append(path)
    for part in draw(st.lists(PART, max_size=6)):
        path = f"{draw(st.sampled_from(folders))}/{part}".lstrip("/")
        nodes.setdefault(path, draw(LEAF))
    holders = [path for path, node in nodes.items() if not node.is_dir and not node.is_link]
    for number, holder in enumerate(holders):
        for extra in range(draw(st.integers(0, 2))):
            path = f"{holder}\U0010ffff{number}{extra}"
            node = nodes[holder]
            nodes[path] = Node(
                mode=node.mode, uid=node.uid, gid=node.gid, mtime=node.mtime, rdev=node.rdev, link=holder
            )
    return Tree(nodes)


@given(trees())
def test_read_returns_what_was_written(tree: Tree) -> None:
    assert listing(cpio.read(cpio.dumps(tree))) == listing(tree)
    assert cpio.read(cpio.dumps(tree)) == tree


@given(trees(), st.lists(st.sampled_from(METHODS), min_size=1, max_size=4))
@settings(max_examples=30)
def test_the_same_archive_laid_over_itself_changes_nothing(tree: Tree, methods: list[Any]) -> None:
    image = b""
    for method in methods:
        image += bytes(-len(image) % 4) + compress(cpio.dumps(tree), method, 1)
    assert cpio.read(image) == tree


@given(trees(), st.data())
@settings(max_examples=300)
def test_damage_is_told_and_nothing_else(tree: Tree, data: st.DataObject) -> None:
    image = bytearray(compress(cpio.dumps(tree, pad=4), data.draw(st.sampled_from(METHODS)), 1))
    for _ in range(data.draw(st.integers(1, 4))):
        image[data.draw(st.integers(0, len(image) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(image)))
    for hostile in (bytes(image), bytes(image[:cut])):
        with contextlib.suppress(VerifyError):
            cpio.read(hostile, limit=1 << 24)


@given(st.binary(max_size=400))
def test_noise_is_refused(noise: bytes) -> None:
    for hostile in (noise, b"070701" + noise, TRAILER + noise, gzip.compress(noise)):
        with contextlib.suppress(VerifyError):
            cpio.read(hostile, limit=1 << 20)


# -- members and archives -------------------------------------------------------------------------


def test_all_members_and_all_archives_are_read() -> None:
    def one(name: str) -> bytes:
        return cpio.dumps(Tree({name: regular(name.encode())}))

    image = one("microcode") + gzip.compress(one("base") + one("modules"))
    image += bytes(-len(image) % 4) + one("plain") + bytes(1024)
    image += lzma.compress(one("xz"), check=lzma.CHECK_CRC32) + zstandard.compress(one("zstd"))
    assert set(cpio.read(image)) == {"", "microcode", "base", "modules", "plain", "xz", "zstd"}


def test_an_archive_at_an_odd_offset_is_refused_as_the_kernel_does() -> None:
    member = gzip.compress(cpio.dumps(Tree({"a": regular(b"")})))
    padding = bytes(-len(member) % 4 + 1)
    with pytest.raises(VerifyError, match="multiple of 4"):
        cpio.read(member + padding + TRAILER)
    with pytest.raises(VerifyError, match="multiple of 4"):
        cpio.read(gzip.compress(TRAILER + b"\0" + TRAILER))


def test_a_member_larger_than_the_limit_is_refused() -> None:
    bomb = zstandard.compress(bytes(64 << 20), 19)
    with pytest.raises(VerifyError, match="more than 1048576 bytes"):
        cpio.read(bomb, limit=1 << 20)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (b"", "holds no archive"),
        (bytes(512), "holds no archive"),
        (b"BZh91AY", "bzip2 stream is truncated"),
        (b"hello", "offset 0: neither"),
        (entry("a", b"12345")[:-6], "offset 0: the content of 'a' is truncated: 5 bytes announced"),
        (entry("a", size=0xFFFFFFFF), "4294967295 bytes announced"),
        (entry("a")[:60], "the header is truncated"),
        (entry("a", namesize=0), "a name of 0 bytes"),
        (entry("a", namesize=5000), "a name of 5000 bytes"),
        (entry("abc", namesize=3) + TRAILER, "does not end where it should"),
        (entry("a\0b") + TRAILER, "does not end where it should"),
        (entry("a").replace(b"070701" + b"0000", b"070701" + b"+00g", 1), "not hexadecimal"),
        (entry("a/../../etc/passwd") + TRAILER, r"leaves its tree"),
        (entry("..", mode=DIR) + TRAILER, r"leaves its tree"),
        (entry("a", mode=0o644) + TRAILER, "no known file type"),
        (entry("a", mode=LNK) + TRAILER, "a target of 0 bytes"),
        (entry(".", b"x") + TRAILER, "not a directory"),
        (entry("d", b"x", mode=DIR) + TRAILER, "is no file"),
        (entry("a") + entry("a/b") + TRAILER, "which is not a directory"),
        (
            entry("a", b"x", mode=LNK) + entry("x", b"a", mode=LNK) + entry("a/b") + TRAILER,
            "too many symbolic links",
        ),
        (entry("/".join("a" * 200)) + TRAILER, "too deep"),
        (entry("a", b"xy", magic=b"070702", check=1) + TRAILER, "wrong checksum for 'a'"),
        (entry("a"), "ends without TRAILER!!!"),
        (TRAILER + b"0707", "the header is truncated"),
        (gzip.compress(TRAILER, mtime=0)[:-3], "truncated"),
    ],
)
def test_hostile_images(image: bytes, message: str) -> None:
    with pytest.raises(VerifyError, match=message):
        cpio.read(image)


def test_names_are_normalised() -> None:
    tree = cpio.read(
        entry("./a", b"1") + entry("/b", b"2") + entry("c//d", b"3") + entry(".", mode=DIR) + TRAILER
    )
    assert set(tree) == {"", "a", "b", "c", "c/d"}


def test_checksums_are_verified() -> None:
    tree = cpio.read(entry("a", b"xy", magic=b"070702", check=ord("x") + ord("y")) + TRAILER)
    assert tree["a"].read() == b"xy"


# -- the kernel's rules ---------------------------------------------------------------------------


def test_a_directory_over_a_directory_changes_mode_and_owner() -> None:
    tree = cpio.read(
        entry("opt", mode=DIR)
        + entry("opt/a")
        + TRAILER
        + entry("opt", mode=stat.S_IFDIR | 0o2775, gid=50)
        + TRAILER
    )
    assert (tree["opt"].mode, tree["opt"].gid) == (stat.S_IFDIR | 0o2775, 50)
    assert "opt/a" in tree


def test_a_file_goes_through_a_symbolic_link_and_a_directory_replaces_it() -> None:
    base = entry("real", mode=DIR) + entry("link", b"/real", mode=LNK) + TRAILER
    through = cpio.read(base + entry("link/a", b"1") + TRAILER)
    assert through["real/a"].read() == b"1"
    assert through["link"].is_link
    replaced = cpio.read(base + entry("link", mode=DIR) + entry("link/a", b"1") + TRAILER)
    assert replaced["link"].is_dir
    assert set(replaced) == {"", "real", "link", "link/a"}


def test_a_folder_with_content_survives_a_file_of_its_name() -> None:
    tree = cpio.read(entry("d", mode=DIR) + entry("d/a") + entry("d", b"x") + TRAILER)
    assert tree["d"].is_dir
    emptied = cpio.read(entry("d", mode=DIR) + entry("d", b"x") + TRAILER)
    assert emptied["d"].is_file


def test_hard_links_share_content_wherever_it_comes() -> None:
    for first, second in ((b"", b"data"), (b"data", b"")):
        tree = cpio.read(entry("b", first, ino=7, nlink=2) + entry("a", second, ino=7, nlink=2) + TRAILER)
        assert tree["a"].read() == b"data"
        assert tree["b"].link == "a"


def test_inode_numbers_end_with_their_archive() -> None:
    tree = cpio.read(entry("a", b"1", ino=7, nlink=2) + TRAILER + entry("b", b"2", ino=7, nlink=2) + TRAILER)
    assert (tree["a"].read(), tree["b"].read()) == (b"1", b"2")
    assert tree["b"].link is None


def test_writing_to_one_name_of_a_hard_link_changes_all() -> None:
    pair = entry("a", b"1", ino=7, nlink=2) + entry("b", ino=7, nlink=2) + TRAILER
    tree = cpio.read(pair + entry("a", b"new", mode=stat.S_IFREG | 0o600) + TRAILER)
    assert tree["a"].read() == b"new"
    assert tree["b"].link == "a"
    gone = cpio.read(pair + entry("a", b"b", mode=LNK) + TRAILER)
    assert gone["b"].read() == b"1"


# -- writing --------------------------------------------------------------------------------------


def test_big_files_are_streamed_from_their_region(tmp_path: Path) -> None:
    file = tmp_path / "big"
    file.write_bytes(b"x" * 10 + b"y" * (3 << 20) + b"z")
    tree = Tree({"big": regular(FileRef(file, 10, 3 << 20))})
    assert cpio.read(cpio.dumps(tree))["big"].read() == b"y" * (3 << 20)
    file.write_bytes(b"short")
    with pytest.raises(VerifyError, match="became shorter"):
        cpio.dumps(tree)


def test_the_root_is_written_on_request_only() -> None:
    tree = Tree({"": directory(0o700), "a": regular(b"")})
    assert cpio.read(cpio.dumps(tree))[""].mode == stat.S_IFDIR | 0o755
    assert cpio.read(cpio.dumps(tree, root=True))[""].mode == stat.S_IFDIR | 0o700


@pytest.mark.parametrize("pad", [0, 4, 512, 4096])
def test_the_size_is_a_multiple(pad: int) -> None:
    assert len(cpio.dumps(Tree({"abc": regular(b"x")}), pad=pad)) % max(4, pad) == 0


@pytest.mark.parametrize(
    "tree",
    [
        Tree({"TRAILER!!!": regular(b"")}),
        Tree({"a": regular(b"", mtime=1 << 32)}),
        Tree({"a": regular(b"", mtime=-1)}),
        Tree({"a" * 4096: regular(b"")}),
        Tree({"a": Node(mode=stat.S_IFREG, link="b")}),
        Tree({"a": Node(mode=stat.S_IFREG, link="b"), "b": directory()}),
        Tree({"a": Node(mode=stat.S_IFREG, link="b"), "b": symlink("c")}),
    ],
)
def test_what_the_format_cannot_hold_is_told(tree: Tree) -> None:
    with pytest.raises(ToolkitError):
        cpio.dumps(tree)


# -- compression ----------------------------------------------------------------------------------


@given(st.binary(max_size=5000), st.sampled_from(METHODS[:3]), st.binary(max_size=20))
def test_expand_finds_the_end_of_the_stream(data: bytes, method: Any, rest: bytes) -> None:
    packed = compress(data, method, 1)
    assert expand(packed + rest) == (data, len(packed))
    assert kind(packed) == method


def test_compression_says_nothing_of_time_or_platform() -> None:
    data = b"floe" * 1000
    assert compress(data)[4:10] == b"\0\0\0\0\x02\xff"
    assert gzip.decompress(compress(data)) == data
    assert zstandard.get_frame_parameters(compress(data, "zstd")).content_size == len(data)
    big = zstandard.get_frame_parameters(compress(bytes(32 << 20), "zstd", 22))
    assert big.window_size <= 8 << 20
    assert lzma.LZMADecompressor().check in (lzma.CHECK_UNKNOWN, lzma.CHECK_CRC32)


def test_unknown_methods_and_levels_are_told() -> None:
    with pytest.raises(ToolkitError, match="unknown compression"):
        compress(b"", "brotli")  # type: ignore[arg-type]
    with pytest.raises(ToolkitError, match="levels 1 to 12, not 13"):
        compress(b"", "gzip", 13)


# -- shapes and old forms -------------------------------------------------------------------------


def odc(name: str, data: bytes = b"", **fields: int) -> bytes:
    raw = name.encode() + b"\0"
    head = (0, fields.get("ino", 0), fields.get("mode", stat.S_IFREG | 0o644), 0, 0, 1, fields.get("rdev", 0))
    tail = (0, fields.get("namesize", len(raw)), fields.get("size", len(data)))
    return b"070707" + b"%06o" * 7 % head + b"%011o%06o%011o" % tail + raw + data


OLD_TRAILER = odc("TRAILER!!!", mode=0)


@given(
    trees(), st.lists(st.sampled_from([*METHODS, "bzip2", "lzma"]), min_size=1, max_size=4), st.integers(1, 3)
)
@settings(max_examples=40)
def test_the_shape_tells_every_member_and_archive(tree: Tree, methods: list[str], archives: int) -> None:
    image = b""
    packers: dict[str, Any] = {"bzip2": bz2.compress, "lzma": lambda d: lzma.compress(d, lzma.FORMAT_ALONE)}
    for method in methods:
        plain = cpio.dumps(tree) * (1 if method == "none" else archives)
        packed = packers[method](plain) if method in packers else compress(plain, method, 1)  # type: ignore[arg-type]
        image += bytes(-len(image) % 4 + 4) + packed
    found = cpio.load(image)
    assert found.tree == tree
    assert [member.compressor for member in found.members] == methods
    for member in found.members:
        assert len(member.archives) == (1 if member.compressor == "none" else archives)
        assert member.entries == (len(tree) - 1) * len(member.archives)
        assert {archive.format for archive in member.archives} == {"newc"}
        assert cpio.read(image[member.offset : member.offset + member.size]) == tree


def test_old_entries_follow_one_another_without_padding() -> None:
    found = cpio.load(odc("a", b"123") + odc("d/b", b"4") + OLD_TRAILER)
    assert (found.tree["a"].read(), found.tree["d/b"].read()) == (b"123", b"4")
    device = cpio.read(odc("null", mode=stat.S_IFCHR | 0o666, rdev=0o403) + OLD_TRAILER)
    assert device["null"].rdev == (1, 3)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (odc("a", b"1", size=9), "9 bytes announced"),
        (odc("a").replace(b"070707000000", b"070707 00000", 1), "not octal"),
        (odc("a", namesize=0), "a name of 0 bytes"),
        (odc("../a") + OLD_TRAILER, "leaves its tree"),
        (odc("a"), "ends without"),
        (odc("a")[:40], "the header is truncated"),
        (b"\x04\x22\x4d\x18rest", "lz4 frame compression is not supported"),
        (b"\x02\x21\x4c\x18\x05\0\0\0ab", "truncated"),
        (b"\x02\x21\x4c\x18\x02\0\0\0\xf0\xff", "broken"),
    ],
)
def test_hostile_old_forms(image: bytes, message: str) -> None:
    with pytest.raises(VerifyError) as caught:
        cpio.read(image)
    assert message in "\n".join(caught.value.lines())


@pytest.mark.parametrize("name", ["bzip2", "lzma", "lz4"])
def test_bombs_of_the_other_compressors_are_refused(name: str) -> None:
    zeros = bytes(24 << 20)
    bombs: dict[str, Any] = {"bzip2": bz2.compress, "lzma": lambda d: lzma.compress(d, lzma.FORMAT_ALONE)}
    bomb = bombs[name](zeros) if name in bombs else compress(zeros, "lz4")
    with pytest.raises(VerifyError, match="more than 1048576 bytes"):
        cpio.read(bomb, limit=1 << 20)
