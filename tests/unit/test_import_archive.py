import io
import os
import stat
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tcz.errors import NoSpaceError, VerifyError
from tcz.importing import archive
from tcz.importing.builder import TreeBuilder
from tcz.tree import Tree, directory, regular, symlink
from tcz.unpack import unpack

Entry = tuple[str, bytes, dict[str, Any]]
_KINDS = {"file": tarfile.REGTYPE, "dir": tarfile.DIRTYPE, "sym": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE}


def write_tar(path: Path, *entries: tuple[str, str, Any], mode: str = "w", **more: Any) -> Path:
    """Entries are kind, name and content, target or (for ``raw``) a type of tar's."""
    with tarfile.open(path, mode) as tar:
        for kind, name, extra in entries:
            info = tarfile.TarInfo(name)
            info.type = _KINDS.get(kind, extra if kind == "raw" else tarfile.REGTYPE)
            info.mode, info.mtime = 0o755 if kind == "dir" else 0o644, 1_000_000_000
            for key, value in more.items():
                setattr(info, key, value)
            data = extra.encode() if kind == "file" else b""
            info.size = len(data)
            if kind in ("sym", "hard"):
                info.linkname = extra
            tar.addfile(info, io.BytesIO(data))
    return path


def read(path: Path, **options: Any) -> archive.Contents:
    spool = path.parent / f"{path.name}.spool"
    spool.mkdir(exist_ok=True)
    owners = archive.Owners(users={"root": 0, "tc": 1001}, groups={"root": 0, "staff": 50})
    return archive.read(path, archive.Spool(folder=spool), owners, **options)


def shape(tree: Tree) -> dict[str, tuple[str, bytes]]:
    """Return kind and content of every path but the root."""
    found = {}
    for path, node in tree.items():
        if path:
            data = tree[node.link].read() if node.link else node.read()
            found[path] = ("dir" if node.is_dir else "sym" if node.is_link else "file", data)
    return found


def shape_on_disk(folder: Path) -> dict[str, tuple[str, bytes]]:
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = ("sym", os.fsencode(path.readlink()))
        elif path.is_dir():
            found[name] = ("dir", b"")
        else:
            found[name] = ("file", path.read_bytes())
    return found


_SEGMENT = st.sampled_from(["a", "b", "c"])
_PATH = st.lists(_SEGMENT, min_size=1, max_size=3).map("/".join)
_TARGET = st.lists(st.sampled_from(["a", "b", "c", ".."]), min_size=1, max_size=3).map("/".join)
_ENTRY = st.one_of(
    st.tuples(st.just("file"), _PATH, st.text("xyz", max_size=4)),
    st.tuples(st.just("dir"), _PATH, st.just("")),
    st.tuples(st.just("sym"), _PATH, st.one_of(_TARGET, _TARGET.map("/".__add__))),
    st.tuples(st.just("hard"), _PATH, _PATH),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_ENTRY, max_size=8))
def test_like_unpacking_onto_a_disk(tmp_path_factory: Any, entries: list[tuple[str, str, str]]) -> None:
    """What is read into memory is what the other reader, which uses a real file system, lays out."""
    folder = tmp_path_factory.mktemp("t")
    tar = write_tar(folder / "x.tar", *entries)
    try:
        unpack(tar, folder / "disk", system=True)
    except VerifyError:
        with pytest.raises(VerifyError):
            read(tar)
        return
    assert shape(read(tar).tree) == shape_on_disk(folder / "disk")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_compressions_and_facts(tmp_path: Path, mode: str) -> None:
    entries = [
        ("dir", "./", ""),
        ("file", "./a/b", "hello"),
        ("sym", "a/l", "/x/../y"),
        ("hard", "a/h", "a/b"),
    ]
    tar = write_tar(tmp_path / "x", *entries, mode=mode)
    tree = read(tar).tree
    assert list(tree) == ["", "a", "a/b", "a/h", "a/l"]
    assert tree["a/b"].read() == b"hello"
    assert tree["a/b"].mtime == 1_000_000_000
    assert tree["a/h"].link == "a/b"
    assert tree["a/l"].read() == b"/x/../y"


def test_zstd(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "x.tar", ("file", "a", "hello" * 1000))
    subprocess.run(["zstd", "-q", tar], check=True)
    assert read(Path(f"{tar}.zst")).tree["a"].size == 5000


def test_strip(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "x", ("dir", "top", ""), ("file", "top/a", "1"), ("hard", "top/b", "top/a"))
    assert list(read(tar, strip=1).tree) == ["", "a", "b"]


def test_owners(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x", "w") as tar:
        for name, uid, user, gid, group, mode in (
            ("known", 5, "tc", 6, "staff", 0o4755),
            ("numbers", 33, "", 34, "", 0o6755),
            ("unknown", 42, "root", 42, "shadow", 0o2755),
            ("folder", 42, "ghost", 0, "root", 0o1777),
        ):
            info = tarfile.TarInfo(name)
            info.uid, info.gid, info.uname, info.gname, info.mode = uid, gid, user, group, mode
            info.type = tarfile.DIRTYPE if name == "folder" else tarfile.REGTYPE
            tar.addfile(info)
    found = read(tmp_path / "x")
    owners = {p: (n.uid, n.gid, stat.S_IMODE(n.mode)) for p, n in found.tree.items() if p}
    assert owners == {
        "known": (1001, 50, 0o4755),
        "numbers": (33, 34, 0o6755),
        "unknown": (0, 0, 0o755),
        "folder": (0, 0, 0o1777),
    }
    assert [note.where for note in found.notes] == ["unknown", "folder"]


def test_special_files_are_left_out(tmp_path: Path) -> None:
    kinds = [("raw", "c", tarfile.CHRTYPE), ("raw", "b", tarfile.BLKTYPE), ("raw", "p", tarfile.FIFOTYPE)]
    found = read(write_tar(tmp_path / "x", *kinds, ("file", "f", "1")))
    assert list(found.tree) == ["", "f"]
    assert [note.text.split(":")[0] for note in found.notes] == ["a device node", "a device node", "a pipe"]


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([("file", "../x", "")], "leaves its tree"),
        ([("file", "a/../../x", "")], "leaves its tree"),
        ([("hard", "a", "../../etc/passwd")], "leaves its tree"),
        ([("hard", "a", "/etc/passwd")], "links to what is not a file"),
        ([("sym", "l", "/etc"), ("hard", "a", "l")], "links to what is not a file"),
        ([("file", "a", ""), ("file", "a/b", "")], "goes through a file"),
        ([("file", "a/b", ""), ("file", "a", "")], "would replace a folder"),
        ([("sym", "a", "a"), ("file", "a/b", "")], "too many symbolic links"),
        ([("sym", "a", "")], "without a proper target"),
        ([("file", "x", "1"), ("raw", "s", tarfile.GNUTYPE_SPARSE)], "sparse|damaged"),
    ],
)
def test_hostile(tmp_path: Path, entries: list[tuple[str, str, Any]], words: str) -> None:
    with pytest.raises(VerifyError, match=words):
        read(write_tar(tmp_path / "x", *entries))


def test_links_never_lead_out(tmp_path: Path) -> None:
    """A path through a link to anywhere lands in the tree; the disk is not looked at."""
    tar = write_tar(tmp_path / "x", ("sym", "e", "/../../etc"), ("file", "e/evil", "x"))
    assert list(read(tar).tree) == ["", "e", "etc", "etc/evil"]
    assert not Path("/etc/evil").exists()


def test_damage(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "x", *(("file", f"f{n}", "abc" * 500) for n in range(20)), mode="w:gz")
    whole = tar.read_bytes()
    for cut in (1, 20, len(whole) // 2, len(whole) - 9):
        tar.write_bytes(whole[:cut])
        with pytest.raises(VerifyError):
            read(tar)
    tar.write_bytes(whole[:40] + b"\0\xff" + whole[42:])
    with pytest.raises(VerifyError):
        read(tar)


@settings(max_examples=60)
@given(st.data())
def test_mutated_tars_are_read_or_refused(tmp_path_factory: Any, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("m")
    tar = write_tar(
        folder / "x", ("dir", "d", ""), ("file", "d/f", "hello"), ("sym", "l", "d/f"), ("hard", "h", "d/f")
    )
    content = bytearray(tar.read_bytes()[:5120])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    tar.write_bytes(content)
    try:
        tree = read(tar).tree
    except VerifyError:
        return
    for path, node in tree.items():
        assert ".." not in path.split("/")
        assert node.link is None or node.link in tree
        if node.is_file:
            node.read()


def test_a_bomb_does_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tar = write_tar(tmp_path / "x", ("file", "zeros", "\0" * (8 << 20)), mode="w:gz")
    usage = type("Usage", (), {"free": 65 << 20})
    monkeypatch.setattr("tcz.importing.archive.shutil.disk_usage", lambda _: usage)
    assert read(tar).tree["zeros"].size == 8 << 20
    usage.free = 64 << 20
    with pytest.raises(NoSpaceError):
        read(tar)


def test_zip(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("d/", "")
        info = zipfile.ZipInfo("d/run", (2001, 2, 3, 4, 5, 6))
        info.external_attr = (stat.S_IFREG | 0o755) << 16
        made.writestr(info, "#!/bin/sh\n")
        info = zipfile.ZipInfo("d/link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        made.writestr(info, "run")
    tree = read(path).tree
    assert shape(tree) == {"d": ("dir", b""), "d/run": ("file", b"#!/bin/sh\n"), "d/link": ("sym", b"run")}
    assert stat.S_IMODE(tree["d/run"].mode) == 0o755
    assert tree["d/run"].mtime == 981_173_106
    data = path.read_bytes()
    path.write_bytes(data[:-30])
    with pytest.raises(VerifyError):
        read(path)
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("../x", "")
    with pytest.raises(VerifyError, match="leaves its tree"):
        read(path)


def test_builder_keeps_what_links_share() -> None:
    builder = TreeBuilder(replacing=True)
    builder.put("a/x", regular(b"1"))
    builder.link("b", "a/x")
    builder.link("c", "b")
    builder.remove("a")
    tree = builder.finish()
    assert (tree["b"].read(), tree["b"].link, tree["c"].link) == (b"1", None, "b")
    builder.put("b", directory(0o700))
    assert builder.finish()["c"].read() == b"1"
    builder.put("d", symlink("b"))
    builder.put("d/e", regular(b"2"))
    assert builder.real("d/e") == "b/e"
    builder.clear("b")
    assert list(builder.finish()) == ["", "b", "c", "d"]
