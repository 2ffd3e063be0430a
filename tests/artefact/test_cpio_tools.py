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


PACKERS = {
    "gzip": ("gzip", "-9nc"),
    "bzip2": ("bzip2", "-c"),
    "lzma": ("lzma", "-c"),
    "xz": ("xz", "--check=crc32", "-c"),
    "zstd": ("zstd", "-qc"),
    "lz4": ("lz4", "-lqc"),
}


@pytest.mark.parametrize("name", PACKERS)
def test_members_of_every_compressor_are_read(name: str) -> None:
    """What the compressors' own programs write, in front of, between and behind other members."""
    if shutil.which(PACKERS[name][0]) is None:
        pytest.skip(f"{PACKERS[name][0]} is not installed")
    big = Tree({"big": regular(bytes(range(256)) * 40_000, mtime=EPOCH)})
    packed = run(*PACKERS[name], stdin=cpio.dumps(big))
    early = cpio.dumps(Tree({"kernel/x86/microcode/GenuineIntel.bin": regular(b"microcode", mtime=EPOCH)}))
    aligned = packed + bytes(-len(packed) % 4 + 4)
    image = early + aligned + aligned + cpio.dumps(TREE)
    found = cpio.load(image)
    assert [member.compressor for member in found.members] == ["none", name, name, "none"]
    assert [member.archives[0].microcode for member in found.members] == [True, False, False, False]
    assert found.tree["big"] == big["big"]
    assert {"kernel/x86/microcode/GenuineIntel.bin", "bin/busybox"} <= set(found.tree)
    whole = b"".join(image[member.offset : member.offset + member.size] for member in found.members)
    assert whole.replace(b"\0", b"") == image.replace(b"\0", b"")


@pytest.mark.parametrize("name", ["gzip", "xz", "zstd", "lz4"])
def test_others_unpack_what_we_packed(name: str) -> None:
    program = PACKERS[name][0]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    data = cpio.dumps(TREE)
    assert run(program, "-dc", stdin=cpio.compress(data, name, 1)) == data  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "tool", ["cpio -o -H odc --quiet", "cpio -o -H crc --quiet", "bsdcpio -o -H odc --quiet"]
)
def test_old_forms_are_read(tool: str, tmp_path: Path) -> None:
    if shutil.which(tool.split(maxsplit=1)[0]) is None:
        pytest.skip(f"{tool.split(maxsplit=1)[0]} is not installed")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").write_bytes(b"odd" * 333)
    (tmp_path / "folder/file").chmod(0o4711)
    (tmp_path / "folder/second").hardlink_to(tmp_path / "folder/file")
    (tmp_path / "link").symlink_to("folder/file")
    packed = run(*tool.split(), stdin=b"folder\nfolder/file\nfolder/second\nlink\n", cwd=tmp_path)
    packed += bytes(-len(packed) % 4)
    found = cpio.load(packed + cpio.dumps(TREE))
    assert [member.archives[0].format for member in found.members] == [tool.split()[3], "newc"]
    assert found.members[0].entries == 4
    assert found.tree["folder/file"].mode == stat.S_IFREG | 0o4711
    assert found.tree["folder/file"].read() == b"odd" * 333
    assert found.tree["folder/second"].link == "folder/file"
    assert found.tree["link"].read() == b"folder/file"


def test_device_numbers_of_the_old_form() -> None:
    names = b"/dev/null\n/dev/zero\n"
    found = cpio.read(run("cpio", "-o", "-H", "odc", "--quiet", stdin=names))
    assert found["dev/null"].rdev == (1, 3)
    assert found["dev/zero"].rdev == (1, 5)
