"""What no external tool tells: GRUB's places, names of formats, and what is refused."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from remaster.formats import fat, gpt, grubdisk, named, names, stem, targets
from remaster.formats.fatnames import entries_for
from remaster.formats.model import MIB
from tcz.errors import ConfigError, ToolkitError, VerifyError
from tests.unit.formats_made import boot_img, core_img

# -- GRUB ------------------------------------------------------------------------------------------


def test_the_boot_sector_is_told_where_the_core_is() -> None:
    code = grubdisk.boot_code(boot_img(), 0x123456789)
    assert len(code) == 440
    assert struct.unpack_from("<Q", code, 0x5C) == (0x123456789,)
    assert code[0x66:0x68] == b"\x90\x90"
    rest = bytearray(code)
    rest[0x5C:0x64], rest[0x66:0x68] = boot_img()[0x5C:0x64], boot_img()[0x66:0x68]
    assert bytes(rest) == boot_img()[:440]


def test_the_core_is_told_where_the_rest_of_it_is() -> None:
    core = core_img(40_001)
    image = grubdisk.core_image(core, 2048)
    assert len(image) == 79 * 512
    assert struct.unpack_from("<QHH", image, 500) == (2049, 78, 0x820)
    assert image[:500] == core[:500]
    assert image[512:40_001] == core[512:]


@pytest.mark.parametrize("boot", [b"", bytes(512), boot_img()[:-1], boot_img()[:-2] + b"ab"])
def test_what_is_no_boot_sector_is_refused(boot: bytes) -> None:
    with pytest.raises(VerifyError, match=r"boot\.img"):
        grubdisk.boot_code(boot, 1)


@pytest.mark.parametrize("core", [b"", bytes(40_000), core_img(1000), core_img(1 << 20)])
def test_what_is_no_core_is_refused(core: bytes) -> None:
    with pytest.raises(VerifyError, match=r"core\.img"):
        grubdisk.core_image(core, 1)


# -- partition tables ------------------------------------------------------------------------------


def part(offset: int, size: int, name: str = "p") -> gpt.Partition:
    return gpt.Partition(
        kind=gpt.LINUX_DATA, guid=gpt.derived(b"x", f"{offset}"), offset=offset, size=size, name=name
    )


@pytest.mark.parametrize(
    "partitions",
    [
        (part(0, MIB),),
        (part(9 * MIB, MIB),),
        (part(MIB, 2 * MIB), part(2 * MIB, MIB)),
        (part(MIB + 1, MIB),),
        (part(MIB, 0),),
    ],
)
def test_partitions_that_cannot_be_are_refused(partitions: tuple[gpt.Partition, ...]) -> None:
    with pytest.raises(ToolkitError, match="outside of the disk or over another"):
        gpt.tables(10 * MIB, gpt.derived(b"x", "disk"), partitions)


def test_another_image_has_other_guids() -> None:
    found = {gpt.derived(identity, role) for identity in (b"a", b"b") for role in ("disk", "data")}
    assert len(found) == 4
    assert gpt.derived(b"a", "disk") == gpt.derived(b"a", "disk")


# -- FAT -------------------------------------------------------------------------------------------


def test_short_names_are_unique_and_valid() -> None:
    wanted = [f"a-very-long-name-{number}.tcz.md5.txt" for number in range(1200)]
    found = entries_for([*wanted, "A-VERY~1.TXT", "BOOTX64.EFI"])
    shorts = [entry[-32:][:11] for entry in found.values()]
    assert len(set(shorts)) == 1202
    assert len(found["BOOTX64.EFI"]) == 32


@pytest.mark.parametrize("name", ["a:b", "a\\b", "a*", "end.", "end ", "\x01", "x" * 256, "\ud800"])
def test_names_that_fat_has_not_are_refused(name: str) -> None:
    with pytest.raises(ToolkitError, match="FAT cannot hold"):
        entries_for([name])


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ((("a", b""), ("a", b"")), "two files"),
        ((("a", b""), ("a/b", b"")), "below something that is a file"),
        ((("dir/Name", b""), ("dir/name", b"")), "cannot tell"),
        ((("a", b"x" * (40 << 20)),), "too small"),
    ],
)
def test_trees_that_fat_has_not_are_refused(files: tuple[tuple[str, bytes], ...], match: str) -> None:
    with pytest.raises(ToolkitError, match=match):
        fat.build(fat.FatPlan(size=fat.SMALLEST, files=files, label="X", serial=1, epoch=0))


def test_a_file_of_4_gib_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "big"
    with file.open("wb") as made:
        made.truncate(1 << 32)
    with pytest.raises(ToolkitError, match="4 GiB"):
        fat.build(fat.FatPlan(size=8 << 30, files=(("big", file),), label="X", serial=1, epoch=0))


# -- names -----------------------------------------------------------------------------------------


def test_formats_by_name() -> None:
    assert [one.name for one in named(())] == ["iso"]
    assert [one.name for one in named(("disk,qcow2", "iso", "disk"))] == ["disk", "qcow2", "iso"]
    assert [one.name for one in named(names())] == list(names())
    with pytest.raises(ConfigError, match="no format 'qcow'") as error:
        named(("iso,qcow",))
    assert "qcow2" in str(error.value.hint)


def test_where_formats_go() -> None:
    out = Path("out/x.iso")
    assert targets(out, named(("disk",))) == ((named(("disk",))[0], (out,)),)
    paths = [str(path) for _, found in targets(out, named(("iso,disk,qcow2,tar",))) for path in found]
    assert paths == ["out/x.iso", "out/x.img", "out/x.qcow2", "out/x.tar"]
    folder = [str(path) for _, found in targets(out, named(("iso,netboot",))) for path in found]
    assert folder[1] == "out/x.netboot/vmlinuz"
    assert stem(Path("out/floe-1.0")) == Path("out/floe-1.0")
    assert stem(Path("a/x.netboot")) == Path("a/x")
