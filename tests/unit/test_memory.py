"""What packages cost, the least memory, and budgets."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remaster import memory
from remaster.estimate import Estimate, iso_size, overrun
from remaster.memory import MIB, Root, least
from remaster.placement import Placed
from remaster.plan import MediumFile
from remaster.variant import Variant
from tcz.errors import VerifyError
from tcz.model import BuiltPackage
from tcz.squashfs import writer
from tcz.squashfs.options import SquashOptions
from tcz.tree import Tree, regular

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("m") / "a.tcz"
    files = {f"usr/local/share/{n}": regular(bytes([n]) * 5000) for n in range(10)}
    writer.write(Tree(files), path, SquashOptions(compressor="gzip", block=4096, x86=False), epoch=0)
    return path


def cost(file: Path, *, in_memory: bool = False, **how: Any) -> memory.Cost:
    size = file.stat().st_size
    package = BuiltPackage(name="a", form="extension", path=file, sha256="", size=size, installed=0, needs=())
    placed = Placed(package=package, **{"place": "cde", "load": "boot", **how})
    return memory.cost(placed, in_memory=in_memory)


def test_a_package_in_each_place(file: Path) -> None:
    held = memory.pages(file.stat().st_size)
    # Ten files of two pages each; with their folders and the root fourteen entries.
    whole = 10 * 8192 + 14 * 1024
    mounted = (128 << 10) + 5 * 4096 + 14 * 1280
    assert cost(file).boot == mounted
    assert cost(file).initrd == 0
    assert cost(file, load="request").boot == 0
    assert (cost(file, place="builtin").initrd, cost(file, place="builtin").boot) == (held, held + mounted)
    assert cost(file, place="builtin", load="demand").boot == held
    assert (cost(file, place="root").initrd, cost(file, place="root").boot) == (whole, whole)
    assert cost(file, copied=True).boot == whole
    assert cost(file, in_memory=True).initrd == held
    assert cost(file).unpacked == 50_000
    assert cost(file).entries == 14
    assert cost(file, place="root").entries == 0


def test_what_is_no_package(tmp_path: Path) -> None:
    (tmp_path / "a.tcz").write_bytes(b"no squashfs" * 100)
    with pytest.raises(VerifyError):
        cost(tmp_path / "a.tcz")


def header(version: int, size: int) -> bytes:
    data = bytearray(0x1000)
    data[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", data, 0x206, version)
    struct.pack_into("<I", data, 0x260, size)
    return bytes(data)


def test_a_kernel_tells_what_it_needs() -> None:
    assert memory.kernel_need(header(0x20F, 30 * MIB)) == 30 * MIB
    for strange in (b"", b"x" * 5000, header(0x209, 30 * MIB), header(0x20F, 0), header(0x20F, 1 << 31)):
        assert memory.kernel_need(strange) == 56 * MIB


def test_it_follows_the_measurements() -> None:
    """Least memory of images that were booted, whole, with no more than the greater figure."""

    def of(files: int, packed: int) -> int:
        held = Root(files=files * MIB, entries=0, packed=packed * MIB, copied=False)
        return least(held, ())[0] // MIB

    assert 300 <= of(90, 90) <= 340
    assert 640 <= of(248, 85) <= 704
    assert 96 <= of(18, 7) <= 112


@given(st.integers(0, 1 << 33), st.integers(0, 1 << 20), st.integers(0, 1 << 32), st.booleans())
@settings(max_examples=50)
def test_half_of_what_is_left_holds_the_root(files: int, entries: int, packed: int, copied: Any) -> None:
    need, reason = least(Root(files=files, entries=entries, packed=packed, copied=copied), (), 40 * MIB)
    assert need % (16 * MIB) == 0
    left = need - need // 64 - 40 * MIB - packed
    assert left // 2 >= files
    assert left // 2 // 4096 >= entries
    assert reason
    if not copied:
        more, _ = least(Root(files=files, entries=entries, packed=packed, copied=True), (), 40 * MIB)
        assert need <= more


def of(iso: int, least_memory: int, *table: memory.Cost) -> Estimate:
    return Estimate(
        packages=0,
        kernel=0,
        initrd=0,
        root=0,
        iso=iso,
        least_memory=least_memory,
        least_memory_for="reasons",
        table=table,
    )


def test_budgets(file: Path) -> None:
    budget = Variant(name="x", max_iso_mb=10, max_ram_mb=128)
    small = of(10 * MIB, 128 * MIB, cost(file, place="builtin"))
    assert overrun(budget, small) is None
    assert overrun(Variant(name="x"), of(1 << 40, 1 << 40)) is None
    found = overrun(budget, small, iso=10 * MIB + 1)
    assert found is not None
    assert found.over == ("its ISO image has 11 MiB, and max-iso-mb allows 10 MiB",)
    assert found.biggest[0].startswith("a is ")
    found = overrun(budget, of(0, 144 * MIB, cost(file, place="builtin")))
    assert found is not None
    assert "144 MiB of memory to boot, for reasons, and max-ram-mb allows 128 MiB" in found.over[0]
    assert found.biggest[0].startswith("a in builtin takes ")
    assert found.error().exit_code == 9
    alone = overrun(budget, of(0, 1 << 40))
    assert alone is not None
    assert "the base alone" in str(alone.error().hint)


def test_the_size_of_an_iso_image_ends_with_a_mib() -> None:
    files = (MediumFile(path="a/b", content=b"x"), MediumFile(path="c", content=bytes(MIB)))
    assert iso_size(files) == 2 * MIB
