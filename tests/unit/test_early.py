"""Microcode and ACPI tables: where the kernel finds them, and nowhere else."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remaster import early
from tcz import cpio
from tcz.errors import VerifyError
from tcz.tree import Node, Tree, regular, symlink
from tests.unit.test_cpio import trees

if TYPE_CHECKING:
    from pathlib import Path

INTEL, AMD = "kernel/x86/microcode/GenuineIntel.bin", "kernel/x86/microcode/AuthenticAMD.bin"
DSDT = "kernel/firmware/acpi/dsdt.aml"


def found_early(initrd: bytes) -> dict[str, tuple[int, bytes]]:
    """Do as lib/earlycpio.c does: go along plain archives, stop at whatever is none; offset and content."""
    found, at = {}, 0
    while at + 110 <= len(initrd):
        if initrd[at] == 0:
            at += 4
            continue
        if initrd[at : at + 6] not in (b"070701", b"070702"):
            break
        field = [int(initrd[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        mode, size, length = field[1], field[6], field[11]
        name = initrd[at + 110 : at + 110 + length].partition(b"\0")[0].decode(errors="surrogateescape")
        data = -(-(at + 110 + length) // 4) * 4
        if mode & 0o170000 == 0o100000 and name.startswith(
            ("kernel/x86/microcode/", "kernel/firmware/acpi/")
        ):
            found.setdefault(name, (data, initrd[data : data + size]))
        at = -(-(data + size) // 4) * 4
    return found


EARLY = st.dictionaries(
    st.sampled_from([INTEL, AMD, DSDT, "kernel/firmware/acpi/ssdt1.aml", "kernel/other", "kernel/x86/cpu"]),
    st.binary(min_size=1, max_size=70).map(regular),
)


def with_early(tree: Tree, more: dict[str, Node]) -> Tree:
    """Return a tree with some files that are early, and none that is in the way of their folders."""
    return Tree({**{path: node for path, node in tree.items() if path.split("/")[0] != "kernel"}, **more})


@given(trees(), EARLY)
@settings(max_examples=80)
def test_all_is_there_and_the_kernel_finds_it(tree: Tree, more: dict[str, Node]) -> None:
    whole = with_early(tree, more)
    front, rest = early.split(whole)
    initrd = early.archive(front) + cpio.compress(cpio.dumps(rest), "gzip", 1)
    assert cpio.read(initrd) == whole
    wanted = {path: node.read() for path, node in more.items() if path in (INTEL, AMD) or "acpi" in path}
    kernels = found_early(initrd)
    assert {path: data for path, (_, data) in kernels.items()} == wanted
    assert all(offset % 16 == 0 for offset, _ in kernels.values())
    assert not early.files(rest)
    assert early.files(whole) == tuple(sorted(wanted))
    if not wanted:
        assert early.archive(front) == b""
        assert rest is whole


def test_names_that_share_content_with_what_stays() -> None:
    text = regular(b"m")
    whole = Tree(
        {"a": text, INTEL: Node(mode=text.mode, link="a"), AMD: text, "z": Node(mode=text.mode, link=AMD)}
    )
    front, rest = early.split(whole)
    initrd = early.archive(front) + cpio.dumps(rest)
    assert [data for _, data in found_early(initrd).values()] == [b"m", b"m"]
    assert {path: node.read() for path, node in cpio.read(initrd).items() if node.is_file} == dict.fromkeys(
        ("a", AMD, INTEL, "z"), b"m"
    )


def test_a_link_alone_makes_no_archive() -> None:
    whole = Tree({INTEL: symlink("elsewhere")})
    assert early.archive(early.split(whole)[0]) == b""
    assert early.split(whole)[1] is whole


@pytest.mark.skipif(shutil.which("cpio") is None, reason="cpio is not installed")
def test_cpio_reads_the_first_archive(tmp_path: Path) -> None:
    front, rest = early.split(Tree({INTEL: regular(b"i" * 99), DSDT: regular(b"d"), "init": regular(b"x")}))
    initrd = early.archive(front) + cpio.compress(cpio.dumps(rest), "zstd", 1)
    done = subprocess.run(["cpio", "-id", "--quiet"], input=initrd, cwd=tmp_path, check=False)
    assert done.returncode == 0
    files = {
        str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    }
    assert files == {INTEL: b"i" * 99, DSDT: b"d"}


def test_names_with_several_nuls_are_read_and_others_are_not() -> None:
    made = cpio.dumps(Tree({INTEL: regular(b"i")}), align=16)
    plain = cpio.dumps(Tree({INTEL: regular(b"i")}))
    assert INTEL.encode() + b"\0\0" in made
    assert cpio.read(made) == cpio.read(plain)
    with pytest.raises(VerifyError, match="does not end where it should"):
        cpio.read(made.replace(b"Intel.bin\0\0", b"Intel.bin\0x"))
