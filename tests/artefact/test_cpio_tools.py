"""What other tools say of our archives, and what we say of theirs."""

from __future__ import annotations

import shutil
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from tcz import cpio
from tcz.tree import Node, Tree, regular, symlink

if TYPE_CHECKING:
    from pathlib import Path

EPOCH = 1735689600
TREE = Tree(
    {
        "bin/busybox": regular(b"\x7fELF" * 1000, 0o4755, mtime=EPOCH),
        "bin/sh": symlink("busybox", mtime=EPOCH),
        "dev/console": Node(mode=stat.S_IFCHR | 0o600, rdev=(5, 1), mtime=EPOCH),
        "dev/sda": Node(mode=stat.S_IFBLK | 0o660, rdev=(8, 0), gid=6, mtime=EPOCH),
        "etc/a name with spaces": regular(b"", uid=1001, gid=50, mtime=EPOCH),
        "etc/first": regular(b"shared", mtime=EPOCH),
        "etc/second": Node(mode=stat.S_IFREG | 0o644, link="etc/first", mtime=EPOCH),
    }
)


def run(*argv: str, stdin: bytes = b"", cwd: Path | None = None) -> bytes:
    done = subprocess.run(argv, input=stdin, capture_output=True, check=True, cwd=cwd)
    return done.stdout


@pytest.mark.parametrize("tool", ["cpio -it --quiet", "bsdtar -tf -"])
def test_others_list_what_we_wrote(tool: str) -> None:
    argv = tool.split()
    if shutil.which(argv[0]) is None:
        pytest.skip(f"{argv[0]} is not installed")
    assert run(*argv, stdin=cpio.dumps(TREE)).decode().splitlines() == [path for path in TREE if path]


def test_gnu_cpio_shows_modes_owners_and_devices() -> None:
    lines = run("cpio", "-itvn", "--quiet", stdin=cpio.dumps(TREE)).decode().splitlines()
    table = {line.split(maxsplit=8)[-1].split(" -> ")[0].strip(): line.split() for line in lines}
    assert table["bin/busybox"][:4] == ["-rwsr-xr-x", "1", "0", "0"]
    assert any(line.startswith("crw-------") and "5,   1" in line for line in lines)
    assert any(line.startswith("brw-rw----") and "8,   0" in line for line in lines)
    assert any(line.split()[:4] == ["-rw-r--r--", "1", "1001", "50"] for line in lines)
    assert sum(line.split()[1] == "2" and line.startswith("-") for line in lines) == 2


def test_gnu_cpio_unpacks_and_packs_again(tmp_path: Path) -> None:
    plain = Tree({path: node for path, node in TREE.items() if not path.startswith("dev")})
    run("cpio", "-idm", "--quiet", "--no-preserve-owner", stdin=cpio.dumps(plain), cwd=tmp_path)
    assert (tmp_path / "etc/first").stat().st_ino == (tmp_path / "etc/second").stat().st_ino
    assert (tmp_path / "etc/second").read_bytes() == b"shared"
    assert (tmp_path / "bin/busybox").stat().st_mtime == EPOCH
    names = "\n".join(path for path in plain if path).encode()
    for form in ("newc", "crc"):
        packed = run("cpio", "-o", "-H", form, "-R", "+0:+0", "--quiet", stdin=names, cwd=tmp_path)
        back = cpio.read(packed)
        assert set(back) == set(plain)
        assert back["etc/second"].link == "etc/first"
        assert back["etc/first"].read() == b"shared"
        assert back["bin/sh"].read() == b"busybox"
