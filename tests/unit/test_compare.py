"""Two builds compared: each kind of difference is told where it is."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tcz import tar
from tcz.compare import Difference, builds, elf_section, first_difference, trees
from tcz.layout import read_back
from tcz.model import Built, BuiltPackage
from tcz.tree import Node, Tree, directory, regular, symlink

if TYPE_CHECKING:
    from pathlib import Path


def told(one: dict[str, Node], two: dict[str, Node]) -> list[str]:
    root = {"": directory()}
    return [difference.text for difference in trees("p", Tree(root | one), Tree(root | two))]


def test_every_field() -> None:
    file = regular(b"same and then one", mtime=5)
    assert told({"a": file}, {"a": file}) == []
    assert told({"a": file}, {}) == ["p: a: presence: there | absent"]
    assert told({}, {"a": file}) == ["p: a: presence: absent | there"]
    assert told({"a": file}, {"a": symlink("x")}) == ["p: a: type: -rw-r--r-- | lrwxrwxrwx"]
    other = replace(file, mode=0o100755, uid=1, gid=2, mtime=6, data=b"same and then two!")
    assert told({"a": file}, {"a": other}) == [
        "p: a: mode: 0644 | 0755",
        "p: a: owner: 0:0 | 1:2",
        "p: a: time: 5 | 6",
        "p: a: size: 17 | 18",
        "p: a: content: byte 14: 'one' | 'two!'",
    ]
    assert told({"a": symlink("x")}, {"a": symlink("y")}) == ["p: a: target: x | y"]
    device = Node(mode=0o020600, rdev=(1, 2))
    assert told({"a": device}, {"a": replace(device, rdev=(1, 3))}) == ["p: a: device: (1, 2) | (1, 3)"]
    linked = {"a": file, "b": replace(file, link="a", data=b"")}
    assert told(linked, {"a": file, "b": file})[0] == "p: b: target: hard link to a | hard link to None"
    assert told({"a": directory(0o755)}, {"a": directory(0o700)}) == ["p: a: mode: 0755 | 0700"]


@given(st.binary(max_size=200_000), st.integers(0, 200_000), st.binary(max_size=3))
def test_first_difference(data: bytes, at: int, more: bytes) -> None:
    other = data[:at] + more
    found = first_difference(data, other)
    assert data[:found] == other[:found]
    if data != other:
        assert data[found : found + 1] != other[found : found + 1]


def test_sections_of_a_program(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text('const char *when = "MARKER-ONE";\nint main(void) { return *when; }\n')
    subprocess.run(["cc", "-o", tmp_path / "a", tmp_path / "a.c"], check=True)
    data = (tmp_path / "a").read_bytes()
    at = data.index(b"MARKER-ONE")
    assert elf_section(data, at) == ".rodata"
    other = data.replace(b"MARKER-ONE", b"MARKER-TWO")
    (found,) = trees("p", Tree({"a": regular(data)}), Tree({"a": regular(other)}))
    assert found.one.startswith(f"byte {at + 7} in .rodata: ")
    assert elf_section(data, 0) is None
    assert elf_section(b"text", 0) is None


@given(st.binary(max_size=300), st.integers(0, 400))
def test_damaged_programs_have_no_sections_or_some(tail: bytes, at: int) -> None:
    found = elf_section(b"\x7fELF\x02\x01" + tail, at)
    assert found is None or isinstance(found, str)


def build(folder: Path, tree: Tree, files: dict[str, str]) -> Built:
    out = folder / "out"
    (out / "plain").mkdir(parents=True)
    for name, text in files.items():
        (out / name).write_text(text)
    tar.write(tree, out / "layer.tar")
    common = {"sha256": "", "size": 0, "installed": 0, "needs": ()}
    packages = (
        BuiltPackage(name="layer", form="layer", path=out / "layer.tar", **common),  # type: ignore[arg-type]
        BuiltPackage(name="plain", form="files", path=out / "plain", **common),  # type: ignore[arg-type]
    )
    return Built(
        recipe="r",
        version="1",
        build_id="",
        content_id="",
        folder=out,
        packages=packages,
        sources=(),
        root=(),
    )


def test_whole_builds(tmp_path: Path) -> None:
    tree = Tree({"a": regular(b"x")})
    one = build(tmp_path / "one", tree, {"plain/x": "1", "layer.tar.info": "i"})
    assert (
        builds(one, build(tmp_path / "two", tree, {"plain/x": "1", "layer.tar.info": "i"}), read_back) == ()
    )
    changed = Tree({"a": regular(b"y")})
    three = build(tmp_path / "three", changed, {"plain/x": "2"})
    assert [(found.package, found.member, found.field) for found in builds(one, three, read_back)] == [
        ("layer", "a", "content"),
        ("layer.tar.info", "", "presence"),
        ("plain", "x", "content"),
    ]
    fewer = replace(one, packages=one.packages[:1])
    assert builds(fewer, one, read_back) == (
        Difference(package="plain", member="", field="presence", one="absent", two="there"),
    )
