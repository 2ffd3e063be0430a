import hashlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcz import metadata
from tcz.errors import ConfigError, VerifyError
from tcz.metadata import Info, Md5

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,12}", fullmatch=True).filter(
    lambda name: not name.endswith(".tcz")
)
word = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x24F, exclude_categories=["C", "Z"]), min_size=1
)
line = st.lists(word, min_size=1, max_size=4).map(" ".join)
value = st.lists(line, max_size=3).map("\n".join)


@given(st.lists(names, unique=True))
def test_dep_round_trip(needs: list[str]) -> None:
    text = metadata.dep_text(needs)
    assert metadata.parse_dep(text or "") == tuple(needs)
    if text is not None:
        assert text.split("\n") == [f"{name}.tcz" for name in needs] + [""]


def test_no_dep_file_without_needs() -> None:
    assert metadata.dep_text([]) is None


def test_dep_dirt() -> None:
    dirty = " a.tcz \n\n\tb-KERNEL.tcz\n c\n   \na.tcz\nd.tcz"
    assert metadata.parse_dep(dirty) == ("a", "b-KERNEL", "c", "d")


@pytest.mark.parametrize("text", ["# x\n", "a.tcz;rm\n", "$(id).tcz\n", "<html>\n"])
def test_dep_refuses_what_a_shell_would_run(text: str) -> None:
    with pytest.raises(ConfigError):
        metadata.parse_dep(text)
    with pytest.raises(ConfigError):
        metadata.dep_text([text.strip()])


@given(st.binary(max_size=40), names)
def test_md5_round_trip(data: bytes, name: str) -> None:
    entry = Md5(md5=hashlib.md5(data, usedforsecurity=False).hexdigest(), name=f"{name}.tcz")
    assert metadata.parse_md5(metadata.md5_text(entry)) == entry


def test_md5_is_what_md5sum_checks(tmp_path: Path) -> None:
    (tmp_path / "a.tcz").write_bytes(b"x")
    entry = Md5(md5=hashlib.md5(b"x", usedforsecurity=False).hexdigest(), name="a.tcz")
    (tmp_path / "a.tcz.md5.txt").write_text(metadata.md5_text(entry))
    subprocess.run(["md5sum", "--strict", "-c", "a.tcz.md5.txt"], cwd=tmp_path, check=True)


@pytest.mark.parametrize("text", ["", "<html></html>", "abc  x.tcz\n", "d41d8cd98f00b204e9800998ecf8427e\n"])
def test_md5_refuses(text: str) -> None:
    with pytest.raises(VerifyError):
        metadata.parse_md5(text)


def test_md5_dirt() -> None:
    assert metadata.parse_md5("D41D8CD98F00B204E9800998ECF8427E *./x.tcz \n\n").name == "x.tcz"
    with pytest.raises(VerifyError):
        metadata.md5_text(Md5(md5="D41D8CD98F00B204E9800998ECF8427E", name="x.tcz"))


def test_list() -> None:
    assert metadata.list_text(["usr/b", "usr/B", "usr/a"]) == "usr/B\nusr/a\nusr/b\n"
    for style in ("usr/a\nb\n", "/usr/a\n/b", "./usr/a\n\n./b\n"):
        assert metadata.parse_list(style) == ("b", "usr/a")


@given(st.builds(Info, **dict.fromkeys((f for f in Info.__dataclass_fields__), value)))
def test_info_round_trip(info: Info) -> None:
    assert metadata.parse_info(metadata.info_text(info)) == info


def test_info_columns() -> None:
    text = metadata.info_text(
        Info(title="a.tcz", copying_policy="MIT", comments="one\ntwo", current="2025/01/01 x")
    )
    rows = text.split("\n")
    assert rows[0] == "Title:          a.tcz"
    assert rows[5] == "Copying-policy: MIT"
    assert rows[9:11] == ["Comments:       one", "                two"]
    assert [row.split(":")[0] for row in rows if row and row[0] != " "] == [
        *("Title", "Description", "Version", "Author", "Original-site", "Copying-policy"),
        *("Size", "Extension_by", "Tags", "Comments", "Change-log", "Current"),
    ]


def test_info_dirt() -> None:
    dirty = (
        "Title:\t\tx.tcz\nProject: y\nDescritpion: some\n\n  more: of it\nExtension-by:\tme\n"
        "-------\nComments:   This is\n\t\thttp://x.example/\nChangelog: 2020/01/01 first\n"
    )
    info = metadata.parse_info(metadata.decode(dirty.encode("latin-1")))
    assert info == Info(
        title="x.tcz",
        description="some\nmore: of it",
        extension_by="me",
        comments="This is\nhttp://x.example/",
        change_log="2020/01/01 first",
    )
    assert metadata.decode(b"caf\xe9\r\n") == "café\n"


def test_tree() -> None:
    needs = {"alsa": ("mods", "libasound"), "mods": ("input",), "input": (), "libasound": ("gone",)}
    text = metadata.tree_text("alsa", needs.get)
    assert text == ("alsa.tcz\n   mods.tcz\n      input.tcz\n   libasound.tcz\n      gone.tcz\n\n")
    assert metadata.parse_tree(text)[2] == (2, "input")


def test_tree_ends_on_a_cycle() -> None:
    needs = {"a": ("b",), "b": ("a",)}
    assert metadata.tree_text("a", needs.get) == "a.tcz\n   b.tcz\n      a.tcz\n\n"


@pytest.mark.parametrize(("size", "text"), [(0, "0K"), (1, "1K"), (397312, "388K"), (1258291, "1.2M")])
def test_human_size(size: int, text: str) -> None:
    assert metadata.human_size(size) == text
