import io
import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tcz import tar
from tcz.errors import VerifyError
from tcz.tree import FileRef, Node, Tree, directory, regular, symlink

segment = st.binary(min_size=1, max_size=120).map(
    lambda raw: os.fsdecode(bytes(byte for byte in raw if byte not in b"/\0")) or "x"
)
path = st.lists(segment.filter(lambda s: s not in (".", "..")), min_size=1, max_size=3).map("/".join)
modes = st.integers(0, 0o7777)
ids = st.sampled_from([0, 1, 50, 1001, 65534, 2097152])
common = {"uid": ids, "gid": ids, "mtime": st.integers(0, 2**31)}
nodes = st.one_of(
    st.builds(regular, st.binary(max_size=2000), mode=modes, **common),
    st.builds(directory, mode=modes, **common),
    st.builds(
        symlink, st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=200)
    ),
    st.builds(
        Node,
        mode=modes.map(lambda mode: stat.S_IFCHR | mode),
        rdev=st.tuples(st.integers(0, 4095), st.integers(0, 255)),
        **common,
    ),
)


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    found = draw(st.dictionaries(path, nodes, max_size=6))
    fine = {
        p: n for p, n in found.items() if all(not p.startswith(o + "/") or found[o].is_dir for o in found)
    }
    files = [p for p, n in fine.items() if n.is_file]
    if files:
        target = draw(st.sampled_from(files))
        if "zz" not in fine:
            fine["zz"] = Node(**{**_fields(fine[target]), "data": b"", "link": target})
    return Tree(fine)


def _fields(node: Node) -> dict[str, object]:
    return {name: getattr(node, name) for name in ("mode", "uid", "gid", "mtime", "rdev")}


def content(tree: Tree) -> list[tuple[str, tuple[object, ...]]]:
    return [(p, (n.mode, n.uid, n.gid, n.mtime, n.rdev, n.link, n.read())) for p, n in tree.items()]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(trees())
def test_round_trip_and_gnu_tar(tmp_path: Path, tree: Tree) -> None:
    file = tmp_path / "a.tar"
    tar.write(tree, file)
    assert content(tar.read(file)) == content(tree)
    first = file.read_bytes()
    tar.write(tar.read(file), file)
    assert file.read_bytes() == first
    seen = subprocess.run(["tar", "--numeric-owner", "-tf", file], capture_output=True, check=True)
    assert len(seen.stdout.splitlines()) == len(tree)


def test_gnu_tar_sees_owners_devices_and_links(tmp_path: Path) -> None:
    tree = Tree(
        {
            "bin/su": regular(b"x", mode=0o4755),
            "bin/sv": Node(mode=stat.S_IFREG | 0o4755, link="bin/su"),
            "dev/console": Node(mode=stat.S_IFCHR | 0o600, rdev=(5, 1)),
            "home/tc": directory(0o755, 1001, 50),
            "lib64": symlink("lib"),
        }
    )
    file = tmp_path / "a.tar"
    tar.write(tree, file)
    seen = subprocess.run(
        ["tar", "--numeric-owner", "-tvf", file],
        capture_output=True,
        check=True,
        text=True,
        env={"TZ": "UTC"},
    ).stdout
    assert "-rwsr-xr-x 0/0               1 1970-01-01 00:00 bin/su\n" in seen
    assert "hrwsr-xr-x 0/0               0 1970-01-01 00:00 bin/sv link to bin/su\n" in seen
    assert "crw------- 0/0             5,1 1970-01-01 00:00 dev/console\n" in seen
    assert "drwxr-xr-x 1001/50           0 1970-01-01 00:00 home/tc/\n" in seen
    assert "lib64 -> lib\n" in seen
    assert seen.splitlines()[0].endswith(" ./")


def test_reads_without_copying(tmp_path: Path) -> None:
    file = tmp_path / "a.tar"
    tar.write(Tree({"a": regular(b"hello")}), file)
    data = tar.read(file)["a"].data
    assert isinstance(data, FileRef)
    assert data.path == file
    assert data.read() == b"hello"


@pytest.mark.parametrize("name", ["../x", "a/../../x"])
def test_refuses_names_that_leave(tmp_path: Path, name: str) -> None:
    file = tmp_path / "a.tar"
    with tarfile.open(file, "w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(VerifyError, match="leaves its tree"):
        tar.read(file)


def test_refuses_damage(tmp_path: Path) -> None:
    file = tmp_path / "a.tar"
    tar.write(Tree({"a": regular(b"x" * 5000)}), file)
    whole = file.read_bytes()
    file.write_bytes(whole[:3000])
    with pytest.raises(VerifyError):
        tar.read(file)
    member = tarfile.TarInfo("a")
    member.type, member.linkname = tarfile.LNKTYPE, "gone"
    with tarfile.open(file, "w") as archive:
        archive.addfile(member, io.BytesIO())
    with pytest.raises(VerifyError, match="gone"):
        tar.read(file)
