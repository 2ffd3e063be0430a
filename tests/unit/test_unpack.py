"""Unpacking: what comes out of good archives, and that hostile ones touch nothing outside."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcz.errors import VerifyError
from tcz.unpack import one_folder, unpack
from tests.unit.tars import make_tar

GOOD = [
    ("dir", "top", ""),
    ("file", "top/a", "alpha"),
    ("exec", "top/bin/run", "#!/bin/sh\n"),
    ("sym", "top/link", "bin/run"),
    ("sym", "top/bin/up", "../a"),
    ("hard", "top/same", "top/a"),
]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_good_tar(tmp_path: Path, mode: str) -> None:
    archive = make_tar(tmp_path / "a.tar", GOOD, mode)
    into = tmp_path / "out"
    assert unpack(archive, into, strip=1) == 5
    assert (into / "a").read_text() == "alpha"
    assert (into / "a").stat().st_mtime == 1_000_000_000
    assert stat.S_IMODE((into / "a").stat().st_mode) == 0o644
    assert stat.S_IMODE((into / "bin/run").stat().st_mode) == 0o755
    assert (into / "link").readlink() == Path("bin/run")
    assert (into / "bin/up").read_text() == "alpha"
    assert (into / "same").stat().st_ino == (into / "a").stat().st_ino


@pytest.mark.skipif(shutil.which("zstd") is None, reason="needs zstd")
def test_zstd(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "a.tar", GOOD)
    subprocess.run(["zstd", "-q", archive], check=True)
    assert unpack(tmp_path / "a.tar.zst", tmp_path / "out") == 6


def test_same_as_gnu_tar(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    (tree / ("long" * 40)).write_text("x")
    (tree / "deep" / "ü").write_bytes(bytes(range(256)) * 5000)
    (tree / "deep" / "up").symlink_to("../" + "long" * 40)
    subprocess.run(["tar", "-cJf", tmp_path / "a.tar.xz", "-C", tree, "."], check=True)
    unpack(tmp_path / "a.tar.xz", tmp_path / "out")
    subprocess.run(["diff", "-r", "--no-dereference", tree, tmp_path / "out"], check=True)


def test_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("m@v1/run", date_time=(2020, 2, 29, 12, 0, 0))
        info.external_attr = (stat.S_IFREG | 0o755) << 16
        archive.writestr(info, "run")
        archive.writestr("m@v1/sub/file", "text")
    unpack(tmp_path / "a.zip", tmp_path / "out", strip=1)
    run = tmp_path / "out/run"
    assert run.stat().st_mode & 0o100
    assert run.stat().st_mtime == 1582977600
    assert (tmp_path / "out/sub/file").read_text() == "text"


ZIP_HOSTILE = {
    "leaves": ("../out", stat.S_IFREG | 0o644, b"x"),
    "absolute": ("/abs", stat.S_IFREG | 0o644, b"x"),
    "link out": ("l", stat.S_IFLNK | 0o777, b"../../etc"),
    "absolute link": ("l", stat.S_IFLNK | 0o777, b"/etc/passwd"),
    "link that is no text": ("l", stat.S_IFLNK | 0o777, b"\0\xff"),
    "huge link": ("l", stat.S_IFLNK | 0o777, b"a/" * 10000),
    "device": ("d", stat.S_IFCHR | 0o666, b""),
    "pipe": ("p", stat.S_IFIFO | 0o666, b""),
}


@pytest.mark.parametrize("name", ZIP_HOSTILE)
def test_every_hostile_zip(tmp_path: Path, name: str) -> None:
    path, mode, data = ZIP_HOSTILE[name]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo(path)
        info.external_attr = mode << 16
        archive.writestr(info, data)
    with pytest.raises(VerifyError):
        unpack(tmp_path / "a.zip", tmp_path / "in/side")
    assert {p.name for p in tmp_path.iterdir()} <= {"a.zip", "in"}
    assert [p.name for p in tmp_path.glob("in/*")] == ["side"]


def test_zip_with_a_password_or_an_unknown_compression(tmp_path: Path) -> None:
    for at, value in ((6, 1), (8, 99)):
        path = tmp_path / f"{at}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a", "alpha")
        data = bytearray(path.read_bytes())
        data[at] = value
        data[data.index(b"PK\x01\x02") + at + 2] = value
        path.write_bytes(data)
        with pytest.raises(VerifyError, match="cannot be read"):
            unpack(path, tmp_path / "out")


@given(st.binary(max_size=60), st.integers(0, 400))
@settings(max_examples=80)
def test_damaged_zip_is_one_error(noise: bytes, at: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("top/a", "alpha" * 50)
            archive.writestr("top/b", "beta")
        data = path.read_bytes()
        path.write_bytes(data[:at] + noise + data[at + len(noise) :])
        with contextlib.suppress(VerifyError):
            unpack(path, Path(folder) / "out")
        assert {p.name for p in Path(folder).iterdir()} <= {"a.zip", "out"}


def test_what_is_around_all_of_an_archive(tmp_path: Path) -> None:
    assert one_folder(make_tar(tmp_path / "1.tar", GOOD, "w:gz")) == "top"
    assert one_folder(make_tar(tmp_path / "2.tar", [*GOOD, ("file", "other", "")])) is None
    assert one_folder(make_tar(tmp_path / "3.tar", [("file", "alone", "")])) is None
    assert one_folder(make_tar(tmp_path / "4.tar", [("dir", "./", ""), ("file", "./x/y", "")])) == "x"
    with zipfile.ZipFile(tmp_path / "5.zip", "w") as archive:
        archive.writestr("x/a", "a")
    assert one_folder(tmp_path / "5.zip") == "x"


HOSTILE = {
    "parent": [("file", "../evil", "x")],
    "parent-inside": [("file", "a/../../evil", "x")],
    "absolute": [("file", "/evil", "x")],
    "absolute-link": [("sym", "l", "/etc/passwd")],
    "link-out": [("sym", "a/l", "../../evil")],
    "link-out-later": [("dir", "d", ""), ("sym", "d/l", "../..")],
    "through-link": [("dir", "d", ""), ("sym", "l", "d"), ("file", "l/x", "x")],
    "device": [("char", "null", "")],
    "pipe": [("fifo", "pipe", "")],
    "hard-link-out": [("hard", "h", "../secret")],
    "hard-link-absolute": [("hard", "h", "/etc/passwd")],
    "hard-link-absent": [("hard", "h", "nothing")],
    "hard-link-to-link": [("file", "a", ""), ("sym", "l", "a"), ("hard", "h", "l")],
    "file-over-folder": [("dir", "d", ""), ("file", "d", "x")],
    "through-file": [("file", "f", ""), ("file", "f/x", "")],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_tar(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("kept")
    archive = make_tar(tmp_path / "a.tar", HOSTILE[name])
    with pytest.raises(VerifyError) as caught:
        unpack(archive, tmp_path / "out")
    assert caught.value.where
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "out", "secret"]
    assert (tmp_path / "secret").stat().st_nlink == 1


def test_hostile_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("../evil", "x")
    with pytest.raises(VerifyError):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert not (tmp_path / "evil").exists()


def test_a_link_that_lies_there_already_is_not_written_through(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("kept")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/f").symlink_to(outside)
    unpack(make_tar(tmp_path / "a.tar", [("file", "f", "new")]), tmp_path / "out")
    assert outside.read_text() == "kept"
    assert (tmp_path / "out/f").read_text() == "new"


@pytest.mark.parametrize("keep", [0, 300, 1000])
def test_truncated(tmp_path: Path, keep: int) -> None:
    whole = make_tar(tmp_path / "a.tar.xz", [("file", "f", os.urandom(2000).hex())], "w:xz").read_bytes()
    (tmp_path / "b").write_bytes(whole[:keep])
    with pytest.raises(VerifyError):
        unpack(tmp_path / "b", tmp_path / "out")


def test_system_links_are_followed_inside_the_root(tmp_path: Path) -> None:
    entries = [
        ("dir", "usr/bin", ""),
        ("sym", "bin", "usr/bin"),
        ("sym", "etc/away", "/usr/share/x"),
        ("file", "bin/tool", "t"),
        ("file", "etc/away/f", "f"),
        ("sym", "up", "../../../../tmp"),
        ("file", "up/g", "g"),
    ]
    out = tmp_path / "out"
    unpack(make_tar(tmp_path / "a.tar", entries), out, system=True, skip=("usr/share/doc/",))
    assert (out / "usr/bin/tool").read_text() == "t"
    assert (out / "usr/share/x/f").read_text() == "f"
    assert (out / "tmp/g").read_text() == "g"
    assert (out / "bin").is_symlink()


def test_system_link_loop(tmp_path: Path) -> None:
    entries = [("sym", "a", "b"), ("sym", "b", "a"), ("file", "a/f", "")]
    with pytest.raises(VerifyError, match="too many"):
        unpack(make_tar(tmp_path / "a.tar", entries), tmp_path / "out", system=True)


NAMES = st.lists(st.sampled_from(["a", "b", "c", "..", ".", "", "out"]), min_size=1, max_size=4).map("/".join)
ENTRIES = st.lists(
    st.tuples(st.sampled_from(["dir", "file", "exec", "sym", "hard"]), NAMES, NAMES | NAMES.map("/".__add__)),
    max_size=12,
)


@settings(max_examples=300)
@given(entries=ENTRIES, system=st.booleans(), strip=st.integers(0, 2))
def test_nothing_outside_is_ever_touched(
    entries: list[tuple[str, str, str]],
    system: bool,  # noqa: FBT001
    strip: int,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        (top / "a").mkdir()
        for kept in (top / "b", top / "a/b"):
            kept.write_text("kept")
        archive = make_tar(top / "archive.tar", entries)
        before = {path: path.lstat() for path in top.rglob("*")}
        with contextlib.suppress(VerifyError):
            unpack(archive, top / "out", strip=strip, system=system)
        after = {path: path.lstat() for path in top.rglob("*") if not path.is_relative_to(top / "out")}
        assert {k: (v.st_ino, v.st_mtime_ns, v.st_nlink, v.st_size) for k, v in before.items()} == {
            k: (v.st_ino, v.st_mtime_ns, v.st_nlink, v.st_size) for k, v in after.items()
        }
        assert (top / "b").read_text() == (top / "a/b").read_text() == "kept"
