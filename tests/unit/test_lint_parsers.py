"""What lint reads from strangers: property tests of its parsers."""

from __future__ import annotations

import gzip
import lzma
import os
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tcz.errors import VerifyError
from tcz.lint.catalogue import Catalogue, Known, parse_dep_db, parse_provides
from tcz.lint.image import SUPER_BLOCK, parse_super_block
from tcz.lint.info import parse_size
from tcz.lint.links import escapes, resolve
from tcz.lint.modules import vermagic
from tcz.lint.startup import interpreter_of
from tcz.metadata import human_size
from tcz.tree import Tree, directory, regular, symlink

_NAMES = st.sampled_from("abc")
_WORDS = st.from_regex(r"[a-z][a-z0-9._-]{0,6}", fullmatch=True)
NO_TABLE = 0xFFFFFFFFFFFFFFFF


def super_block(**changes: int) -> bytes:
    values = {
        "block": 4096, "compressor": 1, "major": 4, "minor": 0, "used": 4000, "xattrs": NO_TABLE
    } | changes  # fmt: skip
    return SUPER_BLOCK.pack(
        *(b"hsqs", 1, 0, values["block"], 0, values["compressor"], 12, 0, 1),
        *(values["major"], values["minor"], 0, values["used"], 0, values["xattrs"], 0, 0, 0, 0),
    )


def test_super_block() -> None:
    facts = parse_super_block(super_block(compressor=6, block=131072, xattrs=700), 4096)
    assert (facts.compressor, facts.block, facts.xattrs, facts.used) == ("zstd", 131072, True, 4000)
    assert not parse_super_block(super_block(), 4096).xattrs


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not a squashfs image"),
        (b"<html>" * 20, "not a squashfs image"),
        (super_block(major=3, minor=1), "version 3.1"),
        (super_block(used=5000), "truncated"),
    ],
)
def test_no_super_block(data: bytes, said: str) -> None:
    with pytest.raises(VerifyError, match=said):
        parse_super_block(data, 4096)


@given(st.binary(max_size=200), st.integers(0, 5000))
def test_any_bytes_as_super_block(data: bytes, size: int) -> None:
    with suppress(VerifyError):
        parse_super_block(data, size)
    with suppress(VerifyError):
        parse_super_block(b"hsqs" + data, size)


@given(st.lists(st.tuples(_WORDS, st.lists(_WORDS, max_size=3)), max_size=4))
def test_databases(records: list[tuple[str, list[str]]]) -> None:
    provides = "\n\n".join(
        "\n".join([f"{name}.tcz", *(f"/usr/{path}" for path in paths)]) for name, paths in records
    )
    found = parse_provides(provides)
    assert found == tuple(Known(name=name, files=tuple(f"usr/{p}" for p in paths)) for name, paths in records)
    needs = "\n\n\n".join(
        "\n".join([f"{name}.tcz", *(f" {need}.tcz" for need in paths)]) for name, paths in records
    )
    assert parse_dep_db(needs) == tuple((name, tuple(paths)) for name, paths in records)


@given(st.text(max_size=60))
def test_any_text_as_database(text: str) -> None:
    for known in parse_provides(text):
        assert known.name or text
    parse_dep_db(text)


@given(
    st.dictionaries(
        st.lists(_NAMES, min_size=1, max_size=3).map("/".join),
        st.none() | st.text("abc./", min_size=1, max_size=6),
        max_size=6,
    ),
    st.text("abc./", max_size=8),
)
def test_links_are_followed_as_the_kernel_does(links: dict[str, str | None], path: str) -> None:
    """Compare with a real folder whose links are all relative to it."""
    entries = {
        one: target
        for one, target in links.items()
        if not any(one.startswith(f"{other}/") for other in links)
    }
    relative = {
        one: target for one, target in entries.items() if target is None or not target.startswith("/")
    }
    kept = {one: t for one, t in relative.items() if t is None or not escapes(one, t)}
    tree = Tree({one: regular(b"") if t is None else symlink(t) for one, t in kept.items()})
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        for one, node in tree.items():
            place = top / one
            if node.is_dir:
                place.mkdir(parents=True, exist_ok=True)
            elif node.is_link:
                place.symlink_to(os.fsdecode(node.read()))
            else:
                place.write_bytes(b"")
        wanted = path.lstrip("/")
        if escapes("", wanted) or ".." in wanted:
            return
        real = (top / wanted).exists() and (top / wanted).resolve().is_relative_to(top.resolve())
        found = resolve(wanted, tree)
    if real:
        assert found is not None
    if found is not None and not wanted.endswith("/"):
        assert real or _through_a_file(tree, wanted) or _climbs(kept)


def _through_a_file(tree: Tree, path: str) -> bool:
    """A file with something behind it is no folder for the kernel; lint does not mind."""
    return path.endswith(("/", "/.")) or any(
        node.is_link and node.read().endswith((b"/", b".")) for _, node in tree.items()
    )


def _climbs(links: dict[str, str | None]) -> bool:
    """Through links, .. can lead above the folder, where a machine's root would stop it."""
    return any(target is not None and ".." in target for target in links.values())


def test_resolve() -> None:
    package = Tree({"usr/x": symlink("/lib/y"), "loop": symlink("loop"), "up": symlink("../../lib")})
    base = Tree({"lib": symlink("usr/lib"), "usr/lib/y": regular(b""), "etc": directory()})
    assert resolve("usr/x", package, base) == "usr/lib/y"
    assert resolve("loop", package, base) is None
    assert resolve("up/y", package, base) == "usr/lib/y"
    assert resolve("gone", package, base) is None
    assert resolve("", package) == ""


@pytest.mark.parametrize(
    ("path", "target", "expected"),
    [
        ("a/b", "../c", False),
        ("a/b", "../../c", True),
        ("a", "..", True),
        ("a/b/c", "/../x", True),
        ("a", "./b/..", False),
    ],
)
def test_escapes(path: str, target: str, *, expected: bool) -> None:
    assert escapes(path, target) == expected


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        ("", bytes),
        (".gz", gzip.compress),
        (".xz", lzma.compress),
        (".zst", zstandard.ZstdCompressor().compress),
    ],
)
def test_vermagic(suffix: str, pack: object) -> None:
    module = (
        b"\x7fELF" + bytes(5000) + b"license=GPL\0vermagic=6.12.11-tinycore64 SMP preempt \0" + bytes(100)
    )
    assert callable(pack)
    assert vermagic(pack(module), suffix) == "6.12.11-tinycore64"
    assert vermagic(pack(b"nothing"), suffix) is None


@given(st.binary(max_size=100), st.sampled_from(["", ".gz", ".xz", ".zst"]))
def test_any_bytes_as_module(data: bytes, suffix: str) -> None:
    vermagic(data, suffix)
    vermagic(
        {"": b"", ".gz": b"\x1f\x8b\x08", ".xz": b"\xfd7zXZ\0", ".zst": b"\x28\xb5\x2f\xfd"}[suffix] + data,
        suffix,
    )


def test_a_module_that_would_fill_the_memory() -> None:
    assert vermagic(gzip.compress(bytes(1 << 27)), ".gz") is None


@given(st.integers(0, 1 << 40))
def test_sizes_are_read_back(size: int) -> None:
    found = parse_size(human_size(size))
    assert found is not None
    assert abs(found - size) <= max(1024, size // 10)


@pytest.mark.parametrize(
    ("text", "size"),
    [("388KB", 397312), ("8.0 KiB", 8192), ("1,5M", 1572864), ("12 bytes", 12), ("big", None)],
)
def test_sizes(text: str, size: int | None) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("line", "program", "name"),
    [
        ("/bin/sh -e", "/bin/sh", None),
        (" /usr/bin/env python3", "/usr/bin/env", "python3"),
        ("/usr/bin/env -S A=1 perl -w", "/usr/bin/env", "perl"),
        ("", "", None),
    ],
)
def test_interpreters(line: str, program: str, name: str | None) -> None:
    assert interpreter_of(line) == (program, name)


def test_catalogue() -> None:
    found = Catalogue(
        packages=(
            Known(name="a", files=("usr/local/lib/liba.so.1",), needs=("b",)),
            Known(name="b", files=("usr/local/bin/b",), needs=()),
            Known(name="c"),
        )
    )
    assert found.with_library("liba.so.1", ("lib", "usr/local/lib")) == ("a",)
    assert found.with_library("liba.so.1", ("usr/lib",)) == ()
    assert found.owners("usr/local/bin/b") == ("b",)
    assert found.closure(("a",), None).order == ("b", "a")
    assert [missing.name for missing in found.closure(("c",), None).missing] == ["c"]
    assert found.merged([Known(name="b", needs=("c",))]).closure(("a",), None).missing


def test_the_size_of_a_super_block() -> None:
    assert SUPER_BLOCK.size == 96
