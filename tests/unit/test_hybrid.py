from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remaster import hybrid
from tcz.errors import VerifyError

CODE = b"\x33\xed" + bytes(430)


@given(st.integers(0, 1 << 40))
def test_padding_completes_a_cylinder(size: int) -> None:
    assert (size + hybrid.padding(size)) % hybrid.CYLINDER == 0
    assert 0 <= hybrid.padding(size) < hybrid.CYLINDER


def test_the_record_of_a_bios_only_image() -> None:
    record = hybrid.mbr(CODE, size=16 << 20, isolinux=482, disk_id=0x01020304)
    assert len(record) == 512
    assert record[:432] == CODE
    assert struct.unpack_from("<QI", record, 432) == (482 * 4, 0x01020304)
    assert record[446:462] == bytes.fromhex("80 000100 17 3f200f 00000000 00800000")
    assert record[462:] == bytes(48) + b"\x55\xaa"


def test_the_efi_partition_is_the_only_one_with_a_type() -> None:
    efi = hybrid.Extent(block=34, size=917504)
    record = hybrid.mbr(CODE, size=16 << 20, isolinux=482, disk_id=1, efi=efi)
    assert record[450] == 0
    assert record[462 + 4] == 0xEF
    assert struct.unpack_from("<II", record, 462 + 8) == (136, 1792)


def test_places_beyond_the_old_geometry_are_marked_so() -> None:
    record = hybrid.mbr(CODE, size=4 << 30, isolinux=40, disk_id=1)
    assert record[451:454] == b"\xfe\xff\xff"


@pytest.mark.parametrize(
    ("code", "size", "efi", "message"),
    [
        (b"", 1 << 20, None, "0 bytes of code"),
        (bytes(432), 1 << 20, None, "432 bytes of code"),
        (bytes(600), 1 << 20, None, "600 bytes of code"),
        (CODE, (1 << 20) + 1, None, "not padded"),
        (CODE, 0, None, "not padded"),
        (CODE, 4 << 40, None, "cannot describe"),
        (CODE, 1 << 20, hybrid.Extent(block=500, size=1 << 20), "does not lie within"),
        (CODE, 1 << 20, hybrid.Extent(block=500, size=0), "does not lie within"),
    ],
)
def test_what_cannot_be_is_told(code: bytes, size: int, efi: hybrid.Extent | None, message: str) -> None:
    with pytest.raises(VerifyError, match=message):
        hybrid.mbr(code, size=size, isolinux=40, disk_id=1, efi=efi)


def test_isolinux_must_be_made_for_it() -> None:
    hybrid.check_isolinux(bytes(64) + b"\xfb\xc0\x78\x70")
    for image in (b"", bytes(2048)):
        with pytest.raises(VerifyError, match="cannot be started from a disk") as caught:
            hybrid.check_isolinux(image)
        assert "syslinux 4.04" in (caught.value.hint or "")
