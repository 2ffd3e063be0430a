from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings

from remaster import owners
from tcz.errors import ToolkitError, VerifyError
from tcz.tree import Node, Tree, directory, listing, regular, symlink
from tests.unit.test_cpio import trees


@given(trees())
@settings(max_examples=60)
def test_what_is_unpacked_comes_back(tree: Tree) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "root"
        owners.write(tree, folder)
        assert listing(owners.read(folder)) == listing(tree)
        assert owners.read(folder) == owners.read(folder)
        for place in folder.rglob("*"):
            status = place.lstat()
            assert not status.st_mode & 0o7000
            assert stat.S_IFMT(status.st_mode) in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)
        assert {place.name for place in Path(name).iterdir()} == {"root", "root.owners"}


SMALL = Tree(
    {
        "bin/su": regular(b"su", 0o4755),
        "bin/login": Node(mode=stat.S_IFREG | 0o4755, link="bin/su"),
        "dev/null": Node(mode=stat.S_IFCHR | 0o666, rdev=(1, 3)),
        "etc": directory(0o775, gid=50),
        "etc/shadow": regular(b"secret", 0o600, gid=7),
    }
)


def test_changes_in_the_folder_count(tmp_path: Path) -> None:
    folder = tmp_path / "root"
    owners.write(SMALL, folder)
    (folder / "etc/shadow").write_bytes(b"changed")
    (folder / "etc/new").write_bytes(b"new")
    (folder / "etc/run").write_bytes(b"#!/bin/sh")
    (folder / "etc/run").chmod(0o700)
    (folder / "bin/login").unlink()
    (folder / "bin/login").write_bytes(b"another")
    found = owners.read(folder)
    assert (found["etc/shadow"].read(), found["etc/shadow"].mode & 0o7777) == (b"changed", 0o600)
    assert (found["etc/new"].mode & 0o7777, found["etc/run"].mode & 0o7777) == (0o644, 0o755)
    assert (found["bin/login"].link, found["bin/login"].read()) == (None, b"another")
    assert found["dev/null"].rdev == (1, 3)
    (folder / "bin/su").unlink()
    assert "bin/su" not in owners.read(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_what_root_unpacked_has_its_owners_and_modes(tmp_path: Path) -> None:
    """An initrd unpacked by root, with another program than ours, is the root that it was."""
    folder = tmp_path / "root"
    (folder / "dev").mkdir(parents=True)
    (folder / "sudo").write_bytes(b"program")
    os.chown(folder / "sudo", 0, 50)
    (folder / "sudo").chmod(0o4711)
    (folder / "link").symlink_to("sudo")
    assert owners.read(folder)["sudo"].mode & 0o7777 == 0o755
    os.mknod(folder / "dev/console", stat.S_IFCHR | 0o622, os.makedev(5, 1))
    (folder / "dev/console").chmod(0o622)
    found = owners.read(folder)
    assert (found["sudo"].mode, found["sudo"].gid) == (stat.S_IFREG | 0o4711, 50)
    assert (found["dev/console"].mode, found["dev/console"].rdev) == (stat.S_IFCHR | 0o622, (5, 1))
    assert found["link"].read() == b"sudo"


def test_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    tree = Tree({"out": symlink(str(outside)), "cycle": symlink("cycle"), "up": symlink("../../..")})
    owners.write(tree, tmp_path / "x/root")
    assert owners.read(tmp_path / "x/root") == tree
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    "nodes",
    [
        {"out": symlink("/"), "out/file": regular(b"")},
        {"a": regular(b""), "a/b": regular(b"")},
        {"a": Node(mode=stat.S_IFREG, link="b")},
        {"a": Node(mode=stat.S_IFREG, link="b"), "b": symlink("c")},
        {"../a": regular(b"")},
        {"a\0b": regular(b"")},
    ],
)
def test_trees_that_do_not_hang_together_leave_nothing(tmp_path: Path, nodes: dict[str, Node]) -> None:
    with pytest.raises(VerifyError):
        owners.write(Tree(nodes), tmp_path / "root")
    assert list(tmp_path.iterdir()) == []


def test_content_that_cannot_be_read_leaves_nothing(tmp_path: Path) -> None:
    class Gone:
        size = 3

        def read(self) -> bytes:
            raise VerifyError("gone")

        def pieces(self) -> object:
            raise VerifyError("gone")

    with pytest.raises(ToolkitError, match="gone"):
        owners.write(Tree({"a": Node(mode=stat.S_IFREG, data=Gone())}), tmp_path / "root")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"nonsense\n",
        b'{"schema": 2}\n',
        b'{"path": "a"}\n',
        b'{"path": "../a", "mode": "100644", "uid": 0, "gid": 0, "mtime": 0}\n',
        b'{"path": "a", "mode": "9", "uid": 0, "gid": 0, "mtime": 0}\n',
        b'{"path": "a", "mode": "20644", "uid": 0, "gid": 0, "mtime": 0, "rdev": [1]}\n',
        b"[" * 100_000 + b"\n",
    ],
)
def test_broken_records(tmp_path: Path, record: bytes) -> None:
    (tmp_path / "root").mkdir()
    head = b'{"schema": 1, "what": "owners"}\n' if record.startswith((b'{"path', b"[")) else b""
    (tmp_path / "root.owners").write_bytes(head + record)
    if not record:
        assert set(owners.read(tmp_path / "root")) == {""}
        return
    with pytest.raises(VerifyError, match="owners"):
        owners.read(tmp_path / "root")


def test_a_hundred_thousand_files() -> None:
    """In the record, where they cost; on disk they would only cost the disk."""
    tree = Tree({f"d{number % 100}/f{number}": regular(b"") for number in range(100_000)})
    assert len(owners.loads(owners.dumps(tree), "x")) == len(tree)
